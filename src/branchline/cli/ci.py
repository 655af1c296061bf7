"""Commands for CI jobs: the same flows, on the server that PREFECT_API_URL names or here, with an outcome for machines."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from branchline.cli.ci_report import JsonLines, JUnit, Output, Report, Text
from branchline.cli.operations import (
    Discard,
    Environment,
    Force,
    Override,
    PlanHash,
    PolicyRef,
    Project,
    Ref,
    RetryBad,
    Source,
    To,
    Wait,
    Why,
)
from branchline.domain.happening import Outcome
from branchline.domain.units import parse_duration
from branchline.errors import BadInput, BranchlineError, Refused, Unavailable

app = typer.Typer(
    help="For CI jobs: run it on the server that PREFECT_API_URL names, or here; exit code 0 done or skipped, "
    "1 failed or out of time, 2 bad input, 3 refused, 4 busy.",
    no_args_is_help=True,
)
promote_app = typer.Typer(help="Put what runs on one tier on the next.", no_args_is_help=True)
app.add_typer(promote_app, name="promote")

Machine = Annotated[
    bool, typer.Option("--json-lines", help="One JSON object per line on standard output, as it happens.")
]
JunitFile = Annotated[
    Path | None,
    typer.Option("--junit", metavar="FILE", help="Write a JUnit file: a test case for each step."),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        metavar="KEY",
        help="The same key and words again: join what runs, repeat only what failed. Such as the pipeline's id.",
    ),
]


def _duration(value: str) -> float:
    try:
        seconds = parse_duration(value)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if seconds <= 0:
        raise typer.BadParameter("must be more than nothing")
    return seconds


Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="DURATION",
        parser=_duration,
        help="Cancel it when it is not done by then, such as 30m: it is undone, and the exit code is 1.",
    ),
]


@dataclass(frozen=True, slots=True)
class Manner:
    """How it is asked for and shown."""

    json_lines: bool
    junit: Path | None
    key: str | None
    timeout: float | None


@app.command()
def build(
    project: Project,
    ref: Annotated[str, typer.Argument(help="Branch, tag or commit.")],
    json_lines: Machine = False,
    junit: JunitFile = None,
    key: Key = None,
    timeout: Timeout = None,
) -> None:
    """Make the artifact of a ref, or find the one that was made before."""
    manner = Manner(json_lines, junit, key, timeout)
    _ask(f"build {ref} of {project}", "build_artifact", {"project": project, "ref": ref}, manner)


@app.command()
def deploy(
    environment: Environment,
    ref: Ref = None,
    force: Force = False,
    retry_bad: RetryBad = None,
    override: Override = None,
    reason: Why = None,
    plan: PlanHash = None,
    wait: Wait = False,
    json_lines: Machine = False,
    junit: JunitFile = None,
    key: Key = None,
    timeout: Timeout = None,
) -> None:
    """Build if it was never built, prepare beside what runs, prove it healthy, then switch."""
    parameters = {
        "environment": environment,
        "ref": ref,
        "force": force,
        "retry_bad": retry_bad,
        "wait": wait,
    }
    gates = {"override": override or [], "reason": reason, "plan": plan}
    manner = Manner(json_lines, junit, key, timeout)
    _ask(f"deploy {ref or 'its branch'} to {environment}", "deploy_environment", parameters | gates, manner)


@promote_app.command("staging")
def promote_staging(
    project: Project,
    source: Source = None,
    force: Force = False,
    retry_bad: RetryBad = None,
    override: Override = None,
    reason: Why = None,
    plan: PlanHash = None,
    wait: Wait = False,
    json_lines: Machine = False,
    junit: JunitFile = None,
    key: Key = None,
    timeout: Timeout = None,
) -> None:
    """Integration -> Staging."""
    parameters = {"project": project, "source": source, "force": force, "retry_bad": retry_bad, "wait": wait}
    gates = {"override": override or [], "reason": reason, "plan": plan}
    manner = Manner(json_lines, junit, key, timeout)
    _ask(f"promote {project} to Staging", "promote_to_staging", parameters | gates, manner)


@promote_app.command("production")
def promote_production(
    project: Project,
    source: Source = None,
    force: Force = False,
    retry_bad: RetryBad = None,
    override: Override = None,
    reason: Why = None,
    plan: PlanHash = None,
    wait: Wait = False,
    json_lines: Machine = False,
    junit: JunitFile = None,
    key: Key = None,
    timeout: Timeout = None,
) -> None:
    """Staging -> Production."""
    parameters = {"project": project, "source": source, "force": force, "retry_bad": retry_bad, "wait": wait}
    gates = {"override": override or [], "reason": reason, "plan": plan}
    manner = Manner(json_lines, junit, key, timeout)
    _ask(f"promote {project} to Production", "promote_to_production", parameters | gates, manner)


@app.command()
def release(
    project: Project,
    tier: Annotated[str, typer.Argument(help="staging or production")],
    at: Annotated[
        str,
        typer.Option("--at", metavar="TIME", help='A local time: "2026-12-01 14:00 Europe/Berlin"; or now.'),
    ] = "now",
    zone: Annotated[
        str | None, typer.Option("--zone", help="The time zone, when the time names none.")
    ] = None,
    artifact: Annotated[
        str | None,
        typer.Option(
            "--artifact",
            metavar="DIGEST",
            help="One that ran on the source; without it, what runs there now.",
        ),
    ] = None,
    source: Source = None,
    window: Annotated[
        str, typer.Option("--window", help="How long after its time it may still start.")
    ] = "15m",
    late: Annotated[
        str,
        typer.Option("--late", help="What becomes of one that could not start until then: run, skip or ask."),
    ] = "ask",
    json_lines: Machine = False,
    junit: JunitFile = None,
    key: Key = None,
    timeout: Timeout = None,
) -> None:
    """Pin an artifact and say when it is promoted. The job ends when it is pinned; its gates are asked when it is due."""
    parameters = {
        "project": project,
        "tier": tier,
        "at": at,
        "zone": zone,
        "artifact": artifact,
        "source": source,
    }
    manner = Manner(json_lines, junit, key, timeout)
    _ask(
        f"release {project} to {tier} at {at}",
        "create_release",
        {**parameters, "window": window, "late": late},
        manner,
    )


@app.command()
def rollback(
    environment: Environment,
    to: To = None,
    discard_writes: Discard = False,
    retry_bad: RetryBad = None,
    plan: PlanHash = None,
    wait: Wait = False,
    json_lines: Machine = False,
    junit: JunitFile = None,
    key: Key = None,
    timeout: Timeout = None,
) -> None:
    """Put an earlier deployment's code in front again; its data only when writes may be lost."""
    parameters = {"environment": environment, "to": to, "discard_writes": discard_writes, "wait": wait}
    gates = {"retry_bad": retry_bad, "plan": plan}
    manner = Manner(json_lines, junit, key, timeout)
    _ask(f"roll back {environment}", "roll_back_environment", parameters | gates, manner)


