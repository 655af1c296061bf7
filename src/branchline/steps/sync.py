"""A lower environment gets data versions made from a higher one's, sanitized on the way. Fail closed.

Everything is made beside what the target uses, and nothing unmasked is ever written on its side.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from branchline.config import SANITIZE_FILE
from branchline.domain.environment import DataVersion, Deployment, Environment, service_and_engine
from branchline.domain.gates import NOTHING, Override
from branchline.domain.policy import Policy
from branchline.errors import BadInput, BranchlineError, Failed
from branchline.platform import Platform, Work
from branchline.sanitize.checking import check, check_conditions
from branchline.sanitize.files import check_files, sanitize_files
from branchline.sanitize.pipeline import fingerprint, replicate
from branchline.sanitize.policy_file import read_policy
from branchline.steps.assessment import Assessment, Reason, decide, place, settings_of
from branchline.steps.data import make_version, slots
from branchline.steps.gates import facts_for
from branchline.steps.preflight import databases, reasons_against
from branchline.steps.promote import environment_at
from branchline.steps.sync_progress import SyncProgress, tell

KEY_BYTES = 32


def preflight_sync(
    work: Work,
    source_path: str,
    policy_ref: str | None,
    *,
    override: Override = NOTHING,
    plan: str | None = None,
) -> Deployment:
    """What the target runs, which a sync keeps. Raises Refused with every reason at once: among them each table,
    column and path without a decision, with the YAML to paste.
    """
    platform, target = work.platform, work.environment
    source = environment_at(platform, source_path)
    assessment = assess_sync(platform, source, target, policy_ref)
    decide(
        work,
        assessment,
        213,
        f"Syncing {source.path} down to {target.path}",
        f"branchline plan sync {target.path} --from {source.name}",
        override=override,
        plan=plan,
    )
    work.run.detail = f"{source.path} -> {target.path}, sanitized"
    return platform.current(target)


def assess_sync(
    platform: Platform, source: Environment, target: Environment, policy_ref: str | None
) -> Assessment:
    """What a sync would be now. Rows that change in the source are no move; its data versions and policy are."""
    running = platform.current(target)
    policy = policy_of(platform, source, policy_ref)
    problems = policy_problems(platform, source, policy)
    return Assessment(
        facts=facts_for(platform, "sync", target, running.digest, source=source),
        against=[
            *reasons_against(platform, target, running.commit),
            *map(Reason, [*_between(platform, source, target), *problems]),
        ],
        skip=None,
        commit=running.commit,
        basis={
            "kind": "sync",
            "source": place(platform, source),
            "target": place(platform, target),
            "policy": policy_commit(platform, source, policy_ref),
            "packs": policy.fingerprint if policy.extends else "",
            "settings": settings_of(platform, target, running.commit),
        },
    )


def _between(platform: Platform, source: Environment, target: Environment) -> Iterator[str]:
    """What speaks against the two databases of a sync."""
    there = databases(platform, source)
    engines = dict(map(service_and_engine, there))
    app = platform.app(target.project, platform.current(target).commit)
    for slot in app.database_slots:
        name = slot.partition(":")[2]
        service, engine = service_and_engine(name)
        if name in there:
            yield from platform.databases.source_problems(source, target, name)
        elif service in engines:
            yield f"{service} of {source.path} is {engines[service]}, that of {target.path} is {engine}: promote the change first"


def policy_commit(platform: Platform, source: Environment, policy_ref: str | None) -> str:
    """The commit whose policy says what may leave the source."""
    repository = platform.repository(source.project.name)
    return repository.resolve(policy_ref or platform.current(source).commit).id


def policy_of(platform: Platform, source: Environment, policy_ref: str | None) -> Policy:
    """The source's policy: as its running commit has it, or as another commit has it. Raises BadInput."""
    commit = policy_commit(platform, source, policy_ref)
    text = platform.repository(source.project.name).read(commit, SANITIZE_FILE)
    if text is None:
        raise BadInput(
            214,
            f"Commit {commit[:12]} has no {SANITIZE_FILE}, so nothing says what may leave {source.path}.",
            f"branchline sanitize suggest {source.path} > {SANITIZE_FILE}",
        )
    return read_policy(text, file=SANITIZE_FILE, packs=platform.packs)


def policy_problems(
    platform: Platform, source: Environment, policy: Policy, file: str = SANITIZE_FILE
) -> list[str]:
    """All in which the policy and the source's live schema and mounts disagree. `file`: where the policy stands."""
    problems = []
    for service, version in databases(platform, source).items():
        with platform.database(source, service).snapshot(version) as snapshot:
            fitting = check(policy, snapshot.schema(), file=file)
            problems += [str(each) for each in fitting or check_conditions(policy, snapshot, file=file)]
    there = mounts(platform, source)
    for name, directory in there.items():
        problems += check_files(directory, policy.files.get(name, ()), mount=name)
    for name in policy.files.keys() - there.keys():
        if ("files", name) in policy.packed:
            continue
        known = ", ".join(there) or "none"
        problems.append(f"{file}:files.{name}: there is no such mount; there are: {known}")
    return problems


