"""config/sanitization/magento2.yaml, against what Magento 2.4.7 declares (tests/data/magento2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from branchline.domain.policy import ColumnRule, Policy
from branchline.domain.schema import Column, Schema, Table
from branchline.errors import Refused
from branchline.sanitize.checking import check
from branchline.sanitize.pipeline import replicate
from branchline.sanitize.policy_file import read_policy
from tests.workshop.magento2 import Came, Magento

PACKS = [Path(__file__).parents[2] / "config" / "sanitization"]
EXTENDS = "extends: [magento2]\n"
PEOPLE = {
    "customer_entity",
    "admin_user",
    "quote",
    "sales_order",
    "newsletter_subscriber",
    "review",
    "wishlist",
    "gift_message",
}
CONFIGURE = "INSERT INTO core_config_data (scope, scope_id, path, value) VALUES ('default', 0, {})"
CONFIGURED = {
    "general/locale/code": "de_DE",
    "web/secure/base_url": "https://www.shop.example/",
    "web/cookie/cookie_domain": ".shop.example",
    "payment/stripe_payments/secret_key": "sk_live_51H",
    "payment/checkmo/title": "Cheque",
    "carriers/tablerate/api_key": "0:3:c2VjcmV0IG9mIHRoZSBjYXJyaWVy",
    "system/smtp/disable": "0",
    "trans_email/ident_sales/email": "sales@shop.example",
    "acme/erp/password": "Quirinus",
}
DISARMED = {
    "general/locale/code": "de_DE",
    "payment/checkmo/title": "Cheque",
    "web/unsecure/base_url": "{{base_url}}",
    "web/secure/base_url": "{{base_url}}",
    "system/smtp/disable": "1",
    "design/search_engine_robots/default_robots": "NOINDEX,NOFOLLOW",
}
TEAM = "$2y$10$teamteamteamteamteamte"


@pytest.fixture(scope="module")
def magento() -> Magento:
    return Magento.read()


@pytest.fixture(scope="module")
def policy() -> Policy:
    return read_policy(EXTENDS, packs=PACKS)


@pytest.fixture
def small(shop, magento):
    """A shop with what disarming needs, customers, orders and staff."""
    tables = (
        *(
            "core_config_data",
            "cron_schedule",
            "indexer_state",
            "queue_message",
            "eav_attribute",
            "admin_user",
        ),
        *("customer_entity", "customer_entity_varchar", "customer_address_entity"),
        *("sales_order", "sales_order_address", "sales_order_grid"),
    )
    shop.fill(script(magento.only(*tables).ddl("sqlite")))
    return shop


def script(statements: Iterable[str]) -> str:
    return ";\n".join(["BEGIN", *statements, "COMMIT"])


def copied(magento: Magento, policy: Policy) -> Iterator[tuple[str, str, ColumnRule]]:
    for name, told in magento.declared.items():
        rule = policy.tables[name]
        if rule.action == "copy":
            yield from ((name, column, rule.columns[column]) for column in told["columns"])


def about_people(magento: Magento, policy: Policy) -> set[str]:
    """Tables with a masked column, and those that refer to one about people, directly or not."""
    found = PEOPLE | {table for table, _, rule in copied(magento, policy) if rule.mask != "keep"}
    while True:
        more = {
            name
            for name in magento.declared
            for other, _ in magento.references(name).values()
            if other in found
        }
        if more <= found:
            return found
        found |= more


def test_every_column_of_every_table_has_a_decision_that_fits_it(magento, policy) -> None:
    assert len(magento.declared) == 368
    assert sum(len(told["columns"]) for told in magento.declared.values()) == 2998
    assert check(policy, magento.schema) == []


def test_what_is_kept_in_a_table_about_people_is_kept_for_a_reason(magento, policy) -> None:
    people = about_people(magento, policy)
    assert {"sales_order_grid", "sales_shipment_track", "review_store", "customer_entity_int"} <= people
    assert "catalog_product_entity_varchar" not in people
    kept = [
        f"{table}.{column}"
        for table, column, rule in copied(magento, policy)
        if table in people and rule.mask == "keep" and not rule.reason
    ]
    assert kept == []


def test_nothing_that_is_copied_refers_to_a_row_that_is_not(magento, policy) -> None:
    broken = [
        f"{table}.{column} -> {other}"
        for table, column, rule in copied(magento, policy)
        if (other := magento.references(table).get(column, (table, ""))[0])
        and policy.tables[other].action != "copy"
        if rule.mask != "null"
    ]
    assert broken == []


SECRET = r"(?i)e_?mail$|^(customer_)?(first|last|middle)name$|passw|token|secret|(^|_)ip$|telephone|^fax$|taxvat|vat_id|vat_number|street|postcode|company|dob$|sharing_code|confirm|message$|comment$|x_forwarded|cc_|protect_code|rp_|nickname|gender"
NO_PERSON = {
    "inventory_geoname.postcode", "tax_calculation_rate.tax_postcode", "inventory_source.postcode", "inventory_source.street",  # places of the shop, or of the map
    "sales_order_payment.cc_type", "quote_payment.cc_type",  # visa, mastercard
}  # fmt: skip


def test_a_column_that_is_somebodys_by_its_name_is_not_kept(magento, policy) -> None:
    kept = [
        f"{table}.{column}"
        for table, column, rule in copied(magento, policy)
        if re.search(SECRET, column) and rule.mask == "keep" and magento.declared[table]["columns"][column]["type"] not in ("smallint", "timestamp")
    ]  # fmt: skip
    assert set(kept) <= NO_PERSON


def test_a_persons_columns_are_masked_alike_in_customers_carts_and_orders(policy) -> None:
    def masks(table: str, prefix: str = "") -> dict[str, str]:
        names = ("email", "firstname", "lastname", "middlename", "dob", "taxvat", "gender")
        return {
            name: rule.mask for name in names if (rule := policy.tables[table].columns.get(prefix + name))
        }

    people = masks("customer_entity")
    assert people["email"] == "email"
    assert masks("quote", "customer_") == masks("sales_order", "customer_") == people
    assert masks("sales_order_address").items() <= people.items()
    for grid in ("order", "invoice", "creditmemo", "shipment"):
        columns = policy.tables[f"sales_{grid}_grid"].columns
        assert (columns["customer_email"].mask, columns["customer_name"].mask) == ("email", "full_name")


def test_a_table_that_the_pack_does_not_know_stops_with_its_lines_drafted(magento, policy) -> None:
    unknown = Table(
        "loyalty_card",
        (Column("card_id", "int", "integer", key=True), Column("email", "varchar(255)", "text")),
    )
    schema = Schema({**magento.schema.tables, "loyalty_card": unknown})
    (problem,) = check(policy, schema)
    assert problem.key == "tables.loyalty_card"
    assert problem.yaml.startswith("  loyalty_card:\n    columns:\n      card_id: keep")
    assert "      email: email" in problem.yaml
    own = read_policy(f"{EXTENDS}tables:\n{problem.yaml}", packs=PACKS)
    assert check(own, schema) == []


def test_a_column_that_the_pack_does_not_know_stops_with_its_line_drafted(magento, policy) -> None:
    table = magento.schema.tables["customer_entity"]
    longer = replace(table, columns=(*table.columns, Column("mobile", "varchar(32)", "text")))
    (problem,) = check(policy, Schema({**magento.schema.tables, "customer_entity": longer}))
    own = read_policy(f"{EXTENDS}tables:\n{problem.yaml}", packs=PACKS)
    assert own.tables["customer_entity"].columns["mobile"].mask == "phone"
    assert own.tables["customer_entity"].columns["email"].mask == "email"


def test_of_another_version_that_lacks_tables_and_columns_nothing_is_said(magento, policy) -> None:
    fewer = {
        name: replace(table, columns=table.columns[:-1], foreign_keys=())
        for name, table in magento.schema.tables.items()
        if not name.startswith(("inventory_", "payment_services", "login_as"))
    }
    assert [each for each in check(policy, Schema(fewer)) if "identity" not in each.what] == []


def test_a_projects_own_line_that_matches_nothing_stops(magento) -> None:
    own = read_policy(f"{EXTENDS}tables: {{customer_entity: {{columns: {{emial: email}}}}}}", packs=PACKS)
    (problem,) = check(own, magento.schema)
    assert str(problem).startswith(
        "sanitize.yaml:2:tables.customer_entity.columns.emial: there is no such column"
    )


def test_of_a_value_in_every_column_no_masked_one_is_in_the_copy(shop, magento, policy) -> None:
    shop.fill(script([*magento.ddl("sqlite"), *magento.inserts()]))
    report = shop.sync(EXTENDS, packs=PACKS)
    assert report.leaks == 0
    rows = {
        where: {table: shop.read(f"SELECT * FROM `{table}`", where=where) for table in magento.declared}
        for where in ("production", "staging")
    }
    assert len(Came(magento, policy, rows["production"]).leaked()) > 500
    came = Came(magento, policy, rows["staging"])
    assert came.leaked() == []
    assert came.changed() == []


def test_the_copy_is_disarmed(small) -> None:
    small.fill("", (CONFIGURE.format("?, ?"), list(CONFIGURED.items())))
    small.sync(EXTENDS, packs=PACKS)
    assert dict(small.read("SELECT path, value FROM core_config_data")) == DISARMED


def test_disarm_holds_where_a_project_copies_more_of_the_configuration(small) -> None:
    small.fill("", ("INSERT INTO core_config_data (scope, scope_id, path, value) VALUES ('stores', 1, ?, ?)", [("payment/acme/key", "Quirinus"), ("web/secure/base_url", "https://www.shop.example/"), ("system/smtp/disable", "0"), ("acme/colour", "blue")]))  # fmt: skip
    small.sync(f"{EXTENDS}tables: {{core_config_data: {{where: 'scope_id = 1'}}}}", packs=PACKS)
    assert small.read("SELECT path FROM core_config_data WHERE scope_id = 1") == [("acme/colour",)]


def test_one_person_has_one_name_in_the_shop(small) -> None:
    mail = "zelda.quirin@people.example"
    small.fill(
        f"""
        INSERT INTO customer_entity (entity_id, email, firstname, lastname) VALUES (7, '{mail}', 'Zelda', 'Quirin');
        INSERT INTO customer_address_entity (entity_id, parent_id, firstname, lastname, city, country_id, street, telephone)
          VALUES (7, 7, 'Zelda', 'Quirin', 'Ulm', 'DE', 'Quirinweg 1', '0731 1234567');
        INSERT INTO sales_order (entity_id, customer_id, customer_email, customer_firstname, customer_lastname) VALUES (7, 7, '{mail}', 'Zelda', 'Quirin');
        INSERT INTO sales_order_address (entity_id, parent_id, email, firstname, lastname) VALUES (7, 7, '{mail}', 'Zelda', 'Quirin');
        INSERT INTO sales_order_grid (entity_id, customer_email, customer_name, billing_name) VALUES (7, '{mail}', 'Zelda Quirin', 'Zelda Quirin');
        """
    )
    small.sync(EXTENDS, packs=PACKS)
    ((email, first, last),) = small.read(
        "SELECT email, firstname, lastname FROM customer_entity WHERE entity_id = 7"
    )
    assert email.startswith(f"{first}.{last}.".lower())
    assert small.read("SELECT firstname, lastname FROM customer_address_entity WHERE entity_id = 7") == [
        (first, last)
    ]
    assert small.read("SELECT customer_email, customer_firstname, customer_lastname FROM sales_order WHERE entity_id = 7") == [(email, first, last)]  # fmt: skip
    assert small.read("SELECT email, firstname, lastname FROM sales_order_address WHERE entity_id = 7") == [(email, first, last)]  # fmt: skip
    assert small.read("SELECT customer_email, customer_name, billing_name FROM sales_order_grid WHERE entity_id = 7") == [(email, f"{first} {last}", f"{first} {last}")]  # fmt: skip


def test_the_teams_own_accounts_and_values_of_one_attribute_can_be_kept(small) -> None:
    small.fill(
        f"""
        INSERT INTO admin_user (email, username, password) VALUES ('ada@agency.example', 'ada', '{TEAM}'), ('zelda@people.example', 'zelda', '{TEAM}');
        INSERT INTO eav_attribute (attribute_id, entity_type_id, attribute_code) VALUES (7, 1, 'loyalty_tier'), (8, 1, 'motto');
        INSERT INTO customer_entity (entity_id) VALUES (7);
        INSERT INTO customer_entity_varchar (attribute_id, entity_id, value) VALUES (7, 7, 'gold'), (8, 7, 'Quirinus');
        """
    )
    small.sync(
        EXTENDS
        + """
