"""What an operation would do, said before it is done: with the direction in words, and every reason against it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from branchline.domain.environment import Deployment, Environment, short_digest
from branchline.errors import BadInput, Refused
from branchline.platform import Platform
from branchline.steps.build import key_of
from branchline.steps.preflight import (
    already_runs,
    built_digest,
    deployable_commit,
    expected_hold,
    healthy_source,
    reasons_against,
)
from branchline.steps.promote import environment_at, reasons_against_promotion
from branchline.steps.rollback import earlier_deployment
from branchline.steps.summary import in_text
from branchline.steps.sync import databases, mounts, policy_of, policy_problems

MOST_LISTED = 20


@dataclass(frozen=True, slots=True)
class Preview:
    """`facts` are labels and values, in order; `against` is empty when the operation would run."""

    sentence: str
    facts: Sequence[tuple[str, str]]
    against: Sequence[str] = ()
    skipped: str | None = None


def preview_deploy(platform: Platform, path: str, ref: str | None) -> Preview:
    environment = environment_at(platform, path)
    sentence = f"Deploy {ref or f'branch {environment.branch}'} to {environment.path}: new code, on that environment only"
    try:
        commit = deployable_commit(platform, environment, ref)
    except Refused as error:
        return Preview(sentence, (), (error.message,))
    platform.repository(environment.project.name).check_tree(commit.id)
    digest = built_digest(platform, environment.project, commit.id)
    return Preview(
        sentence,
        [
            *_code(platform, environment, commit.id, digest),
            *_migration(platform, environment, commit.id),
        ],
        reasons_against(platform, environment, commit.id, digest).found,
        already_runs(platform, environment, commit.id, digest),
    )


def preview_promotion(platform: Platform, source_path: str, target_path: str) -> Preview:
    source, target = environment_at(platform, source_path), environment_at(platform, target_path)
    sentence = f"Promote {source.path} ({source.tier}) up to {target.path} ({target.tier}): code goes up, no data does"
    deployment, against = healthy_source(platform, source)
    if deployment is None:
        return Preview(sentence, (), against)
    return Preview(
        sentence,
        [
            *_code(platform, target, deployment.commit, deployment.digest),
            *_migration(platform, target, deployment.commit),
            ("afterwards", f"branch {target.branch} is moved to {deployment.commit[:12]}"),
        ],
        [*against, *reasons_against_promotion(platform, target, deployment)],
        already_runs(platform, target, deployment.commit, deployment.digest),
    )


def preview_rollback(platform: Platform, path: str, to: str | None, *, discard_writes: bool) -> Preview:
    environment = environment_at(platform, path)
    sentence = f"Roll back {environment.path}"
    try:
        current, earlier, data = earlier_deployment(platform, environment, to, discard_writes=discard_writes)
    except BadInput:
        raise
    except Refused as error:
        return Preview(sentence, (), (error.message,))
    back = sorted(slot for slot, version in data.items() if current.data.get(slot) != version)
    return Preview(
        sentence,
        [
            *_code(platform, environment, earlier.commit, earlier.digest),
            ("data", f"goes back to what {earlier.id} had: {', '.join(back)}" if back else "stays as it is"),
        ],
    )


def preview_sync(platform: Platform, source_path: str, target_path: str, policy_ref: str | None) -> Preview:
    source, target = environment_at(platform, source_path), environment_at(platform, target_path)
    sentence = f"Sync {source.path} ({source.tier}) down to {target.path} ({target.tier}): data go down, sanitized; no code does"
    policy = policy_of(platform, source, policy_ref)
    running = platform.current(source)
    masks = Counter(rule.mask for table in policy.tables.values() for rule in table.columns.values())
    kept = masks.pop("keep", 0)
    truncated = sorted(name for name, table in policy.tables.items() if table.action == "truncate")
    size = sum(platform.database(source, name).size(version) for name, version in databases(running).items())
    return Preview(
        sentence,
        [
            ("databases", f"{', '.join(databases(running))}: {size / 1e6:.1f} MB of {source.path}"),
            ("mounts", ", ".join(mounts(platform, source)) or "none"),
            ("columns", f"{sum(masks.values())} masked, {kept} kept"),
            ("masks", ", ".join(f"{name} {count}" for name, count in masks.most_common())),
            ("left empty", ", ".join(truncated) or "none"),
            ("disarmed by", f"{len(policy.disarm)} statements, {len(policy.assertions)} assertions"),
            ("policy of", policy_ref or f"{source.path}'s commit {running.commit[:12]}"),
            ("code", f"stays: {target.path} runs {platform.current(target).commit[:12]}"),
            ("expected hold", "none: the data are made beside those in use"),
        ],
        policy_problems(platform, source, policy),
    )


def explain_build(platform: Platform, project_name: str, ref: str) -> Preview:
    """The inputs of the build key."""
    project = platform.store.environments.project(project_name)
    commit = platform.repository(project.name).resolve(ref)
    key = key_of(platform, project, commit.id)
    artifact = platform.store.artifacts.of_key(key.digest)
    return Preview(
        f"Build {ref} of {project.name}",
        [
            ("commit", f"{commit.id[:12]} {commit.subject}"),
            ("build key", key.digest),
            *((f"  {name}", value) for name, value in key.inputs.items()),
            (
                "artifact",
                f"{artifact.short}, made before: reused" if artifact else "none yet: it would be built",
            ),
        ],
    )


def in_words(preview: Preview) -> str:
    """In one line."""
    outcome = "would be refused" if preview.against else preview.skipped or "would be done"
    return f"{preview.sentence}: {outcome}"


def as_markdown(preview: Preview) -> str:
    """For the Prefect UI."""
    lines = [f"# {in_text(preview.sentence)}", "", "| | |", "|---|---|"]
    lines += [f"| {in_text(label)} | {in_text(value)} |" for label, value in preview.facts]
    if preview.skipped:
        lines += ["", f"**Would be skipped:** {in_text(preview.skipped)}"]
    if preview.against:
        lines += ["", "**Would be refused:**", "", *(f"- {in_text(reason)}" for reason in preview.against)]
    return "\n".join(lines) + "\n"


def _code(
    platform: Platform, environment: Environment, commit: str, digest: str | None
) -> list[tuple[str, str]]:
    running = _running(platform, environment)
    repository = platform.repository(environment.project.name)
    commits = repository.missing_from(running.commit, commit) if running else []
    files = repository.changed_files(running.commit if running else None, commit)
    return [
        (
            "runs now",
            f"artifact {short_digest(running.digest)} of {running.commit[:12]}" if running else "nothing yet",
        ),
        (
            "would run",
            f"{f'artifact {short_digest(digest)}' if digest else 'a new artifact'} of {commit[:12]}",
        ),
        (
            "artifact",
            "reused: this tree was built before" if digest else "built from this tree for the first time",
        ),
        (
            "commits",
            _listed([f"{each.id[:12]} {each.subject}" for each in commits]) or "the first deployment",
        ),
        ("files", _listed([str(file) for file in files]) if running else f"{len(files)} files"),
    ]


def _migration(platform: Platform, environment: Environment, commit: str) -> list[tuple[str, str]]:
    kind = platform.app(environment.project, commit).migrations_kind
    hold = expected_hold(platform, environment).total_seconds() if kind == "exclusive" else 0.0
    limit = platform.plan(environment.project).hold_limit
    return [
        ("migrations", kind),
        ("data", "cloned, and the clone migrated" if kind == "exclusive" else "stays where it is"),
        ("expected hold", f"{hold:.1f} s of at most {limit:.0f} s" if kind == "exclusive" else "none"),
    ]


def _running(platform: Platform, environment: Environment) -> Deployment | None:
    return platform.current(environment) if environment.deployment_id else None


def _listed(items: Sequence[str]) -> str:
    if not items:
        return "none"
    more = f"\nand {len(items) - MOST_LISTED} more" if len(items) > MOST_LISTED else ""
    return f"{len(items)}:\n" + "\n".join(items[:MOST_LISTED]) + more
