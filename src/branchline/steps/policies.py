"""Working on a policy before a sync uses it: draft one, check one, see what it makes of real rows."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from branchline.config import SANITIZE_FILE
from branchline.domain.composition import compose, within
from branchline.domain.environment import Environment
from branchline.domain.policy import Policy
from branchline.errors import BadInput
from branchline.platform import Platform
from branchline.ports import Snapshot
from branchline.sanitize import suggest
from branchline.sanitize.policy_file import read_packs, read_policy
from branchline.steps.preflight import databases
from branchline.steps.sync import mounts, policy_of


def draft_policy(platform: Platform, environment: Environment, extends: Sequence[str] = ()) -> str:
    """YAML with a guess for every column of the live schema that these packs do not decide; no value of any row is in it.

    Raises BadInput for a pack that there is not.
    """
    packs = read_packs(extends, packs=platform.packs, file="--extends")
    with _snapshot(platform, environment) as snapshot:
        return suggest.suggest(
            snapshot.schema(),
            suggest.sample(snapshot),
            list(mounts(platform, environment)),
            compose(Policy(extends=tuple(extends)), packs),
        )


def preview_rows(
    platform: Platform, environment: Environment, policy: Policy, table: str | None, rows: int
) -> dict[str, list[dict[str, object]]]:
    """The first rows of each table that has any, or of one, as a sync would write them: kept values as they are."""
    with _snapshot(platform, environment) as snapshot:
        known = within(policy, snapshot.schema()).tables
        tables = [table] if table else [name for name, rule in known.items() if rule.action == "copy"]
        return {name: suggest.preview(snapshot, policy, name, rows) for name in tables}


def chosen_policy(platform: Platform, environment: Environment, file: Path | None, ref: str | None) -> Policy:
    """From a file that is being worked on, or from a commit. Raises BadInput."""
    if file is None:
        return policy_of(platform, environment, ref)
    try:
        return read_policy(file.read_bytes(), file=file.name, packs=platform.packs)
    except OSError as error:
        raise BadInput(217, f"{file} cannot be read: {error.strerror}.", f"name a {SANITIZE_FILE}") from None


def _snapshot(platform: Platform, environment: Environment) -> AbstractContextManager[Snapshot]:
    found = databases(platform, environment)
    if not found:
        raise BadInput(218, f"{environment.path} has no database.", f"branchline status {environment.path}")
    service, version = next(iter(found.items()))
    return platform.database(environment, service).snapshot(version)
