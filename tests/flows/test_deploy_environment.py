import json

import pytest

from branchline.domain.variable import Variable
from branchline.errors import BadInput, Failed, Refused
from branchline.steps.build import key_of
from branchline.steps.promote import environment_at
from tests.workshop.application import application
from tests.workshop.home import Home
from tests.workshop.litter import litter, schema_served, version_served


def deploy(home: Home, version: int, **asked: object):
    home.commit(application(version, **asked))
    home.push()
    return home.run("deploy_environment", environment="store/master")


def test_a_first_deploy_makes_the_environment_active_with_its_data(home):
    summary = home.run("deploy_environment", environment="store/master")
    with home.opened() as platform:
        status = environment_at(platform, "store/master")
        assert (summary.outcome, summary.before, status.status) == ("success", None, "active")
        assert sorted(platform.current(status).data) == ["database:db", "mount:media"]
        assert version_served(platform, "store/master") == "1"
        assert litter(platform, home) == []


def test_what_runs_already_is_skipped_with_its_reason(home):
    home.run("deploy_environment", environment="store/master")
    summary = home.run("deploy_environment", environment="store/master")
    assert summary.outcome == "skipped"
    assert "runs artifact" in summary.reason


def test_force_deploys_what_runs_already(home):
    home.run("deploy_environment", environment="store/master")
    assert home.run("deploy_environment", environment="store/master", force=True).outcome == "success"


def test_a_changed_variable_is_a_reason_to_deploy_again_without_a_build(home):
    first = home.run("deploy_environment", environment="store/master")
    with home.opened() as platform:
        project = platform.store.environments.project("store")
        platform.store.variables.set(project, None, Variable("GREETING", "hello"))
    second = home.run("deploy_environment", environment="store/master")
    assert second.outcome == "success"
    assert second.after.split()[1] == first.after.split()[1]
    with home.opened() as platform:
        release = platform.layout.current(environment_at(platform, "store/master"))
        assert json.loads((release / "variables.json").read_text()) == {"GREETING": "hello"}
        assert (release / "variables.json").stat().st_mode & 0o077 == 0


def test_a_build_variable_makes_another_build_and_a_run_variable_does_not(home):
    with home.opened() as platform:
        project = platform.store.environments.project("store")
        commit = platform.repository("store").resolve("master").id
        plain = key_of(platform, project, commit).digest
        platform.store.variables.set(project, None, Variable("AT_RUN", "1", at_build=False))
        assert key_of(platform, project, commit).digest == plain
        platform.store.variables.set(project, None, Variable("AT_BUILD", "1", at_build=True))
        assert key_of(platform, project, commit).digest != plain


def test_two_commits_with_one_tree_have_one_artifact(home):
    home.run("deploy_environment", environment="store/master")
    home.commit(application(1), subject="Nothing changed")
    home.push()
    assert "these settings already" in home.run("deploy_environment", environment="store/master").reason


@pytest.mark.parametrize("kind", ["none", "compatible", "exclusive"])
def test_each_kind_of_migrations_puts_code_and_data_in_front_together(home, kind):
    schema = 1 if kind == "none" else 2
    deploy(home, 1, kind=kind)
    with home.opened() as platform:
        before = platform.current(environment_at(platform, "store/master"))
    deploy(home, 2, kind=kind, schema=schema)
    with home.opened() as platform:
        after = platform.current(environment_at(platform, "store/master"))
        assert version_served(platform, "store/master") == "2"
        assert schema_served(platform, "store/master") == (None if kind == "none" else 2)
        assert (before.data == after.data) == (kind != "exclusive")


def test_an_exclusive_migration_that_fails_leaves_the_old_data_as_they_were(home):
    deploy(home, 1)
    with home.opened() as platform:
        before = platform.current(environment_at(platform, "store/master"))
    with pytest.raises(Failed, match="exit"):
        deploy(home, 2, deploy="python3 -SI migrate.py; exit 7")
    with home.opened() as platform:
        now = environment_at(platform, "store/master")
        assert platform.current(now) == before
        assert now.hold_activity_id is None
        assert litter(platform, home) == []


