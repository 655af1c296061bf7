"""What `make bench-data` stands on: the same data everywhere, copies that are checked, a page whose prose stays."""

import re
import sys
from contextlib import contextmanager

import pytest

from benchmarks.data.commands import DidNotRun, run
from benchmarks.data.comparison import Result, compare
from benchmarks.data.contender import PlainCopy
from benchmarks.data.document import BEGIN, END, Comparison, page, write
from benchmarks.data.postgresql import Postgresql
from benchmarks.data.profiles import PROFILES
from branchline.sanitize.policy_file import read_policy

PLAIN = Result("pg_dump | psql", 1000, (1.9, 2.0, 2.5), {"all": 2.0})
OURS = Result("Branchline", 1000, (3.0, 3.0, 3.3), {"all": 3.0, "prove": 0.8})
ALONE = Result("Branchline, statistics left to the server", 1000, (2.8,), {"all": 2.8, "prove": 0.5})
TOOL = Result("other 1.0", 100, (2.0, 2.0, 2.0), {"all": 2.0}, lacks="customers lacks btree (email)")


@pytest.mark.parametrize("name", PROFILES)
def test_the_data_are_the_same_each_time_and_addresses_differ(name):
    customers = PROFILES[name](3000).tables[0]
    once, again = b"".join(customers.text()), b"".join(customers.text())
    assert once == again
    rows = [line.split("\t") for line in once.decode().splitlines()]
    assert rows[0][:3] == ["1", "andrew.taylor1@mail2.example", "Andrew"]
    assert len({row[1] for row in rows}) == customers.rows


@pytest.mark.parametrize("name", PROFILES)
def test_the_policy_decides_about_every_column(name):
    profile = PROFILES[name](30)
    rules = read_policy(profile.policy).tables
    assert {table.name: set(table.columns) for table in profile.tables} == {
        table: set(rule.columns) for table, rule in rules.items()
    }
    assert sum(rule.mask != "keep" for rule in rules["customers"].columns.values()) == 6


@pytest.mark.parametrize("name", PROFILES)
def test_a_plain_copy_is_whole_and_has_the_keys(postgres, name):
    [result] = compare(
        Postgresql(postgres.url), PROFILES[name](300), [PlainCopy("plain")], repeats=1, say=lambda _: None
    )
    assert (result.rows, len(result.runs), result.lacks, result.failure) == (300, 1, "", "")


class Forgetful(PlainCopy):
    def run(self, job):
        seconds = super().run(job)
        job.server.rows(job.target, "DROP INDEX orders_customer")
        return seconds


class Lossy(PlainCopy):
    def run(self, job):
        seconds = super().run(job)
        job.server.rows(job.target, "DELETE FROM stock_movements WHERE id = 7")
        return seconds


def test_a_copy_that_is_not_what_it_should_be_is_found_out(postgres):
    contenders = [PlainCopy("raw", masks=True), Lossy("lossy"), Forgetful("forgetful")]
    found = compare(Postgresql(postgres.url), PROFILES["A"](300), contenders, repeats=1, say=lambda _: None)
    raw, lossy, forgetful = found
    assert raw.failure == "customers.email arrived unmasked"
    assert lossy.failure == "stock_movements has 99 of 100 rows"
    assert forgetful.lacks == "orders lacks btree (customer_id)"


def test_nothing_is_left_on_the_server(postgres):
    server = Postgresql(postgres.url)
    compare(server, PROFILES["B"](30), [PlainCopy("plain")], repeats=1, say=lambda _: None)
    assert (
        server.rows("postgres", "SELECT datname FROM pg_database WHERE datname LIKE 'branchline_bench%'")
        == []
    )


@contextmanager
def _failing(reason):
    with pytest.raises(DidNotRun, match=reason):
        yield


def test_a_command_that_fails_or_takes_too_long_says_so():
    python = sys.executable
    with _failing("ended with 3: no"):
        run([python, "-c", "import sys; sys.stderr.write('no'); sys.exit(3)"])
    with _failing("ended with 4"):
        run([python, "-c", "raise SystemExit(4)"], ["cat"])
    with _failing("was ended after 0 s"):
        run(["sleep", "600"], limit=0.2)


def test_ratios_are_of_time_per_row_and_the_scan_is_told_apart():
    text = page(
        [Comparison("PostgreSQL", "B", "every row masked", [PLAIN, OURS, TOOL])],
        [],
        facts=["a fact"],
        ways={"other 1.0": "somehow"},
        absent={"another": "pip could not install it"},
    )
    assert "| PostgreSQL, profile B | `pg_dump \\| psql`, unmasked | 1.10x ✓ | 1.6x | 1.2x |" in text
    assert "final scan | the sanitized copy itself | 0.36x ✓ | 0.5x |" in text
    assert "| other 1.0 | 100 | 2.00 (2.00 to 2.00) | 50 | 10.00x; customers lacks btree (email) |" in text
    assert re.search(r"\*\*another\*\* is missing: pip could not install it", text)


def test_a_scan_is_judged_without_the_statistics_that_are_gathered_beside_it_and_both_are_told():
    measured = Comparison("PostgreSQL", "B", "every row masked", [PLAIN, OURS, ALONE, TOOL])
    text = page([measured], [], facts=[], ways={}, absent={})
    assert "profile B | `pg_dump \\| psql`, unmasked | 1.10x" in text
    assert "final scan | the sanitized copy itself | 0.22x ✓ | 0.5x |" in text
    assert "final scan, ANALYZE beside it | the sanitized copy itself | 0.36x | |" in text


def test_the_page_keeps_the_prose_around_its_tables(tmp_path):
    path = tmp_path / "benchmarks.md"
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write(path, "new\n")
    assert path.read_text() == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    path.write_text("no marks")
    with pytest.raises(ValueError, match="lacks the lines"):
        write(path, "new\n")
