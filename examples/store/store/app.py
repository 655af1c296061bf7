"""The shop as a WSGI application: which address is answered by what."""

from __future__ import annotations

import os
import re
import sqlite3
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from store import accounts, assets, database, files, health, orders, pages, search
from store.web import HttpError, Request, Response, as_json, html, read_request, redirect

_SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'"
    ),
}


@dataclass(frozen=True, slots=True)
class Visit:
    """One request, with the database open and the visitor's session if there is one."""

    request: Request
    shop: sqlite3.Connection
    session: sqlite3.Row | None

    def customer(self) -> sqlite3.Row | None:
        signed_in = self.session["customer_id"] if self.session else None
        return self.shop.execute("SELECT * FROM customers WHERE id = ?", (signed_in,)).fetchone()


def application(environ: Mapping[str, Any], start_response: Callable) -> Iterable[bytes]:
    """The WSGI entry point: answers every request, with 500 where something broke."""
    try:
        response = held() or answer(read_request(environ))
    except HttpError as error:
        response = html(pages.sorry(error.status.phrase, error.message), error.status)
    except Exception:  # noqa: BLE001 - the visitor gets an answer, the log the reason
        traceback.print_exc(file=sys.stderr)
        response = html(
            pages.sorry("Something broke", "We have been told."), HTTPStatus.INTERNAL_SERVER_ERROR
        )
    headers = {
        "Content-Type": response.type,
        "Content-Length": str(len(response.body)),
        **_SECURITY,
        **response.headers,
    }
    start_response(f"{response.status.value} {response.status.phrase}", list(headers.items()))
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else response.body]


def held() -> Response | None:
    """What everybody is told while the platform holds requests: come back in a moment."""
    hold = os.environ.get("BRANCHLINE_HOLD_FILE")
    if not hold or not Path(hold).exists():
        return None
    page = pages.sorry("One moment", "The shop is being updated. Please try again in a few seconds.")
    return Response(
        page.encode(),
        HTTPStatus.SERVICE_UNAVAILABLE,
        headers={"Retry-After": "5", "Cache-Control": "no-store"},
    )


def answer(request: Request) -> Response:
    """Raises HttpError where there is nothing at this address, or not for this method."""
    method = "GET" if request.method == "HEAD" else request.method
    matches = [(route, found) for route in ROUTES if (found := re.fullmatch(route[1], request.path))]
    if not matches:
        raise HttpError(HTTPStatus.NOT_FOUND, "There is no such page.")
    for (accepted, _, handler), found in matches:
        if accepted == method:
            return handler(request, *found.groups())
    raise HttpError(HTTPStatus.METHOD_NOT_ALLOWED, "This page does not take that.")


def visiting(handler: Callable[..., Response]) -> Callable[..., Response]:
    """Opens the database for a page that needs it."""

    def visit(request: Request, *parts: str) -> Response:
        with closing(database.connect()) as shop:
            return handler(Visit(request, shop, accounts.session(shop, request)), *parts)

    return visit


def show_catalogue(visit: Visit) -> Response:
    query, category = visit.request.query.get("q", "")[:80], visit.request.query.get("category", "")
    products = visit.shop.execute("SELECT * FROM products ORDER BY id").fetchall()
    categories = list(dict.fromkeys(p["category"] for p in products))
    if query:
        by_id = {p["id"]: p for p in products}
        products = [by_id[found] for found in search.find(visit.shop, query) if found in by_id]
    elif category:
        products = [p for p in products if p["category"] == category]
    return html(pages.catalogue(products, categories, category, query))


def show_product(visit: Visit, number: str) -> Response:
    item = visit.shop.execute("SELECT * FROM products WHERE id = ?", (int(number),)).fetchone()
    if not item:
        raise HttpError(HTTPStatus.NOT_FOUND, "We do not make that.")
    reviews = visit.shop.execute(
        "SELECT * FROM reviews WHERE product_id = ? ORDER BY stars DESC, customer_id LIMIT 5", (item["id"],)
    )
    return html(pages.product(item, reviews.fetchall()))


def show_cart(visit: Visit) -> Response:
    lines = orders.cart(visit.shop, visit.session["token"]) if visit.session else []
    return html(pages.cart(lines, visit.customer()))


def change_cart(visit: Visit) -> Response:
    product, quantity = _number(visit.request, "product"), _number(visit.request, "quantity")
    with database.transaction(visit.shop):
        token = visit.session["token"] if visit.session else accounts.start_session(visit.shop, visit.request)
        orders.put_in_cart(visit.shop, token, product, quantity)
    return redirect("/cart", accounts.cookie(token, secure=visit.request.secure))


