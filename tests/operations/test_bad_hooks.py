"""Hooks that misbehave in a real deploy: one clear error, nothing changed, nothing left running."""

from functools import partial
from pathlib import Path

import pytest

from branchline import wiring
from branchline.adapters.boxed_process import Limits
from branchline.errors import BranchlineError
from branchline.launch import run_flow
from tests.workshop.application import application
from tests.workshop.home import Home
from tests.workshop.litter import litter, version_served
from tests.workshop.thorough import ALL


@pytest.fixture(params=["auto", "none"][: 1 + ALL])
def running(home: Home, request: pytest.FixtureRequest) -> Home:
    """Version 1 runs."""
    home.configure({"sandbox": request.param, "hook_timeout": 1, "log_limit": 100_000})
    home.run("deploy_environment", environment="store/master")
    return home


def refusal(home: Home, **hooks: str) -> BranchlineError:
    """The error of a deploy with these hooks, when nothing changed and nothing is left."""
    home.commit(application(2, schema=2, **hooks))
    home.push()
    with home.opened() as platform:
        with pytest.raises(BranchlineError) as said:
            run_flow("deploy_environment", {"environment": "store/master"})
        assert litter(platform, home) == []
        assert version_served(platform, "store/master") == "1"
        (ended,) = platform.store.activities.recent(limit=1)
        assert ended.reason is not None
        assert ended.reason.startswith(f"nothing changed: {said.value.message}")
    return said.value


def log(home: Home) -> str:
    newest = max((home.path / "home/logs").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    return newest.read_text()


@pytest.mark.parametrize("where", ["build", "deploy"])
def test_a_hook_that_fails_changes_nothing(running: Home, where: str) -> None:
    said = refusal(running, **{where: "echo it broke >&2; exit 7"})
    assert said.number == 404
    assert "exit code 7" in said.message
    assert "it broke" in log(running)


def test_a_hook_that_hangs_is_ended_at_its_time_limit(running: Home) -> None:
    said = refusal(running, deploy="sleep 600 & sleep 600")
    assert (said.number, "longer than 1 s" in said.message) == (405, True)


def test_a_hook_that_prints_100_mb_fills_no_disk(running: Home) -> None:
    said = refusal(running, deploy="head -c 100000000 /dev/zero | tr '\\0' 'x' | fold -w 1000; exit 3")
    assert said.number in {404, 405}
    assert len(log(running)) < 110_000


def test_a_daemon_of_a_hook_does_not_outlive_it(running: Home) -> None:
    said = refusal(running, deploy="setsid sleep 600 & (setsid setsid sleep 601 &) ; exit 3")
    assert said.number == 404


def test_a_hook_that_writes_into_the_shared_tree_is_stopped_and_the_tree_stays(running: Home) -> None:
    if running_in_place(running):
        pytest.skip("without bubblewrap only this user's permissions hold, and root may write everywhere")
    said = refusal(running, deploy="echo 3 > VERSION")
    assert said.number == 404
    assert "Read-only file system" in log(running)


def test_a_hook_that_writes_a_file_too_large_is_ended(running: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "Limits", partial(Limits, file=2**20))
    said = refusal(running, deploy="head -c 3000000 /dev/zero > media/large")
    assert said.number in {404, 407}


def test_a_hook_that_fills_the_disk_is_ended(running: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "Limits", lambda **_: Limits(free=2**60))
    said = refusal(running, deploy="sleep 600")
    assert (said.number, "must stay free" in said.message) == (406, True)


def test_a_candidate_that_is_not_healthy_is_not_switched_to_and_its_artifact_is_remembered(
    running: Home,
) -> None:
    said = refusal(running, check="exit 1")
    assert said.number == 470
    with running.opened(), pytest.raises(BranchlineError, match="failed here before"):
        run_flow("deploy_environment", {"environment": "store/master"})


def test_a_post_deploy_hook_that_fails_is_a_warning(running: Home) -> None:
    running.commit(application(2, schema=2, post_deploy="exit 9"))
    running.push()
    done = running.run("deploy_environment", environment="store/master")
    assert done.outcome == "success"
    assert done.warnings == ("post_deploy: The command ended with exit code 9.",)
    with running.opened() as platform:
        assert litter(platform, running) == []
        assert version_served(platform, "store/master") == "2"


def test_an_artifact_whose_bytes_were_changed_is_not_deployed(home: Home) -> None:
    home.run("deploy_environment", environment="store/master")
    home.push("other")
    (stored,) = (home.path / "home/artifacts").glob("??/*.tar.zst")
    content = bytearray(stored.read_bytes())
    content[len(content) // 2] ^= 1
    stored.chmod(0o644)
    stored.write_bytes(content)
    with home.opened() as platform:
        (artifact,) = platform.store.artifacts.all()
        platform.trees.remove(artifact.digest)
        with pytest.raises(BranchlineError) as said:
            run_flow("deploy_environment", {"environment": "store/other"})
        assert said.value.number in {423, 424}
        assert platform.trees.digests() == []
        assert platform.store.environments.get("store", "other").deployment_id is None
        assert litter(platform, home) == ["store/master: its tree is gone"]


def running_in_place(home: Home) -> bool:
    with home.opened() as platform:
        return platform.sandbox.kind == "none"


def test_a_link_of_the_release_shows_what_the_row_says(running: Home) -> None:
    """`current` that somebody bent by hand is made to agree by the next operation."""
    with running.opened() as platform:
        link = platform.layout.current(platform.store.environments.get("store", "master"))
        link.unlink()
        link.symlink_to(Path("releases/nothing"))
        run_flow("deploy_environment", {"environment": "store/master", "force": True})
        assert litter(platform, running) == []
