import contextlib
import pickle
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from branchline.config import (
    BadFiles,
    SecretReference,
    app_keys,
    load_yaml,
    plan_keys,
    plan_named,
    read_app,
    read_plans,
    read_settings,
    settings_keys,
)
from branchline.domain.app import Cron, HttpCheck, Location, Mount, Relationship, Service
from branchline.errors import BadInput

CONFIG = Path(__file__).parents[1] / "config"
APP = """\
name: store
type: python:3.11
build:
  tools: [python3, sqlite3]
  timeout: 15m
dependencies: {}
hooks:
  build: |
    python3 build.py
  deploy: |
    python3 migrate.py
migrations: exclusive
mounts:
  media: {source: local}
  var: "shared:files/var"
relationships:
  database: db:sqlite
web:
  commands: {start: "python3 serve.py"}
  locations: {"/": {passthru: true}}
workers: {}
crons:
  reindex: {spec: "*/5 * * * *", cmd: "python3 reindex.py", timeout: 5m}
checks:
  healthy_for: 2s
  commands: ["python3 check.py"]
  http: [{path: /health, status: 200, contains: ok}]
variables:
  env: {GREETING: hello, WORKERS: 3, DEBUG: true}
"""
SERVICES = 'db: {type: "sqlite:3", disk: 256}\n'
ROUTES = '"https://{default}/": {type: upstream, upstream: "store:http"}\n'
MAGENTO = """\
name: mymagento
type: php:8.3
size: XL
disk: 5120
timezone: Europe/Berlin
build:
  flavor: none
dependencies:
  php:
    composer/composer: '^2.0'
runtime:
  extensions: [xsl]
variables:
  env: {CONFIG__STORES: x}
  php: {memory_limit: 1G}
relationships:
  database: "db:sqlite"
mounts:
  "/var": "shared:files/var"
  "pub/media": "shared:files/media"
hooks:
  deploy: |
    php ./vendor/bin/ece-tools run scenario/deploy.xml
web:
  locations:
    "/":
      root: pub
      passthru: "/index.php"
      index: [index.php]
      expires: -1
crons:
  cronrun:
    spec: "*/5 * * * *"
    cmd: "php bin/magento cron:run"
"""


def repository(app=APP, services=SERVICES, routes=ROUTES):
    files = {"app": app, "services": services, "routes": routes}
    encoded = {
        f".branchline/{name}.yaml": text.encode() if isinstance(text, str) else text
        for name, text in files.items()
        if text is not None
    }
    return encoded.get


def refused(read):
    with pytest.raises(BadFiles) as error:
        read_app(read)
    return error.value


def problems(app=APP, services=SERVICES, routes=ROUTES):
    return [str(problem) for problem in refused(repository(app, services, routes)).problems]


def test_an_application_is_read_from_its_three_files():
    app = read_app(repository())
    assert (app.name, app.type, app.build.tools, app.build.timeout) == (
        "store",
        "python:3.11",
        ("python3", "sqlite3"),
        900.0,
    )
    assert app.hooks.deploy == "python3 migrate.py\n"
    assert app.mounts == {"media": Mount(), "var": Mount("local", "var")}
    assert app.relationships == {"database": Relationship("db", "sqlite")}
    assert app.web.locations == {"/": Location(passthru=True)}
    assert app.crons == {"reindex": Cron("*/5 * * * *", "python3 reindex.py", 300.0)}
    assert (app.checks.healthy_for, app.checks.timeout, app.checks.http) == (
        2.0,
        60.0,
        (HttpCheck("/health", 200, "ok"),),
    )
    assert app.services == {"db": Service("sqlite:3", 256)}
    assert app.variables.env == {"GREETING": "hello", "WORKERS": "3", "DEBUG": "true"}
    assert app.migrations_kind == "exclusive"
    assert app.warnings == ()


def test_a_name_and_a_type_are_enough():
    app = read_app(repository("name: store\ntype: python:3.11", None, None))
    assert app.migrations_kind == "none"
    assert app.services == app.routes == {}


def test_a_repository_without_configuration_is_refused():
    with pytest.raises(BadInput, match="B101"):
        read_app({".branchline/services.yaml": b""}.get)


