"""`make bench-data`: measures, prints and writes docs/benchmarks.md."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from rich.console import Console

from benchmarks.data import document, mariadb, postgresql
from benchmarks.data.commands import DidNotRun
from benchmarks.data.comparison import Say, compare, peaks
from benchmarks.data.contender import Contender, PlainCopy
from benchmarks.data.profiles import PROFILES, ROUNDS, ROWS, Profile
from benchmarks.data.server import Server
from benchmarks.data.sync import Branchline
from benchmarks.data.tools import TOOLS, Installed, Tool, install

SERVERS: dict[str, Callable[[], AbstractContextManager[Server | str]]] = {
    "postgresql": postgresql.server,
    "mariadb": mariadb.server,
}
MEMORY_ROWS = (100_000, 5_000_000)
OURS = (
    "`replicate` in a process of its own, from opening the source to closing the target, pools of invented values made anew, "
    "Python's start and imports left out (the tools' start is counted)"
)


def main(options: argparse.Namespace) -> None:
    """Measures what the options ask for, all of it without any."""
    console = Console()
    absent: dict[str, str] = {}
    comparisons: list[document.Comparison] = []
    memory: list[document.Peak] = []
    often = options.repeats * ROUNDS["A"]
    facts = [
        f"`{_command(options)}`: medians of {options.repeats} runs after one warm-up ({often} of profile A, of the tools {options.repeats}), contenders in turn"
    ]
    with _tools(options, absent) as tools, console.status("starting") as status:
        for engine in options.engines:
            with SERVERS[engine]() as server:
                if isinstance(server, str):
                    absent[engine] = server
                    continue
                facts += [
                    ", ".join(server.versions()),
                    "; ".join(f"{k} = {v}" for k, v in server.settings().items()),
                ]
                for name in options.profiles:
                    comparisons.append(_compared(server, name, tools, options, status.update))
                    console.print(f"{engine} {name}: done")
                if options.memory:
                    memory.append(_remembered(server, options.scale, status.update))
    ways = {"Branchline": OURS, **{each.name: each.tool.way for each in tools}}
    text = document.page(comparisons, memory, facts=facts, ways=ways, absent=absent)
    console.print(text, markup=False, highlight=False, soft_wrap=True)
    if options.output:
        document.write(options.output, text)


def _compared(
    server: Server, name: str, tools: Sequence[Installed], options: argparse.Namespace, say: Say
) -> document.Comparison:
    """What was asked first; then the tools, each that would take minutes at a size of its own."""
    whole = PROFILES[name](_rows(ROWS[name], options.scale))
    ours = [Branchline(), *([Branchline(statistics=False)] if server.analyzed else [])]
    asked = [PlainCopy(server.reference), *ours]
    results = compare(server, whole, asked, repeats=options.repeats * ROUNDS[name], say=say)
    sizes: dict[int, list[Contender]] = {}
    for each in tools:
        if server.name in each.tool.most:
            sizes.setdefault(_given(whole, each.tool.most[server.name], options.scale), []).append(each)
    for rows, contenders in sizes.items():
        results += compare(server, PROFILES[name](rows), contenders, repeats=options.repeats, say=say)
    return document.Comparison(server.name, name, whole.title, results)


def _given(whole: Profile, most: int, scale: float) -> int:
    masked = sum(table.rows for table in whole.tables if table.masked)
    return _rows(whole.rows, min(1.0, most * scale / masked))


def _rows(count: int, share: float) -> int:
    return max(3, round(count * share) // 3 * 3) if share < 1 else count


def _remembered(server: Server, scale: float, say: Say) -> document.Peak:
    sizes = [_rows(rows, scale) for rows in MEMORY_ROWS]
    try:
        return document.Peak(server.name, sizes, peaks(server, sizes, say=say))
    except DidNotRun as reason:
        return document.Peak(server.name, sizes, failure=str(reason))


@contextmanager
def _tools(options: argparse.Namespace, absent: dict[str, str]) -> Iterator[list[Installed]]:
    """Virtual environments that go away afterwards, unless a directory for them was named."""
    with tempfile.TemporaryDirectory(prefix="branchline-bench-tools-") as temporary:
        installed = []
        for tool in (each for each in TOOLS if each.name in options.tools):
            try:
                installed.append(_installed(tool, options.environments or Path(temporary)))
            except DidNotRun as reason:
                absent[tool.name] = f"pip could not install it: {reason}"
        yield installed


def _installed(tool: Tool, directory: Path) -> Installed:
    directory.mkdir(parents=True, exist_ok=True)
    return install(tool, directory)


def _command(options: argparse.Namespace) -> str:
    return "make bench-data" + ("" if options.scale == 1 else f" at {options.scale:g} of the rows")


def _options() -> argparse.Namespace:
    names = [tool.name for tool in TOOLS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data", description=__doc__)
    parser.add_argument("--engines", nargs="*", choices=SERVERS, default=list(SERVERS))
    parser.add_argument("--profiles", nargs="*", choices=PROFILES, default=list(PROFILES))
    parser.add_argument(
        "--tools", nargs="*", choices=names, default=names, help="none after it: only dumps and Branchline"
    )
    parser.add_argument(
        "--repeats",
        type=int,
        default=3,
        help="measured runs of each, after one warm-up; of profile A, which is short, five times as many",
    )
    parser.add_argument("--scale", type=float, default=1.0, help="share of the rows, while developing")
    parser.add_argument(
        "--no-memory", dest="memory", action="store_false", help="leave the 5,000,000 rows out"
    )
    parser.add_argument("--environments", type=Path, help="where to keep the tools' virtual environments")
    parser.add_argument("--output", type=Path, help="the page to write; only printed without")
    return parser.parse_args()


if __name__ == "__main__":
    main(_options())
