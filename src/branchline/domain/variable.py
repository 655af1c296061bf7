"""Variables, and what of them a build or a running application sees."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Variable:
    """A `sensitive` one is never shown again. A name `env:X` and a plain `X` are both X in the environment."""

    name: str
    value: str
    at_build: bool = False
    at_run: bool = True
    sensitive: bool = False

    @property
    def environment_name(self) -> str:
        return self.name.removeprefix("env:")

    def __repr__(self) -> str:
        return f"Variable({self.name!r}, {'...' if self.sensitive else self.value!r})"


def at_build(variables: Iterable[Variable], own: Mapping[str, str]) -> dict[str, str]:
    """What a build sees: the application's own and the build-visible ones, which win."""
    return {**own, **{each.environment_name: each.value for each in variables if each.at_build}}


def at_run(variables: Iterable[Variable], own: Mapping[str, str]) -> dict[str, str]:
    """What hooks, checks and processes see."""
    return {**own, **{each.environment_name: each.value for each in variables if each.at_run}}


def fingerprint(values: Mapping[str, str]) -> str:
    """Tells whether the variables have changed, without telling what they are."""
    return hashlib.sha256(json.dumps(dict(values), sort_keys=True).encode()).hexdigest()[:16]
