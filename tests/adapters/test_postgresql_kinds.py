"""Masks on what PostgreSQL declares: they keep to lengths and ranges, and references between masked keys hold."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from branchline.errors import Refused
from tests.workshop.postgresql_bench import PostgresqlBench

SCHEMA = """
CREATE TYPE rank AS ENUM ('low', 'high');
CREATE DOMAIN short AS varchar(20);
CREATE TABLE person (
  id uuid PRIMARY KEY, code varchar(18) UNIQUE, email varchar(30), city varchar(4), nick short, pin smallint UNIQUE,
  login int4, seen inet, net cidr, unique_ip inet UNIQUE, born date, at timestamptz, more jsonb, level rank, paid numeric(10, 2),
  ratio float4, tags text[], phone varchar(16), note char(8));
CREATE TABLE visit (id int PRIMARY KEY, person uuid REFERENCES person, code varchar(18) REFERENCES person (code), pin smallint REFERENCES person (pin));
INSERT INTO person SELECT gen_random_uuid(), 'code-' || i, 'ann' || i || '@mail.example', 'Ulm', 'ann' || i, i, i * 1000,
  ('10.0.' || i % 250 || '.7')::inet, '10.0.0.0/8', ('2a00::' || i)::inet, date '1980-02-29' + i, '2024-02-29 23:30:00+05:30', '{"name": "Ann", "n": 1, "tags": ["x", null]}',
  'low', i * 1.10, i / 3.0, '{a,b}', '+49 170 123456', 'n' || i
FROM generate_series(0, 299) i;
INSERT INTO visit SELECT pin, id, code, pin FROM person;
"""
POLICY = """
tables:
  person:
    columns:
      {id: token, code: token, email: email, city: city, nick: username, pin: token, login: token, seen: ip, net: ip, unique_ip: ip,
       born: {mask: date_shift, days: 20}, at: {mask: date_shift, days: 20}, more: {mask: json, paths: {"$.name": first_name, "$.**": keep}},
       level: {mask: constant, value: high}, paid: {mask: number_noise, percent: 10}, ratio: {mask: number_noise, percent: 10},
       tags: {mask: constant, value: "{}"}, phone: phone, note: text}
  visit: {columns: {id: keep, person: token, code: token, pin: token}}