def test_a_failed_build_hook_changes_nothing_and_its_output_is_kept(home):
    deploy(home, 1)
    with pytest.raises(Failed):
        deploy(home, 2, build="echo told; exit 9")
    with home.opened() as platform:
        activity = platform.store.activities.recent()[0]
        assert (activity.outcome, version_served(platform, "store/master")) == ("failure", "1")
        assert activity.reason.startswith("nothing changed: ")
        assert "told" in platform.layout.log(activity.id).read_text()


def test_an_unhealthy_candidate_is_marked_bad_refused_next_time_and_tried_again_with_a_reason(home):
    deploy(home, 1)
    files = {**application(2, check="test -e .healthy"), ".branchline/app.yaml": ""}
    files[".branchline/app.yaml"] = application(2, check="exit 3")[".branchline/app.yaml"].replace("5s", "1")
    home.commit(files)
    home.push()
    with pytest.raises(Failed, match="not healthy"):
        home.run("deploy_environment", environment="store/master")
    with pytest.raises(Refused, match="failed here before"):
        home.run("deploy_environment", environment="store/master")
    with pytest.raises(Failed, match="not healthy"):
        home.run("deploy_environment", environment="store/master", retry_bad="the disk was full")
    with home.opened() as platform:
        assert version_served(platform, "store/master") == "1"


def test_a_failing_post_deploy_hook_is_a_warning_and_the_release_stays(home):
    files = application(2, post_deploy="exit 4")
    home.commit(files)
    home.push()
    summary = home.run("deploy_environment", environment="store/master")
    assert summary.outcome == "success"
    assert any("post_deploy" in warning for warning in summary.warnings)


def test_a_commit_of_another_branch_is_not_deployed_to_an_environment(home):
    home.run("deploy_environment", environment="store/master")
    commit = home.commit(application(2))
    home.push("feature")
    with pytest.raises(Refused, match="is not on branch"):
        home.run("deploy_environment", environment="store/master", ref=commit)


def test_a_pushed_branch_gets_an_environment_when_it_is_deployed(home):
    home.push("Feature/New-Basket")
    summary = home.run("deploy_environment", environment="store/Feature/New-Basket")
    assert (summary.environment, summary.outcome) == ("store/feature-new-basket", "success")


def test_only_as_many_environments_are_active_as_the_plan_has_slots(home):
    branches = [f"story-{number}" for number in range(9)]
    for branch in branches:
        home.push(branch)
    for branch in branches[:8]:
        home.run("deploy_environment", environment=f"store/{branch}")
    with pytest.raises(Refused, match="8 slots"):
        home.run("deploy_environment", environment=f"store/{branches[8]}")
    home.run("deactivate_environment", environment=f"store/{branches[0]}")
    assert home.run("deploy_environment", environment=f"store/{branches[8]}").outcome == "success"


@pytest.mark.parametrize(
    ("environment", "ref"),
    [
        ("nothing/master", None),
        ("store/nothing", None),
        ("store", None),
        ("store/../../etc", None),
        ("store/master", "nothing"),
        ("store/master", "--upload-pack=x"),
        ("store/master", "../../etc"),
        ("store/master", "x" * 300),
        ("store/master", "\udcff"),
        ("store/master", "deadbeef"),
    ],
)
def test_an_unknown_or_ugly_name_is_bad_input_and_leaves_no_trace(home, environment, ref):
    with pytest.raises(BadInput):
        home.run("deploy_environment", environment=environment, ref=ref)
    with home.opened() as platform:
        assert litter(platform, home) == []
        assert all(each.deployment_id is None for each in _environments(platform))


def test_a_dry_run_says_what_would_happen_and_changes_nothing(home):
    preview = home.run("deploy_environment", environment="store/master", dry_run=True)
    assert dict(preview.facts)["migrations"] == "exclusive"
    assert "built from this tree for the first time" in dict(preview.facts)["artifact"]
    with home.opened() as platform:
        assert platform.store.activities.recent() == []


