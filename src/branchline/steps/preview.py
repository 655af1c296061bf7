"""What an operation would do, said before it is done: with the direction in words, and every reason against it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from branchline.domain.environment import Deployment, Environment, short_digest
from branchline.domain.gates import NOTHING, Override, Verdict
from branchline.domain.release import Release
from branchline.errors import BadInput, Refused
from branchline.platform import Platform
from branchline.steps.assessment import Assessment, check_plan
from branchline.steps.build import key_of
from branchline.steps.gates import answered
from branchline.steps.preflight import assess_deploy, databases, deployable_commit, expected_hold
from branchline.steps.promote import assess_promotion, environment_at
from branchline.steps.rollback import assess_rollback, earlier_deployment
from branchline.steps.summary import in_text

MOST_LISTED = 20


@dataclass(frozen=True, slots=True)
class Preview:
    """`facts` are labels and values, in order; `against` is empty when the operation would run.

    `gates` are the verdicts, passed or not. `hash` changes when something moves that this was computed from; None where
    it cannot be told what would be done.
    """

    sentence: str
    facts: Sequence[tuple[str, str]]
    against: Sequence[str] = ()
    skipped: str | None = None
    gates: Sequence[Verdict] = ()
    hash: str | None = None


@dataclass(frozen=True, slots=True)
class Going:
    """By whom and with what it would be asked for: as the operation itself would get it."""

    actor: str = ""
    force: bool = False
    retry_bad: str | None = None
    override: Override = NOTHING
    plan: str | None = None


PLAINLY = Going()


def preview_deploy(platform: Platform, path: str, ref: str | None, going: Going = PLAINLY) -> Preview:
    environment = environment_at(platform, path)
    sentence = f"Deploy {ref or f'branch {environment.branch}'} to {environment.path}: new code, on that environment only"
    try:
        commit = deployable_commit(platform, environment, ref)
    except Refused as error:
        return Preview(sentence, (), (error.message,))
    platform.repository(environment.project.name).check_tree(commit.id)
    assessment = assess_deploy(platform, environment, commit.id)
    facts = [
        *_code(platform, environment, commit.id, assessment.digest),
        *_migration(platform, environment, commit.id),
    ]
    return _preview(platform, sentence, facts, assessment, going)


def preview_promotion(
    platform: Platform,
    source_path: str,
    target_path: str,
    going: Going = PLAINLY,
    release: Release | None = None,
) -> Preview:
    """Of what the source runs; or of what a release has pinned."""
    source, target = environment_at(platform, source_path), environment_at(platform, target_path)
    sentence = f"Promote {source.path} ({source.tier}) up to {target.path} ({target.tier}): code goes up, no data does"
    assessment = assess_promotion(platform, source, target, release)
    commit = assessment.commit
    facts = (
        []
        if commit is None
        else [
            *_code(platform, target, commit, assessment.digest),
            *_migration(platform, target, commit),
            ("afterwards", f"branch {target.branch} is moved to {commit[:12]}"),
        ]
    )
    return _preview(platform, sentence, facts, assessment, going)


def preview_rollback(
    platform: Platform, path: str, to: str | None, *, discard_writes: bool, going: Going = PLAINLY
) -> Preview:
    environment = environment_at(platform, path)
    sentence = f"Roll back {environment.path}"
    try:
        current, earlier, data = earlier_deployment(platform, environment, to, discard_writes=discard_writes)
    except BadInput:
        raise
    except Refused as error:
        return Preview(sentence, (), (error.message,))
    back = sorted(slot for slot, version in data.items() if current.data.get(slot) != version)
    facts = [
        *_code(platform, environment, earlier.commit, earlier.digest),
        ("data", f"goes back to what {earlier.id} had: {', '.join(back)}" if back else "stays as it is"),
    ]
    assessment = assess_rollback(platform, environment, earlier, data)
    return _preview(platform, sentence, facts, assessment, going)


def preview_sync(
    platform: Platform, source_path: str, target_path: str, policy_ref: str | None, going: Going = PLAINLY
) -> Preview:
    from branchline.steps.sync import assess_sync, mounts, policy_of  # noqa: PLC0415 - 0.2 s of Polars and NumPy that only a sync needs

    source, target = environment_at(platform, source_path), environment_at(platform, target_path)
    sentence = f"Sync {source.path} ({source.tier}) down to {target.path} ({target.tier}): data go down, sanitized; no code does"
    policy = policy_of(platform, source, policy_ref)
    running = platform.current(source)
    masks = Counter(rule.mask for table in policy.tables.values() for rule in table.columns.values())
    kept = masks.pop("keep", 0)
    truncated = sorted(name for name, table in policy.tables.items() if table.action == "truncate")
    subsets = [f"{name} {table.subset}" for name, table in sorted(policy.tables.items()) if table.subset]
    size = sum(
        platform.database(source, name).size(version) for name, version in databases(platform, source).items()
    )
    facts = [
        ("databases", f"{', '.join(databases(platform, source))}: {size / 1e6:.1f} MB of {source.path}"),
        ("mounts", ", ".join(mounts(platform, source)) or "none"),
        ("columns", f"{sum(masks.values())} masked, {kept} kept"),
        ("masks", ", ".join(f"{name} {count}" for name, count in masks.most_common())),
        ("left empty", ", ".join(truncated) or "none"),
        ("subset", f"{', '.join(subsets)}; without rows that refer to others" if subsets else "no: all rows"),
        ("disarmed by", f"{len(policy.disarm)} statements, {len(policy.assertions)} assertions"),
        ("policy of", policy_ref or f"{source.path}'s commit {running.commit[:12]}"),
        ("extends", ", ".join(policy.extends) or "nothing"),
        ("code", f"stays: {target.path} runs {platform.current(target).commit[:12]}"),
        ("expected hold", "none: the data are made beside those in use"),
    ]
    assessment = assess_sync(platform, source, target, policy_ref)
    return _preview(platform, sentence, facts, assessment, going)


def _preview(
    platform: Platform,
    sentence: str,
    facts: Sequence[tuple[str, str]],
    assessment: Assessment,
    going: Going,
) -> Preview:
    """Gates hold back only what would do something. Raises Refused where the actor may not override one, or where the
    plan that was named is not true any more.
    """
    check_plan(assessment, going.plan, "branchline plan")
    verdicts = answered(
        platform, assessment.verdicts, assessment.facts, going.override, going.retry_bad, going.actor
    )
    skipped = None if going.force else assessment.skip
    held = [] if skipped else [each for each in verdicts if each.holds]
    return Preview(
        sentence,
        facts,
        [str(each) for each in [*assessment.against, *held]],
        skipped,
        verdicts,
        assessment.hash,
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
    if preview.gates:
        lines += ["", "| gate | | |", "|---|---|---|"]
        lines += [f"| {each.gate} | {each.state} | {in_text(each.reason)} |" for each in preview.gates]
    if preview.hash:
        lines += [
            "",
            f"Plan `{preview.hash}`: `--plan {preview.hash}` refuses to run when anything has moved.",
        ]
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
