"""One operator's day with canaries everywhere; the tests search what it left."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from branchline.sanitize.policy_file import read_policy
from branchline.steps.preflight import databases
from branchline.steps.promote import environment_at
from branchline.steps.sync import mounts
from branchline.steps.told import box
from tests.secrets.canaries import Canary, marked
from tests.secrets.originals import Planting
from tests.secrets.session import REMOVED
from tests.server.prefect_server import started
from tests.workshop.home import CHECKOUT, Home

STORE = CHECKOUT / "examples" / "store"
AT_RUN = {
    "PLAIN_SECRET": "master|staging|production",
    "AWKWARD_SECRET": "master|staging|production",
    "MANY_LINES": "master|staging|production",
    "ENVIRONMENT_SECRET": "production",
}
"""The variables that running code sees, and the environments that have them."""
AWKWARD = "'\" \\ <&> %+/=é "
"""What JSON, URLs, shells and HTML write in other ways."""

PRINTING = """\
env
printenv -0 | tr '\\0' '\\n'
python3 -c 'import json, os; print(json.dumps(dict(os.environ))); print(dict(os.environ))'
python3 -c 'import os, urllib.parse; print(urllib.parse.urlencode(dict(os.environ)))'
python3 -c 'import base64, json, os; print(base64.b64encode(json.dumps(dict(os.environ)).encode()).decode())'
for name in VARIABLES RELATIONSHIPS APPLICATION; do printenv BRANCHLINE_$name | base64 -d; echo; done
printenv PLAIN_SECRET ENVIRONMENT_SECRET BUILD_SECRET MANY_LINES >&2 || true
if [ "$BRANCHLINE_ENVIRONMENT" = master ]; then cat /proc/[0-9]*/cmdline > media/processes.txt; fi
"""
DYING = """\
python3 -c 'import os; raise ValueError(os.environ["PLAIN_SECRET"], os.environ)'
"""


@dataclass
class Day:
    """What was planted, and where everything lies."""

    home: Home
    prefect: Path
    secrets: dict[str, Canary] = field(default_factory=dict)
    """By the name under which each was configured."""
    planting: Planting | None = None
    codes: dict[str, int] = field(default_factory=dict)
    """The exit code of each command, by the name of its output."""

    @property
    def removed(self) -> Path:
        """Copies of the data versions that operations threw away, as they were then."""
        return self.home.path.parent / "removed"

    @property
    def outputs(self) -> Path:
        return self.home.path / "outputs"

    def secret(self, name: str, shape: str = "{}") -> str:
        """A new value to be configured somewhere."""
        text = marked(90000 + len(self.secrets))
        self.secrets[name] = Canary(name, text)
        return shape.format(text)


class Operator:
    """Types commands."""

    def __init__(self, day: Day, environment: dict[str, str]) -> None:
        self._day = day
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.secrets.session"],
            cwd=CHECKOUT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(day.outputs / "session.err").open("wb"),
        )

    def types(self, *words: str, given: str = "", expect: int = 0) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        out = self._day.outputs / f"{len(self._day.codes):03} {' '.join(words[:3])}".replace("/", "-")[:60]
        asked = {"words": words, "input": given, "out": str(out)}
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline() or -1)
        self._day.codes[out.name] = code
        assert code == expect, f"branchline {' '.join(words)} gave {code}:\n{out.read_text()[-3000:]}"

    def leaves(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(60) == 0, (self._day.outputs / "session.err").read_text()


def shop(patience: str = "30s", **hooks: str) -> dict[str, str]:
    """The sample shop's files, with lines added to its hooks, and another time limit for its checks."""
    files = {
        str(path.relative_to(STORE)): path.read_text()
        for path in sorted(STORE.rglob("*"))
        if path.is_file() and not {"static", "__pycache__"} & set(path.relative_to(STORE).parts)
    }
    app = yaml.safe_load(files[".branchline/app.yaml"])
    app["checks"]["timeout"] = patience
    for hook, lines in hooks.items():
        app["hooks"][hook] += lines
    files[".branchline/app.yaml"] = yaml.safe_dump(app)
    return files