def test_every_problem_of_all_files_is_told_at_once_with_file_line_and_key():
    app = (
        APP.replace("  build: |", "  biuld: |")
        .replace("[python3, sqlite3]", "3")
        .replace("media:", "/media:")
        .replace("status: 200", "status: yes")
        .replace("timeout: 5m", "timeout: soon")
        .replace("type: python:3.11", "type: python")
    )
    error = refused(repository(app, "db: {type: oracle}\n", "x: {type: other}\n"))
    assert [str(problem) for problem in error.problems] == [
        ".branchline/app.yaml:2:type: is the text 'python'; Runtime and version, such as `python:3.11`: a declared tool version, part of the build key.",
        ".branchline/app.yaml:4:build.tools: must be a list; is the number 3",
        ".branchline/app.yaml:8:hooks.biuld: unknown key; did you mean build? allowed: build, deploy, post_deploy",
        ".branchline/app.yaml:14:mounts./media: must be relative to the application's directory, without a / at either end",
        ".branchline/app.yaml:23:crons.reindex.timeout: must be a duration: seconds, or a number with s, m, h or d, such as 90s, 15m or 2h; is the text 'soon'",
        ".branchline/app.yaml:27:checks.http[0].status: must be a whole number; is the text 'yes'",
        ".branchline/services.yaml:1:db.type: oracle is not supported; there is: sqlite:3, postgresql:15, mysql:10.11, mysql:9.7, mariadb:10.11",
        ".branchline/routes.yaml:1:x.type: must be 'upstream' or 'redirect'; is the text 'other'",
    ]
    assert error.message.startswith(
        "8 problems in .branchline/app.yaml, .branchline/services.yaml, .branchline/routes.yaml:\n  "
    )
    assert error.number == 100


def test_an_unreadable_file_does_not_hide_the_problems_of_the_others():
    told = problems(APP.replace("cmd:", "comand:"), "db: [", "a: 1\na: 2\n")
    assert [each.split(": ")[0] for each in told] == [
        ".branchline/app.yaml:23:crons.reindex.cmd",
        ".branchline/app.yaml:23:crons.reindex.comand",
        ".branchline/services.yaml:2",
        ".branchline/routes.yaml:1:a",
        ".branchline/routes.yaml:2:a",
    ]


@pytest.mark.parametrize("key", ["services", "routes", "warnings"])
def test_what_belongs_to_another_file_is_an_unknown_key_of_app_yaml(key):
    (told,) = problems(f"{APP}{key}: {{}}\n")
    assert f"{key}: unknown key; " in told
    assert f"{key}," not in told.partition("allowed:")[2]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "name: is missing"),
        (b"- a\n", "must hold keys and values, is a list"),
        (b"just text", "must hold keys and values, is the text 'just text'"),
        (b"name: [\n", "is not YAML"),
        (b"name: x\n\ttype: y\n", "indent with spaces, not tabs"),
        (b"name: \xff\n", ":1: is not UTF-8"),
        (b"\xff\xfen\x00", "is not UTF-8"),
        (b"name: a\x00b\n", "is not YAML"),
        (b'name: "a\\0b"\n', "holds a NUL character"),
        (b"#" * (2**20 + 1), "is 1048577 bytes; a configuration file has at most 1048576"),
        (b"name: " + b"[" * 100_000, "is nested more than 40 levels deep"),
        (b"a: " + b"{a: " * 100_000, "is nested more than 40 levels deep"),
        (b"name: a\nname: b\n", ":2:name: duplicate key, first given on line 1"),
        (b"hooks: {build: a, build: b}\n", ":1:hooks.build: duplicate key"),
        (
            b"name: !!python/object/apply:os.system [id]\n",
            "the tag !!python/object/apply:os.system is not supported",
        ),
        (b"name: !include x\n", "the tag !include is not supported"),
        (b"name: *nothing\n", "refers to nothing above it"),
        (b"a: &a [*a]\n", "refers to nothing above it"),
        (b"name: a\n---\nname: b\n", "holds a second document"),
        (b"? [a]\n: b\n", "has a mapping or list as a key"),
        (b"<<: 3\n", "takes a mapping"),
        (b"name: null\n", "name: must be a text; is empty"),
        (b"name: 5\n", "name: must be a text; is the number 5"),
        (b"crons: []\n", "crons: must be a mapping; is a list"),
        (b"hooks: make\n", "hooks: must be a mapping with build, deploy, post_deploy; is a text"),
        (b"relationships: {database: db}\n", 'relationships.database: must be "service:endpoint"'),
        (b"mounts: {media: s3}\n", "mounts.media: must be {source: local}"),
        (
            b"migrations: later\n",
            "migrations: must be 'none', 'compatible' or 'exclusive'; is the text 'later'",
        ),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_in_words(data, said):
    assert any(said in told for told in problems(data)), problems(data)


