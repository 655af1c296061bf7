"""Proving a finished copy: rows, references, and that no original came along."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from branchline.domain.policy import Policy
from branchline.domain.schema import Schema
from branchline.errors import Failed
from branchline.ports import Loader, Snapshot
from branchline.sanitize.leaks import Findings, find_leaks
from branchline.sanitize.report import Progress
from branchline.sanitize.scan import Originals


def check_rows(found: Mapping[str, int], expected: Mapping[str, int]) -> None:
    """Numbers of rows by table. Raises Failed when a table has not all its rows."""
    wrong = [
        f"{table} has {found[table]:,} rows where {rows:,} were copied"
        for table, rows in expected.items()
        if found[table] != rows
    ]
    _refuse_unsound(wrong)


def check_sound(target: Loader) -> None:
    """By the engine's own checks. Raises Failed with what they find."""
    _refuse_unsound(target.verify())


def prove(
    source: Snapshot,
    target: Loader,
    policy: Policy,
    schema: Schema,
    originals: Originals | None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Findings:
    """Raises Failed, naming tables and columns but no value, when an original came along. Without `originals` none is searched for."""
    if originals is None:
        return Findings()
    with target.result() as copy:
        findings = find_leaks(source, copy, policy, schema, originals, progress)
    if findings.leaks:
        places = ", ".join(map(str, findings.leaks))
        what = f"Originals of masked columns were found in the copy: {places}."
        raise Failed(
            505, what, "Mask those columns in sanitize.yaml (text, redact or null); nothing was switched."
        )
    return findings


def _refuse_unsound(wrong: Sequence[str]) -> None:
    if wrong:
        raise Failed(
            506, f"The copy is not sound: {'; '.join(wrong)}.", "Nothing was switched; correct what it names."
        )