def policy(**columns: object) -> str:
    """The shop's policy with other rules for columns of customers; None takes one out."""
    document = yaml.safe_load((STORE / ".branchline/sanitize.yaml").read_text())
    for name, rule in columns.items():
        document["tables"]["customers"]["columns"][name] = rule
        if rule is None:
            del document["tables"]["customers"]["columns"][name]
    return yaml.safe_dump(document)


@pytest.fixture(scope="session")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    root = tmp_path_factory.mktemp("day")
    home = Home(root / "branchline").make()
    (home.path / "home").rmdir()  # Branchline makes it
    day = Day(home, root / "prefect")
    day.outputs.mkdir()
    day.prefect.mkdir()
    with started(day.prefect, dict(home.environ)) as server:
        _configure_keys(day)
        environment = _environment(day, server.environment)
        server.wait_ready()
        operator = Operator(day, environment)
        _work(day, operator)
        operator.leaves()
    with home.opened() as platform:
        day.secrets["the state's key"] = Canary("the state's key", platform.layout.key.read_text())
    yield day
    home.remove()


def _configure_keys(day: Day) -> None:
    key = day.home.path / "config" / "sanitize.key"
    key.write_text(day.secret("sanitizing key in a file", "{}-" + "k" * 40))
    day.home.configure({"sanitize_key": {"file": str(key)}})


def _environment(day: Day, server: dict[str, str]) -> dict[str, str]:
    return {
        **server,
        **day.home.environ,
        REMOVED: str(day.removed),
        "SANITIZING_KEY": day.secret("sanitizing key in the environment", "{}-" + "k" * 40),
        "AWS_SECRET_ACCESS_KEY": day.secret("the operator's shell"),
        "PGPASSWORD": day.secret("the operator's shell, too"),
    }


def _work(day: Day, operator: Operator) -> None:
    _init(day, operator)
    _set_variables(day, operator)
    _release(operator)
    _plant(day)
    _break_deploys(day, operator)
    _sync(day, operator)
    _look(day, operator)


def _init(day: Day, operator: Operator) -> None:
    day.home.commit(
        shop(
            build=f"\nprintenv BUILD_SECRET > baked.txt\n{PRINTING}".replace("media/", "/tmp/"),
            deploy=PRINTING,
            post_deploy=PRINTING,
        )
    )
    for number, url in enumerate(
        (
            "https://ann:{}@127.0.0.1:9/store.git",
            "https://{}@127.0.0.1:9/store.git",
            "https://127.0.0.1:9/store.git?private_token={}",
            "ssh://git:{}@127.0.0.1:9/store.git",
            "file://ann:{}@localhost/nowhere.git",
            "ftp://ann:{}@127.0.0.1/store.git",
        )
    ):
        source = day.secret(f"URL {number} of init", url)
        operator.types("init", "store", "--from", source, expect=2 if url.startswith("ftp") else 1)
        operator.types("--debug", "init", "store", "--from", source, expect=1)
    operator.types("init", "store", "--from", str(day.home.path / "checkout"))


def _set_variables(day: Day, operator: Operator) -> None:
    def variable(where: str, name: str, *options: str, shape: str = "{}" + AWKWARD) -> None:
        operator.types("variable", "set", where, name, "--sensitive", *options, given=day.secret(name, shape))

    variable("store", "PLAIN_SECRET", shape="{}")
    variable("store", "AWKWARD_SECRET")
    variable(
        "store", "MANY_LINES", shape="-----BEGIN KEY-----\n{0}" + AWKWARD + "one\n{0}two\n-----END KEY-----"
    )
    variable("store", "BUILD_SECRET", "--at-build", "--not-at-run")
    variable("store/production", "ENVIRONMENT_SECRET")
    variable("store", "UNSEEN_SECRET", "--not-at-run")


def _release(operator: Operator) -> None:
    operator.types("deploy", "store/master")
    operator.types("promote", "staging", "store")
    operator.types("promote", "production", "store")


