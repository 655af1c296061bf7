"""The sanitizing policy: what happens to each column of each table and to each path of each mount.

`parse` checks the shape of a `.branchline/sanitize.yaml` that was read into plain values; which masks exist and
whether the policy fits a live schema is `branchline.sanitize`'s business. Anything unlisted stops a sync.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal

Address = tuple[str, ...]
"""Where a key stands in the file: ("tables", "orders", "columns")."""

Lines = Mapping[tuple[str | int, ...], int]
"""The line of each key and list entry by its path."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands. `line` 0: nobody knows which."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class PolicyProblem:
    """One thing that is wrong with a policy; `yaml` is what to put there instead. `line` 0: nobody knows which."""

    file: str
    line: int
    path: Address
    what: str
    yaml: str = ""

    @property
    def key(self) -> str:
        """Its path as people read it."""
        return ".".join(self.path)

    def __str__(self) -> str:
        place = ":".join(part for part in (self.file, str(self.line or ""), self.key) if part)
        text = f"{place}: {self.what}"
        return f"{text}\n{self.yaml.rstrip()}" if self.yaml else text


@dataclass(frozen=True, slots=True)
class ColumnRule:
    """One column: which mask, its parameters, and why (for those that pass values on)."""

    mask: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class KeepRows:
    """Rows that pass unmasked: the team's own accounts."""

    where: str
    reason: str


@dataclass(frozen=True, slots=True)
class Subset:
    """Which rows of a table begin a smaller copy: the `newest` by a column, about `percent` of a hundred, or those that meet
    `where`; one of the three. Rows that refer to a row that is left out are left out too, in whatever table.
    """

    newest: int = 0
    by: str = ""
    percent: float = 0.0
    where: str = ""

    def __str__(self) -> str:
        if self.newest:
            return f"newest {self.newest:,} by {self.by}"
        return f"{self.percent:g}%" if self.percent else f"where {self.where}"


@dataclass(frozen=True, slots=True)
class TableRule:
    """One table. `action`: copy its rows by `columns`; truncate: none of its rows; rebuild: made again from its content table."""

    action: Literal["copy", "truncate", "rebuild"] = "copy"
    columns: Mapping[str, ColumnRule] = field(default_factory=dict)
    where: str = ""
    keep_rows: KeepRows | None = None
    subset: Subset | None = None


@dataclass(frozen=True, slots=True)
class FileRule:
    """Files of a mount by glob: `**` any folders, `*` within a name. A placeholder gets a new name unless `rename` is false.
    `packed`: it is a pack's, and may match nothing.
    """

    glob: str
    action: Literal["copy", "skip", "placeholder"]
    rename: bool
    packed: bool = False

    def matches(self, path: str) -> bool:
        """Whether a relative path with `/` is meant."""
        return _compiled(self.glob).fullmatch(path) is not None


@dataclass(frozen=True, slots=True)
class Policy:
    """What `.branchline/sanitize.yaml` says, and what the packs that it `extends` say.

    `lines`: where it stands in the file, for messages. `packed`: the decisions that are a pack's, by which it was composed, and
    where; such a decision may be about nothing.
    """

    extends: tuple[str, ...] = ()
    locale: str = "en_US"
    tables: Mapping[str, TableRule] = field(default_factory=dict)
    files: Mapping[str, tuple[FileRule, ...]] = field(default_factory=dict)
    disarm: tuple[str, ...] = ()
    assertions: tuple[str, ...] = ()
    lines: Lines = field(default_factory=dict, compare=False, repr=False)
    packed: Mapping[Address, Place] = field(default_factory=dict, compare=False, repr=False)

    @property
    def fingerprint(self) -> str:
        """Equal for equal decisions, wherever they stand."""
        return hashlib.sha256(repr(self).encode(errors="surrogatepass")).hexdigest()[:16]

    def place(self, file: str, path: Address) -> Place:
        """The pack's line for a decision of a pack; else this file's, of the key or of the nearest thing around it."""
        return self.packed.get(path) or Place(file, _line(self.lines, path))

    def problem(self, file: str, path: Address, what: str, yaml: str = "") -> PolicyProblem:
        """Something wrong at a path of this file, or of the pack that decides there."""
        place = self.place(file, path)
        return PolicyProblem(place.file, place.line, path, what, yaml)