def check_out(visit: Visit) -> Response:
    if not visit.session:
        raise HttpError(HTTPStatus.BAD_REQUEST, "Your cart is empty.")
    delivery = orders.read_delivery(visit.request.form)
    return redirect(f"/order/{orders.place(visit.shop, visit.session, delivery, visit.request.ip)}")


def show_order(visit: Visit, access: str) -> Response:
    order = visit.shop.execute("SELECT * FROM orders WHERE access_token = ?", (access,)).fetchone()
    if not order:
        raise HttpError(HTTPStatus.NOT_FOUND, "There is no such order.")
    lines = visit.shop.execute(
        "SELECT p.name, i.quantity, i.quantity * i.unit_price_cents AS sum_cents "
        "FROM order_items i JOIN products p ON p.id = i.product_id WHERE i.order_id = ? ORDER BY i.line",
        (order["id"],),
    )
    return html(pages.order(order, lines.fetchall()))


def show_login(_: Request) -> Response:
    return html(pages.login())


def log_in(visit: Visit) -> Response:
    login = visit.request.form.get("login", "")
    token = accounts.sign_in(visit.shop, visit.request, login, visit.request.form.get("password", ""))
    if token is None:
        return html(pages.login("That name and password do not go together.", login), HTTPStatus.FORBIDDEN)
    return redirect("/customer/account", accounts.cookie(token, secure=visit.request.secure))


def log_out(visit: Visit) -> Response:
    if visit.session:
        accounts.sign_out(visit.shop, visit.session["token"])
    return redirect("/", accounts.cookie("", secure=visit.request.secure))


def show_account(visit: Visit) -> Response:
    customer = visit.customer()
    if not customer:
        return redirect("/customer/login")
    placed = visit.shop.execute(
        "SELECT * FROM orders WHERE customer_id = ? ORDER BY id DESC LIMIT 50", (customer["id"],)
    )
    return html(pages.account(customer, placed.fetchall()))


def show_health(_: Request) -> Response:
    try:
        with closing(database.connect()) as shop:
            trouble = health.problem(shop)
    except sqlite3.Error as error:
        trouble = f"the database does not answer: {error}"
    if trouble:
        return as_json({"status": "failing", "problem": trouble}, HTTPStatus.SERVICE_UNAVAILABLE)
    return as_json({"status": "ok", "schema": database.code_version()})


def show_version(_: Request) -> Response:
    return as_json(
        {
            "build": assets.build()["stamp"],
            "schema": database.code_version(),
            "environment": os.environ.get("BRANCHLINE_ENVIRONMENT"),
            "tree": os.environ.get("BRANCHLINE_TREE_ID"),
        }
    )


def show_static(_: Request, name: str) -> Response:
    return files.serve([assets.STATIC], name, "public, max-age=31536000, immutable")


def show_media(_: Request, name: str) -> Response:
    """Pictures of products: the uploaded one, else the release's own. Other uploads are private."""
    return files.serve([files.media(), assets.STATIC], name, "public, max-age=3600")


def _number(request: Request, name: str) -> int:
    value = request.form.get(name, "")
    if not re.fullmatch("[0-9]{1,9}", value):
        raise HttpError(HTTPStatus.BAD_REQUEST, f"The {name} is not a number.")
    return int(value)


ROUTES: list[tuple[str, str, Callable[..., Response]]] = [
    ("GET", r"/", visiting(show_catalogue)),
    ("GET", r"/product/([0-9]{1,9})", visiting(show_product)),
    ("GET", r"/cart", visiting(show_cart)),
    ("POST", r"/cart", visiting(change_cart)),
    ("POST", r"/checkout", visiting(check_out)),
    ("GET", r"/order/([A-Za-z0-9_-]{8,64})", visiting(show_order)),
    ("GET", r"/customer/login", show_login),
    ("POST", r"/customer/login", visiting(log_in)),
    ("POST", r"/customer/logout", visiting(log_out)),
    ("GET", r"/customer/account", visiting(show_account)),
    ("GET", r"/health", show_health),
    ("GET", r"/version", show_version),
    ("GET", r"/static/([a-z0-9.]+\.css)", show_static),
    ("GET", r"/media/(products/[a-z0-9-]+\.png)", show_media),
]
