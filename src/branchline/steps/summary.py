"""What an operation did, in a few words and in whole."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from branchline.domain.environment import short_digest
from branchline.platform import Platform

LOG_LINES = 40
"""Of the end of a log that a summary shows."""
LOG_BYTES = 20_000

_MARKUP = re.compile(r"[\\`*_\[\]<>&|~]")


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
        before=_deployment_in_words(platform, before),
        after=_deployment_in_words(platform, deployment.id if deployment else None),
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


def in_words(summary: Summary) -> str:
    """In one line."""
    outcome = f"{summary.outcome}: {summary.reason}" if summary.reason else summary.outcome
    return f"{summary.sentence}: {outcome}"


def as_markdown(summary: Summary) -> str:
    """For the Prefect UI: what changed, from what to what, its steps, the end of its log."""
    lines = [f"# {in_text(summary.sentence)}: {summary.outcome}", ""]
    if summary.reason:
        lines += [in_text(summary.reason), ""]
    lines += [
        "| | |",
        "|---|---|",
        f"| environment | {in_text(summary.environment.rstrip('/'))} |",
        f"| before | {in_text(summary.before or '-')} |",
        f"| after | {in_text(summary.after or '-')} |",
        f"| took | {summary.seconds} s |",
        f"| activity | `{summary.activity}`: branchline activity show {summary.activity} |",
        "",
        "| step | | seconds | |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {step['name']} | {step['state']} | {step['seconds']} | {in_text(step['detail'])} |"
        for step in summary.steps
    ]
    lines += ["", *(f"- warning: {in_text(warning)}" for warning in summary.warnings)]
    lines += _sync_as_markdown(summary.sync) if summary.sync else []
    lines += _log_as_markdown(summary)
    return "\n".join(lines) + "\n"


def in_text(text: str | None) -> str:
    """As it is, in Markdown: no markup, no HTML, no picture, no end of a table's cell."""
    escaped = _MARKUP.sub(r"\\\g<0>", (text or "").strip())
    return "<br>".join(escaped.splitlines())


def columns_of(sync: Mapping[str, Any]) -> Sequence[tuple[str, ...]]:
    """Table, rows, column, mask and reason of a sync's report; a table whose rows were left out is one line."""
    lines: list[tuple[str, ...]] = []
    for report in sync["databases"].values():
        for table in report["tables"]:
            if not table["columns"]:
                lines.append((table["name"], "0", "", table["action"], ""))
            for column in table["columns"]:
                lines.append((table["name"], _rows(table), column["name"], column["mask"], column["reason"]))
    return lines


def _rows(table: Mapping[str, Any]) -> str:
    rows, every = table["rows"], table["source_rows"]
    return f"{rows:,} of {every:,}" if every > rows else f"{rows:,}"


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
        *(f"| {in_text(label)} | {in_text(value)} |" for label, value in facts_of(sync)),
        "",
        "| table | rows | column | mask | reason |",
        "|---|---|---|---|---|",
        *(f"| {' | '.join(map(in_text, line))} |" for line in columns_of(sync)),
    ]


def _log_as_markdown(summary: Summary) -> list[str]:
    lines = end_of_log(Path(summary.log))
    if not lines:
        return []
    longest = max((len(each) for each in re.findall("`+", "\n".join(lines))), default=0)
    fence = "`" * max(3, longest + 1)
    return [
        "",
        f"## The end of its log (all: branchline activity log {summary.activity})",
        "",
        fence,
        *lines,
        fence,
    ]


def end_of_log(log: Path) -> Sequence[str]:
    """The last lines of what hooks and checks printed, redacted as it was stored; nothing when they printed nothing."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - LOG_BYTES))
            return file.read().decode(errors="replace").splitlines()[-LOG_LINES:]
    except FileNotFoundError:
        return ()


def _deployment_in_words(platform: Platform, deployment_id: str | None) -> str | None:
    if deployment_id is None:
        return None
    deployment = platform.store.deployments.get(deployment_id)
    return f"artifact {short_digest(deployment.digest)} of commit {deployment.commit[:12]} ({deployment.id})"
