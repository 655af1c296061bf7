"""The shop's pages. Everything that comes from data or a visitor goes through `text`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from html import escape
from typing import Any
from urllib.parse import quote

from store import assets
from store.loyalty import BANNER, standing


def text(value: Any) -> str:
    return escape(str(value))


def money(cents: int) -> str:
    return f"€{cents / 100:,.2f}"


def page(title: str, body: str, *, banner: str = "") -> str:
    strip = f'<div class="banner">{text(banner)}</div>' if banner else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{text(title)} · Harbour &amp; Clay</title>
<link rel="stylesheet" href="{text(assets.url("store.css"))}">
</head>
<body>
{strip}
<header><div class="wrap">
  <a class="brand" href="/">Harbour &amp; Clay</a>
  <nav><a href="/">Catalogue</a><a href="/customer/account">Account</a><a href="/cart">Cart</a></nav>
</div></header>
<main class="wrap">{body}</main>
<footer><div class="wrap">Harbour &amp; Clay · stoneware from a small workshop · build {text(assets.build()["stamp"])}</div></footer>
</body>
</html>
"""


def catalogue(products: Sequence[sqlite3.Row], categories: Sequence[str], category: str, query: str) -> str:
    links = "".join(
        f'<a class="{"on" if name == category else ""}" href="/{f"?category={quote(name)}" if name else ""}">'
        f"{text(name or 'Everything')}</a>"
        for name in ("", *categories)
    )
    cards = "".join(
        f'<a href="/product/{p["id"]}"><img src="/media/{text(p["image"])}" alt="" width="360" height="360">'
        f'<strong>{text(p["name"])}</strong><span class="price">{money(p["price_cents"])}</span></a>'
        for p in products
    )
    shelf = (
        f'<div class="grid">{cards}</div>'
        if cards
        else '<p class="notice">Nothing on the shelf matches that.</p>'
    )
    return page(
        "Catalogue",
        f"""<h1>Made by hand, used every day</h1>
<p class="lead">Five shapes in five glazes. Each piece is thrown, glazed and fired in our workshop by the harbour.</p>
<div class="filters">{links}
<form action="/" method="get"><input type="search" name="q" value="{text(query)}" placeholder="Search" aria-label="Search"></form>
</div>{shelf}""",
        banner=BANNER,
    )


def product(item: sqlite3.Row, reviews: Sequence[sqlite3.Row]) -> str:
    opinions = "".join(
        f'<div class="review"><span class="stars">{"★" * r["stars"]}{"☆" * (5 - r["stars"])}</span> {text(r["signed"])}'
        f"<p>{text(r['body'])}</p></div>"
        for r in reviews
    )
    return page(
        item["name"],
        f"""<div class="product">
<img src="/media/{text(item["image"])}" alt="{text(item["name"])}" width="360" height="360">
<div><h1>{text(item["name"])}</h1><p class="price">{money(item["price_cents"])}</p>
<p>{text(item["description"])}</p>
<form class="row" method="post" action="/cart">
<input type="hidden" name="product" value="{item["id"]}">
<input type="number" name="quantity" value="1" min="1" max="20" aria-label="Quantity"><button>Put in cart</button>
</form></div></div>
{f"<h2>What customers say</h2>{opinions}" if opinions else ""}""",
    )


