"""Build key -> artifact. The first artifact of a key is the artifact of that key, in every environment."""

from __future__ import annotations

from branchline.domain import variable
from branchline.domain.activity import Want
from branchline.domain.app import App
from branchline.domain.build_key import BuildKey, build_key
from branchline.domain.environment import Artifact, Project
from branchline.platform import Platform, Work
from branchline.ports import Archived, Box
from branchline.steps.told import build_time_environment

WAIT_FOR_SAME_BUILD_SECONDS = 3600.0


def key_of(platform: Platform, project: Project, commit: str, tag: str = "") -> BuildKey:
    """All that decides what a build gives: the tree, the build part of its config, build variables, tools.

    The tools are asked for their versions by processes with this tag.
    """
    app = platform.app(project, commit)
    tree = platform.repository(project.name).resolve(commit).tree
    values = variable.at_build(platform.store.variables.of(project), app.variables.env)
    return build_key(tree, app, values, _tool_versions(platform, app, tag))


def build_artifact(work: Work, commit: str) -> str:
    """The digest of the commit's artifact: what its build key has, or what its build hook makes now."""
    platform = work.platform
    project = platform.store.environments.project(work.activity.project)
    work.operation.making("processes", work.operation.id)
    key = key_of(platform, project, commit, work.operation.id)
    found = _stored(platform, key)
    if found is None:
        with work.operation.also(Want(f"build:{key.digest}"), WAIT_FOR_SAME_BUILD_SECONDS):
            found = _stored(platform, key) or _build(work, project, commit, key)
            work.run.detail = f"built {found.short} of {commit[:12]}: {found.files} files"
    else:
        work.run.detail = f"reused {found.short}: this tree was built before"
    return found.digest


def _stored(platform: Platform, key: BuildKey) -> Artifact | None:
    """The artifact of a key; None when it was never built, or when the store has lost it."""
    artifact = platform.store.artifacts.of_key(key.digest)
    if artifact is None or artifact.digest not in platform.artifacts.digests():
        return None
    return artifact


def _build(work: Work, project: Project, commit: str, key: BuildKey) -> Artifact:
    platform, operation = work.platform, work.operation
    before = platform.store.artifacts.of_key(key.digest)
    lost = before.digest if before else None
    app = platform.app(project, commit)
    repository = platform.repository(project.name)
    repository.check_tree(commit)
    tree = platform.layout.scratch(operation.id) / "build"
    operation.making("scratch", operation.id)
    tree.mkdir(parents=True)
    repository.export(commit, tree)
    if app.hooks.build:
        platform.sandbox.run(
            app.hooks.build,
            Box(
                tree=tree,
                tree_writable=True,
                environment=build_time_environment(platform, project, commit),
                tag=operation.id,
            ),
            timeout=app.build.timeout or platform.settings.build_timeout,
            output=operation.output,
        )
    for mount in app.mounts:
        (tree / mount).mkdir(parents=True, exist_ok=True)
    operation.making("incoming", operation.id)
    archived = platform.artifacts.put(tree, lambda digest: operation.making("artifact", digest))
    platform.remove_directory(tree)
    return platform.store.artifacts.keep(
        work.grip,
        key.digest,
        repository.resolve(commit).tree,
        key.inputs,
        _artifact(work, archived),
        lost=lost,
    )


def _artifact(work: Work, archived: Archived) -> Artifact:
    return Artifact(
        archived.digest, archived.files, archived.size, archived.stored_size, work.platform.clock()
    )


def _tool_versions(platform: Platform, app: App, tag: str) -> dict[str, str]:
    versions = {}
    platform.layout.empty.mkdir(parents=True, exist_ok=True)
    for tool in app.build.tools:
        lines: list[str] = []
        box = Box(tree=platform.layout.empty, tag=tag)
        platform.sandbox.run(f"{tool} --version", box, timeout=20, output=lines.append)
        versions[tool] = " ".join(lines)
    return versions
