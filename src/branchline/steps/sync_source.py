"""Where the data of a sync come from: never from below."""

from __future__ import annotations

from branchline.domain.environment import Environment
from branchline.domain.plan import TIERS
from branchline.errors import Refused
from branchline.platform import Platform


def sync_source(platform: Platform, target: Environment, source_name: str | None) -> Environment:
    """Where the data come from: the environment that was named, or Production. Raises BadInput, or Refused the wrong way."""
    environments = platform.store.environments
    if target.tier == "production":
        raise Refused(
            211,
            f"Data never go up: a sync to {target.path} would overwrite orders and customers.",
            f"branchline sync {target.project.name}/staging",
        )
    if source_name is not None:
        source = environments.get(target.project.name, source_name)
    else:
        source = next(each for each in environments.of(target.project) if each.tier == "production")
    if source.id == target.id or TIERS.index(source.tier) < TIERS.index(target.tier):
        raise Refused(
            212,
            f"Data go down only, and {source.path} ({source.tier}) is not above {target.path} ({target.tier}).",
            f"branchline plan sync {target.path}",
        )
    return source