"""


def test_masked_values_fit_their_columns_and_masked_keys_meet(postgresql_bench: PostgresqlBench) -> None:
    bench = postgresql_bench
    bench.database.create("one")
    bench.execute("one", SCHEMA)
    assert bench.sync(POLICY).leaks == 0
    joined = "SELECT count(*) FROM visit v JOIN person a ON a.id = v.person JOIN person b ON b.code = v.code JOIN person c ON c.pin = v.pin"
    assert bench.read("copy", f"{joined} WHERE a.id = b.id AND b.id = c.id") == [(300,)]
    rows = bench.read("copy", "SELECT * FROM person")
    before = bench.read("one", "SELECT * FROM person")
    for column in range(len(rows[0])):
        if column not in (12, 16):
            assert not {row[column] for row in rows} & {row[column] for row in before} or column in (
                3,
                5,
                6,
                10,
                11,
                14,
                15,
            )
    for _, code, email, city, nick, pin, login, seen, net, unique_ip, _, at, more, level, *_ in rows:
        assert (len(code), email.endswith("@example.test"), level) == (18, True, "high")
        assert len(email) <= 30
        assert 0 < len(city) <= 4
        assert 0 < len(nick) <= 20
        assert 0 <= pin <= 2**15 - 1
        assert 0 <= login <= 2**31 - 1
        assert seen in ip_network("198.18.0.0/15")
        assert net.network_address in ip_network("198.18.0.0/15")
        assert ip_address(unique_ip) in ip_network("2001:db8::/32")
        assert (more["n"], more["tags"]) == (1, ["x", None])
        assert more["name"] != "Ann"
        assert (at.hour, at.minute) == (18, 0)
    assert len({row[5] for row in rows}) == 300


@pytest.mark.parametrize(
    ("column", "mask", "said"),
    [
        ("d date DEFAULT 'infinity'", "{mask: date_shift, days: 9}", "t.d holds text that is not a date"),
        ("d timestamptz DEFAULT '-infinity'", "{mask: date_shift, days: 9}", "t.d holds text that is not a date"),
        ("d jsonb DEFAULT '{\"tel\": \"0170 5551234\"}'", '{mask: json, paths: {"$.street": street}}', r"t.d holds JSON with \$.tel"),
        ("d int DEFAULT -5", "token", "t.d holds whole numbers below 0 or above 2147483647"),
        ("d bigint DEFAULT 9007199254740993", "token", "t.d holds whole numbers"),
    ],
)  # fmt: skip
def test_a_value_that_a_mask_does_not_understand_is_refused_by_its_column(
    postgresql_bench: PostgresqlBench, seen, column: str, mask: str, said: str
) -> None:
    bench = postgresql_bench
    bench.database.create("one")
    bench.execute("one", f"CREATE TABLE t (id int, {column}); INSERT INTO t (id) VALUES (1)")
    with pytest.raises(Refused, match=said) as caught:
        bench.sync(f"tables: {{t: {{columns: {{id: keep, d: {mask}}}}}}}")
    assert caught.value.number == 502
    for value in ("infinity", "5551234", "-5 ", "9007199254740993"):
        assert value not in seen(caught.value)


def test_blanks_that_fill_a_char_are_no_part_of_its_value(postgresql_bench: PostgresqlBench) -> None:
    bench = postgresql_bench
    bench.database.create("one")
    bench.execute(
        "one",
        "CREATE TABLE t (id int PRIMARY KEY, c char(40), e char(80)); INSERT INTO t VALUES (1, '', ''), (2, 'ann', 'ann@mail.example');",
    )
    bench.sync("tables: {t: {columns: {id: keep, c: token, e: email}}}")
    assert bench.read("copy", "SELECT c = '', e = '' FROM t ORDER BY id") == [(True, True), (False, False)]
    ((address,),) = bench.read("copy", "SELECT rtrim(e) FROM t WHERE id = 2")
    assert address == address.lower()


def test_a_token_on_fractions_is_refused_by_name(postgresql_bench: PostgresqlBench) -> None:
    bench = postgresql_bench
    bench.database.create("one")
    bench.execute("one", "CREATE TABLE t (id int PRIMARY KEY, n numeric(20, 0))")
    with pytest.raises(Refused, match=r"t\.columns\.n.*is declared numeric\(20,0\), where token"):
        bench.sync("tables: {t: {columns: {id: keep, n: token}}}")


@pytest.mark.parametrize(
    ("declared", "value", "said"),
    [("int", "hello", "'hello' does not fit"), ("varchar(3)", "hello", "holds at most 3 characters")],
)
def test_a_constant_that_a_column_cannot_hold_is_refused_by_name(
    postgresql_bench: PostgresqlBench, declared: str, value: str, said: str
) -> None:
    bench = postgresql_bench
    bench.database.create("one")
    bench.execute("one", f"CREATE TABLE t (id int PRIMARY KEY, v {declared})")
    with pytest.raises(Refused, match=said):
        bench.sync(f"tables: {{t: {{columns: {{id: keep, v: {{mask: constant, value: {value}}}}}}}}}")


def test_names_that_refer_to_names_are_drawn_by_themselves_or_refused(
    postgresql_bench: PostgresqlBench,
) -> None:
    bench = postgresql_bench
    bench.database.create("one")
    bench.execute(
        "one",
        "CREATE TABLE p (name varchar(90) PRIMARY KEY, email text); INSERT INTO p VALUES ('Ann Other', 'ann@mail.example');"
        "CREATE TABLE c (id int PRIMARY KEY, p varchar(90) REFERENCES p); INSERT INTO c VALUES (1, 'Ann Other');",
    )
    policy = "tables: {p: {columns: {name: MASK, email: email}}, c: {columns: {id: keep, p: MASK}}}"
    with pytest.raises(Refused, match="identity: none"):
        bench.sync(policy.replace("MASK", "full_name"))
    bench.sync(policy.replace("MASK", "{mask: full_name, identity: none}"))
    assert bench.read("copy", "SELECT count(*) FROM c JOIN p ON p.name = c.p") == [(1,)]


@pytest.mark.parametrize(
    ("here", "there", "mask"),
    [
        ("int", "bigint", "token"),
        ("int", "bigint", "phone"),
        ("char(20)", "varchar(30)", "token"),
        ("varchar(60)", "varchar(70)", "email"),
    ],
)
def test_keys_of_two_sizes_that_refer_to_each_other_are_refused_by_name(
    postgresql_bench: PostgresqlBench, here: str, there: str, mask: str
) -> None:
    bench = postgresql_bench
    bench.database.create("one")
    bench.execute(
        "one",
        f"CREATE TABLE p (id {there} PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY, p {here} REFERENCES p);",
    )
    policy = f"tables: {{p: {{columns: {{id: {mask}}}}}, c: {{columns: {{id: keep, p: {mask}}}}}}}"
    with pytest.raises(Refused, match=r"refers to p\.id, which has another size"):
        bench.sync(policy)


@pytest.mark.parametrize("way", ["sync", "clone", "clone while it is in use"])
def test_what_a_database_sets_for_its_sessions_comes_along(
    postgresql_bench: PostgresqlBench, way: str
) -> None:
    bench = postgresql_bench
    bench.database.create("one")
    bench.execute(
        "one",
        """CREATE SCHEMA "my shop"; CREATE TABLE "my shop".t (id int PRIMARY KEY);
        DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = "my shop", public', current_database()); END $$;
        DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = %L', current_database(), 'Asia/Kolkata'); END $$;
        DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET statement_timeout = %L', current_database(), '7min'); END $$""",
    )
    if way == "sync":
        bench.sync('tables: {"my shop.t": {columns: {id: keep}}}')
    elif way == "clone":
        bench.database.clone("one", "copy")
    else:
        with bench.database.snapshot("one"):
            bench.database.clone("one", "copy")
    assert bench.read("copy", "SELECT current_setting('timezone'), (SELECT count(*) FROM t)") == [
        ("Asia/Kolkata", 0)
    ]
    assert bench.read("copy", "SHOW statement_timeout") != [("7min",)]