def test_aliases_that_would_expand_without_end_are_refused_and_cost_nothing():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    assert "holds more than 100000 values" in problems("\n".join(lines))[0]


def test_a_thousand_problems_are_counted_and_the_first_are_listed():
    app = "name: x\ntype: a:1\n" + "".join(f"key{n}: 1\n" for n in range(1000))
    error = refused(repository(app))
    assert len(error.message.splitlines()) < 60
    assert "900 more problems" in str(error.problems[0])


def test_a_message_about_a_hostile_file_is_printable():
    told = refused(repository(b'"\\e[31m\\u202e": 1\n'))
    assert all(line.isprintable() for line in told.message.splitlines())


def test_a_refusal_survives_being_sent_to_another_process():
    error = refused(repository(""))
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_anchors_and_merge_keys_mean_what_yaml_says():
    document = load_yaml("x", b"a: &a {b: 1, c: 2}\nd: {<<: *a, c: 3}\ne: [*a]\n")
    assert document.value == {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}, "e": [{"b": 1, "c": 2}]}


def test_plain_words_are_texts_and_not_guessed_at():
    document = load_yaml("x", b"a: no\nb: on\nc: 12:30\nd: 2024-01-01\ne: true\nf: ~\ng: 1.5\nh: '5'\n5: x\n")
    assert document.value == {
        "a": "no", "b": "on", "c": "12:30", "d": "2024-01-01", "e": True, "f": None, "g": 1.5, "h": "5", "5": "x"
    }  # fmt: skip


def test_a_document_knows_the_line_of_every_key():
    document = load_yaml("x.yaml", b"a:\n  b:\n    - c: 1\n    - d: 2\n")
    assert str(document.problem(("a", "b", 1, "d"), "is wrong")) == "x.yaml:4:a.b[1].d: is wrong"
    assert document.line(("a", "b", 7)) == 2


@settings(deadline=None)
@given(
    st.binary(max_size=200) | st.text(alphabet="ab:-{}[],&*!<'\"|>#?%@ \n\t~0", max_size=80).map(str.encode)
)
def test_no_bytes_whatever_make_the_reader_fail(data):
    load_yaml("x", data)
    with contextlib.suppress(BadInput):
        read_app(repository(data))


def test_a_magento_repository_is_read_as_it_is_with_warnings_for_what_has_no_effect():
    files = {
        ".magento.app.yaml": MAGENTO.encode(),
        ".magento/services.yaml": b"db: {type: 'sqlite:3', disk: 10}",
        ".magento/routes.yaml": b'"http://{default}/": {type: upstream, upstream: "mymagento:http", cache: {enabled: true}}',
    }
    app = read_app(files.get)
    assert app.mounts == {"var": Mount("local", "var"), "pub/media": Mount("local", "media")}
    assert app.web.locations == {"/": Location(passthru=True)}
    assert app.dependencies == {"php": {"composer/composer": "^2.0"}}
    assert app.crons["cronrun"].cmd == "php bin/magento cron:run"
    named = {warning.split(": ")[0].split(":", 2)[2] for warning in app.warnings}
    assert named == {
        "size", "disk", "timezone", "runtime", "variables.php", "web", "web.locations./.root",
        "web.locations./.index", "web.locations./.expires", "http://{default}/.cache", "dependencies.php",
    }  # fmt: skip
    assert any(warning.startswith(".magento.app.yaml:3:size: has no effect") for warning in app.warnings)


