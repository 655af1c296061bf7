"""What a build depends on. Two commits with one key have one artifact."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from branchline.domain.app import App

FORMAT = 1
"""Part of every key: raised when a build of the same inputs would come out differently."""
_SHOWN_DIGITS = 12


@dataclass(frozen=True, slots=True)
class BuildKey:
    """A build's identity and, for people, what it was computed from."""

    digest: str
    """SHA-256 in hex."""
    inputs: Mapping[str, str]
    """What went in, by name, in a fixed order; of texts and variables only the beginning of a hash."""

    def changed(self, other: BuildKey) -> tuple[str, ...]:
        """The names of the inputs in which two keys differ."""
        names = {**self.inputs, **other.inputs}
        return tuple(name for name in names if self.inputs.get(name) != other.inputs.get(name))


def build_key(tree_id: str, app: App, variables: Mapping[str, str], tools: Mapping[str, str]) -> BuildKey:
    """The key of a build: tree id, build part of the configuration, build-visible variables, tool versions.

    `variables` are all that the build sees, those of app.yaml included; `tools` is the version text of each
    command in `build.tools`. Never the commit id: a merge that changes no file is no new build.
    """
    parts: dict[str, Any] = {
        "format": FORMAT,
        "tree": tree_id,
        "name": app.name,
        "type": app.type,
        "dependencies": {manager: dict(packages) for manager, packages in app.dependencies.items()},
        "hooks.build": app.hooks.build,
        "mounts": sorted(app.mounts),
        "variables": dict(variables),
        "tools": dict(tools),
    }
    return BuildKey(_digest(parts), _listed(parts))


def _listed(parts: Mapping[str, Any]) -> dict[str, str]:
    return {
        "format": str(parts["format"]),
        "tree": parts["tree"],
        "name": parts["name"],
        "type": parts["type"],
        **{
            f"dependencies.{manager}.{package}": version
            for manager, packages in sorted(parts["dependencies"].items())
            for package, version in sorted(packages.items())
        },
        "hooks.build": _short(parts["hooks.build"]) if parts["hooks.build"] else "none",
        **{f"mounts.{path}": "empty directory" for path in parts["mounts"]},
        **{f"variables.{name}": _short([name, value]) for name, value in sorted(parts["variables"].items())},
        **{f"tools.{name}": version for name, version in sorted(parts["tools"].items())},
    }


def _short(value: Any) -> str:
    return f"sha256:{_digest(value)[:_SHOWN_DIGITS]}"


def _digest(value: Any) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
