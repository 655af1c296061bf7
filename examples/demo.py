"""The whole workflow, on a real Git repository and a real database: `make demo`.

Everything lies in .demo/ of the checkout and is made anew each time. Commands are shown as a person would
type them; flows run as Prefect flows against a server that the demo starts and stops.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
DEMO = CHECKOUT / ".demo"
SHOP = DEMO / "shop"
COMMAND = [str(Path(sys.executable).parent / "branchline")]
CUSTOMERS = 20_000
ANSWER_SECONDS = 60.0

os.environ |= {
    "BRANCHLINE_HOME": str(DEMO / "home"),
    "BRANCHLINE_CONFIG": str(DEMO / "config"),
    "BRANCHLINE_ACTOR": "demo",
    "PREFECT_HOME": str(DEMO / "prefect"),
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@store.example",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@store.example",
}

from rich.console import Console  # noqa: E402 - Branchline and Prefect read the environment when they are imported
from rich.table import Table  # noqa: E402

from branchline.adapters.leftovers import remove_tree  # noqa: E402
from branchline.adapters.sandbox import detect  # noqa: E402

console = Console(highlight=False)


def main() -> None:
    """The workflow runs in a process of its own, so that it has ended before its Prefect server does."""
    began = time.monotonic()
    prepare()
    with prefect_server() as url:
        done = subprocess.run(
            [sys.executable, __file__, "workflow"], env={**os.environ, "PREFECT_API_URL": url}, check=False
        )
    if done.returncode != 0:
        raise SystemExit(done.returncode)
    farewell(time.monotonic() - began)


def workflow() -> None:
    chapter("A project: a bare Git repository, and an environment for each tier of the plan `pro`")
    branchline("init", "store", "--from", str(SHOP))
    git("remote", "add", "branchline", str(DEMO / "home" / "repositories" / "store.git"))

    chapter("Build once on Integration; promote the same artifact to Staging and Production")
    branchline("deploy", "store/master")
    branchline("promote", "staging", "store")
    branchline("promote", "production", "store")
    seed_production()

    chapter("A change goes through all three: it is built once, and its migration runs on a clone")
    change("loyalty", "Loyalty: a banner and a migration")
    branchline("deploy", "store/master")
    branchline("plan", "promote", "staging", "store")
    branchline("promote", "staging", "store")
    branchline("promote", "production", "store")

    chapter("Only promotion moves Production's branch: a direct push is refused")
    git("push", "branchline", "HEAD~1:production", "--force", fails=True)

    chapter("A release that breaks: its candidate is never healthy, and nothing changes")
    before = release_of("master")
    change("broken-check", "A change whose health check fails")
    branchline("deploy", "store/master", expect=1)
    assert release_of("master") == before, "the broken release must not have been switched to"
    console.print(f"[green]nothing changed:[/] store/master still runs {before}")

    chapter("A deploy is killed in the middle, and recovered from its journal")
    git("revert", "--no-edit", "HEAD")
    git("commit", "--quiet", "--allow-empty", "-m", "Back to the working shop")
    (SHOP / "store" / "greeting.txt").write_text("Welcome back\n")
    commit("A greeting")
    kill_a_deploy()
    branchline("recover")
    assert release_of("master") == before, "a deploy killed before its switch must leave the old release"
    branchline("deploy", "store/master")

    chapter("Staging gets Production's data, sanitized on the way: raw rows never touch its disk")
    branchline("plan", "sync", "store/staging")
    branchline("sync", "store/staging")
    show_masked()

    chapter("Where everything is")
    branchline("status")
    branchline("activity", "list", "--limit", "5")


def prepare() -> None:
    """A fresh folder, the shop as a Git checkout, and a configuration of the demo's own."""
    remove_tree(DEMO)
    shutil.copytree(CHECKOUT / "config", DEMO / "config")
    shutil.copytree(
        CHECKOUT / "examples" / "store", SHOP, ignore=shutil.ignore_patterns("__pycache__", "static")
    )
    if detect(os.environ.get("BRANCHLINE_SANDBOX", "auto")).kind == "none":
        settings = DEMO / "config" / "branchline.yaml"
        key = "production_without_sandbox: "
        settings.write_text(settings.read_text().replace(f"{key}false", f"{key}true"))
        console.print("[yellow]there is no sandbox: the demo accepts unconfined hooks, also in Production[/]")
    git("init", "--quiet", "--initial-branch=master")
    commit("The shop")


def branchline(*words: str, expect: int = 0) -> None:
    """Runs a command in this process, so that Prefect is imported once; `expect` is its exit code."""
    from branchline.cli import run  # noqa: PLC0415 - after the environment is set

    console.print(f"\n[bold cyan]$ branchline {' '.join(words)}[/]", soft_wrap=True)
    code = run(words)
    if code != expect:
        raise SystemExit(
            f"the demo is broken: `branchline {' '.join(words)}` gave {code} instead of {expect}"
        )