def test_a_magento_key_that_would_change_what_happens_is_an_error_that_names_it():
    files = {
        ".magento.app.yaml": MAGENTO.replace("flavor: none", "flavor: composer").encode() + b"firewall: {}\n",
        ".magento/services.yaml": b"db: {type: 'oracle:21'}",
    }
    error = refused(files.get)
    assert [str(problem).split(": ")[0] for problem in error.problems] == [
        ".magento.app.yaml:7:build.flavor",
        ".magento.app.yaml:35:firewall",
        ".magento/services.yaml:1:db.type",
    ]


def test_branchlines_own_files_win_over_magentos():
    files = {".branchline/app.yaml": b"name: mine\ntype: a:1", ".magento.app.yaml": MAGENTO.encode()}
    assert read_app(files.get).name == "mine"


def test_the_files_of_this_checkout_say_what_the_defaults_are(tmp_path):
    environ = {"HOME": str(tmp_path)}
    assert read_settings(CONFIG / "branchline.yaml", environ) == read_settings(None, environ)
    assert list(read_plans(CONFIG / "plans.yaml")) == ["starter", "pro"]


def test_every_key_of_the_operators_files_stands_in_them():
    settings = load_yaml("", (CONFIG / "branchline.yaml").read_bytes()).value
    assert list(settings) == [key for key in settings_keys() if "." not in key]
    for plan in load_yaml("", (CONFIG / "plans.yaml").read_bytes()).value["plans"].values():
        assert set(plan) == {key for key in plan_keys() if "." not in key}
        for rules in plan["tiers"].values():
            assert {f"tiers.<name>.{key}" for key in rules} == {
                key for key in plan_keys() if key.count(".") == 2
            }


@pytest.mark.parametrize("keys", [app_keys(), plan_keys(), settings_keys()])
def test_every_key_is_described_in_a_sentence(keys):
    assert [
        key
        for key, said in keys.items()
        if not (said.endswith(".") and (said[0].isupper() or said[0] == "`"))
    ] == []
    assert len(keys) > 10


def test_the_environment_wins_over_the_file(tmp_path):
    file = tmp_path / "branchline.yaml"
    file.write_text("home: /var/lib/branchline\nsandbox: none\nlog_limit: 2MiB\nsanitize_key: {env: KEY}\n")
    assert read_settings(file, {}).home == Path("/var/lib/branchline")
    settings = read_settings(file, {"BRANCHLINE_HOME": str(tmp_path), "BRANCHLINE_SANDBOX": "bubblewrap"})
    assert (settings.home, settings.sandbox, settings.log_limit) == (tmp_path, "bubblewrap", 2 * 2**20)
    assert settings.sanitize_key is not None
    assert settings.sanitize_key.env == "KEY"


def test_home_follows_the_xdg_directories():
    assert read_settings(None, {"XDG_DATA_HOME": "/data"}).home == Path("/data/branchline")
    assert read_settings(None, {"XDG_DATA_HOME": "relative"}).home.is_absolute()


def test_every_problem_of_the_settings_is_told_at_once(tmp_path):
    file = tmp_path / "branchline.yaml"
    file.write_text(
        "hom: /x\nlease_duration: 0\nlog_limit: 3MB\nsystem_directories: [opt]\nsandbox: docker\nsandbox: none\n"
    )
    with pytest.raises(BadFiles) as error:
        read_settings(file, {"BRANCHLINE_HOME": "here"})
    places = [str(problem).split(": ")[0] for problem in error.value.problems]
    assert places == [
        "branchline.yaml:1:hom",
        "branchline.yaml:2:lease_duration",
        "branchline.yaml:3:log_limit",
        "branchline.yaml:4:system_directories[0]",
        "branchline.yaml:6:sandbox",
        "environment:BRANCHLINE_HOME",
    ]
    assert "did you mean home?" in str(error.value)
    assert error.value.number == 103