def parse(
    document: Any, *, file: str = "sanitize.yaml", lines: Lines = MappingProxyType({}), pack: bool = False
) -> tuple[Policy, list[PolicyProblem]]:
    """The policy in a YAML document's values, and everything that is wrong with its shape. `lines`: of its keys. A `pack` has
    tables, files and disarm only.

    With problems, what could not be read is left out of the policy: use it for finding more of them only.
    """
    policy, problems = _Reader(file, lines).policy(document)
    if pack:
        problems += [
            policy.problem(file, (key,), "is for a project to say, not for a pack")
            for key in ("extends", "locale")
            if isinstance(document, dict) and key in document
        ]
    return policy, problems


class _Reader:
    def __init__(self, file: str, lines: Lines) -> None:
        self.file, self.lines = file, lines
        self.problems: list[PolicyProblem] = []

    def policy(self, document: Any) -> tuple[Policy, list[PolicyProblem]]:
        top = self._mapping(
            (), {} if document is None else document, {"extends", "locale", "tables", "files", "disarm"}
        )
        disarm = self._mapping(("disarm",), top.get("disarm", {}), {"sql", "assert"})
        policy = Policy(
            extends=self._texts(("extends",), top.get("extends", []), "names of packs"),
            locale=self._text(("locale",), top.get("locale", "en_US"), "a Faker locale such as en_US"),
            tables=self._each(("tables",), top.get("tables", {}), self._table),
            files=self._each(("files",), top.get("files", {}), self._mount),
            disarm=self._texts(("disarm", "sql"), disarm.get("sql", []), "SQL statements"),
            assertions=self._texts(("disarm", "assert"), disarm.get("assert", []), "SQL statements"),
            lines=self.lines,
        )
        return policy, self.problems

    def _table(self, at: Address, value: Any) -> TableRule:
        if value in ("truncate", "rebuild"):
            return TableRule(action=value)
        if not isinstance(value, dict):
            self._say(at, f"is {_named(value)}; allowed: truncate, rebuild, or a mapping with `columns`")
            return TableRule()
        body = self._mapping(at, value, {"columns", "where", "keep_rows", "subset"})
        keep = body.get("keep_rows")
        return TableRule(
            columns=self._each((*at, "columns"), body.get("columns", {}), self._column),
            where=self._text((*at, "where"), body.get("where", ""), "an SQL condition"),
            keep_rows=None if keep is None else self._keep_rows((*at, "keep_rows"), keep),
            subset=self._subset((*at, "subset"), body["subset"]) if "subset" in body else None,
        )

    def _subset(self, at: Address, value: Any) -> Subset | None:
        body = self._mapping(at, value, {"newest", "by", "percent", "where"})
        newest, percent = body.get("newest", 1), body.get("percent", 100)
        known = len(self.problems)
        if not isinstance(newest, int) or isinstance(newest, bool) or newest < 1:
            self._say((*at, "newest"), f"is {_named(newest)}; allowed: a whole number from 1")
        number = isinstance(percent, int | float) and not isinstance(percent, bool)
        if not (number and 0 < percent <= 100):  # noqa: PLR2004 - of a hundred
            self._say((*at, "percent"), f"is {_named(percent)}; allowed: a number above 0, up to 100")
        by = self._text((*at, "by"), body.get("by", ""), "a column's name")
        where = self._text((*at, "where"), body.get("where", ""), "an SQL condition")
        ways = body.keys() - {"by"}
        if len(ways) != 1 or ("newest" in ways) != bool(by) or ("where" in ways) != bool(where.strip()):
            self._say(at, "needs one of: `newest` with `by`, `percent`, `where`")
        if len(self.problems) > known:
            return None
        return Subset(body.get("newest", 0), by, body.get("percent", 0.0), where)

    def _keep_rows(self, at: Address, value: Any) -> KeepRows | None:
        body = self._mapping(at, value, {"where", "reason"})
        rule = KeepRows(
            self._text((*at, "where"), body.get("where", ""), "an SQL condition"),
            self._text((*at, "reason"), body.get("reason", ""), "a sentence"),
        )
        missing = [key for key, text in (("where", rule.where), ("reason", rule.reason)) if not text.strip()]
        if missing:
            self._say(at, f"rows that pass unmasked need {' and '.join(missing)}")
            return None
        return rule

    def _column(self, at: Address, value: Any) -> ColumnRule:
        if value is None:
            self._say(at, 'no mask; the mask that empties a column is written "null", in quotes')
            return ColumnRule("")
        if isinstance(value, str):
            return ColumnRule(value)
        if not isinstance(value, dict) or not isinstance(value.get("mask"), str):
            self._say(at, f"is {_named(value)}; allowed: a mask's name, or a mapping with `mask`")
            return ColumnRule("")
        rest = {str(key): entry for key, entry in value.items() if key not in ("mask", "reason")}
        reason = self._text((*at, "reason"), value.get("reason", ""), "a sentence")
        return ColumnRule(value["mask"], MappingProxyType(rest), reason)

    def _mount(self, at: Address, value: Any) -> tuple[FileRule, ...]:
        return tuple(self._each(at, value, self._file_rule).values())

    def _file_rule(self, at: Address, value: Any) -> FileRule:
        body = {"action": value} if isinstance(value, str) else self._mapping(at, value, {"action", "rename"})
        action: Any = body.get("action")
        rename = body.get("rename", action == "placeholder")
        if action not in ("copy", "skip", "placeholder"):
            self._say(at, f"is {_named(action)}; allowed: copy, skip, placeholder")
            action = "skip"
        if not isinstance(rename, bool):
            self._say((*at, "rename"), "is not true or false")
            rename = True
        return FileRule(at[-1], action, rename)

    def _each(self, at: Address, value: Any, read: Callable[[Address, Any], Any]) -> Mapping[str, Any]:
        return {key: read((*at, key), entry) for key, entry in self._entries(at, value)}

    def _entries(self, at: Address, value: Any) -> Iterator[tuple[str, Any]]:
        if not isinstance(value, dict):
            self._say(at, f"is {_named(value)}, not a mapping")
            return
        for key, entry in value.items():
            if isinstance(key, str):
                yield key, entry
            else:
                self._say(at, f"the key {key!r} is not text: put it in quotes")

    def _mapping(self, at: Address, value: Any, allowed: set[str]) -> dict[str, Any]:
        known = dict(self._entries(at, value))
        for key in known.keys() - allowed:
            self._say((*at, key), f"is not a key here; allowed: {', '.join(sorted(allowed))}")
        return {key: entry for key, entry in known.items() if key in allowed}

    def _text(self, at: Address, value: Any, meant: str) -> str:
        if isinstance(value, str):
            return value
        self._say(at, f"is {_named(value)}, not {meant}")
        return ""

    def _texts(self, at: Address, value: Any, meant: str) -> tuple[str, ...]:
        if isinstance(value, list) and all(isinstance(entry, str) and entry.strip() for entry in value):
            return tuple(value)
        self._say(at, f"is not a list of {meant}")
        return ()

    def _say(self, at: Address, what: str) -> None:
        self.problems.append(PolicyProblem(self.file, _line(self.lines, at), at, what))


def _line(lines: Lines, path: Address) -> int:
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 0)


def _named(value: Any) -> str:
    return f"{value!r}" if isinstance(value, str | int | bool | float | None) else f"a {type(value).__name__}"


@lru_cache(maxsize=1024)
def _compiled(glob: str) -> re.Pattern[str]:
    pieces = re.split(r"(\*\*/|\*\*|\*|\?)", glob)
    meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meaning.get(piece, re.escape(piece)) for piece in pieces), re.DOTALL)
