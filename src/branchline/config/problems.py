"""Everything that is wrong with some configuration files, as one error."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from branchline.config.yaml_source import Problem
from branchline.errors import BadInput

MAX_LISTED = 50


class BadFiles(BadInput):
    """Configuration that cannot be used. `problems` has all of them; the message lists the first ones."""

    problems: tuple[Problem, ...] = ()


def bad_files(number: int, files: Sequence[str], problems: Iterable[Problem], hint: str) -> BadFiles:
    """The error for all problems of some files, in the order of the files and of their lines."""
    order = {file: index for index, file in enumerate(files)}
    ordered = sorted(set(problems), key=lambda each: (order.get(each.file, len(order)), each))
    named = ", ".join(file for file in files if any(each.file == file for each in ordered))
    count = "1 problem" if len(ordered) == 1 else f"{len(ordered)} problems"
    lines = [f"  {problem}" for problem in ordered[:MAX_LISTED]]
    if len(ordered) > MAX_LISTED:
        lines.append(f"  and {len(ordered) - MAX_LISTED} more")
    error = BadFiles(number, "\n".join([f"{count} in {named}:", *lines]), hint)
    error.problems = tuple(ordered)
    return error