def git(*words: str, fails: bool = False) -> None:
    if words[0] in ("push", "revert"):
        console.print(f"\n[bold cyan]$ git {' '.join(words)}[/]", soft_wrap=True)
    done = subprocess.run(["git", *words], cwd=SHOP, capture_output=True, text=True, check=False)
    if words[0] == "push":
        console.print(f"[dim]{done.stderr.strip()}[/]", markup=True, soft_wrap=True)
    if (done.returncode != 0) != fails:
        raise SystemExit(f"the demo is broken: git {words[0]} gave {done.returncode}\n{done.stderr}")


def commit(subject: str) -> None:
    git("add", "--all")
    git("commit", "--quiet", "-m", subject)


def change(name: str, subject: str) -> None:
    shutil.copytree(CHECKOUT / "examples" / "changes" / name, SHOP, dirs_exist_ok=True)
    commit(subject)
    git("push", "--quiet", "branchline", "HEAD:master")


def chapter(title: str) -> None:
    console.print()
    console.rule(f"[bold]{title}[/]", align="left")


def seed_production() -> None:
    """Customers, orders and uploads, made by the shop's own script in Production's box."""
    from branchline.steps.promote import environment_at  # noqa: PLC0415
    from branchline.steps.told import box  # noqa: PLC0415
    from branchline.wiring import open_platform  # noqa: PLC0415

    platform = open_platform()
    production = environment_at(platform, "store/production")
    console.print(
        f"\n[dim]the shop's seed.py gives Production {CUSTOMERS:,} customers with orders, notes and uploads[/]"
    )
    platform.sandbox.run(
        f"python3 seed.py {CUSTOMERS}",
        box(platform, production, platform.current(production), "demo-seed"),
        timeout=120,
        output=lambda line: console.print(f"    [dim]{line}[/]"),
    )


def release_of(environment: str) -> str:
    link = DEMO / "home" / "environments" / "store" / environment / "current"
    return (link / "app").resolve().name[:12]


def kill_a_deploy() -> None:
    """SIGKILL while the candidate is being prepared: after its release was made, before the switch."""
    from branchline.wiring import open_platform  # noqa: PLC0415

    git("push", "--quiet", "branchline", "HEAD:master")
    console.print("\n[bold cyan]$ branchline deploy store/master &  kill -9 $![/]")
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    child = subprocess.Popen([*COMMAND, "deploy", "store/master"], env=environment, stderr=subprocess.DEVNULL)
    activities = open_platform().store.activities
    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline:
        begun = [step.name for each in activities.unended() for step in activities.get(each.id).steps]
        if "prepare the data" in begun:
            break
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    console.print(f"[red]killed[/] while it had begun: {', '.join(begun)}")


def show_masked() -> None:
    """Staging's own rows; Production's are not shown."""
    from branchline.steps.promote import environment_at  # noqa: PLC0415
    from branchline.wiring import open_platform  # noqa: PLC0415

    platform = open_platform()
    staging = environment_at(platform, "store/staging")
    database = platform.database(staging, "db")
    columns = ("first_name", "last_name", "email", "phone", "city")
    with database.snapshot(platform.current(staging).data["database:db"]) as snapshot:
        known = [name for name in columns if snapshot.schema().tables["customers"].column(name)]
        rows = next(iter(snapshot.blocks("customers", known))).frame.head(5).rows()
    table = Table(
        title="customers on Staging after the sync: masked values, the same in every table",
        title_justify="left",
    )
    for name in known:
        table.add_column(name)
    for row in rows:
        table.add_row(*(str(value) for value in row))
    console.print(table)


@contextmanager
def prefect_server() -> Iterator[str]:
    """A Prefect server on a free loopback port, for as long as the demo runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (DEMO / "prefect.log").open("w")
    server = subprocess.Popen(
        [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)],
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        with console.status("a Prefect server starts (about ten seconds)"):
            wait_for(f"http://127.0.0.1:{port}/api/health", server)
        yield f"http://127.0.0.1:{port}/api"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
        log.close()


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise SystemExit(f"the Prefect server did not start: see {DEMO / 'prefect.log'}")
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the Prefect server does not answer")


def farewell(seconds: float) -> None:
    rows: Sequence[tuple[str, str]] = (
        ("the shop's checkout", str(SHOP)),
        ("its bare repository", str(DEMO / "home" / "repositories" / "store.git")),
        ("Production's release", str(DEMO / "home" / "environments" / "store" / "production" / "current")),
        ("state database", str(DEMO / "home" / "state" / "branchline.db")),
        ("artifacts", str(DEMO / "home" / "artifacts")),
    )
    for label, value in rows:
        console.print(f"  [dim]{label:22}[/] {value}", soft_wrap=True)
    console.print("\n[bold]Try next[/]")
    console.print(
        f"  export BRANCHLINE_HOME={DEMO / 'home'} BRANCHLINE_CONFIG={DEMO / 'config'}", soft_wrap=True
    )
    for command in (
        ".venv/bin/branchline status store/production",
        ".venv/bin/branchline rollback store/production --dry-run",
        ".venv/bin/branchline sanitize preview store/production --rows 5",
        ".venv/bin/branchline build store master --explain",
    ):
        console.print(f"  {command}")
    console.print(f"\n[green]done[/] in {seconds:.0f} s; nothing is left running")


if __name__ == "__main__":
    workflow() if sys.argv[1:] == ["workflow"] else main()
