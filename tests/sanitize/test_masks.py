"""The rules that every mask keeps, over any values."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import replace
from datetime import date
from decimal import Decimal
from ipaddress import ip_address, ip_network

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from branchline.domain.schema import Column, ForeignKey, Table
from branchline.ports import Block
from branchline.sanitize.drawing import Draw, permute
from branchline.sanitize.masks import Unmaskable, catalogue
from branchline.sanitize.policy_file import read_policy
from branchline.sanitize.pools import pool
from branchline.sanitize.table import apply, masker_for

KEY = bytes(range(32))
TEXTS = st.lists(
    st.one_of(st.none(), st.text(st.characters(codec="utf-8"), max_size=30)), min_size=1, max_size=30
)
PARAMETERS = {
    "constant": {"value": "c"},
    "number_noise": {"percent": 10},
    "date_shift": {"days": 30},
    "json": {"paths": {"$.**": "token"}},
}
DRAWING = ["email", "first_name", "last_name", "full_name", "company", "phone", "street", "city", "postcode", "ip",
           "username", "password", "token", "path", "text"]  # fmt: skip
UNDRAWN = ["keep", "null", "empty", "constant", "redact", "number_noise", "date_shift", "json"]


def masked(
    name: str, values: list, *, key: bytes = KEY, unique: bool = False, locale: str = "en_US", **parameters
) -> list:
    dtype = None if any(value is not None for value in values) else pl.String
    draw = Draw(key, locale, parameters or PARAMETERS.get(name, {}), unique)
    return apply(catalogue()[name], pl.Series("v", values, dtype), draw).to_list()


def test_every_mask_is_tried_here_and_documented() -> None:
    assert set(catalogue()) == {*DRAWING, *UNDRAWN}
    assert all(mask.doc.endswith(".") for mask in catalogue().values())
    assert all(mask.needs <= mask.parameters.keys() for mask in catalogue().values())


@pytest.mark.parametrize("name", DRAWING)
@settings(max_examples=25, deadline=None)
@given(values=TEXTS)
def test_a_mask_is_a_function_that_never_gives_back_what_went_in(name: str, values: list) -> None:
    out = masked(name, values)
    assert len(out) == len(values)
    assert masked(name, values) == out
    assert masked(name, list(reversed(values))) == list(reversed(out))
    for old, new in zip(values, out, strict=True):
        assert new == old if old in (None, "") else new not in (None, "", old)


@pytest.mark.parametrize("name", DRAWING)
@settings(max_examples=15, deadline=None)
@given(
    values=st.lists(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=30), min_size=8, max_size=30, unique=True
    )
)
def test_unique_values_stay_unique_and_depend_on_the_key(name: str, values: list) -> None:
    out = masked(name, values, unique=True)
    assert len(set(out)) == len(values)
    assert masked(name, values, key=b"x" * 32, unique=True) != out


@settings(max_examples=50, deadline=None)
@given(values=st.lists(st.emails(), min_size=1, max_size=20, unique=True))
def test_emails_are_valid_unique_and_under_example_test_only(values: list) -> None:
    out = masked("email", values)
    assert len(set(out)) == len(values)
    assert all(
        re.fullmatch(r"[A-Za-z0-9]+\.[A-Za-z0-9]+\.[0-9A-Fa-f]{16}@example\.test", address) for address in out
    )


def test_spellings_of_an_address_stay_equal_where_case_is_ignored_only() -> None:
    one, two, three = masked("email", ["ann@x.example", "Ann@X.example", " ann@x.example"])
    assert len({one, two, three}) == 3
    assert one == two.lower() == three.lower()


@pytest.mark.parametrize("locale", ["en_US", "de_DE", "fr_FR", "ja_JP"])
def test_names_in_every_locale_fit_into_an_address(locale: str) -> None:
    out = masked("email", [f"p{i}@x.example" for i in range(200)], locale=locale)
    assert len(set(out)) == 200
    assert all(address.isascii() and ".." not in address for address in out)


def test_the_names_inside_the_original_address_are_avoided() -> None:
    names = masked(
        "email", ["michael.smith@x.example"] * 1 + [f"michael.smith{i}@x.example" for i in range(2000)]
    )
    assert sum(address.startswith("michael.") for address in names) <= 1


def test_a_token_of_the_length_of_a_uuid_is_a_random_one() -> None:
    values = pl.Series("v", [f"value {number}" for number in range(300)])
    for unique in (True, False):
        out = apply(catalogue()["token"], values, Draw(KEY, unique=unique, length=32)).to_list()
        assert len(set(out)) == 300
        assert {(uuid.UUID(text).version, uuid.UUID(text).variant) for text in out} == {(4, uuid.RFC_4122)}


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.integers(0, 2**52 - 1), min_size=1, max_size=40, unique=True))
def test_whole_numbers_are_permuted(values: list) -> None:
    out = masked("token", values, unique=True)
    assert len(set(out)) == len(values)
    assert all(0 <= new < 2**52 and new != old for old, new in zip(values, out, strict=True))


@settings(max_examples=60, deadline=None)
@given(key=st.binary(min_size=32, max_size=32), highest=st.integers(1, 300))
def test_the_permutation_reaches_every_number_once_and_leaves_none_where_it_is(
    key: bytes, highest: int
) -> None:
    numbers = pl.Series(range(highest + 1))
    out = permute(numbers, Draw(key), "test", highest)
    assert sorted(out.to_list()) == numbers.to_list()
    assert not (out == numbers).any()


@pytest.mark.parametrize("value", [-1, 2**52])
def test_a_number_outside_the_permutation_is_refused(value: int) -> None:
    with pytest.raises(Unmaskable) as caught:
        masked("token", [value])
    assert str(value) not in str(caught.value)


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=20), percent=st.integers(1, 100))
def test_noise_moves_a_number_a_little_and_never_over_zero(values: list, percent: int) -> None:
    for old, new in zip(values, masked("number_noise", values, percent=percent), strict=True):
        assert isinstance(new, int)
        assert new != old
        assert abs(new - old) <= max(1, abs(old) * percent / 100 + 1)
        assert new >= 0 if old >= 0 else new <= 0


@pytest.mark.parametrize("kind", [float, str])
def test_noise_is_the_same_whatever_stands_beside_a_number(kind: type) -> None:
    (alone,) = masked("number_noise", [kind(1000)], percent=10)
    beside, fraction = masked("number_noise", [kind(1000), kind(19.99)], percent=10)
    assert float(alone) == float(beside) == int(float(beside))
    assert float(fraction) != int(float(fraction))


def test_noise_keeps_fractions_and_numbers_as_text_what_they_are() -> None:
    (fraction,) = masked("number_noise", [19.99], percent=10)
    assert fraction != 19.99
    assert 17.9 < fraction < 22.1
    (text,) = masked("number_noise", ["1200"], percent=10)
    assert text.isdigit()
    with pytest.raises(Unmaskable):
        masked("number_noise", ["n/a"], percent=10)


@settings(max_examples=60, deadline=None)
@given(days=st.lists(st.dates(), min_size=1, max_size=10), reach=st.integers(1, 100))
def test_dates_move_by_some_days_at_most(days: list, reach: int) -> None:
    kept = [day for day in days if 2 < day.year < 9998]
    for old, new in zip(
        kept,
        masked("date_shift", [f"{day} 10:11:12Z" for day in kept], days=reach) if kept else [],
        strict=True,
    ):
        assert new.endswith(" 10:11:12Z")
        assert 1 <= abs((date.fromisoformat(new[:10]) - old).days) <= reach


def test_dates_of_any_known_form_move_and_others_are_refused() -> None:
    (seconds,), (millis,) = (
        masked("date_shift", [moment], days=5) for moment in (1_700_000_000, 1_700_000_000_000)
    )
    assert (seconds - 1_700_000_000) % 86_400 == 0
    assert (millis - 1_700_000_000_000) % 86_400_000 == 0
    assert 0 < abs(millis - 1_700_000_000_000) <= 5 * 86_400_000
    for odd in ("yesterday", "31.01.2026"):
        with pytest.raises(Unmaskable):
            masked("date_shift", [odd], days=5)


def test_whole_numbers_that_could_be_seconds_or_milliseconds_want_a_unit() -> None:
    born = [1_700_000_000_000, 9_000_000_000]  # the second one on 15 April 1970
    with pytest.raises(Unmaskable, match="seconds or milliseconds"):
        masked("date_shift", born, days=5)
    moved = masked("date_shift", born, days=5, unit="milliseconds")
    assert all(
        abs(new - old) in range(86_400_000, 6 * 86_400_000, 86_400_000)
        for new, old in zip(moved, born, strict=True)
    )
    assert masked("date_shift", [0, 1_700_000_000], days=5)[0] % 86_400 == 0


def test_addresses_come_from_ranges_kept_for_tests() -> None:
    four, six = masked("ip", ["8.8.8.8", "2a00::1"])
    assert ip_address(four) in ip_network("198.18.0.0/15")
    assert ip_address(six) in ip_network("2001:db8::/32")
    assert all(
        ip_address(one) in ip_network("2001:db8::/32")
        for one in masked("ip", ["8.8.8.8", "1::"], unique=True)
    )


def test_redacting_takes_addresses_cards_and_phones_out_of_text() -> None:
    text = "Ann (ann@x.example, +49 (170) 123-4567) paid with 4111 1111 1111 1111, order 1234."
    assert masked("redact", [text]) == ["Ann ([e-mail], [phone]) paid with [card], order 1234."]


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("IBAN DE89370400440532013000", "IBAN DE[phone]"),
        ("C01234567, tel0301234567", "C[phone], tel[phone]"),
        ("0171\u00a0123\u2013456", "[phone]"),
        ("4111_1111_1111_1111", "[card]"),
        ("o'neil@real.example", "[e-mail]"),
        ("in 2024, 36\n37\n38\n39, 12 345", "in 2024, 36\n37\n38\n39, 12 345"),
    ],
)
def test_redacting_takes_seven_digits_or_more_in_a_line(text: str, redacted: str) -> None:
    assert masked("redact", [text]) == [redacted]


def test_fixed_masks_do_what_they_say() -> None:
    values = ["a", None, ""]
    assert masked("keep", values) == values
    assert masked("null", values) == [None, None, None]
    assert masked("empty", values) == ["", None, ""]
    assert masked("constant", values) == ["c", None, ""]
    assert masked("password", values, value="$2b$hash") == ["$2b$hash", None, ""]
    assert masked("password", ["a"])[0].startswith("!")


def test_json_is_masked_by_path_and_stays_json() -> None:
    document = {
        "street": "1 Way",
        "items": [{"name": "Ann", "n": 2}, {"name": "Bob", "n": None}],
        "ok": True,
        "sick": True,
        "gone": True,
        "e": "ann@x.example",
    }
    paths = {
        "$.street": "street",
        "$.items[*].name": "first_name",
        "$.items[*].n": {"mask": "number_noise", "percent": 50},
        "$.e": "email",
        "$.ok": "keep",
        "$.sick": "text",
        "$.gone": "null",
    }
    (text, nothing) = masked("json", [json.dumps(document), None], paths=paths)
    new = json.loads(text)
    assert nothing is None
    assert (new["ok"], new["sick"], new["gone"]) == (True, False, None)
    assert new["items"][1]["n"] is None
    assert new["items"][0]["n"] in (1, 3)
    assert not {"1 Way", "Ann", "Bob"} & {new["street"], *(item["name"] for item in new["items"])}
    assert new["e"] == masked("email", ["ann@x.example"])[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"tel": "1"}', r"\$\.tel"),
        ('{"ill": true}', r"\$\.ill"),
        ('{"streets": "1"}', r"\$\.streets"),
        ('{"meta": {"a": 1}, "metadata": {"name": "Ann"}}', r"\$\.metadata\.name"),
        ('{"a.b": 1, "a": {"b": 1}}', "a path"),
        ("{", "not JSON"),
        ('{"ann@x.example": 1}', "a path"),
        ('{"Jürgen": 1}', "a path"),
    ],
)
def test_json_without_a_decision_is_refused(text: str, said: str) -> None:
    with pytest.raises(Unmaskable, match=said):
        masked("json", [text], paths={"$.street": "street", "$.meta.**": "keep", "$.a.b": "keep"})


def test_json_with_odd_keys_is_reached_by_every_key_or_by_name() -> None:
    text = '{"a.b":"x","a":{"b*":"y","[0]":"z"}}'
    paths = {'$["a.b"]': {"mask": "constant", "value": "1"}, "$.a.*": {"mask": "constant", "value": "2"}}
    assert json.loads(masked("json", [text], paths=paths)[0]) == {"a.b": "1", "a": {"b*": "2", "[0]": "2"}}


def test_json_keeps_the_digits_of_the_numbers_that_it_keeps() -> None:
    text = '{"a":19.90,"b":12345678901234567.89,"c":123456789012345678901234,"d":1e400,"e":-0.0,"m":"ann@x.example"}'
    (new,) = masked("json", [text], paths={"$.m": "email", "$.**": "keep"})
    assert new[: new.index('"m"')].lower().replace("+", "") == text[: text.index('"m"')]
    (noisy,) = masked("json", ['{"a":19.90}'], paths={"$.a": {"mask": "number_noise", "percent": 10}})
    assert 17.9 < json.loads(noisy)["a"] < 21.9


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01"])
def test_a_date_at_the_end_of_the_calendar_stays_in_it(day: str) -> None:
    for key in range(20):
        draw = Draw(bytes([key]) * 32, parameters={"days": 500})
        (new,) = apply(catalogue()["date_shift"], pl.Series([day]), draw).to_list()
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", new)
        assert new != day
        assert abs((date.fromisoformat(new) - date.fromisoformat(day)).days) <= 500


@pytest.mark.parametrize("behind", [" Alice, ann@mail.example", "T10:00 +49 30 5551234", "x"])
def test_a_date_with_something_else_behind_it_is_not_shifted(behind: str) -> None:
    with pytest.raises(Unmaskable, match="text behind a date"):
        masked("date_shift", [f"1980-05-01{behind}"], days=9)


@pytest.mark.parametrize(
    "clock", ["", " 23:30:00+05:30", "T23:30:00.123Z", " 23:30", " 23:30:00 +0100", "T23:30:00-05"]
)
def test_a_date_is_shifted_and_its_time_of_day_stays(clock: str) -> None:
    (new,) = masked("date_shift", [f"1980-05-01{clock}"], days=9)
    assert new[10:] == clock
    assert new[:10] != "1980-05-01"


def test_an_address_in_a_short_column_begins_with_no_point() -> None:
    values = pl.Series("v", [f"ann{number}@mail.example" for number in range(300)])
    for length in range(29, 40):
        out = apply(catalogue()["email"], values, Draw(KEY, unique=True, length=length))
        assert not out.str.starts_with(".").any()
        assert (out.n_unique(), out.str.len_chars().max() <= length) == (300, True)


@pytest.mark.parametrize("kind", ["first_name", "last_name", "city", "postcode"])
def test_an_original_that_is_in_the_pool_is_never_drawn_for_itself(kind: str) -> None:
    originals = pool("en_US", kind).to_list()
    for number in range(12):
        out = masked(kind, originals, key=bytes([number]) * 32)
        assert not [old for old, new in zip(originals, out, strict=True) if old == new]


@pytest.mark.parametrize("name", DRAWING)
@settings(max_examples=15, deadline=None)
@given(
    values=st.lists(st.emails(), min_size=8, max_size=30, unique=True),
    length=st.integers(30, 60),
    unique=st.booleans(),
)
def test_masked_values_are_no_longer_than_the_column(
    name: str, values: list, length: int, unique: bool
) -> None:
    draw = Draw(KEY, unique=unique, length=length)
    out = apply(catalogue()[name], pl.Series("v", values), draw).to_list()
    assert all(0 < len(new) <= length and new != old for old, new in zip(values, out, strict=True))
    assert len(set(out)) == len(values) or not unique
    if name == "email":
        assert all(new.endswith("@example.test") for new in out)


@settings(max_examples=30, deadline=None)
@given(
    values=st.lists(st.integers(0, 2**15 - 1), min_size=1, max_size=40, unique=True),
    name=st.sampled_from(["token", "phone"]),
)
def test_whole_numbers_stay_among_those_of_their_column(values: list, name: str) -> None:
    draw = Draw(KEY, unique=True, highest=2**15 - 1)
    out = apply(catalogue()[name], pl.Series("v", values), draw).to_list()
    assert len(set(out)) == len(values)
    assert all(0 <= new < 2**15 and new != old for old, new in zip(values, out, strict=True))


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.decimals("-999.99", "999.99", places=2), min_size=1, max_size=20),
    percent=st.integers(1, 100),
)
@example(values=[Decimal("999.99")] * 50, percent=100)
@example(values=[Decimal(-999)] * 50, percent=100)
@example(values=[Decimal("0.01"), Decimal("0.00"), Decimal("-0.01")], percent=1)
def test_noise_keeps_to_what_a_decimal_column_holds_and_differs(values: list, percent: int) -> None:
    draw = Draw(KEY, parameters={"percent": percent}, highest=999, scale=2)
    out = apply(catalogue()["number_noise"], pl.Series("v", [str(value) for value in values]), draw)
    for old, new in zip(values, map(Decimal, out.to_list()), strict=True):
        assert new != old
        assert abs(new) < 1000
        assert new == round(new, 2)
        assert new >= 0 if old >= 0 else new <= 0


def test_noise_is_as_fine_as_the_column() -> None:
    draw = Draw(KEY, parameters={"percent": 10}, scale=4)
    out = apply(catalogue()["number_noise"], pl.Series("v", [0.0012 + at / 10_000 for at in range(99)]), draw)
    assert any(round(value, 2) != value for value in out)
    assert all(round(value, 4) == value for value in out)


@pytest.mark.parametrize("number", [1e-7, 0.001234, -0.05, 0.99])
def test_noise_on_a_tiny_number_is_a_share_of_it(number: float) -> None:
    out = masked("number_noise", [number] * 50 + [number * 1.001], percent=10)
    assert all(0.89 < new / number < 1.11 for new in out)


def test_noise_does_not_go_beyond_what_the_column_holds() -> None:
    draw = Draw(KEY, parameters={"percent": 100}, highest=2**15 - 1)
    values = [2**15 - 1, 1 - 2**15] * 50
    out = apply(catalogue()["number_noise"], pl.Series("v", values + list(range(32_000, 32_700))), draw)
    assert out.abs().max() < 2**15


@pytest.mark.parametrize("name", ["token", "phone", "text", "company"])
def test_what_refers_to_a_masked_key_is_masked_as_the_key_is(name: str) -> None:
    key = Column("k", "varchar(24)", "text", unique=True, key=True, length=24)
    refers = replace(key, unique=False, key=False)
    rule = read_policy(f"tables: {{p: {{columns: {{k: {name}}}}}}}").tables["p"]
    values = pl.DataFrame({"k": [f"value {i}" for i in range(50)]})
    parent, child = (
        masker_for(table, rule, "en_US", KEY, None)(Block(values, None, None))["k"].to_list()
        for table in (Table("p", (key,)), Table("c", (refers,), (ForeignKey(("k",), "p", ("k",)),)))
    )
    assert parent == child
    assert len(set(parent)) == 50