def cart(lines: Sequence[sqlite3.Row], customer: sqlite3.Row | None) -> str:
    if not lines:
        return page(
            "Cart", '<h1>Your cart</h1><p class="lead">It is empty. <a href="/">See what we make.</a></p>'
        )
    rows = "".join(
        f'<tr><td><a href="/product/{line["id"]}">{text(line["name"])}</a></td>'
        f'<td class="number">{line["quantity"]}</td><td class="number">{money(line["sum_cents"])}</td>'
        f'<td class="number"><form method="post" action="/cart"><input type="hidden" name="product" value="{line["id"]}">'
        f'<input type="hidden" name="quantity" value="0"><button class="quiet">remove</button></form></td></tr>'
        for line in lines
    )
    known = _known(customer)
    fields = "".join(
        f'<label class="{"full" if name == "street" else ""}">{label}<input name="{name}" type="{kind}" required '
        f'maxlength="120" value="{text(known.get(name, ""))}"></label>'
        for name, label, kind in (
            ("name", "Name", "text"),
            ("email", "E-mail", "email"),
            ("street", "Street", "text"),
            ("postcode", "Postcode", "text"),
            ("city", "City", "text"),
        )
    )
    return page(
        "Cart",
        f"""<h1>Your cart</h1>
<table><tr><th>Piece</th><th class="number">Quantity</th><th class="number">Sum</th><th></th></tr>{rows}
<tr><td><strong>Together</strong></td><td></td><td class="number"><strong>
{money(sum(line["sum_cents"] for line in lines))}</strong></td><td></td></tr></table>
<h2>Delivery</h2><form class="form" method="post" action="/checkout">{fields}<button>Order, and pay by invoice</button></form>""",
    )


def order(row: sqlite3.Row, lines: Sequence[sqlite3.Row]) -> str:
    address = json.loads(row["shipping_address"])
    bought = "".join(
        f'<tr><td>{text(line["name"])}</td><td class="number">{line["quantity"]}</td>'
        f'<td class="number">{money(line["sum_cents"])}</td></tr>'
        for line in lines
    )
    return page(
        f"Order {row['number']}",
        f"""<h1>Thank you</h1><p class="lead">Order {text(row["number"])} is {text(row["status"])} and goes to
{text(row["shipping_name"])}, {text(address.get("street", ""))}, {text(address.get("postcode", ""))}
{text(address.get("city", ""))}.</p>
<table><tr><th>Piece</th><th class="number">Quantity</th><th class="number">Sum</th></tr>{bought}
<tr><td><strong>Together</strong></td><td></td><td class="number"><strong>{money(row["total_cents"])}</strong></td></tr>
</table>""",
    )


def login(message: str = "", name: str = "") -> str:
    notice = f'<p class="notice">{text(message)}</p>' if message else ""
    return page(
        "Sign in",
        f"""<h1>Sign in</h1>{notice}<form class="form" method="post" action="/customer/login">
<label class="full">E-mail or username<input name="login" required autocomplete="username" value="{text(name)}"></label>
<label class="full">Password<input name="password" type="password" required autocomplete="current-password"></label>
<button>Sign in</button></form>""",
    )


def account(customer: sqlite3.Row, orders: Sequence[sqlite3.Row]) -> str:
    rows = "".join(
        f'<tr><td><a href="/order/{text(o["access_token"])}">{text(o["number"])}</a></td><td>{text(o["placed_at"][:10])}</td>'
        f'<td>{text(o["status"])}</td><td class="number">{money(o["total_cents"])}</td></tr>'
        for o in orders
    )
    return page(
        "Account",
        f"""<h1>Hello, {text(customer["first_name"])}</h1>
<p class="lead">{text(customer["full_name"])} · {text(customer["email"])} · {text(standing(customer))}</p>
<table><tr><th>Order</th><th>Date</th><th>Status</th><th class="number">Sum</th></tr>{rows}</table>
<form method="post" action="/customer/logout"><p><button class="quiet">Sign out</button></p></form>""",
    )


def sorry(title: str, message: str) -> str:
    return page(
        title,
        f'<h1>{text(title)}</h1><p class="lead">{text(message)}</p><p><a href="/">To the catalogue</a></p>',
    )


def _known(customer: sqlite3.Row | None) -> dict[str, str]:
    if customer is None:
        return {}
    address = json.loads(customer["address"])
    return {
        "name": customer["full_name"],
        "email": customer["email"],
        "postcode": customer["postcode"],
        "street": address.get("street", ""),
        "city": address.get("city", ""),
    }
