"""What a dataclass of the domain means as configuration: its keys, their descriptions, and what is wrong with a value.

The dataclass is the only place where a key is declared; its description is the text under the field.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from branchline.config.yaml_source import Path, described

T = TypeVar("T")
Broken = tuple[Path, str]
_OF_PYDANTIC = ("[key]", "[url]", "[reference]")
"""Parts of a place that are not written in the file: a mapping's key itself, and which kind of a union it is."""
MAX_BROKEN = 100
"""More than this many things wrong in one value are counted, not listed."""


def validated(
    cls: type[T], value: Any, hidden: frozenset[str] = frozenset()
) -> tuple[T | None, list[Broken]]:
    """The dataclass that a value of a configuration file describes, or None and everything that is wrong.

    Keys in `hidden` are not offered in messages.
    """
    try:
        return _adapter(cls).validate_python(value), []  # type: ignore[arg-type] # a class is hashable
    except ValidationError as failed:
        errors = failed.errors(include_url=False)
    broken = [_broken(cls, error, hidden) for error in errors[:MAX_BROKEN]]
    if len(errors) > MAX_BROKEN:
        broken.append(((), f"{len(errors) - MAX_BROKEN} more problems"))
    return None, broken


@cache
def _adapter(cls: type[T]) -> TypeAdapter[T]:
    """Making one takes longer than reading a repository's files."""
    return TypeAdapter(cls)


def unknown_key(key: str, allowed: tuple[str, ...]) -> str:
    """Says that there is no such key, what was probably meant, and which there are."""
    near = get_close_matches(key, allowed, 1)
    meant = f"did you mean {near[0]}? " if near else ""
    return f"unknown key; {meant}allowed: {', '.join(allowed)}"


def key_names(cls: type) -> tuple[str, ...]:
    """The keys of a dataclass, in the order in which they are declared: `from_` is the key `from`."""
    return tuple(field.name.removesuffix("_") for field in fields(cls))


def documented_keys(cls: type) -> dict[str, str]:
    """One-sentence description by dotted key, nested ones included; `<name>` and `[]` stand for any key or entry."""
    return dict(_documented(cls, ""))


def _documented(cls: type, prefix: str) -> list[tuple[str, str]]:
    said = _descriptions(cls)
    found: list[tuple[str, str]] = []
    for name, hint in get_type_hints(cls).items():
        if (key := name.removesuffix("_")) not in key_names(cls):
            continue
        found.append((f"{prefix}{key}", said[name]))
        inner, suffix = _inside(hint)
        if isinstance(inner, type) and is_dataclass(inner):
            found += _documented(inner, f"{prefix}{key}{suffix}.")
    return found


def _inside(hint: Any) -> tuple[Any, str]:
    """The type within mappings, lists and options, and how a dotted key names it."""
    suffix = ""
    while (bare := _bare(hint)) is not None and not isinstance(bare, type):
        origin, arguments = get_origin(bare), get_args(bare)
        if origin is tuple:
            hint, suffix = arguments[0], f"{suffix}[]"
        elif isinstance(origin, type) and issubclass(origin, Mapping):
            hint, suffix = arguments[1], f"{suffix}.<name>"
        else:
            break
    return _bare(hint), suffix


def _bare(hint: Any) -> Any:
    """A type without its annotations and without None; of several, the one that has keys."""
    if get_origin(hint) is Annotated:
        return _bare(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        some = [each for each in map(_bare, get_args(hint)) if each is not NoneType]
        some = [each for each in some if is_dataclass(each)] or some
        return _bare(some[0]) if len(some) == 1 else hint
    return hint


def _type_at(cls: type, path: Path) -> Any:
    hint: Any = cls
    for part in path:
        hint = _bare(hint)
        if is_dataclass(hint):
            hint = get_type_hints(hint, include_extras=True).get(str(part))
        elif get_origin(hint) is tuple:
            hint = get_args(hint)[0]
        elif len(get_args(hint)) == 2:  # noqa: PLR2004
            hint = get_args(hint)[1]
        else:
            return None
    return _bare(hint)


@cache
def _descriptions(cls: type) -> dict[str, str]:
    """The text under each field of a class, its lines joined."""
    module = ast.parse(inspect.getsource(sys.modules[cls.__module__]))
    body = next(
        node.body for node in module.body if isinstance(node, ast.ClassDef) and node.name == cls.__name__
    )
    said: dict[str, str] = {}
    for node, after in zip(body, [*body[1:], None], strict=True):
        match node, after:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                said[name] = " ".join(text.split())
    return said


def _broken(cls: type, error: ErrorDetails, hidden: frozenset[str]) -> Broken:
    path: Path = tuple(part for part in error["loc"] if part not in _OF_PYDANTIC)
    return path, _said(cls, path, error, hidden)


def _kind(value: Any) -> str:
    """Like `described`, without a text's content: a secret may have been written where its reference belongs."""
    return "a text" if isinstance(value, str) else described(value)


def _said(cls: type, path: Path, error: ErrorDetails, hidden: frozenset[str]) -> str:  # noqa: PLR0911
    is_ = f"is {described(error['input'])}"
    match error["type"]:
        case "unexpected_keyword_argument":
            allowed = tuple(key for key in key_names(_type_at(cls, path[:-1])) if key not in hidden)
            return unknown_key(str(path[-1]), allowed)
        case "missing":
            return "is missing"
        case "dataclass_type":
            return f"must be a mapping with {', '.join(key_names(_type_at(cls, path)))}; is {_kind(error['input'])}"
        case "dict_type" | "mapping_type":
            return f"must be a mapping; {is_}"
        case "tuple_type":
            return f"must be a list; {is_}"
        case "string_type":
            return f"must be a text; {is_}; quote it if it is meant as one"
        case "bool_type":
            return f"must be true or false; {is_}"
        case "value_error":
            return f"{error['ctx']['error']}; {is_}"
        case "string_pattern_mismatch":
            return f"{is_}; {_descriptions(_type_at(cls, path[:-1]))[str(path[-1])]}"
        case _:
            return f"{error['msg'].replace('Input should', 'must').replace('be a valid integer', 'be a whole number')}; {is_}"