def sanitize_data(work: Work, deployment_id: str, source_path: str, policy_ref: str | None) -> None:
    """Gives the candidate a sanitized version of each of the source's databases and mounts, disarmed and proved.

    The key is random and forgotten, unless the operator configured a stable one. Raises Failed when an original
    came along: the candidate is then removed with all its data.
    """
    platform, target = work.platform, work.environment
    source = environment_at(platform, source_path)
    stable = stable_key(platform, target)
    sanitizing = _Sanitizing(
        platform,
        source,
        target,
        policy_of(platform, source, policy_ref),
        stable or secrets.token_bytes(KEY_BYTES),
        stable is not None,
    )
    deployment = work.deployment(deployment_id)
    needed = slots(platform.app(target.project, deployment.commit))
    report: dict[str, Any] = {"source": source.path, "target": target.path, "databases": {}, "mounts": {}}
    for slot, version_id in platform.current(source).data.items():
        if slot in needed:
            new = make_version(
                work, deployment, slot, made_by="sync", contents="sanitized", parent=version_id
            )
            fill = sanitizing.database if new.kind == "database" else sanitizing.mount
            report[f"{new.kind}s"][new.name] = _without_values(fill, version_id, new)
    platform.store.deployments.record_sync(work.grip, source, target, report, platform.clock())
    work.run.detail = in_words(report)
    tell(work.run.detail, "sanitized", 100.0)


@dataclass(frozen=True, slots=True)
class _Sanitizing:
    """From where, to where, by which policy and with which key, for all databases and mounts alike."""

    platform: Platform
    source: Environment
    target: Environment
    policy: Policy
    key: bytes = field(repr=False)
    stable: bool

    def database(self, version_id: str, new: DataVersion) -> dict[str, Any]:
        """Fills an empty version from the source's; gives its report."""
        origin = self.platform.database(self.source, new.name)
        copy = self.platform.database(self.target, new.name)
        with origin.snapshot(version_id) as snapshot, copy.loader(new.id) as loader:
            copied = [name for name, rule in self.policy.tables.items() if rule.action == "copy"]
            known = snapshot.schema().tables.keys() & set(copied)
            told = SyncProgress(new.slot, {name: snapshot.estimate(name) for name in known})
            done = replicate(snapshot, loader, self.policy, key=self.key, progress=told)
        return replace(done, key=fingerprint(self.key) if self.stable else "").to_dict()

    def mount(self, version_id: str, new: DataVersion) -> dict[str, Any]:
        """Fills an empty mount from the source's; gives its report."""
        origin = self.platform.store.deployments.version(version_id)
        tell(f"{new.slot}: copy its files", f"files of {new.name}", 0.0)
        return sanitize_files(
            self.platform.layout.mount(self.source, origin),
            self.platform.layout.mount(self.target, new),
            self.policy.files.get(new.name, ()),
            mount=new.name,
            key=self.key,
        ).to_dict()


def _without_values(
    fill: Callable[[str, DataVersion], dict[str, Any]], version_id: str, new: DataVersion
) -> dict[str, Any]:
    """An error that nobody foresaw may quote a value or a file's name: only its type goes on, with nothing chained."""
    try:
        return fill(version_id, new)
    except BranchlineError:
        raise
    except Exception as error:  # noqa: BLE001 - raised below, without what it says
        unforeseen = type(error).__name__
    raise Failed(
        219,
        f"The data could not be sanitized: {unforeseen}; what it said is withheld, for it may quote a value.",
        "look for what is unusual in the source's database and files, and report it; nothing was switched",
    )


def mounts(platform: Platform, environment: Environment) -> Mapping[str, Path]:
    """Where the files of each mount lie."""
    running = platform.current(environment)
    return {
        slot.partition(":")[2]: platform.layout.mount(
            environment, platform.store.deployments.version(version)
        )
        for slot, version in running.data.items()
        if slot.startswith("mount:")
    }


def stable_key(platform: Platform, target: Environment) -> bytes | None:
    """The project's own key, derived from the one that the operator configured; None where there is none.

    Raises Failed when the configured one cannot be read: a sync must not silently use another.
    """
    reference = platform.settings.sanitize_key
    if reference is None:
        return None
    if reference.file is not None:
        try:
            secret = reference.file.read_bytes().strip()
        except OSError as error:
            raise Failed(
                215, f"The sanitizing key {reference.file} cannot be read: {error.strerror}.", "put it there"
            ) from None
    else:
        secret = os.environ.get(reference.env or "", "").encode()
    if len(secret) < KEY_BYTES:
        raise Failed(
            215, f"The configured sanitizing key is shorter than {KEY_BYTES} bytes.", "openssl rand -hex 32"
        )
    return hmac.digest(secret, target.project.name.encode(), hashlib.sha256)


def in_words(report: Mapping[str, Any]) -> str:
    """The report in one line."""
    found = report["databases"].values()
    rows = sum(each["rows"] for each in found)
    masked = sum(
        1
        for each in found
        for table in each["tables"]
        for column in table["columns"]
        if column["mask"] != "keep"
    )
    return f"{rows:,} rows copied, {masked} columns masked, leaks 0"
