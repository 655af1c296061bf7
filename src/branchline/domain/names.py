"""Which names are safe in a path, on a command line and in Git. Pure checks: nothing is looked up."""

from __future__ import annotations

import re

from branchline.errors import BadInput

MAX_BYTES = 200
_UNSAFE = re.compile(r"[^\w.,/@+=-]")
_PROJECT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)
_ENVIRONMENT = re.compile(r"[a-z0-9][a-z0-9-]*", re.ASCII)
_COMMIT_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.ASCII)


def check_ref(ref: str) -> str:
    """Gives back the name of a branch, tag or commit that Git accepts and no shell or pattern reads. Raises BadInput."""
    if problem := _ref_problem(ref):
        raise BadInput(
            110,
            f"The ref {shown(ref)} {problem}.",
            "branchline status lists the branches that have environments",
        )
    return ref


def check_branch(branch: str) -> str:
    """Gives back a name that a new branch and its environment may have. Raises BadInput."""
    if problem := branch_problem(branch):
        raise BadInput(
            111, f"The branch name {shown(branch)} {problem}.", "choose a name of letters, digits, - and /"
        )
    return branch


def check_project(name: str) -> str:
    """Gives back a project's name. Raises BadInput."""
    if not _PROJECT.fullmatch(name):
        raise BadInput(
            112,
            f"The project name {shown(name)} must be 1 to 63 of a-z 0-9 and -, beginning with a letter or digit.",
            "choose another name",
        )
    return name


def check_environment(name: str) -> str:
    """Gives back an environment's id (see `environment_id`). Raises BadInput."""
    if len(name) > MAX_BYTES or not _ENVIRONMENT.fullmatch(name):
        raise BadInput(
            113,
            f"The environment name {shown(name)} must be 1 to {MAX_BYTES} of a-z 0-9 and -, beginning with a letter or digit.",
            "branchline status lists the environments",
        )
    return name


def environment_id(branch: str) -> str:
    """The id of a branch's environment: lower-cased, anything else than a-z 0-9 becomes -."""
    return re.sub(r"[^a-z0-9]", "-", branch.lower())


def mount_problem(path: str) -> str | None:
    """Why a directory of the application cannot be a mount, in words; None when it can."""
    parts = path.split("/")
    if path.startswith("/") or path.endswith("/"):
        return "must be relative to the application's directory, without a / at either end"
    if ".." in parts:
        return "must not lead out of the application: it contains .."
    if not path or "." in parts or "" in parts:
        return "must be a plain path such as pub/media"
    if len(path.encode(errors="replace")) > MAX_BYTES:
        return f"is longer than {MAX_BYTES} bytes"
    if _UNSAFE.search(path):
        return "must hold only letters, digits and _ . , / @ + = -"
    return None


def shown(name: str) -> str:
    """A name for a message: escaped, and cut when it is long."""
    text = ascii(name)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004


def _ref_problem(ref: str) -> str | None:
    if not ref:
        return "is empty"
    try:
        size = len(ref.encode())
    except UnicodeEncodeError:
        return "is not UTF-8"
    if size > MAX_BYTES:
        return f"is longer than {MAX_BYTES} bytes"
    if ref.startswith("-"):
        return "begins with -, as an option does"
    if unsafe := _UNSAFE.search(ref):
        return f"contains {unsafe.group()!a}; allowed are letters, digits and _ . , / @ + = -"
    return _git_problem(ref)


def _git_problem(ref: str) -> str | None:
    """The rules of `git check-ref-format` that the allowed characters leave to be broken."""
    if ".." in ref:
        return "contains .., which Git reads as a range"
    if ref in ("@", "HEAD"):
        return "is one of Git's own words"
    for part in ref.split("/"):
        if not part:
            return "has an empty part: a / at an end, or two in a row"
        if part.startswith(".") or part.endswith(".lock"):
            return "has a part that begins with . or ends with .lock"
    return "ends with ." if ref.endswith(".") else None


def branch_problem(branch: str) -> str | None:
    """Why a branch that has an environment cannot be named so, in words; None when it can."""
    if problem := _ref_problem(branch):
        return problem
    if not re.match(r"[a-zA-Z0-9]", branch):
        return "must begin with an ASCII letter or digit, because its environment's name does"
    if branch.startswith("refs/"):
        return "begins with refs/; give the branch's own name"
    return "looks like a commit id" if _COMMIT_ID.fullmatch(branch) else None
