"""Secrets taken out of what is written, shown or raised."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

SHORTEST = 6
"""Shorter values are words that stand everywhere (`on`, `dev`); hiding them would say where they are."""

HIDDEN = "[hidden]"

_BASE64 = "[A-Za-z0-9+/=_-]"


class Redactor:
    """Knows the secrets of one operation; a text passes through it before it is written."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._written: set[str] = set()
        self._forms: list[tuple[str, re.Pattern[str]]] = []
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Hides these from now on, and each of their lines: as they are, as JSON, Python, URLs and HTML write them,
        and inside anything that is base64, such as the variables that an application is told.
        """
        new = {form for secret in secrets for form in _written(secret)} - self._written
        if not new:
            return
        self._written |= new
        encoded = {form for text in self._written for form in _inside_base64(text)}
        self._forms = [
            *((form, re.compile(re.escape(form))) for form in sorted(self._written, key=len, reverse=True)),
            # the characters around it hold some of its bits
            *(
                (form, re.compile(f"{_BASE64}?{re.escape(form)}{_BASE64}?"))
                for form in sorted(encoded, key=len, reverse=True)
            ),
        ]

    def clean(self, text: str) -> str:
        for form, pattern in self._forms:
            if form in text:
                text = pattern.sub(HIDDEN, text)
        return text

    def clean_error(self, error: BaseException) -> None:
        """In place, with the errors it came from: it goes on to a terminal, and Prefect pickles it into a file."""
        seen: set[int] = set()
        todo: list[BaseException | None] = [error]
        while todo:
            each = todo.pop()
            if each is None or id(each) in seen:
                continue
            seen.add(id(each))
            todo += [each.__cause__, each.__context__]
            each.args = tuple(self.clean(arg) if isinstance(arg, str) else arg for arg in each.args)
            texts = {name: value for name, value in vars(each).items() if isinstance(value, str)}
            vars(each).update({name: self.clean(value) for name, value in texts.items()})


def _written(secret: str) -> Iterator[str]:
    for part in {secret, *secret.splitlines()}:
        if len(part) >= SHORTEST:
            for as_json in (json.dumps(part)[1:-1], json.dumps(part, ensure_ascii=False)[1:-1]):
                yield from (as_json, as_json.replace("/", "\\/"))
            yield from (
                part,
                repr(part)[1:-1],
                quote(part),
                quote(part, safe=""),
                quote_plus(part),
                html.escape(part),
            )


def _inside_base64(text: str) -> Iterator[str]:
    """The characters that a text has wherever it begins in what was encoded: at the first, second or third byte of three."""
    data = text.encode(errors="surrogateescape")
    for before in range(3):
        whole = base64.b64encode(bytes(before) + data).decode()
        bits = (before + len(data)) * 8
        inner = whole[-(-before * 8 // 6) : bits // 6]
        yield from (inner, inner.translate(str.maketrans("+/", "-_")), quote(inner, safe=""))
