"""Commit statuses at GitHub and GitLab, over their REST APIs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from branchline.config.secret_places import SecretReference
from branchline.config.settings import CommitStatusTarget
from branchline.domain.announcement import CommitStatus
from branchline.errors import BadInput, BranchlineError, Failed, Unavailable
from branchline.ports import CommitStatuses

TIMEOUT_SECONDS = 10.0
CLIENT_ERROR, TOO_MANY, SERVER_ERROR = 400, 429, 500


@dataclass(frozen=True, slots=True)
class GitHub:
    """`POST /repos/{owner}/{name}/statuses/{sha}`: the newest of a context counts."""

    api: str
    repository: str
    token: SecretReference
    timeout: float = TIMEOUT_SECONDS

    def tell(self, status: CommitStatus) -> None:
        headers = {
            "Authorization": f"Bearer {_secret(self.token)}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        body = {
            "state": status.state,
            "context": status.context,
            "description": _cut(status.description, 140),
            "target_url": status.target_url,
        }
        url = f"{self.api}/repos/{self.repository}/statuses/{quote(status.commit, safe='')}"
        answer = _post("GitHub", url, headers, body, self.timeout)
        if answer.is_success:
            return
        raise _refused("GitHub", answer, self.repository, status)


@dataclass(frozen=True, slots=True)
class GitLab:
    """`POST /projects/{id}/statuses/{sha}`: one per name, which only moves on."""

    api: str
    repository: str
    token: SecretReference
    timeout: float = TIMEOUT_SECONDS

    def tell(self, status: CommitStatus) -> None:
        headers = {"PRIVATE-TOKEN": _secret(self.token)}
        body = {
            "state": "failed" if status.state == "failure" else status.state,
            "name": status.context,
            "description": _cut(status.description, 255),
            "target_url": status.target_url,
        }
        url = (
            f"{self.api}/projects/{quote(self.repository, safe='')}/statuses/{quote(status.commit, safe='')}"
        )
        answer = _post("GitLab", url, headers, body, self.timeout)
        if answer.is_success or _is_there_already(answer):
            return
        raise _refused("GitLab", answer, self.repository, status)


def commit_statuses(target: CommitStatusTarget) -> CommitStatuses:
    """Those of the repository that the settings name."""
    if target.kind == "gitlab":
        return GitLab(
            (target.url or "https://gitlab.com/api/v4").rstrip("/"), target.repository, target.token
        )
    return GitHub((target.url or "https://api.github.com").rstrip("/"), target.repository, target.token)


def _post(
    host: str, url: str, headers: dict[str, str], body: dict[str, Any], timeout: float
) -> httpx.Response:
    """Follows no redirect: the token is for this address only."""
    given = {key: value for key, value in body.items() if value is not None}
    try:
        return httpx.post(url, headers=headers, json=given, timeout=timeout)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unavailable(
            288,
            f"{host} does not answer at {url}: {type(error).__name__}.",
            "look at commit_status in config/branchline.yaml, and at the network",
        ) from None


def _refused(host: str, answer: httpx.Response, repository: str, status: CommitStatus) -> BranchlineError:
    """The answer's own text is left out: it may repeat what it was sent."""
    code = answer.status_code
    said = f"{host} answered {code} to the status of commit {status.commit[:12]} in {repository}"
    if code >= SERVER_ERROR or code == TOO_MANY:
        return Unavailable(288, f"{said}.", "it is tried again")
    hints = {
        401: "renew the token that commit_status names",
        403: "give the token the right to write commit statuses",
        404: f"push the commit to {repository}, and let the token see it",
    }
    return Failed(289, f"{said}.", hints.get(code, "look at commit_status in config/branchline.yaml"))


def _is_there_already(answer: httpx.Response) -> bool:
    return answer.status_code == CLIENT_ERROR and "Cannot transition status" in answer.text


def _secret(reference: SecretReference) -> str:
    """Read each time, so that a renewed one counts. Raises BadInput, never with what was read."""
    where = f"the environment variable {reference.env}" if reference.env else str(reference.file)
    try:
        token = (
            os.environ.get(reference.env, "") if reference.env else reference.file.read_text()  # type: ignore[union-attr]
        ).strip()
    except (OSError, ValueError):
        token = ""
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise BadInput(
            290, f"There is no token in {where}.", "put it there, on one line and with nothing else around it"
        )
    return token


def _cut(text: str, most: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 3]}..."