tables:
  admin_user:
    keep_rows: {where: "email LIKE '%@agency.example'", reason: the team signs in on Staging}
  customer_entity_varchar:
    keep_rows:
      where: attribute_id IN (SELECT attribute_id FROM eav_attribute WHERE attribute_code IN ('loyalty_tier'))
      reason: gold, silver or none
""",
        packs=PACKS,
    )
    assert small.read(f"SELECT username FROM admin_user WHERE password = '{TEAM}'") == [("ada",)]
    assert small.read(
        "SELECT attribute_id FROM customer_entity_varchar WHERE value IN ('gold', 'Quirinus')"
    ) == [(7,)]


def test_a_sync_of_a_shop_with_an_unknown_table_is_refused(small) -> None:
    small.fill("CREATE TABLE loyalty_card (card_id INTEGER PRIMARY KEY, email TEXT)")
    with pytest.raises(Refused, match=r"tables.loyalty_card: this table has no decision"):
        small.sync(EXTENDS, packs=PACKS)


def test_on_mariadb_and_mysql_neither_is_there_one_in_the_copy(mysql_bench, magento, policy) -> None:
    configured = [CONFIGURE.format(f"'{path}', '{value}'") for path, value in CONFIGURED.items()]
    for version in ("production", "staging"):
        mysql_bench.database.create(version)
    shop = [
        "SET SESSION sql_mode = '', FOREIGN_KEY_CHECKS = 0",
        *magento.ddl("mysql"),
        *magento.inserts(),
        *configured,
    ]
    mysql_bench.execute("production", ";\n".join(shop))
    with (
        mysql_bench.database.snapshot("production") as source,
        mysql_bench.database.loader("staging") as target,
    ):
        assert replicate(source, target, policy).leaks == 0
    copy = {table: mysql_bench.read("staging", f"SELECT * FROM `{table}`") for table in magento.declared}
    came = Came(magento, policy, copy)
    assert came.leaked() == []
    assert came.changed() == []
    assert dict(mysql_bench.read("staging", "SELECT path, value FROM core_config_data")) == DISARMED
