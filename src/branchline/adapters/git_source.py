"""Where `branchline init --from` may fetch from, and how a URL is told without its secrets. Pure."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from branchline.errors import BadInput

_URL = re.compile(r"(?:https?|ssh|git|file)://\S+")
_SCP_LIKE = re.compile(r"(?:[\w.][\w.+-]*@)?[\w.][\w.-]*:[^:\s]\S*")


def source_url(given: str | Path) -> str:
    """What Git is to fetch from: an absolute path, an https, http, ssh, git or file URL, or [user@]host:path.

    Raises BadInput for anything else: an option, a remote helper (`ext::`, `fd::`), a path that does not exist.
    """
    text = str(given)
    if text and Path(text).exists():
        return str(Path(text).absolute())
    if isinstance(given, Path) or not text.isprintable() or not _is_url(text):
        raise BadInput(
            168,
            f"{without_secrets(text, text)!r} is neither a path that exists nor a URL that is fetched from.",
            "give a path, https://..., ssh://... or user@host:path",
        )
    return text


def _is_url(text: str) -> bool:
    if not _URL.fullmatch(text):
        return bool(_SCP_LIKE.fullmatch(text)) and "://" not in text
    parts = _split(text)
    return parts is not None and not (parts.hostname or "").startswith("-")


def without_secrets(text: str, source: str) -> str:
    """A text, such as Git's error about a URL, without the URL's user, password, query and fragment."""
    parts = _split(source) if "://" in source else None
    secrets: set[str] = set()
    if parts:
        userinfo = parts.netloc.rpartition("@")[0]
        user, _, password = userinfo.partition(":")
        secrets = {userinfo, password, parts.query, parts.fragment, *re.split("[&=]", parts.query)[1::2]}
        secrets |= {user} if parts.scheme != "ssh" else set()
        secrets |= {unquote(secret) for secret in secrets}
    text = re.sub(r"(\w+://)[^/\s]*@", r"\1", text)
    for secret in sorted(secrets - {""}, key=len, reverse=True):
        text = text.replace(f"?{secret}", "").replace(f"#{secret}", "").replace(secret, "***")
    return text


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None