@pytest.mark.parametrize(
    "text",
    [
        "state_url: postgresql+psycopg://ada:hunter2@db/branchline",
        "state_url: postgresql+psycopg://ada@db/branchline?password=hunter2",
        "state_url: {url: postgresql+psycopg://ada:hunter2@db/branchline}",
        "state_url: [hunter2]",
        "artifacts_url: s3://key:hunter2@bucket",
        "sanitize_key: hunter2",
        "sanitize_key: [hunter2]",
        "password: hunter2",
        "sanitize_key: {value: hunter2}",
        "commit_status: {store: {kind: github, repository: a/b, token: hunter2}}",
        "commit_status: {store: {kind: github, repository: a/b, token: {env: A}, url: 'https://x:hunter2@b'}}",
    ],
)
def test_a_secret_in_the_settings_is_refused_and_not_repeated(tmp_path, text):
    file = tmp_path / "branchline.yaml"
    file.write_text(text)
    with pytest.raises(BadInput) as error:
        read_settings(file, {})
    assert "hunter2" not in str(error.value)


def test_a_state_url_with_a_password_is_taken_from_the_environment():
    url = "postgresql+psycopg://ada:hunter2@db/branchline"
    assert read_settings(None, {"BRANCHLINE_STATE_URL": url}).state_url == url


def test_the_place_of_a_state_url_is_read_and_the_environment_wins_over_it(tmp_path):
    file = tmp_path / "branchline.yaml"
    file.write_text("state_url: {file: /etc/branchline/state-url}\n")
    assert read_settings(file, {}).state_url == SecretReference(file=Path("/etc/branchline/state-url"))
    assert read_settings(file, {"BRANCHLINE_STATE_URL": "sqlite:////x"}).state_url == "sqlite:////x"


def test_a_broken_place_of_a_state_url_is_told_by_the_keys_of_the_file(tmp_path):
    file = tmp_path / "branchline.yaml"
    file.write_text("state_url: {file: relative, env: 'a b', fil: /x}\n")
    with pytest.raises(BadFiles) as error:
        read_settings(file, {})
    assert sorted(str(problem).split(": ")[0] for problem in error.value.problems) == [
        "branchline.yaml:1:state_url.env",
        "branchline.yaml:1:state_url.fil",
        "branchline.yaml:1:state_url.file",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "heartbeat: 31s",
        "sanitize_key: {}",
        "sanitize_key: {env: A, file: /b}",
        "commit_status: {store: {kind: gitlab, repository: a/b, token: {}}}",
        "notifications: {failure: [ops]}",
    ],
)
def test_settings_that_contradict_each_other_are_refused(tmp_path, text):
    file = tmp_path / "branchline.yaml"
    file.write_text(text)
    with pytest.raises(BadInput, match="B103"):
        read_settings(file, {})


@pytest.mark.parametrize("read", [read_plans, read_settings])
def test_a_file_that_is_not_there_is_said(tmp_path, read):
    with pytest.raises(BadInput, match=r"missing.yaml cannot be read: No such file.*B104"):
        read(tmp_path / "missing.yaml")
    with pytest.raises(BadInput, match="B104"):
        read(tmp_path)


def test_every_problem_of_the_plans_is_told_at_once(tmp_path):
    file = tmp_path / "plans.yaml"
    file.write_text(
        textwrap.dedent("""\
            plan: {}
            plans:
              mine:
                active: many
                tiers:
                  production: {branch: "ma*ster", brnch: x}
                  prod: {}
              other: 3
              third:
                name: x
              fourth:
                tiers: {integration: {}, production: {branch: "a b"}}
            """)
    )
    with pytest.raises(BadFiles) as error:
        read_plans(file)
    assert {str(problem).split(": ")[0] for problem in error.value.problems} == {
        "plans.yaml:1:plan",
        "plans.yaml:4:plans.mine.active",
        "plans.yaml:6:plans.mine.tiers.production.brnch",
        "plans.yaml:7:plans.mine.tiers.prod",
        "plans.yaml:8:plans.other",
        "plans.yaml:10:plans.third.name",
        "plans.yaml:12:plans.fourth.tiers.production.branch",
    }


@pytest.mark.parametrize("text", ["", "plans: {}", "plans: []", "[]"])
def test_a_plans_file_without_plans_is_refused(tmp_path, text):
    file = tmp_path / "plans.yaml"
    file.write_text(text)
    with pytest.raises(BadInput, match="B102"):
        read_plans(file)


def test_an_unknown_plan_is_refused_with_those_that_there_are():
    with pytest.raises(BadInput, match="starter, pro"):
        plan_named(read_plans(CONFIG / "plans.yaml"), "enterprise")
