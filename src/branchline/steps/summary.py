"""What an operation did, in a few words and in whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from branchline.domain.environment import short_digest
from branchline.platform import Platform


@dataclass(frozen=True, slots=True)
class Summary:
    """`before` and `after` are deployments in words; None where there was none or it stayed as it was."""

    activity: str
    kind: str
    environment: str
    sentence: str
    outcome: str
    reason: str | None
    before: str | None
    after: str | None
    seconds: float
    steps: Sequence[dict[str, Any]]
    warnings: Sequence[str]
    log: str
    sync: Mapping[str, Any] | None = None
    """Of a sync: what was done to each table, column and file."""


def summary_of(platform: Platform, activity_id: str) -> Summary:
    activity = platform.store.activities.get(activity_id)
    deployment = platform.store.deployments.of_activity(activity.id)
    before = deployment.previous_id if deployment else None
    ended = activity.ended_at or platform.clock()
    return Summary(
        activity=activity.id,
        kind=activity.kind,
        environment=f"{activity.project}/{activity.environment}",
        sentence=activity.sentence,
        outcome=activity.outcome,
        reason=activity.reason,
        before=_in_words(platform, before),
        after=_in_words(platform, deployment.id if deployment else None),
        seconds=round((ended - activity.created_at).total_seconds(), 2),
        steps=[
            {
                "name": step.name,
                "state": step.state,
                "detail": step.detail,
                "seconds": round(((step.ended_at or ended) - step.started_at).total_seconds(), 2),
            }
            for step in activity.steps
        ],
        warnings=activity.warnings,
        log=str(platform.layout.log(activity.id)),
        sync=platform.store.deployments.sync_report(activity.id),
    )


def as_markdown(summary: Summary) -> str:
    """For the Prefect UI."""
    lines = [f"# {summary.sentence}: {summary.outcome}", ""]
    if summary.reason:
        lines += [summary.reason, ""]
    lines += [
        "| | |",
        "|---|---|",
        f"| before | {summary.before or '-'} |",
        f"| after | {summary.after or '-'} |",
        f"| took | {summary.seconds} s |",
        f"| activity | `{summary.activity}` (branchline activity show {summary.activity}) |",
        "",
        "| step | | seconds | |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {step['name']} | {step['state']} | {step['seconds']} | {in_a_cell(step['detail'])} |"
        for step in summary.steps
    ]
    lines += ["", *(f"- warning: {warning}" for warning in summary.warnings)]
    lines += _sync_as_markdown(summary.sync) if summary.sync else []
    return "\n".join(lines) + "\n"


def in_a_cell(text: str | None) -> str:
    """Of a Markdown table."""
    return (text or "").strip().replace("|", "\\|").replace("\n", "<br>")


def columns_of(sync: Mapping[str, Any]) -> Sequence[tuple[str, ...]]:
    """Table, rows, column, mask and reason of a sync's report; a table whose rows were left out is one line."""
    lines: list[tuple[str, ...]] = []
    for report in sync["databases"].values():
        for table in report["tables"]:
            if not table["columns"]:
                lines.append((table["name"], "0", "", table["action"], ""))
            for column in table["columns"]:
                lines.append(
                    (table["name"], f"{table['rows']:,}", column["name"], column["mask"], column["reason"])
                )
    return lines


def facts_of(sync: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """What a sync's report says as a whole."""
    facts: list[tuple[str, str]] = []
    for name, report in sync["databases"].items():
        facts += [
            (f"database {name}", f"{report['rows']:,} rows in {report['seconds']['all']:.1f} s"),
            ("leaks", str(report["leaks"])),
            ("coincidences", f"{report['coincidences']} invented values that are somebody's original too"),
            ("kept, could identify", ", ".join(report["quasi_identifiers"]) or "nothing"),
            ("rows kept as they are", _kept_rows(report) or "none"),
            ("disarmed", f"{report['disarmed']} statements, {report['assertions']} assertions held"),
            ("key", report["key"] or "random, forgotten"),
        ]
    for name, files in sync["mounts"].items():
        done = (files["copied"], files["placeholders"], files["skipped"])
        facts.append((f"mount {name}", "{} copied, {} placeholders, {} skipped".format(*done)))
    return facts


def _kept_rows(report: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{table['name']} {table['kept_rows']:,} of {table['rows']:,} ({table['keep_rows']})"
        for table in report["tables"]
        if table["keep_rows"]
    )


def _sync_as_markdown(sync: Mapping[str, Any]) -> list[str]:
    return [
        "",
        f"## {sync['source']} to {sync['target']}, sanitized",
        "",
        "| | |",
        "|---|---|",
        *(f"| {label} | {value} |" for label, value in facts_of(sync)),
        "",
        "| table | rows | column | mask | reason |",
        "|---|---|---|---|---|",
        *(f"| {' | '.join(map(in_a_cell, line))} |" for line in columns_of(sync)),
    ]


def _in_words(platform: Platform, deployment_id: str | None) -> str | None:
    if deployment_id is None:
        return None
    deployment = platform.store.deployments.get(deployment_id)
    return f"artifact {short_digest(deployment.digest)} of commit {deployment.commit[:12]} ({deployment.id})"
