"""The sample shop, used as Branchline and its visitors use it: by commands and over HTTP."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest
import yaml
from PIL import Image

from branchline.adapters.sandbox import Bubblewrap, detect
from branchline.config.app_files import read_app
from branchline.domain.policy import parse
from branchline.ports import Box

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CUSTOMERS = 150
ADA, PASSWORD = "ada.lovelace1@post.example", "clay and water"


@dataclass(frozen=True)
class Checkout:
    """A copy of the shop's source, with a database and uploads of its own."""

    root: Path

    @property
    def database(self) -> Path:
        return self.root / "store.db"

    @property
    def media(self) -> Path:
        return self.root / "media"

    def environment(self, **more: str) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("BRANCHLINE_")}
        own = {
            "STORE_DATABASE": str(self.database),
            "STORE_MEDIA": str(self.media),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return inherited | own | more

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *command],
            cwd=self.root,
            env=self.environment(),
            text=True,
            capture_output=True,
            check=False,
        )

    def do(self, *command: str) -> str:
        done = self.run(*command)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def apply(self, change: str) -> None:
        shutil.copytree(EXAMPLES / "changes" / change, self.root, dirs_exist_ok=True)

    def rows(self, sql: str, *values: object) -> list[tuple]:
        with closing(sqlite3.connect(self.database)) as shop, shop:
            return shop.execute(sql, values).fetchall()

    def dump(self) -> list[str]:
        with closing(sqlite3.connect(self.database)) as shop:
            return list(shop.iterdump())

    @contextmanager
    def served(self, **more: str) -> Iterator[Browser]:
        server = subprocess.Popen(
            [sys.executable, "serve.py"],
            cwd=self.root,
            env=self.environment(PORT="0", **more),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            greeting = server.stdout.readline()
            yield Browser(int(re.search(r":(\d+)/", greeting)[1]))
        finally:
            server.kill()
            server.communicate()


@dataclass(frozen=True)
class Answer:
    status: int
    text: str
    headers: http.client.HTTPMessage
    body: bytes


class Browser:
    """Keeps its cookie; follows nothing by itself."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.cookie = ""

    def get(self, path: str) -> Answer:
        return self._ask("GET", path)

    def post(self, path: str, headers: dict[str, str] | None = None, **fields: object) -> Answer:
        form = {"Content-Type": "application/x-www-form-urlencoded"} | (headers or {})
        return self._ask("POST", path, urlencode(fields), form)

    def _ask(
        self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            connection.request(method, path, body, {"Cookie": self.cookie} | (headers or {}))
            response = connection.getresponse()
            content = response.read()
        if cookie := response.headers["Set-Cookie"]:
            self.cookie = cookie.split(";")[0]
        return Answer(response.status, content.decode("utf-8", "replace"), response.headers, content)


def check_out(directory: Path) -> Checkout:
    shutil.copytree(
        EXAMPLES / "store", directory, ignore=shutil.ignore_patterns("media", "static", "*.db", "__pycache__")
    )
    return Checkout(directory)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Checkout:
    """Built, migrated and seeded once; tests work on copies of it."""
    shop = check_out(tmp_path_factory.mktemp("made") / "shop")
    shop.do("build.py")
    shop.do("migrate.py")
    shop.do("seed.py", str(CUSTOMERS), "7")
    return shop


@pytest.fixture
def shop(made, tmp_path) -> Checkout:
    shutil.copytree(made.root, tmp_path / "shop")
    return Checkout(tmp_path / "shop")


@pytest.fixture(scope="module")
def browser_port(made) -> Iterator[int]:
    with made.served() as visitor:
        yield visitor.port


@pytest.fixture
def browser(browser_port) -> Browser:
    return Browser(browser_port)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def test_two_builds_of_one_source_have_the_same_bytes(made, tmp_path):
    again = check_out(tmp_path / "again")
    before = contents(again.root)
    again.do("-B", "build.py")
    built = {name: content for name, content in contents(again.root).items() if name not in before}
    assert {name.removeprefix("static/"): content for name, content in built.items()} == contents(
        made.root / "static"
    )


def test_a_change_of_the_source_changes_the_stamp(shop):
    stamp = json.loads((shop.root / "static/build.json").read_text())["stamp"]
    shop.apply("broken-check")
    shop.do("build.py")
    assert json.loads((shop.root / "static/build.json").read_text())["stamp"] != stamp


def test_migrating_again_changes_nothing(shop):
    before = shop.dump()
    assert shop.do("migrate.py") == "schema 4\n"
    assert shop.dump() == before


def test_a_migration_that_fails_leaves_schema_and_rows_as_they_were(shop):
    before = shop.dump()
    shop.apply("broken-migration")
    done = shop.run("migrate.py")
    assert done.returncode == 1
    assert "0006_gift_wrapping failed and was rolled back" in done.stderr
    assert shop.dump() == before


def test_equal_seeds_give_equal_rows_and_files_and_other_seeds_do_not(made, tmp_path):
    def seeded(name: str, seed: str) -> Checkout:
        other = Checkout(
            shutil.copytree(made.root, tmp_path / name, ignore=shutil.ignore_patterns("media", "*.db"))
        )
        other.do("migrate.py")
        other.do("seed.py", str(CUSTOMERS), seed)
        return other

    same, different = seeded("same", "7"), seeded("different", "8")
    assert same.dump() == made.dump()
    assert contents(same.media) == contents(made.media)
    assert different.dump() != made.dump()


def test_a_shop_that_has_customers_is_not_seeded(shop):
    before = shop.dump()
    assert shop.run("seed.py", "10").returncode == 1
    assert shop.dump() == before


def test_every_upload_that_a_row_names_is_there_and_valid(made):
    pictures = made.rows(
        "SELECT image FROM products UNION ALL SELECT avatar FROM customers WHERE avatar IS NOT NULL"
    )
    invoices = made.rows("SELECT invoice FROM orders WHERE invoice IS NOT NULL")
    assert len(pictures) > 25
    assert invoices
    for (name,) in pictures:
        with Image.open(made.media / name) as image:
            image.load()
    for (name,) in invoices:
        document = (made.media / name).read_bytes()
        table = int(re.search(rb"startxref\n(\d+)\n%%EOF", document)[1])
        places = re.findall(rb"(\d{10}) 00000 n", document[table:])
        assert [document[int(place) :].split()[0] for place in places] == [b"1", b"2", b"3", b"4", b"5", b"6"]


def test_seeded_data_has_what_a_sync_must_find(made):
    text = " ".join(body for (body,) in made.rows("SELECT body FROM order_notes"))
    assert re.search(r"\w+\.\w+\d+@\w+\.example", text)
    assert re.search(r"4000 00\d\d \d{4} \d{4}", text)
    assert made.rows("SELECT count(*) FROM mail_queue WHERE status = 'waiting'") > [(0,)]
    assert made.rows("SELECT count(*) FROM order_overview WHERE full_name IS NULL") == [(0,)]
    ada = made.rows("SELECT avatar FROM customers WHERE email = ?", ADA)
    assert ada == [("avatars/ada-lovelace-1.png",)]


def test_order_totals_are_the_sums_of_their_lines_whatever_happens_to_a_line(shop):
    shop.rows("UPDATE order_items SET quantity = 7 WHERE order_id = 1 AND line = 1")
    shop.rows("DELETE FROM order_items WHERE order_id = 2 AND line = 1")
    sums = (
        "SELECT o.id, coalesce(sum(i.quantity * i.unit_price_cents), 0) "
        "FROM orders o LEFT JOIN order_items i ON i.order_id = o.id"
    )
    assert shop.rows("SELECT id, total_cents FROM orders ORDER BY id") == shop.rows(
        f"{sums} GROUP BY o.id ORDER BY o.id"
    )


def test_the_policy_decides_about_exactly_the_columns_that_exist(shop):
    for _ in ("as it is", "with the loyalty change"):
        document = yaml.safe_load((shop.root / ".branchline/sanitize.yaml").read_text())
        assert parse(document)[1] == []
        policy = document["tables"]
        tables = [name for (name,) in shop.rows("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        assert sorted(policy) == sorted(tables)
        for table, rule in policy.items():
            if rule != "truncate":
                columns = [row[1] for row in shop.rows(f"PRAGMA table_xinfo({table})")]
                assert sorted(rule["columns"]) == sorted(columns), table
        shop.apply("loyalty")
        shop.do("migrate.py")


def test_the_commands_that_disarm_hold_on_seeded_data(shop):
    policy = yaml.safe_load((shop.root / ".branchline/sanitize.yaml").read_text())
    for table, rule in policy["tables"].items():
        if rule == "truncate":
            shop.rows(f"DELETE FROM {table}")
        elif "where" in rule:
            shop.rows(f"DELETE FROM {table} WHERE NOT ({rule['where']})")
    facts, true = policy["disarm"]["assert"], [(1,)]
    assert [shop.rows(fact) for fact in facts].count(true) < len(facts)
    for command in policy["disarm"]["sql"]:
        shop.rows(command)
    assert [shop.rows(fact) for fact in facts] == [true] * len(facts)


def test_the_catalogue_shows_searches_and_filters(browser):
    everything = browser.get("/")
    assert everything.status == 200
    assert "Harbour &amp; Clay" in everything.text
    assert everything.text.count('href="/product/') == 25
    assert browser.get("/?q=sage+mu").text.count('href="/product/') == 1
    assert browser.get("/?category=Home").text.count('href="/product/') == 10
    assert "Nothing on the shelf" in browser.get("/?q=bicycle").text


def test_a_page_brings_its_styles_and_pictures(browser):
    page = browser.get("/product/1")
    for path, kind in (
        (r'href="(/static/[^"]+)"', "text/css; charset=utf-8"),
        (r'src="(/media/[^"]+)"', "image/png"),
    ):
        answer = browser.get(re.search(path, page.text)[1])
        assert (answer.status, answer.headers["Content-Type"]) == (200, kind)
    assert "What customers say" in page.text


def test_a_picture_that_was_not_uploaded_comes_with_the_release(shop):
    shutil.rmtree(shop.media)
    with shop.served() as browser:
        assert browser.get("/media/products/sage-mug.png").body.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nowhere", 404),
        ("/product/9999", 404),
        ("/order/not-an-order", 404),
        ("/media/avatars/ada-lovelace-1.png", 404),
        ("/media/tmp/customers-export.csv", 404),
        ("/media/products/../tmp/customers-export.csv", 404),
        ("/static/../store.db", 404),
        ("/checkout", 405),
    ],
)
def test_what_is_not_a_page_is_not_shown(browser, path, status):
    assert browser.get(path).status == status


def test_a_guest_fills_a_cart_and_orders(shop):
    with shop.served() as browser:
        added = browser.post("/cart", product=1, quantity=2)
        assert (added.status, added.headers["Location"]) == (303, "/cart")
        assert "€48.00" in browser.get("/cart").text
        delivery = {
            "name": "Wim <b>",
            "email": "wim@mail.example",
            "street": "1 Pier",
            "postcode": "1",
            "city": "Oxmere",
        }
        ordered = browser.post("/checkout", **delivery)
        assert ordered.status == 303
        receipt = browser.get(ordered.headers["Location"])
        assert "€48.00" in receipt.text
        assert "Wim &lt;b&gt;" in receipt.text
        assert "It is empty" in browser.get("/cart").text
    assert shop.rows(
        "SELECT total_cents, customer_id FROM orders WHERE customer_email = 'wim@mail.example'"
    ) == [(4800, None)]
    assert shop.rows("SELECT stock FROM products WHERE id = 1") == [(398,)]
    ((mail,),) = shop.rows("SELECT body FROM mail_queue WHERE recipient = 'wim@mail.example'")
    assert f"https://www.store.example{ordered.headers['Location']}" in mail


def test_an_order_of_more_than_there_is_changes_nothing(shop):
    shop.rows("UPDATE products SET stock = 1 WHERE id = 2")
    with shop.served() as browser:
        browser.post("/cart", product=1, quantity=1)
        browser.post("/cart", product=2, quantity=2)
        before = shop.dump()
        delivery = {
            "name": "Wim",
            "email": "wim@mail.example",
            "street": "1 Pier",
            "postcode": "1",
            "city": "Oxmere",
        }
        refused = browser.post("/checkout", **delivery)
        assert (refused.status, "only 1 left" in refused.text) == (409, True)
    assert shop.dump() == before


def test_a_customer_signs_in_with_the_cart_and_out_again(shop):
    with shop.served() as browser:
        browser.post("/cart", product=3, quantity=1)
        anonymous = browser.cookie
        answer = browser.post("/customer/login", login=ADA, password=PASSWORD)
        assert answer.status == 303
        assert "HttpOnly" in answer.headers["Set-Cookie"]
        assert browser.cookie != anonymous
        assert "Ada Lovelace" in browser.get("/customer/account").text
        cart = browser.get("/cart").text
        assert "Slate mug" in cart
        assert f'value="{ADA}"' in cart
        browser.post("/customer/logout")
        assert browser.get("/customer/account").headers["Location"] == "/customer/login"


def test_a_wrong_password_or_a_masked_hash_lets_nobody_in(shop):
    with shop.served() as browser:
        assert browser.post("/customer/login", login=ADA, password="guess").status == 403
        for masked in ("", "masked", "pbkdf2_sha256$x$y$z", "pbkdf2_sha256$2$salt$0000"):
            shop.rows("UPDATE customers SET password_hash = ? WHERE email = ?", masked, ADA)
            assert browser.post("/customer/login", login=ADA, password=PASSWORD).status == 403, masked


def test_a_visitors_text_is_escaped_and_never_part_of_a_query(browser):
    answer = browser.get("/?q=%22%3E%3Cscript%3E%27%25--")
    assert answer.status == 200
    assert "<script>" not in answer.text
    assert browser.post("/customer/login", login="' OR 1=1 --", password="x").status == 403


def test_a_form_of_another_site_is_refused(browser):
    assert browser.post("/cart", {"Origin": "https://elsewhere.example"}, product=1, quantity=1).status == 403


@pytest.mark.parametrize("quantity", ["-1", "21", "one", "", "9" * 40])
def test_a_quantity_that_cannot_be_is_refused(browser, quantity):
    assert browser.post("/cart", product=1, quantity=quantity).status == 400


def test_health_and_version_tell_the_schema(browser):
    health = browser.get("/health")
    assert (health.status, json.loads(health.text)) == (200, {"status": "ok", "schema": 4})
    assert json.loads(browser.get("/version").text)["schema"] == 4


def test_health_fails_when_the_database_has_another_schema_than_the_code(shop):
    with shop.served() as browser:
        assert browser.get("/health").status == 200
        shop.rows("INSERT INTO schema_version (version, name) VALUES (5, 'of a newer release')")
        health = browser.get("/health")
    assert health.status == 503
    assert json.loads(health.text)["problem"] == "the database has schema 5, this code needs 4"
    assert "schema 5" in shop.run("check.py").stderr


def test_health_fails_without_a_database_and_makes_none(shop):
    shop.database.unlink()
    with shop.served() as browser:
        assert browser.get("/health").status == 503
    assert not shop.database.exists()


def test_requests_are_held_while_the_hold_file_exists(shop):
    hold = shop.root / "hold"
    with shop.served(BRANCHLINE_HOLD_FILE=str(hold)) as browser:
        assert browser.get("/").status == 200
        hold.touch()
        held = browser.get("/")
        assert (held.status, held.headers["Retry-After"]) == (503, "5")
        hold.unlink()
        assert browser.get("/").status == 200


def test_the_release_works_from_relationships_alone(shop):
    database = json.dumps(
        {"database": [{"scheme": "sqlite", "path": str(shop.database), "service": "db", "rel": "sqlite"}]}
    )
    encoded = base64.b64encode(database.encode()).decode()
    with shop.served(BRANCHLINE_RELATIONSHIPS=encoded, STORE_DATABASE="/nowhere") as browser:
        assert browser.get("/health").status == 200


def test_checks_and_warming_pass_and_warming_changes_nothing(shop):
    before = shop.dump(), contents(shop.root)
    assert shop.do("check.py") == "ok\n"
    assert "29 pages are warm" in shop.do("warm.py")
    assert (shop.dump(), contents(shop.root)) == before


def test_an_incomplete_build_does_not_pass_its_check(shop):
    shutil.rmtree(shop.root / "static")
    assert "build.json was not built" in shop.run("check.py").stderr


def test_a_product_edited_by_hand_is_found_after_the_cron(shop):
    shop.rows("UPDATE products SET name = 'Sage teapot' WHERE id = 1")
    shop.do("reindex.py")
    with shop.served() as browser:
        assert browser.get("/?q=teapot").text.count('href="/product/') == 1


def test_the_loyalty_change_adds_a_tier_and_shows_it(shop):
    shop.rows("UPDATE customers SET loyalty_points = 1300 WHERE email = ?", ADA)
    shop.apply("loyalty")
    assert "schema 4, this code needs 5" in shop.run("check.py").stderr
    shop.do("build.py")
    assert "migration 0005_loyalty_tiers" in shop.do("migrate.py")
    shop.do("check.py")
    with shop.served() as browser:
        assert "silver and gold members" in browser.get("/").text
        browser.post("/customer/login", login=ADA, password=PASSWORD)
        assert "gold member, 1300 points" in browser.get("/customer/account").text


def test_the_loyalty_change_only_adds_a_line_to_the_policy():
    before, after = (
        (EXAMPLES / place / ".branchline/sanitize.yaml").read_text().splitlines()
        for place in ("store", "changes/loyalty")
    )
    assert [line for line in after if "loyalty_tier" not in line] == before
    assert len(after) == len(before) + 1


def test_the_broken_check_migrates_but_is_not_healthy(shop):
    shop.apply("broken-check")
    shop.do("migrate.py")
    assert "warehouses" in shop.run("check.py").stderr
    with shop.served() as browser:
        assert browser.get("/health").status == 503


@pytest.fixture(params=["bubblewrap", "none"])
def sandbox(request):
    if request.param == "bubblewrap" and (reason := Bubblewrap().reason_not_to_work()):
        if os.environ.get("BRANCHLINE_TEST_REQUIRE_ALL"):
            pytest.fail(reason)
        pytest.skip(f"bubblewrap does not work here: {reason}")
    return detect(request.param)


def test_branchline_builds_migrates_seeds_and_serves_it_in_every_sandbox(sandbox, made, tmp_path):
    tree, media, data = check_out(tmp_path / "tree").root, tmp_path / "uploads", tmp_path / "data"
    for directory in (media, data):
        directory.mkdir()
    app = read_app(lambda path: (tree / path).read_bytes() if (tree / path).exists() else None)
    said: list[str] = []
    build = Box(tree=tree, tree_writable=True, environment=app.variables.env, tag=f"build {tmp_path}")
    sandbox.run(app.hooks.build, build, timeout=60, output=said.append)
    assert contents(tree / "static") == contents(made.root / "static")
    (tree / "media").mkdir()
    database = json.dumps({"database": [{"scheme": "sqlite", "path": str(data / "store.db")}]})
    variables = app.variables.env | {"BRANCHLINE_RELATIONSHIPS": base64.b64encode(database.encode()).decode()}
    box = Box(
        tree=tree, mounts={"media": media}, writable=[data], environment=variables, tag=f"run {tmp_path}"
    )
    for command in (
        app.hooks.deploy,
        f"python3 seed.py {CUSTOMERS} 7",
        *app.checks.commands,
        app.hooks.post_deploy,
    ):
        sandbox.run(command, box, timeout=60, output=said.append)
    assert contents(media) == contents(made.media)
    assert list((tree / "media").iterdir()) == []
    assert not list(tree.rglob("__pycache__"))
    (media / "products/sage-mug.png").write_bytes(b"uploaded")
    listening = threading.Event()
    with sandbox.serve(
        app.web.commands.start, box, output=lambda line: "http://" in line and listening.set()
    ) as port:
        assert listening.wait(30)
        browser = Browser(port)
        for check in app.checks.http:
            answer = browser.get(check.path)
            assert (answer.status, check.contains in answer.text) == (check.status, True)
        assert browser.get("/media/products/sage-mug.png").body == b"uploaded"
