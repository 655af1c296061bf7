import json

from branchline.steps.build import key_of
from tests.workshop.application import application
from tests.workshop.litter import litter


def test_a_build_makes_an_artifact_without_deploying_it(home):
    assert home.run("build_artifact", project="store", ref="master").outcome == "success"
    with home.opened() as platform:
        assert len(platform.store.artifacts.all()) == 1
        assert platform.store.environments.get("store", "master").deployment_id is None
        assert litter(platform, home) == []


def test_two_builds_of_one_key_at_once_run_the_hook_once_and_share_one_artifact(home):
    gate, ran = home.path / "tmp" / "gate", home.path / "tmp" / "ran"
    home.configure({"sandbox": "none"})
    home.commit(
        application(2, build=f"echo x >> {ran}; until test -e {gate}; do sleep 0.05; done; sh build.sh")
    )
    home.push()
    builds = [home.start("build", "store", "master", "--json") for _ in range(2)]
    with home.opened() as platform:
        while len(platform.store.activities.unended()) < len(builds) or not ran.exists():
            assert all(build.poll() is None for build in builds)
    gate.touch()
    ended = [build.communicate() for build in builds]
    assert [build.returncode for build in builds] == [0, 0], ended
    details = sorted(
        step["detail"]
        for out, _ in ended
        for step in json.loads(out)["steps"]
        if step["name"].startswith("build")
    )
    assert ran.read_text() == "x\n"
    with home.opened() as platform:
        assert len(platform.store.artifacts.all()) == 1
        assert all(platform.store.artifacts.all()[0].short in detail for detail in details)
    gate.unlink()
    ran.unlink()


def test_the_same_tree_is_never_built_twice_in_any_environment(home):
    home.run("deploy_environment", environment="store/master")
    home.push("feature")
    summary = home.run("deploy_environment", environment="store/feature")
    built = next(step for step in summary.steps if step["name"].startswith("build"))
    assert built["detail"].startswith("reused")


def test_explain_lists_what_the_key_is_made_of_and_builds_nothing(home):
    preview = home.run("build_artifact", project="store", ref="master", dry_run=True)
    with home.opened() as platform:
        project = platform.store.environments.project("store")
        key = key_of(platform, project, platform.repository("store").resolve("master").id)
        assert dict(preview.facts)["build key"] == key.digest
        assert platform.store.artifacts.all() == []
