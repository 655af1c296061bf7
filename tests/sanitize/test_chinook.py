"""A sync of a real schema: Chinook (tests/data/chinook, with its licence)."""

from __future__ import annotations

import re
from pathlib import Path

POLICY = Path(__file__).parent / "chinook_sanitize.yaml"
KEY = b"by which no invented name is what its original was"[:32]
SCRIPT = Path(__file__).parents[1] / "data" / "chinook" / "Chinook_Sqlite.sql"


def test_chinook_is_synced_without_a_customer_in_it(shop) -> None:
    shop.fill(SCRIPT.read_text(encoding="utf-8-sig"))
    report = shop.sync(POLICY.read_text(), key=KEY)
    assert report.rows == 15_607
    people = "SELECT FirstName, LastName, Email, Phone, Address FROM Customer UNION ALL SELECT FirstName, LastName, Email, Phone, Address FROM Employee"
    before, after = shop.read(people, where="production"), shop.read(people)
    for old, new in zip(sorted(before), sorted(after), strict=True):
        assert new[2].endswith("@example.test")
        assert len(old) == len(new)
    emails = {row[2] for row in before}
    phones = {row[3] for row in before} - {None}
    written = shop.staging.read_bytes().decode("utf-8", "replace")
    assert not [value for value in emails | phones if value in written]
    assert shop.read("SELECT count(*) FROM Customer JOIN Invoice USING (CustomerId)") == [(412,)]
    assert shop.read("SELECT count(*) FROM Track") == [(3503,)]
    for first, last, email in shop.read("SELECT FirstName, LastName, Email FROM Customer"):
        assert email.startswith(re.sub(r"[^a-z.]", "", f"{first}.{last}".lower()))
    assert report.quasi_identifiers == ()
