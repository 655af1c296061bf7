"""HTTP as the shop sees it: a request that was read, and an answer to send."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

MAX_FORM = 64 * 1024


class HttpError(Exception):
    """Ends a request with this status and a sentence for the visitor."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    query: Mapping[str, str]
    form: Mapping[str, str]
    cookies: Mapping[str, str]
    ip: str
    user_agent: str
    secure: bool


@dataclass(frozen=True, slots=True)
class Response:
    body: bytes = b""
    status: HTTPStatus = HTTPStatus.OK
    type: str = "text/html; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


def html(page: str, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(page.encode(), status, headers={"Cache-Control": "no-store"})


def as_json(value: Any, status: HTTPStatus = HTTPStatus.OK) -> Response:
    body = json.dumps(value).encode() + b"\n"
    return Response(body, status, "application/json", {"Cache-Control": "no-store"})


def redirect(path: str, cookie: str | None = None) -> Response:
    return Response(
        status=HTTPStatus.SEE_OTHER, headers={"Location": path} | ({"Set-Cookie": cookie} if cookie else {})
    )


def read_request(environ: Mapping[str, Any]) -> Request:
    """Raises HttpError for a form that is too large, or was sent from another site."""
    method = environ["REQUEST_METHOD"]
    return Request(
        method=method,
        path=environ.get("PATH_INFO") or "/",
        query=_fields(environ.get("QUERY_STRING", "")),
        form=_read_form(environ) if method == "POST" else {},
        cookies=_cookies(environ.get("HTTP_COOKIE", "")),
        ip=environ.get("REMOTE_ADDR", ""),
        user_agent=environ.get("HTTP_USER_AGENT", "")[:200],
        secure=environ.get("HTTP_X_FORWARDED_PROTO") == "https",
    )


def _read_form(environ: Mapping[str, Any]) -> dict[str, str]:
    origin = environ.get("HTTP_ORIGIN")
    if origin is not None and urlsplit(origin).netloc != environ.get("HTTP_HOST"):
        raise HttpError(HTTPStatus.FORBIDDEN, "This form was sent from another site.")
    length = environ.get("CONTENT_LENGTH") or "0"
    if not length.isascii() or not length.isdigit():
        raise HttpError(HTTPStatus.BAD_REQUEST, "The length of this form is not a number.")
    if int(length) > MAX_FORM:
        raise HttpError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "This form is too large.")
    return _fields(environ["wsgi.input"].read(int(length)).decode("utf-8", "replace"))


def _fields(encoded: str) -> dict[str, str]:
    try:
        return {name: values[-1].strip() for name, values in parse_qs(encoded, max_num_fields=100).items()}
    except ValueError as error:
        raise HttpError(HTTPStatus.BAD_REQUEST, "This form has too many fields.") from error


def _cookies(header: str) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(header).items()}
    except CookieError:
        return {}
