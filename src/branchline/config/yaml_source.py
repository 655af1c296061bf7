"""Reads YAML that somebody else wrote: bounded, without tags, duplicate keys refused, with the line of every key.

The values are those of YAML 1.2's core schema (true, false, null, numbers, texts): `no`, `on`, `12:30` and
dates are texts, and keys are always texts, as written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 40
MAX_NODES = 100_000
"""Values in one file, each alias counted as all that it stands for."""

MAX_KEY_SHOWN = 200
_NOT_UTF8 = "is not UTF-8: save it in that encoding"

Path = tuple[str | int, ...]
_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE_TAGS = {
    f"tag:yaml.org,2002:{name}": name for name in ("str", "int", "float", "bool", "null", "map", "seq")
}
_INT = re.compile(r"[-+]?[0-9]{1,18}", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_CONSTANTS: Mapping[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong, and where. Its text is `file:line:key: what is wrong`."""

    file: str
    line: int
    key: str
    text: str

    def __str__(self) -> str:
        place = ":".join(part for part in (self.file, str(self.line or ""), self.key[:MAX_KEY_SHOWN]) if part)
        return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in f"{place}: {self.text}")


@dataclass(frozen=True, slots=True)
class Document:
    """What one file says. `problems` are those of its YAML; with any, `value` holds what could be read."""

    file: str
    value: Any = None
    lines: Mapping[Path, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def line(self, path: Path) -> int:
        """The line of a key or list entry, or of the nearest thing around it; 1 for the whole file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def problem(self, path: Path, text: str) -> Problem:
        """Something wrong with the value at a path, placed at its line."""
        return Problem(self.file, self.line(path), dotted(path), text)


def dotted(path: Path) -> str:
    """A path as people read it: `checks.http[0].path`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def load_yaml(file: str, data: bytes) -> Document:
    """Reads one file, whose name is for the messages. Never raises: what is wrong is in `problems`."""
    if len(data) > MAX_BYTES:
        return _unreadable(file, 0, f"is {len(data)} bytes; a configuration file has at most {MAX_BYTES}")
    try:
        text = _decoded(data)
    except UnicodeDecodeError as error:
        return _unreadable(file, data.count(b"\n", 0, error.start) + 1, _NOT_UTF8)
    reader = _Reader(file)
    try:
        value = reader.read(text)
    except yaml.MarkedYAMLError as error:
        return _unreadable(file, _line(error), f"is not YAML: {_said(error, text)}")
    except yaml.YAMLError as error:
        return _unreadable(file, 0, f"is not YAML: {str(error).splitlines()[0]}")
    except _Stop as stop:
        return Document(file, problems=(stop.problem,))
    return Document(file, value, reader.lines, tuple(reader.problems))


def _decoded(data: bytes) -> str:
    """Raises UnicodeDecodeError, for UTF-16 without a mark too: as UTF-8 it would pass, with a NUL in every character."""
    if 0 in data[:2]:
        raise UnicodeDecodeError("utf-8", data, 0, 2, "UTF-16")
    return data.decode("utf-8-sig")


def load_mapping(file: str, data: bytes) -> Document:
    """Like `load_yaml`, for a file that must hold keys. An empty one holds none."""
    document = load_yaml(file, data)
    if document.problems or isinstance(document.value, dict):
        return document
    if document.value is None:
        return Document(file, {})
    return _unreadable(file, 1, f"must hold keys and values, is {described(document.value)}")


def described(value: Any) -> str:
    """A value of a configuration file in a few words, for a message."""
    match value:
        case None:
            return "empty"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {value[:40]!r}" + ("..." if len(value) > 40 else "")  # noqa: PLR2004
        case dict():
            return "a mapping"
        case _:
            return "a list"


def _unreadable(file: str, line: int, text: str) -> Document:
    return Document(file, problems=(Problem(file, line, "", text),))


def _said(error: yaml.MarkedYAMLError, text: str) -> str:
    said = " ".join(part for part in (error.context, error.problem) if part)
    line = text.splitlines()[_line(error) - 1 :][:1]
    indent = line[0][: len(line[0]) - len(line[0].lstrip())] if line else ""
    return f"{said}; indent with spaces, not tabs" if "\t" in indent else said


def _line(error: yaml.MarkedYAMLError) -> int:
    mark: Any = error.problem_mark or error.context_mark
    return mark.line + 1 if mark else 1


class _Stop(Exception):  # noqa: N818
    def __init__(self, problem: Problem) -> None:
        self.problem = problem


@dataclass(slots=True)
class _Open:
    """A mapping or list that is being read. `key` is the mapping's key whose value comes next."""

    value: dict[str, Any] | list[Any]
    anchor: str | None
    line: int
    weight: int = 1
    key: str | None = None
    merged: list[tuple[Any, int]] = field(default_factory=list)


class _Reader:
    """Builds one document's values from the parser's events; the depth of the file costs no recursion."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[Path, int] = {}
        self.problems: list[Problem] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._documents = 0
        self._nodes = 0
        self._result: Any = None

    def read(self, text: str) -> Any:
        events: Iterator[Any] = yaml.parse(text, Loader=_PARSER)
        for event in events:
            self._take(event, event.start_mark.line + 1)
        return self._result

    def _take(self, event: yaml.Event, line: int) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise self._stop(line, "holds a second document (---); one is read")
            case yaml.AliasEvent():
                self._alias(event, line)
            case yaml.ScalarEvent():
                self._scalar(event, line)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._start(event, line)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._end()

    def _alias(self, event: yaml.AliasEvent, line: int) -> None:
        if event.anchor not in self._anchors:
            raise self._stop(line, f"*{event.anchor} refers to nothing above it")
        value, weight = self._anchors[event.anchor]
        if self._wants_key():
            self._add_key(str(value), line)
        else:
            self._add(value, weight, line)

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        if "\0" in event.value:
            self._note(line, "holds a NUL character")
        if self._wants_key():
            if event.anchor:
                self._anchors[event.anchor] = (event.value, 1)
            self._add_key(event.value, line)
            return
        value = self._value_of(event, line)
        if event.anchor:
            self._anchors[event.anchor] = (value, 1)
        self._add(value, 1, line)

    def _start(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent, line: int) -> None:
        if self._wants_key():
            raise self._stop(line, "has a mapping or list as a key; a key is a text")
        if len(self._open) >= MAX_DEPTH:
            raise self._stop(line, f"is nested more than {MAX_DEPTH} levels deep")
        if event.tag is not None and event.tag not in _CORE_TAGS:
            self._note(line, f"the tag {_written(event.tag)} is not supported")
        value: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._mark(line)
        self._open.append(_Open(value, event.anchor, line))

    def _end(self) -> None:
        done = self._open.pop()
        for merged, line in done.merged:
            self._merge(done.value, merged, line)
        if done.anchor:
            self._anchors[done.anchor] = (done.value, done.weight)
        self._add(done.value, done.weight, done.line)

    def _merge(self, into: Any, merged: Any, line: int) -> None:
        for source in merged if isinstance(merged, list) else [merged]:
            if not isinstance(source, dict):
                self._note(line, "<<: takes a mapping, or a list of mappings")
                return
            for key, value in source.items():
                into.setdefault(key, value)

    def _wants_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].value, dict) and self._open[-1].key is None

    def _add_key(self, key: str, line: int) -> None:
        current = self._open[-1]
        current.key = key
        if key in current.value:
            first = self.lines.get(self._path(), 0)
            self._note(line, f"duplicate key, first given on line {first}")
        self._mark(line)

    def _add(self, value: Any, weight: int, line: int) -> None:
        self._nodes += 1
        if not self._open:
            self._result = value
            return
        current = self._open[-1]
        current.weight += weight
        if current.weight > MAX_NODES or self._nodes > MAX_NODES:
            raise self._stop(
                line, f"holds more than {MAX_NODES} values, aliases counted as what they stand for"
            )
        if isinstance(current.value, list):
            self._mark(line)
            current.value.append(value)
            return
        if current.key == "<<":
            current.merged.append((value, line))
        elif current.key is not None:
            current.value[current.key] = value
        current.key = None

    def _value_of(self, event: yaml.ScalarEvent, line: int) -> Any:
        tag = _CORE_TAGS.get(event.tag) if event.tag else None
        if event.tag and event.tag != "!" and tag is None:
            self._note(line, f"the tag {_written(event.tag)} is not supported")
            return event.value
        if tag == "str" or event.tag == "!" or (event.tag is None and not event.implicit[0]):
            return event.value
        return _plain(event.value)

    def _path(self) -> Path:
        return tuple(len(o.value) if isinstance(o.value, list) else o.key or "" for o in self._open)

    def _mark(self, line: int) -> None:
        self.lines.setdefault(self._path(), line)

    def _note(self, line: int, text: str) -> None:
        self.problems.append(Problem(self.file, line, dotted(self._path()), text))

    def _stop(self, line: int, text: str) -> _Stop:
        return _Stop(Problem(self.file, line, dotted(self._path()), text))


def _written(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!", 1)


def _plain(text: str) -> Any:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
