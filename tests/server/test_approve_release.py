"""The form of approve-release, as a run of Prefect's: whatever stands in its fields, one clear error or one row."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State

from branchline.domain.release import NewRelease, statement
from branchline.steps.people import add_person
from branchline.steps.promote import environment_at
from flows.approve_release import approve_release
from flows.deploy_environment import deploy_environment
from tests.server.tiny import Home, made_home
from tests.workshop.ssh_keys import SshKey, made_key

pytestmark = pytest.mark.server
DUE = datetime(2036, 12, 1, 13, tzinfo=UTC)
HOSTILE = (
    "x'); DROP TABLE approvals; --",
    "$(touch /tmp/pwned)",
    "<script>alert(1)</script>",
    "a\nb\x00\x1b[31m",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, prefect_here: None) -> Iterator[Home]:
    with made_home(tmp_path_factory.mktemp("home")) as home:
        home.project("shop")
        deploy_environment("shop/master")
        yield home


@pytest.fixture(scope="module")
def key(home: Home) -> SshKey:
    """Ann's."""
    made = made_key(home.root / "id_ann")
    add_person(home.platform, "ann", made.public)
    return made


@pytest.fixture
def release(home: Home) -> str:
    platform = home.platform
    source = environment_at(platform, "shop/master")
    running = platform.current(source)
    target = environment_at(platform, "shop/production")
    new = NewRelease(
        "promotion", target.id, source.id, running.digest, running.commit, DUE, "UTC", DUE, "ask", "cat"
    )
    return platform.store.releases.create(new, platform.clock()).id


def ended(**form: Any) -> State[Any]:
    state: State[Any] = approve_release(**form, return_state=True)
    return state


def test_a_signed_approval_is_a_row_and_a_summary(home: Home, key: SshKey, release: str) -> None:
    store = home.platform.store
    signature = key.sign(statement(store.releases.get(release), "approve")).replace("\n", " ")
    comment = "<b>fine</b> | [x](javascript:alert(1))"
    state = ended(release=release, decision="approve", name="ann", comment=comment, signature=signature)
    assert state.is_completed(), state
    (approval,) = store.approvals.of(release)
    assert (approval.person, approval.comment) == ("ann", comment)
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(state.state_details.flow_run_id)
        artifacts = client.read_artifacts(limit=50)
    assert run.name == f"approve release {release} as ann"
    (artifact,) = [each for each in artifacts if each.flow_run_id == run.id]
    assert "<b>" not in str(artifact.data)
    assert "[x](javascript" not in str(artifact.data)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("field", ["release", "decision", "name", "signature"])
def test_what_does_not_belong_into_a_field_is_one_clear_error(
    home: Home, key: SshKey, release: str, field: str, text: str
) -> None:
    form = {"release": release, "decision": "approve", "name": "ann", "comment": text, "signature": None}
    state = ended(**{**form, field: text})
    assert state.name in ("Bad input", "Refused")
    assert "Traceback" not in (state.message or "")
    assert "next:" in (state.message or "")
    assert home.platform.store.approvals.of(release) == ()


def test_a_signature_of_the_size_that_prefect_just_takes_is_one_short_error(
    home: Home, key: SshKey, release: str
) -> None:
    state = ended(release=release, decision="approve", name="ann", signature="A" * 400_000)
    assert state.name == "Bad input"
    assert len(state.message or "") < 1000


def test_a_name_alone_is_refused_where_signatures_are_asked_for(home: Home, release: str) -> None:
    state = ended(release=release, decision="approve", name="ann")
    assert (state.name, "B271" in (state.message or "")) == ("Refused", True)
