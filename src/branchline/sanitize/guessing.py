"""First decisions about columns, by name, type and, where there are samples, the shape of values; never the values."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from branchline.domain.schema import Column, Table

_BY_NAME: tuple[tuple[str, str], ...] = (
    (r"e_?mail", "email"),
    (r"first_?name|given_?name|forename|vorname", "first_name"),
    (r"last_?name|surname|family_?name|nachname", "last_name"),
    (r"user_?name|login|nick(name)?|handle|screen_?name", "username"),
    (
        r"full_?name|customer_?name|contact_?name|display_?name|person_?name|recipient|author|^name$",
        "full_name",
    ),
    (r"company|organi[sz]ation|employer", "company"),
    (r"phone|mobile|^tel|fax", "phone"),
    (r"street|address", "street"),
    (r"^city|city$|town", "city"),
    (r"post(al)?_?code|^zip|zip_?code", "postcode"),
    (r"(^|_)ip(_|$)|ip_?addr|remote_?addr", "ip"),
    (r"passw|pwd", "password"),
    (r"token|secret|api_?key|session|hash|salt|signature|credential|vat|tax_?id|iban|card|ssn", "token"),
    (r"note|comment|message|remark|description|body|content|bio|feedback|review", "text"),
    (r"birth|dob", "date_shift"),
)
QUASI = re.compile(
    r"post(al)?_?code|^zip|birth|dob|gender|(^|_)sex(_|$)|^age$|nationality|marital|religion|salary|occupation|job_?title",
    re.IGNORECASE,
)
_ABOUT = r"_(id|count|number_of|qty|size|total|at|on)$|^(is|has|num|count)_"
"""Names of what is counted, pointed at or dated, whatever else they speak of: `comment_count`, `session_id`."""

_NO_WORDS = r"^(bool|bit|interval|time|money|year|enum|set\(|int\w+range|int\w+multirange|num(multi)?range|ts\w*range|date(multi)?range)"
"""Types of other forms than text, numbers and dates in which nobody can be named."""
_MAY_BE_EMPTY = ("xml", "hstore", "tsvector")

_DATES = "values look like dates"
_SHAPES: tuple[tuple[str, str, str], ...] = (
    (r"^[^@\s]+@[^@\s]+\.[^@\s]+$", "email", "values look like e-mail addresses"),
    (r"^(\d{1,3}\.){3}\d{1,3}$|^[0-9a-f]{0,4}(:[0-9a-f]{0,4}){3,7}$", "ip", "values look like IP addresses"),
    (r"^\s*[\[{].*[\]}]\s*$", "json", "values look like JSON"),
    (r"^(\$2[aby]?\$|\$argon2|pbkdf2|scrypt|sha\d+[$:])", "password", "values look like password hashes"),
    (r"^(19|20)\d\d-\d\d-\d\d", "keep", _DATES),
    (r"^[0-9a-f]{24,}$|^[\w\-]{20,}\.[\w\-]{5,}\.[\w\-]{10,}$", "token", "values look like tokens"),
    (r"^\+?\d[\d()./ \-]{6,}\d$", "phone", "values look like telephone numbers"),
    (r"^-?\d+(\.\d+)?$", "keep", "values look like numbers"),
)

ENOUGH, SHORT = 50, 24


@dataclass(frozen=True, slots=True)
class Guess:
    """A mask to begin with, why, and its parameters as YAML."""

    mask: str
    why: str
    parameters: str = ""


def guess(column: Column, samples: Sequence[str] = ()) -> Guess:
    """What to do with a column until a person has looked: what is not recognised and holds text is masked."""
    masked = _guess(column, [sample for sample in samples if sample])
    if masked.mask == "null" and (not column.nullable or column.key):
        return _empty(column, masked.why)
    if column.unique and masked.mask in ("date_shift", "redact"):
        return (
            Guess("token", f"{masked.why}; unique") if column.kind != "time" else Guess("keep", "look at it")
        )
    return masked


def _empty(column: Column, why: str) -> Guess:
    """For what must not be NULL."""
    bare = column.kind in ("text", "any") or column.declared.split(".")[-1] in _MAY_BE_EMPTY
    if column.unique or not (bare or column.declared.endswith("[]")):
        return Guess("keep", "look at it")
    return Guess("constant", why, 'value: ""' if bare else 'value: "{}"')


def _guess(column: Column, samples: Sequence[str]) -> Guess:
    if column.kind == "binary":
        return Guess("null", "binary values: nobody can see what is in them")
    by_name = next((mask for pattern, mask in _BY_NAME if re.search(pattern, column.name, re.IGNORECASE)), "")
    if column.kind in ("text", "any"):
        shape = _shape(samples)
        return _personal(column, by_name, shape) or shape or _harmless(column, samples)
    if column.kind in ("integer", "number"):
        return _number(column, by_name)
    return _formed(column, by_name, samples)


def _formed(column: Column, by_name: str, samples: Sequence[str]) -> Guess:
    """What must keep a form that few masks know."""
    if column.kind == "json":
        return Guess("json", "JSON", 'paths: {"$.**": text}') if not column.unique else Guess("null", "JSON")
    if column.kind == "ip":
        return Guess("ip", "an IP address")
    if column.kind == "uuid":
        return Guess("token", "by its name") if by_name == "token" else Guess("keep", "an identifier")
    if column.kind == "time":
        return (
            Guess("date_shift", "by its name", "days: 30")
            if by_name == "date_shift"
            else Guess("keep", "a time")
        )
    if re.search(_NO_WORDS, column.declared, re.IGNORECASE):
        return Guess("keep", f"no words in a {re.split(r'[ (]', column.declared)[0].lower()}")
    return _few(samples) or Guess("null", "nothing tells what it holds")


def _few(samples: Sequence[str]) -> Guess | None:
    distinct = set(samples)
    if len(samples) >= ENOUGH and len(distinct) <= len(samples) // 10 and max(map(len, distinct)) <= SHORT:
        return Guess("keep", "few different short values")
    return None


def _number(column: Column, by_name: str) -> Guess:
    if re.search(_ABOUT, column.name, re.IGNORECASE):
        return Guess("keep", "a number")
    if by_name in ("phone", "token"):
        return Guess(by_name, "by its name")
    if by_name == "postcode" and not column.unique:
        return Guess("number_noise", "by its name", "percent: 20")
    return Guess("keep", "a number")


def _personal(column: Column, by_name: str, shape: Guess | None) -> Guess | None:
    """What is somebody's by its name or the shape of its values. A name says more than digits do: they may be a postcode."""
    if shape and shape.mask in ("email", "json", "password", "ip"):
        return shape
    if by_name == "date_shift":
        return Guess("date_shift", "by its name", "days: 30")
    about = re.search(_ABOUT, column.name, re.IGNORECASE)
    if not by_name or (shape and shape.mask == "keep" and (about or shape.why == _DATES)):
        return None
    return Guess(by_name, "by its name")


