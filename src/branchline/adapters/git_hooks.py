"""The hooks of a project's bare repository: what may be pushed, and what a push does."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from branchline.adapters.git_command import Git
from branchline.adapters.push_guard import protect, replace
from branchline.domain.push import SAID
from branchline.errors import Refused
from branchline.ports import ProtectedBranch

STATE_URL = "BRANCHLINE_STATE_URL"
MARKS = {"pre-receive": "# Branchline's push guard", "post-receive": "# Branchline's push outbox"}
_PRE_RECEIVE = """\
#!/bin/sh
{mark}: written by `branchline init`; changes are lost.
python={python}
if [ -x "$python" ]; then
  "$python" -I -m branchline.adapters.push_guard
  code=$?
  [ "$code" -eq 0 ] && exit 0
  [ "$code" -eq {said} ] && exit 1
fi
echo "Branchline refused this push because its push guard cannot run ($python): reinstall Branchline." >&2
exit 1
"""
_POST_RECEIVE = """\
#!/bin/sh
{mark}: written by `branchline init`; changes are lost.
# Branches have moved already: whoever hangs up now must not keep them from being written down.
trap '' HUP INT TERM PIPE
python={python}
{environment}
if [ -x "$python" ]; then
  "$python" -I -m branchline.push_outbox
  code=$?
  [ "$code" -eq 0 ] && exit 0
  [ "$code" -eq {said} ] && exit 1
fi
echo "Branchline took this push but does NOT deploy it, because its outbox cannot be written: {why}." >&2
echo "  next: branchline up deploys it within a minute, or: branchline push scan {project}" >&2
exit 1
"""


def install(repository: Path, protected: Sequence[ProtectedBranch], environment: Mapping[str, str]) -> None:
    """Puts both hooks into a bare repository, run by this Python, with the branches that they protect and the variables by
    which they find their home: whoever pushes has none of them.

    Again is allowed, and needed when Branchline moved. Raises Refused when there is another's hook.
    """
    for name, mark in MARKS.items():
        hook = repository / "hooks" / name
        if hook.exists() and mark not in hook.read_text(errors="replace"):
            raise Refused(172, f"{hook} is not Branchline's.", f"mv {hook} {hook}.old")
    protect(repository, protected)
    _allow_push_options(repository)
    (repository / "hooks").mkdir(exist_ok=True)
    python, project = shlex.quote(sys.executable), repository.name.removesuffix(".git")
    guard = _PRE_RECEIVE.format(mark=MARKS["pre-receive"], python=python, said=SAID)
    replace(repository / "hooks" / "pre-receive", guard, 0o755)
    lines, why = _environment(environment)
    outbox = _POST_RECEIVE.format(
        mark=MARKS["post-receive"],
        python=python,
        environment=lines,
        said=SAID,
        why=why,
        project=project,
    )
    replace(repository / "hooks" / "post-receive", outbox, 0o755)


def _environment(variables: Mapping[str, str]) -> tuple[str, str]:
    """The lines of the hook that set them, and what to look at when it cannot run.

    A password is not written there: the state's URL that holds one is taken from the pusher's own environment, or it
    is said where to put it.
    """
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items() if name != STATE_URL]
    url = variables.get(STATE_URL)
    if url is None:
        lines.append(f"unset {STATE_URL}")
    elif not _has_password(url):
        lines.append(f"export {STATE_URL}={shlex.quote(url)}")
    else:
        lines.append(f'[ -n "${STATE_URL}" ] || python=')
        return "\n".join(lines), (
            f"write what {STATE_URL} holds into a file that only you can read, and name that file "
            "in branchline.yaml (state_url: {file: ...})"
        )
    return "\n".join(lines), "its program cannot run ($python); reinstall Branchline"


def _has_password(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.password or {"password", "sslpassword"} & parse_qs(parts.query).keys())
    except ValueError:
        return True


def _allow_push_options(repository: Path) -> None:
    """Else Git refuses `git push -o branchline.wait=no` itself."""
    if "advertisepushoptions = true" not in (repository / "config").read_text().lower():
        Git(repository).output("config", "receive.advertisePushOptions", "true")