def _plant(day: Day) -> None:
    with day.home.opened() as platform:
        production = environment_at(platform, "store/production")
        running = platform.current(production)
        platform.sandbox.run(
            "python3 seed.py 200", box(platform, production, running, "seed"), timeout=60, output=print
        )
        text = platform.repository("store").read(running.commit, ".branchline/sanitize.yaml")
        assert text is not None
        rules = read_policy(text, file="sanitize.yaml")
        day.planting = Planting(rules)
        ((service, version),) = databases(platform, production).items()
        path = platform.layout.data(production, f"database:{service}") / version / "data.db"
        day.planting.database(path)
        ((mount, directory),) = mounts(platform, production).items()
        day.planting.files(directory, rules.files[mount])


def _break_deploys(day: Day, operator: Operator) -> None:
    for hook, code in (("build", 1), ("deploy", 1), ("post_deploy", 0)):
        day.home.commit(shop(**{hook: DYING}), f"A {hook} hook that dies")
        day.home.push()
        operator.types("deploy", "store/master", expect=code)
    for name, text in (
        ("check.py", "import os, sys\nsys.exit(os.environ['PLAIN_SECRET'])\n"),
        ("serve.py", GARBAGE),
    ):
        day.home.commit({**shop("1s"), name: text}, f"A {name} that tells")
        day.home.push()
        operator.types("deploy", "store/master", expect=1)
    day.home.commit({**shop(deploy=PRINTING), "new.txt": "new"}, "Healthy again")
    day.home.push()
    operator.types("deploy", "store/master")
    operator.types("promote", "staging", "store")
    operator.types("promote", "production", "store")


GARBAGE = """\
import os, socket
with socket.create_server(("127.0.0.1", int(os.environ["PORT"]))) as listener:
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(os.environ["PLAIN_SECRET"].encode() + b"\\r\\n\\r\\n")
"""


def _sync(day: Day, operator: Operator) -> None:
    def with_policy(branch: str, text: str) -> str:
        day.home.commit({**shop(), ".branchline/sanitize.yaml": text}, branch)
        day.home.push(branch)
        return branch

    said = {"mask": "keep", "reason": "wrong"}
    in_the_middle = {"mask": "json", "paths": {"$.a": "text"}}
    refs = {
        with_policy("leaking", policy(notes=said)): (0, 1),
        with_policy("drifted", policy(notes=None)): (3, 3),
        with_policy("not-json", policy(notes=in_the_middle)): (0, 3),
        with_policy("unfit", policy(email={"mask": "constant", "value": "x"})): (3, 3),
        with_policy("armed", policy().replace("SELECT value = 'test'", "SELECT value = 'live'")): (0, 1),
    }
    for ref, (planned, done) in refs.items():
        if planned:
            operator.types("plan", "sync", "store/staging", "--policy-ref", ref, expect=planned)
        operator.types("sync", "store/staging", "--policy-ref", ref, expect=done)
        if done == 1:
            operator.types("--debug", "sync", "store/staging", "--policy-ref", ref, expect=1)
    operator.types("plan", "sync", "store/staging")
    operator.types("sync", "store/staging")
    day.home.configure({"sanitize_key": {"env": "SANITIZING_KEY"}})
    operator.types("sync", "store/staging", "--json")
    operator.types("sync", "store/master")


def _look(day: Day, operator: Operator) -> None:
    operator.types("rollback", "store/master", "--dry-run")
    operator.types("rollback", "store/master")
    operator.types("recover")
    operator.types("sanitize", "suggest", "store/production")
    operator.types("sanitize", "check", "store/production")
    operator.types("sanitize", "preview", "store/production")
    operator.types("sanitize", "preview", "store/production", "--json", "--rows", "1000")
    operator.types("build", "store", "master", "--explain")
    operator.types("plan", "deploy", "store/master", "--json")
    operator.types("variable", "list", "store/production")
    operator.types("variable", "list", "store/production", "--json")
    operator.types("status")
    operator.types("status", "--json")
    operator.types("activity", "list", "--limit", "100")
    operator.types("activity", "list", "--limit", "100", "--json")
    with day.home.opened() as platform:
        for activity in platform.store.activities.recent(None, None, 100):
            operator.types("activity", "show", activity.id)
            operator.types("activity", "show", activity.id, "--json")
            if platform.layout.log(activity.id).exists():
                operator.types("activity", "log", activity.id)