def _harmless(column: Column, samples: Sequence[str]) -> Guess:
    """Masked all the same unless something speaks for keeping it."""
    if re.search(r"DATE|TIME", column.declared.upper()) or re.search(
        r"_(at|on|date)$|^date|^time", column.name
    ):
        return Guess("keep", "a time")
    if few := _few(samples):
        return few
    if re.search(
        r"^(status|state|type|kind|country|currency|sku|locale|language|slug|code|unit)$", column.name
    ):
        return Guess("keep", "by its name; look at it")
    return Guess("text", "text, and nothing tells what it holds")


def _shape(samples: Sequence[str]) -> Guess | None:
    for pattern, mask, why in _SHAPES:
        fitting = sum(re.search(pattern, sample, re.IGNORECASE | re.DOTALL) is not None for sample in samples)
        if samples and fitting * 10 >= len(samples) * 8:
            return Guess(mask, why, 'paths: {"$.**": text}' if mask == "json" else "")
    if samples and sum("@" in sample for sample in samples) * 20 >= len(samples):
        return Guess("text", "some values hold @")
    return None


def column_yaml(column: Column, indent: int, samples: Sequence[str] = ()) -> str:
    """One line of a policy, with the reason for the guess beside it."""
    chosen = guess(column, samples)
    mask = json.dumps(chosen.mask) if chosen.mask == "null" else chosen.mask
    rule = f"{{mask: {mask}, {chosen.parameters}}}" if chosen.parameters else mask
    return f"{' ' * indent}{yaml_key(column.name)}: {rule}  # {chosen.why}\n"


def table_yaml(table: Table, samples: Mapping[str, Sequence[str]] | None = None) -> str:
    """One table of a policy."""
    key = yaml_key(table.name)
    if table.module:
        how = "rebuild" if "external content" in table.module else "truncate"
        return f"  {key}: {how}  # a virtual table ({table.module})\n"
    if table.unsupported:
        return f"  {key}: truncate  # {table.unsupported}\n"
    if re.search(
        r"session|cache|^log|_log$|queue|outbox|token|password_reset|verification", table.name, re.IGNORECASE
    ):
        return f"  {key}: truncate  # by its name: passing state, secrets or messages to real people\n"
    return columns_yaml(table.name, table.stored, samples or {})


def columns_yaml(
    table: str, columns: Sequence[Column], samples: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> str:
    """Some columns of a table of a policy."""
    lines = [column_yaml(column, 6, samples.get(column.name, ())) for column in columns]
    return f"  {yaml_key(table)}:\n    columns:\n{''.join(lines)}"


def yaml_key(name: str) -> str:
    """A name as a YAML key, in quotes where it needs them."""
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) and name.lower() not in (
        "null",
        "true",
        "false",
        "yes",
        "no",
        "on",
        "off",
        "y",
        "n",
    )
    return name if plain else json.dumps(name, ensure_ascii=False)
