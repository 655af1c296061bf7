import subprocess

import pytest

from branchline.domain.activity import Want
from branchline.errors import BadInput, Failed, Refused
from branchline.operation import Request
from branchline.steps.promote import environment_at
from tests.workshop.application import application
from tests.workshop.home import PROJECT
from tests.workshop.litter import litter, schema_served, version_served


@pytest.fixture
def staged(home):
    """Version 1 runs on Integration and Staging."""
    home.run("deploy_environment", environment="store/master")
    home.run("promote_to_staging", project="store")
    return home


def push(home, version, **asked):
    home.commit(application(version, **asked))
    home.push()


def tip(home, branch):
    with home.opened() as platform:
        return platform.repository(PROJECT).branches().get(branch)


def test_a_promotion_carries_the_artifact_that_runs_never_a_branch_tip(staged):
    push(staged, 2)
    staged.run("deploy_environment", environment="store/master")
    push(staged, 3)
    staged.run("promote_to_staging", project="store")
    with staged.opened() as platform:
        source, target = (
            platform.current(environment_at(platform, f"store/{each}")) for each in ("master", "staging")
        )
        assert (version_served(platform, "store/staging"), target.digest) == ("2", source.digest)
        assert platform.repository(PROJECT).branches()["staging"] == source.commit
        assert litter(platform, staged) == []


def test_a_promotion_copies_no_file_of_the_artifact(staged):
    push(staged, 2)
    staged.run("deploy_environment", environment="store/master")
    with staged.opened() as platform:
        before = sorted(path.stat().st_ino for path in platform.layout.trees.rglob("*"))
    staged.run("promote_to_staging", project="store")
    with staged.opened() as platform:
        assert sorted(path.stat().st_ino for path in platform.layout.trees.rglob("*")) == before


def test_production_gets_what_staging_runs(staged):
    summary = staged.run("promote_to_production", project="store")
    assert summary.outcome == "success"
    with staged.opened() as platform:
        assert version_served(platform, "store/production") == "1"
    assert tip(staged, "production") == tip(staged, "staging")


def test_data_never_go_up(staged):
    staged.run("promote_to_production", project="store")
    with staged.opened() as platform:
        data = [
            platform.current(environment_at(platform, f"store/{each}")).data
            for each in ("staging", "production")
        ]
        assert not set(data[0].values()) & set(data[1].values())
        kinds = {platform.store.deployments.version(each).contents for each in data[1].values()}
        assert kinds == {"raw"}


def test_every_reason_against_a_promotion_is_told_at_once(staged):
    push(staged, 2, check="test ! -e /app/VERSION")
    with pytest.raises(Failed):
        staged.run("deploy_environment", environment="store/master")
    git = ["git", "-C", str(staged.path / "checkout")]
    subprocess.run([*git, "checkout", "-q", "-b", "hotfix", "HEAD~1"], check=True)
    hotfix = staged.commit(application(7), subject="A fix nobody merged")
    with staged.opened() as platform:
        bare = platform.layout.repository(PROJECT)
        subprocess.run([*git, "push", "-q", str(bare), f"{hotfix}:refs/heads/hotfix"], check=True)
        subprocess.run(["git", "-C", str(bare), "update-ref", "refs/heads/staging", hotfix], check=True)
        target = environment_at(platform, "store/staging")
        source = platform.current(environment_at(platform, "store/master"))
        with platform.operations.run(_request()) as operation:
            platform.store.artifacts.mark_bad(operation.grip, target, source.digest, "slow", platform.clock())
    with pytest.raises(Refused) as refused:
        staged.run("promote_to_staging", project="store", force=True)
    assert "failed here before: slow" in refused.value.message
    assert "A fix nobody merged" in refused.value.message
    assert tip(staged, "staging") == hotfix


def test_a_source_that_is_not_healthy_now_is_not_promoted(home):
    sick = application(1, check="test ! -e /app/media/sick")
    home.commit(
        {**sick, ".branchline/app.yaml": sick[".branchline/app.yaml"].replace("timeout: 5s", "timeout: 1")}
    )
    home.push()
    home.run("deploy_environment", environment="store/master")
    with home.opened() as platform:
        source = environment_at(platform, "store/master")
        version = platform.store.deployments.version(platform.current(source).data["mount:media"])
        (platform.layout.mount(source, version) / "sick").touch()
    with pytest.raises(Refused, match="not healthy now"):
        home.run("promote_to_staging", project="store")
    assert tip(home, "staging") is None


def test_nothing_is_promoted_from_where_nothing_runs(home):
    with pytest.raises(Refused, match="nothing is deployed on store/master"):
        home.run("promote_to_staging", project="store")


def test_a_source_off_the_plans_path_is_refused(staged):
    staged.push("feature")
    staged.run("deploy_environment", environment="store/feature")
    with pytest.raises(Refused, match="promotes to production from staging"):
        staged.run("promote_to_production", project="store", source="feature")
    with pytest.raises(BadInput):
        staged.run("promote_to_production", project="store", source="nothing")


def test_what_runs_there_already_is_skipped(staged):
    assert staged.run("promote_to_staging", project="store").outcome == "skipped"


def test_a_candidate_that_is_unhealthy_on_the_target_leaves_it_as_it_was(staged):
    picky = application(2, check='test "$BRANCHLINE_ENVIRONMENT" != staging')
    staged.commit(
        {**picky, ".branchline/app.yaml": picky[".branchline/app.yaml"].replace("timeout: 5s", "timeout: 1")}
    )
    staged.push()
    staged.run("deploy_environment", environment="store/master")
    before = tip(staged, "staging")
    with pytest.raises(Failed, match="not healthy"):
        staged.run("promote_to_staging", project="store")
    with staged.opened() as platform:
        assert version_served(platform, "store/staging") == "1"
        assert litter(platform, staged) == []
    assert tip(staged, "staging") == before


def test_a_deploy_to_staging_redeploys_what_runs_and_nothing_else(staged):
    push(staged, 2)
    with pytest.raises(Refused, match="by promotion only"):
        staged.run("deploy_environment", environment="store/staging", ref="master")
    assert staged.run("deploy_environment", environment="store/staging").outcome == "skipped"
    assert staged.run("deploy_environment", environment="store/staging", force=True).outcome == "success"
    with staged.opened() as platform:
        assert version_served(platform, "store/staging") == "1"


def test_people_cannot_push_to_staging_once_it_was_deployed(staged):
    staged.commit(application(9))
    done = subprocess.run(
        [
            "git",
            "-C",
            str(staged.path / "checkout"),
            "push",
            str(staged.path / "home/repositories/store.git"),
            "HEAD:staging",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "branchline promote staging store" in done.stderr


def test_a_migration_travels_with_the_artifact(staged):
    push(staged, 2, schema=2)
    staged.run("deploy_environment", environment="store/master")
    with staged.opened() as platform:
        assert schema_served(platform, "store/staging") == 1
    staged.run("promote_to_staging", project="store")
    with staged.opened() as platform:
        assert schema_served(platform, "store/staging") == 2


def test_a_preview_lists_commits_files_and_direction(staged):
    push(staged, 2)
    staged.run("deploy_environment", environment="store/master")
    preview = staged.run("promote_to_staging", project="store", dry_run=True)
    facts = dict(preview.facts)
    assert "code goes up, no data does" in preview.sentence
    assert facts["artifact"].startswith("reused")
    assert "VERSION" in facts["files"]
    assert preview.against == []


def _request():
    return Request("test", "store", "staging", [Want("environment:store/staging")], "a mark", {}, "ann")
