"""Commands that start a flow, and `plan`, which says what they would do."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape

from branchline.cli.terminal import err, out, show_facts, show_json, show_table, steps_shown, working
from branchline.domain.gates import OVERRIDABLE
from branchline.errors import Refused
from branchline.steps.preview import Preview
from branchline.steps.summary import Summary, facts_of

Environment = Annotated[
    str, typer.Argument(help="Project and environment, such as store/staging.", metavar="PROJECT/ENVIRONMENT")
]
Project = Annotated[str, typer.Argument(help="The project.", metavar="PROJECT")]
Ref = Annotated[
    str | None,
    typer.Option("--ref", help="Branch, tag or commit; without it, the tip of the environment's branch."),
]
Force = Annotated[bool, typer.Option("--force", help="Even what runs there already.")]
RetryBad = Annotated[
    str | None,
    typer.Option(
        "--retry-bad", metavar="REASON", help="Why an artifact that failed here may be tried again."
    ),
]
Override = Annotated[
    list[str] | None,
    typer.Option(
        "--override",
        metavar="GATE",
        help=f"A gate to go through although it is closed, with --reason; again for another: {', '.join(OVERRIDABLE)}.",
    ),
]
Why = Annotated[
    str | None,
    typer.Option("--reason", metavar="TEXT", help="Why a closed gate is gone through; kept and reported."),
]
PlanHash = Annotated[
    str | None,
    typer.Option(
        "--plan",
        metavar="HASH",
        help="The hash that `branchline plan` printed: refused when anything it was computed from has moved.",
    ),
]
Wait = Annotated[
    bool,
    typer.Option("--wait", help="Wait while somebody else is at it, instead of stopping with exit code 4."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output, for machines.")]
Source = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="ENVIRONMENT", help="Where it comes from, where the plan leaves the choice."
    ),
]
To = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="DEPLOYMENT",
        help="The beginning of a deployment's id; without it, the newest with another artifact.",
    ),
]
Discard = Annotated[
    bool,
    typer.Option(
        "--discard-writes", help="Go back to that deployment's data too, losing what was written since."
    ),
]
PolicyRef = Annotated[
    str | None,
    typer.Option(
        "--policy-ref",
        metavar="REF",
        help="Read sanitize.yaml from this commit; without it, from the one that the source runs.",
    ),
]

promote_app = typer.Typer(
    help="Put what runs on one tier on the next: the same artifact, never a rebuild.", no_args_is_help=True
)
plan_app = typer.Typer(help="Say what an operation would do, without doing it.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(build)
    app.command()(deploy)
    app.command()(rollback)
    app.add_typer(promote_app, name="promote")
    app.command()(sync)
    app.add_typer(plan_app, name="plan")
    app.command()(deactivate)


def build(
    project: Project,
    ref: Annotated[str, typer.Argument(help="Branch, tag or commit.")],
    explain: Annotated[bool, typer.Option("--explain", help="Only list what the build depends on.")] = False,
    json: Json = False,
) -> None:
    """Make the artifact of a ref, or find the one that was made before."""
    start("build_artifact", {"project": project, "ref": ref, "dry_run": explain}, json=json)


def deploy(
    environment: Environment,
    ref: Ref = None,
    force: Force = False,
    retry_bad: RetryBad = None,
    override: Override = None,
    reason: Why = None,
    plan: PlanHash = None,
    wait: Wait = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Build if it was never built, prepare beside what runs, prove it healthy, then switch."""
    parameters = {
        "environment": environment,
        "ref": ref,
        "force": force,
        "retry_bad": retry_bad,
        "override": override or [],
        "reason": reason,
        "plan": plan,
        "wait": wait,
    }
    start("deploy_environment", {**parameters, "dry_run": dry_run}, json=json)


