"""How each kind of resource is removed, by its name, by whichever process settles the operation."""

from __future__ import annotations

from collections.abc import Mapping

from branchline.domain.activity import Grip
from branchline.operation import Remover
from branchline.platform import Platform
from branchline.steps.agree import agree
from branchline.steps.data import remove_version
from branchline.steps.promote import environment_at
from branchline.steps.releases.running import CLAIM


class Undo:
    """The removers over a platform."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def removers(self) -> Mapping[str, Remover]:
        return {
            "processes": self._processes,
            "scratch": self._scratch,
            "incoming": self._incoming,
            "artifact": self._artifact,
            "tree": self._tree,
            "candidate": self._candidate,
            "release": self._release,
            "data version": self._data_version,
            "hold": self._hold,
            CLAIM: self._claim,
        }

    def _processes(self, _grip: Grip, tag: str) -> None:
        self._platform.sandbox.kill_tagged(tag)

    def _scratch(self, _grip: Grip, name: str) -> None:
        self._platform.remove_directory(self._platform.layout.scratch(name))

    def _incoming(self, _grip: Grip, _name: str) -> None:
        self._platform.artifacts.sweep()

    def _artifact(self, grip: Grip, digest: str) -> None:
        store = self._platform.store
        known = any(artifact.digest == digest for artifact in store.artifacts.all())
        if not known and not store.activities.recorded_elsewhere(grip.activity_id, "artifact", digest):
            self._platform.artifacts.remove(digest)

    def _tree(self, _grip: Grip, _digest: str) -> None:
        self._platform.trees.sweep()

    def _candidate(self, grip: Grip, deployment_id: str) -> None:
        self._platform.store.deployments.discard_candidate(grip, deployment_id)

    def _release(self, _grip: Grip, name: str) -> None:
        path, _, deployment_id = name.rpartition("/")
        environment = environment_at(self._platform, path)
        self._platform.remove_directory(self._platform.layout.release(environment, deployment_id))

    def _data_version(self, grip: Grip, version_id: str) -> None:
        store = self._platform.store
        version = store.deployments.find_version(version_id)
        if version is not None:
            remove_version(self._platform, version)
            store.deployments.forget_version(grip, version_id, self._platform.clock())

    def _hold(self, grip: Grip, path: str) -> None:
        self._platform.store.environments.release_hold(grip, path)
        agree(self._platform, environment_at(self._platform, path))

    def _claim(self, grip: Grip, release_id: str) -> None:
        self._platform.store.releases.settle(grip, release_id, self._platform.clock())
