"""What was measured, as Markdown between two marks of docs/benchmarks.md; the prose around them stays."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.data.comparison import Result

BEGIN, END = "<!-- bench-data: written by make bench-data -->", "<!-- bench-data: end -->"
BOUNDS = {
    ("PostgreSQL", "A"): (1.2, 1.0),
    ("PostgreSQL", "B"): (1.6, 1.2),
    ("MariaDB", "A"): (0.7, 0.5),
    ("MariaDB", "B"): (0.7, 0.5),
}
"""At most, and the aim: Branchline's seconds to those of the plain copy."""
SCAN, MEMORY = 0.5, 1.2


@dataclass(frozen=True)
class Comparison:
    """All results of one engine and profile; the first is the plain copy."""

    engine: str
    profile: str
    title: str
    results: Sequence[Result]

    def ratio(self, result: Result, *parts: str) -> float:
        """Seconds per row, less those of some parts, against the plain copy's."""
        plain = self.results[0]
        seconds = result.seconds["all"] - sum(result.seconds[part] for part in parts)
        return (seconds / result.rows) / (plain.seconds["all"] / plain.rows)

    def branchline(self) -> Sequence[Result]:
        """As it is; then without the statistics that it gathers beside the scan, where it does."""
        return [each for each in self.results if each.seconds.get("prove") is not None]


@dataclass(frozen=True)
class Peak:
    """Bytes at each number of rows, the smallest first; or why they are not known."""

    engine: str
    rows: Sequence[int]
    bytes: Sequence[int] = ()
    failure: str = ""


def page(
    comparisons: Sequence[Comparison],
    peaks: Sequence[Peak],
    *,
    facts: Iterable[str],
    ways: Mapping[str, str],
    absent: Mapping[str, str],
) -> str:
    """The tables. `facts`: about servers and the run; `ways`: what each tool was told; `absent`: who is missing, and why."""
    lines = ["## Measured", "", *(f"* {fact}" for fact in (*_machine(), *facts)), ""]
    lines += ["### What was asked", "", "| job | against | ratio | at most | aim |", "|---|---|---|---|---|"]
    lines += [*_asked(comparisons), *_remembered(peaks), ""]
    for comparison in comparisons:
        lines += [*_everybody(comparison), ""]
    lines += ["### How each was run", "", *(f"* **{name}**: {way}." for name, way in ways.items())]
    lines += [f"* **{name}** is missing: {reason}." for name, reason in absent.items()]
    return "\n".join(lines) + "\n"


def write(path: Path, text: str) -> None:
    """Puts the text between the marks. Raises ValueError when the file has none."""
    before, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} lacks the lines {BEGIN} and {END}")
    path.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")


def _machine() -> Iterator[str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    day = datetime.now(UTC).date().isoformat()
    yield f"{day}; {os.cpu_count()} cores, {memory:.0f} GiB; {platform.system()}, Python {platform.python_version()}"


def _asked(comparisons: Sequence[Comparison]) -> Iterator[str]:
    for each in comparisons:
        where = f"{each.engine}, profile {each.profile}"
        plain, ours = each.results[0], each.branchline()
        if not ours or not plain.seconds:
            yield f"| {where} | {_code(plain.contender)} | not measured | {BOUNDS[each.engine, each.profile][0]}x | |"
            continue
        most, aim = BOUNDS[each.engine, each.profile]
        copied = each.ratio(ours[0], "prove")
        yield f"| {where} | {_code(plain.contender)}, unmasked | {_judged(copied, most)} | {most}x | {aim}x |"
        yield f"| {where}: final scan | the sanitized copy itself | {_judged(_scan(ours[-1]), SCAN)} | {SCAN}x | |"
        if len(ours) > 1:
            yield f"| {where}: final scan, ANALYZE beside it | the sanitized copy itself | {_scan(ours[0]):.2f}x | | |"


def _scan(ours: Result) -> float:
    return ours.seconds["prove"] / (ours.seconds["all"] - ours.seconds["prove"])


def _remembered(peaks: Sequence[Peak]) -> Iterator[str]:
    for each in peaks:
        small, large = each.rows[0], each.rows[-1]
        job = f"| {each.engine}: peak memory at {large:,} rows"
        if each.failure:
            yield f"{job} | at {small:,} rows | not measured: {each.failure} | {MEMORY}x | |"
            continue
        sizes = f"{each.bytes[-1] / 2**20:.0f} MiB to {each.bytes[0] / 2**20:.0f} MiB"
        yield f"{job} | at {small:,} rows | {_judged(each.bytes[-1] / each.bytes[0], MEMORY)} ({sizes}) | {MEMORY}x | |"


def _everybody(each: Comparison) -> Iterator[str]:
    yield f"### {each.engine}, profile {each.profile}: {each.title}"
    yield ""
    yield f"| who | rows | seconds | rows a second | time per row, {_code(each.results[0].contender)} = 1 |"
    yield "|---|---|---|---|---|"
    for result in each.results:
        if result.failure:
            yield f"| {_code(result.contender)} | {result.rows:,} | | | did not run: {_cell(result.failure)} |"
            continue
        seconds, proof = result.seconds["all"], result.seconds.get("prove")
        lacks = f"; {_cell(result.lacks)}" if result.lacks else ""
        span = f"{seconds:.2f} ({min(result.runs):.2f} to {max(result.runs):.2f})"
        speed = f"{result.rows / seconds:,.0f}"
        what = "" if proof is None else ", with the final scan"
        yield f"| {_code(result.contender)}{what} | {result.rows:,} | {span} | {speed} | {each.ratio(result):.2f}x{lacks} |"
        if proof is not None:
            yield _without_scan(each, result, seconds - proof)


def _without_scan(each: Comparison, result: Result, seconds: float) -> str:
    what = f"{result.contender}, checks in the stream only"
    return f"| {what} | {result.rows:,} | {seconds:.2f} | {result.rows / seconds:,.0f} | {each.ratio(result, 'prove'):.2f}x |"


def _judged(ratio: float, most: float) -> str:
    return f"{ratio:.2f}x {'✓' if ratio <= most else '✗'}"


def _code(name: str) -> str:
    return f"`{_cell(name)}`" if "|" in name else name


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