@app.command()
def sync(
    environment: Environment,
    source: Source = None,
    policy_ref: PolicyRef = None,
    override: Override = None,
    reason: Why = None,
    plan: PlanHash = None,
    wait: Wait = False,
    json_lines: Machine = False,
    junit: JunitFile = None,
    key: Key = None,
    timeout: Timeout = None,
) -> None:
    """Refresh a lower environment with a higher one's data, sanitized on the way."""
    parameters = {"environment": environment, "source": source, "policy_ref": policy_ref, "wait": wait}
    gates = {"override": override or [], "reason": reason, "plan": plan}
    manner = Manner(json_lines, junit, key, timeout)
    _ask(f"refresh {environment} with sanitized data", "sync_data", parameters | gates, manner)


@app.command()
def deactivate(
    environment: Environment,
    wait: Wait = False,
    json_lines: Machine = False,
    junit: JunitFile = None,
    key: Key = None,
    timeout: Timeout = None,
) -> None:
    """Free its slot, when its branch is gone: its data are kept as a backup for the plan's retention."""
    manner = Manner(json_lines, junit, key, timeout)
    parameters = {"environment": environment, "wait": wait}
    _ask(f"deactivate {environment}", "deactivate_environment", parameters, manner)


def _ask(title: str, file: str, parameters: dict[str, Any], manner: Manner) -> None:
    """Whatever it ends with, the report has its end; errors go on, as of every command."""
    if isinstance(sys.stdout, TextIOWrapper):  # a CI system's may not know every character
        sys.stdout.reconfigure(errors="backslashreplace")
    outputs: list[Output] = [JsonLines(title) if manner.json_lines else Text(title)]
    outputs += [JUnit(title, manner.junit)] if manner.junit else []
    report = Report(title, outputs)
    report.started()
    try:
        with _time_limit(manner.timeout):
            outcome = _answer(file, parameters, manner, report)
    except BranchlineError as error:
        report.ended(_of_error(error))
        raise
    except BaseException as error:
        code = error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 1
        name = "failure" if isinstance(error, Exception) else "cancelled"
        report.ended(Outcome(name, code, f"{name}: {type(error).__name__}"))
        raise
    report.ended(outcome)


def _answer(file: str, parameters: dict[str, Any], manner: Manner, report: Report) -> Outcome:
    from branchline.launch.asking import here, on_server, request_key  # noqa: PLC0415 - Prefect: a second
    from branchline.launch.server import connect  # noqa: PLC0415 - the same

    server = connect()
    key = request_key(file, parameters, manner.key)
    if server:
        return on_server(server, file, parameters, key, report)
    if manner.key and file == "create_release":
        raise BadInput(
            294,
            "Without a Prefect server nothing remembers the key of a release.",
            "set PREFECT_API_URL, or leave --key out",
        )
    return here(file, parameters, key, report)


@contextmanager
def _time_limit(seconds: float | None) -> Iterator[None]:
    """Then it ends as by a signal; nothing cuts short what is undone after that."""
    if seconds is None:
        yield
        return
    from branchline.cli import ENDING  # noqa: PLC0415 - it imports this module
    from branchline.launch.asking import TimeLimit  # noqa: PLC0415 - Prefect: a second

    def over(_number: int, _frame: FrameType | None) -> None:
        if signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
            return  # it ends already
        for ending in ENDING:
            signal.signal(ending, signal.SIG_IGN)
        raise TimeLimit(1)

    before = {number: signal.getsignal(number) for number in (signal.SIGALRM, *ENDING)}
    signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _of_error(error: BranchlineError) -> Outcome:
    kinds = {BadInput: "bad input", Refused: "refused", Unavailable: "unavailable"}
    name = next((name for kind, name in kinds.items() if isinstance(error, kind)), "failure")
    return Outcome(name, error.exit_code, error.message, number=error.number, hint=error.hint)