def test_a_hook_is_told_everything_under_all_three_names(home):
    told = "env | grep -E '^(BRANCHLINE|MAGENTO_CLOUD|PLATFORM)_(RELATIONSHIPS|VARIABLES|APPLICATION|ENVIRONMENT|TREE_ID)=' | wc -l"
    home.commit(application(2, post_deploy=told))
    home.push()
    summary = home.run("deploy_environment", environment="store/master")
    with home.opened() as platform:
        assert "15" in platform.layout.log(summary.activity).read_text().split()


def test_a_build_sees_no_relationship_and_no_run_time_variable(home):
    with home.opened() as platform:
        project = platform.store.environments.project("store")
        platform.store.variables.set(project, None, Variable("RUN_ONLY", "canary-at-run", sensitive=True))
    home.commit(application(2, build="env > seen; sh build.sh"))
    home.push()
    home.run("deploy_environment", environment="store/master")
    with home.opened() as platform:
        seen = (platform.layout.current(environment_at(platform, "store/master")) / "app/seen").read_text()
    assert "RELATIONSHIPS" not in seen
    assert "RUN_ONLY" not in seen
    assert "BRANCHLINE_TREE_ID" in seen


def _environments(platform):
    return [
        each
        for project in platform.store.environments.projects()
        for each in platform.store.environments.of(project)
    ]


@pytest.mark.parametrize(
    "trap",
    [
        "os.unlink(path); os.symlink('/etc/passwd', path)",
        "os.symlink('/etc/passwd', path + '-wal')",
        "os.mkfifo(path + '-journal')",
        "os.link(path, path + '2'); os.rename(path + '2', os.path.join(os.path.dirname(path), 'x'))",
    ],
)
def test_a_hook_cannot_lead_branchline_out_of_its_own_database(home, trap):
    told = 'json.loads(base64.b64decode(os.environ["BRANCHLINE_RELATIONSHIPS"]))["database"][0]["path"]'
    files = {**application(2, deploy="python3 -SI migrate.py; python3 -SI trap.py")}
    files["trap.py"] = f"import base64, json, os\npath = {told}\n{trap}\n"
    home.commit(files)
    home.push()
    with pytest.raises(Refused, match="not a plain file of its own"):
        home.run("deploy_environment", environment="store/master")
    with home.opened() as platform:
        assert litter(platform, home) == []


def test_a_lost_artifact_is_built_again(home):
    home.run("deploy_environment", environment="store/master")
    with home.opened() as platform:
        for digest in platform.artifacts.digests():
            platform.artifacts.remove(digest)
            platform.trees.remove(digest)
    summary = home.run("deploy_environment", environment="store/master", force=True)
    assert summary.outcome == "success"
    assert next(step for step in summary.steps if step["name"].startswith("build"))["detail"].startswith(
        "built"
    )


def test_a_skipped_deploy_puts_right_what_disagrees_with_the_row(home):
    home.run("deploy_environment", environment="store/master")
    with home.opened() as platform:
        platform.layout.current(environment_at(platform, "store/master")).unlink()
    assert home.run("deploy_environment", environment="store/master").outcome == "skipped"
    with home.opened() as platform:
        assert version_served(platform, "store/master") == "1"
        platform.layout.current(environment_at(platform, "store/master")).unlink()
    home.run("recover_operations")
    with home.opened() as platform:
        assert version_served(platform, "store/master") == "1"


def test_a_hook_cannot_steer_the_terminal_that_shows_its_output(home):
    home.commit(application(2, post_deploy=r"printf '\033]0;title\007\033[2J\033[31mplain\033[0m\n'"))
    home.push()
    summary = home.run("deploy_environment", environment="store/master")
    with home.opened() as platform:
        assert "plain\n" in platform.layout.log(summary.activity).read_text()
        assert "\033" not in platform.layout.log(summary.activity).read_text()