def rollback(
    environment: Environment,
    to: To = None,
    discard_writes: Discard = False,
    retry_bad: RetryBad = None,
    plan: PlanHash = None,
    wait: Wait = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Put an earlier deployment's code in front again; its data only when writes may be lost."""
    parameters = {"environment": environment, "to": to, "discard_writes": discard_writes}
    gates = {"retry_bad": retry_bad, "plan": plan}
    start("roll_back_environment", {**parameters, **gates, "wait": wait, "dry_run": dry_run}, json=json)


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
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Integration -> Staging."""
    parameters = {"project": project, "source": source, "force": force, "retry_bad": retry_bad}
    gates = {"override": override or [], "reason": reason, "plan": plan}
    start("promote_to_staging", {**parameters, **gates, "wait": wait, "dry_run": dry_run}, json=json)


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
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Staging -> Production."""
    parameters = {"project": project, "source": source, "force": force, "retry_bad": retry_bad}
    gates = {"override": override or [], "reason": reason, "plan": plan}
    start("promote_to_production", {**parameters, **gates, "wait": wait, "dry_run": dry_run}, json=json)


def sync(
    environment: Environment,
    source: Source = None,
    policy_ref: PolicyRef = None,
    override: Override = None,
    reason: Why = None,
    plan: PlanHash = None,
    wait: Wait = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Refresh a lower environment with a higher one's data, sanitized on the way."""
    parameters = {"environment": environment, "source": source, "policy_ref": policy_ref}
    gates = {"override": override or [], "reason": reason, "plan": plan}
    start("sync_data", {**parameters, **gates, "wait": wait, "dry_run": dry_run}, json=json)


def deactivate(environment: Environment, wait: Wait = False, json: Json = False) -> None:
    """Free its slot: nothing runs there any more, its data are kept as a backup for the plan's retention."""
    start("deactivate_environment", {"environment": environment, "wait": wait}, json=json)


@plan_app.command("deploy")
def plan_deploy(environment: Environment, ref: Ref = None, json: Json = False) -> None:
    """Commits, files, artifact, migrations and hold of a deploy."""
    start("deploy_environment", {"environment": environment, "ref": ref, "dry_run": True}, json=json)


@plan_app.command("promote")
def plan_promote(
    tier: Annotated[str, typer.Argument(help="staging or production")],
    project: Project,
    source: Source = None,
    json: Json = False,
) -> None:
    """What a promotion would carry, and every reason against it."""
    if tier not in ("staging", "production"):
        raise typer.BadParameter("staging or production", param_hint="TIER")
    start(f"promote_to_{tier}", {"project": project, "source": source, "dry_run": True}, json=json)


@plan_app.command("rollback")
def plan_rollback(
    environment: Environment, to: To = None, discard_writes: Discard = False, json: Json = False
) -> None:
    """What would go back, and since when writes would be lost."""
    parameters = {"environment": environment, "to": to, "discard_writes": discard_writes}
    start("roll_back_environment", {**parameters, "dry_run": True}, json=json)


@plan_app.command("sync")
def plan_sync(
    environment: Environment, source: Source = None, policy_ref: PolicyRef = None, json: Json = False
) -> None:
    """Which data would be copied from where, and what the policy decides."""
    parameters = {"environment": environment, "source": source, "policy_ref": policy_ref}
    start("sync_data", {**parameters, "dry_run": True}, json=json)


def start(file: str, parameters: dict[str, Any], *, json: bool) -> None:
    """Runs a flow and shows its steps, then what it gave. Exits with 3 where a plan says it would be refused."""
    from branchline.launch import run_flow  # noqa: PLC0415 - Prefect takes a second to import; `status` need not wait

    looking = parameters.get("dry_run", False)
    with working("looking") if looking and not json else steps_shown(quiet=json):
        result = run_flow(file, parameters)
    if json:
        show_json(result)
    elif isinstance(result, Preview):
        show_preview(result)
    elif result == []:
        out.print("nothing was left behind")
    else:
        for summary in result if isinstance(result, list) else [result]:
            show_summary(summary)
    if isinstance(result, Preview) and result.against:
        raise typer.Exit(Refused.exit_code)


def show_preview(preview: Preview) -> None:
    out.print(f"[bold]{escape(preview.sentence)}[/]")
    show_facts(preview.facts)
    if preview.gates:
        rows = [(each.gate, each.state, each.reason) for each in preview.gates]
        show_table(("gate", "verdict", ""), rows)
    if preview.hash:
        out.print(
            f"[dim]plan[/] {preview.hash}  [dim]--plan {preview.hash} refuses to run when anything has moved[/]"
        )
    if preview.skipped:
        out.print(f"[yellow]would be skipped:[/] {escape(preview.skipped)}")
    for reason in preview.against:
        err.print(f"[red]would be refused:[/] {escape(reason)}")


def show_summary(summary: Summary) -> None:
    colour = {"success": "green", "skipped": "yellow"}.get(summary.outcome, "red")
    out.print(
        f"[bold {colour}]{summary.outcome}[/] {escape(summary.sentence)} [dim]({summary.seconds:.1f} s, {summary.activity})[/]"
    )
    if summary.reason:
        out.print(f"  {escape(summary.reason)}")
    if summary.after:
        out.print(
            f"  [dim]before[/] {escape(summary.before or 'nothing')}\n  [dim]after[/]  {escape(summary.after)}"
        )
    if summary.sync and summary.outcome == "success":
        show_facts(facts_of(summary.sync))
        out.print(f"  [dim]each column: branchline activity show {summary.activity}[/]")
    for warning in summary.warnings:
        out.print(f"  [yellow]![/] {escape(warning)}")
