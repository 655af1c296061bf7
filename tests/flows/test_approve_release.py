"""People say yes or no to a release, by the flow and by the command."""

import io
import json
import os
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from sqlalchemy import update

import branchline.cli
from branchline.domain.release import NewRelease, statement
from branchline.errors import BadInput, BranchlineError, Refused
from branchline.state import tables
from branchline.steps.approvals import ALTERED, EARLIER, UNSIGNED, approve, given
from branchline.steps.people import add_person, revoke_key
from branchline.steps.promote import environment_at
from tests.workshop.application import application
from tests.workshop.home import Home
from tests.workshop.ssh_keys import made_key

DUE = datetime(2036, 12, 1, 13, tzinfo=UTC)
SQL = "x'); DELETE FROM approvals; --"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Version 1 runs on master; whoever approves a release to Staging need not sign, to Production they must."""
    made = Home(tmp_path_factory.mktemp("approvals") / "branchline").make()
    plans = made.path / "config/plans.yaml"
    changed = yaml.safe_load(plans.read_text())
    changed["plans"]["pro"]["tiers"]["staging"]["approvals"] = {"count": 1, "signed": False}
    changed["plans"]["pro"]["tiers"]["production"]["approvals"] = {"count": 1, "separation": True}
    plans.write_text(yaml.safe_dump(changed))
    made.commit(application(1))
    made.init()
    made.run("deploy_environment", environment="store/master")
    yield made
    made.remove()


@pytest.fixture
def platform(made):
    with made.opened() as platform:
        yield platform


@pytest.fixture
def ann(tmp_path, platform, request):
    """A person of this test only, with a key."""
    key = made_key(tmp_path / "id_ann")
    person = add_person(platform, f"ann-{os.urandom(4).hex()}", key.public)
    return person.name, key


def release(platform, target="production", author="cat", due=DUE):
    environment = environment_at(platform, f"store/{target}")
    source = environment_at(platform, "store/master")
    running = platform.current(source)
    return platform.store.releases.create(
        NewRelease(
            kind="promotion",
            environment_id=environment.id,
            source_id=source.id,
            digest=running.digest,
            commit=running.commit,
            due_at=due,
            zone="Europe/Berlin",
            latest_start_at=due + timedelta(minutes=15),
            late="ask",
            author=author,
        ),
        platform.clock(),
    )


def worth(platform, one):
    current = platform.store.releases.get(one.id)
    return [(each.person, each.decision, each.signed, each.problem) for each in given(platform, current)]


def refused(number, function, *arguments, **keywords):
    with pytest.raises(BranchlineError) as error:
        function(*arguments, **keywords)
    assert error.value.number == number, error.value
    return str(error.value)


def events(platform, one):
    return [
        each.news.event.rpartition(".")[2]
        for each in platform.store.announcements.unsent(10_000)
        if each.news.payload.get("release") == one.id
    ]


def test_a_signed_approval_counts_and_is_told_of(made, platform, ann):
    name, key = ann
    one = release(platform)
    approval = made.run(
        "approve_release",
        release=one.id[:6],
        decision="approve",
        name=name.upper(),
        comment="looks\ngood",
        signature=key.sign(statement(one, "approve")),
    )
    assert (approval.person, approval.comment, approval.actor) == (name, "looks good", "ann")
    assert worth(platform, one) == [(name, "approve", True, None)]
    assert events(platform, one)[-1] == "approved"


def test_the_latest_decision_of_each_person_counts(platform, ann, tmp_path):
    name, key = ann
    bobs = made_key(tmp_path / "id_bob")
    bob = add_person(platform, f"bob-{os.urandom(4).hex()}", bobs.public).name
    one = release(platform)
    for person, signer, decision in ((name, key, "approve"), (bob, bobs, "approve"), (name, key, "reject")):
        approve(platform, one.id, decision, person, "", signer.sign(statement(one, decision)), "ui")
    assert worth(platform, one) == [(name, "reject", True, None), (bob, "approve", True, None)]
    assert events(platform, one)[-3:] == ["approved", "approved", "rejected"]


def test_where_signatures_are_asked_for_a_claim_is_refused_and_not_written(platform, ann):
    one = release(platform)
    for decision in ("approve", "reject"):
        said = refused(271, approve, platform, one.id, decision, ann[0], "", None, "ui")
        assert "--key" in said
    refused(271, approve, platform, one.id, "approve", ann[0], "", "  \n", "ui")
    assert platform.store.approvals.of(one.id) == ()


def test_where_the_plan_accepts_it_anybody_may_claim_and_nobody_unregistered_may_sign(
    platform, ann, tmp_path
):
    one = release(platform, "staging")
    approve(platform, one.id, "approve", "dora", "", None, "ui")
    assert worth(platform, one) == [("dora", "approve", False, None)]
    stranger = made_key(tmp_path / "stranger")
    signature = stranger.sign(statement(one, "approve"))
    assert "dora is not registered" in refused(
        266, approve, platform, one.id, "approve", "dora", "", signature, "ui"
    )


def test_what_was_signed_a_claim_does_not_take_back(platform, ann):
    name, key = ann
    one = release(platform, "staging")
    approve(platform, one.id, "reject", name, "", key.sign(statement(one, "reject")), "ui")
    refused(273, approve, platform, one.id, "approve", name.upper(), "", None, "ui")
    assert worth(platform, one) == [(name, "reject", True, None)]


def test_a_claim_stops_counting_when_the_plan_asks_for_signatures(platform):
    one = release(platform, "staging")
    approve(platform, one.id, "approve", "dora", "", None, "ui")
    pro = platform.plans["pro"]
    staging = pro.rules("staging")
    signed = replace(staging, approvals=replace(staging.approvals, signed=True))
    stricter = replace(platform, plans={"pro": replace(pro, tiers={**pro.tiers, "staging": signed})})
    assert worth(stricter, one) == [("dora", "approve", False, UNSIGNED)]


def test_a_signature_that_is_not_over_this_release_and_decision_is_refused(platform, ann):
    name, key = ann
    one, other = release(platform), release(platform)
    for text in (
        statement(other, "approve"),
        statement(one, "reject"),
        statement(replace(one, digest="sha256:" + "0" * 64), "approve"),
        statement(replace(one, due_at=DUE + timedelta(hours=1)), "approve"),
        statement(replace(one, environment="store/staging"), "approve"),
        statement(replace(one, revision=2), "approve"),
        statement(one, "approve") + "x",
        "",
    ):
        said = refused(268, approve, platform, one.id, "approve", name, "", key.sign(text), "ui")
        assert f"branchline release statement {one.id}" in said
    assert platform.store.approvals.of(one.id) == ()


def test_a_signature_by_a_key_that_is_not_the_persons_is_refused(platform, ann, tmp_path):
    name, key = ann
    one = release(platform)
    text = statement(one, "approve")
    unlisted = made_key(tmp_path / "unlisted").sign(text)
    assert "not a key of" in refused(266, approve, platform, one.id, "approve", name, "", unlisted, "ui")
    bob = add_person(platform, f"bob-{os.urandom(4).hex()}", made_key(tmp_path / "bob").public).name
    refused(266, approve, platform, one.id, "approve", bob, "", key.sign(text), "ui")
    assert platform.store.approvals.of(one.id) == ()


def test_a_signature_by_a_good_key_for_another_namespace_is_refused(platform, ann):
    name, key = ann
    one = release(platform)
    for namespace in ("git", "file", "branchline2"):
        signature = key.sign(statement(one, "approve"), namespace)
        refused(267, approve, platform, one.id, "approve", name, "", signature, "ui")


@pytest.mark.parametrize("signature", ["yes", "A" * 1_000_000, "$(reboot)", "<img src=x>", "\x00\ud800"])
def test_what_is_no_signature_is_one_clear_error(platform, ann, signature):
    one = release(platform)
    assert len(refused(265, approve, platform, one.id, "approve", ann[0], "", signature, "ui")) < 500
    assert platform.store.approvals.of(one.id) == ()


def test_a_key_that_was_revoked_since_does_not_count_any_more(platform, ann):
    name, key = ann
    one = release(platform)
    signature = key.sign(statement(one, "approve"))
    approve(platform, one.id, "approve", name, "", signature, "ui")
    (registered,) = platform.store.people.find(name).keys
    revoke_key(platform, name, registered.fingerprint)
    ((_, _, signed, problem),) = worth(platform, one)
    assert (signed, problem) == (True, f"{name}'s key {registered.fingerprint} was revoked")
    refused(266, approve, platform, one.id, "approve", name, "", signature, "ui")


def test_a_change_of_the_release_voids_what_was_said(platform, ann):
    name, key = ann
    one = release(platform)
    approve(platform, one.id, "approve", name, "", key.sign(statement(one, "approve")), "ui")
    later = DUE + timedelta(hours=1)
    moved = platform.store.releases.change(
        one.id, due_at=later, zone="UTC", latest_start_at=later, now=platform.clock()
    )
    assert worth(platform, one) == [(name, "approve", True, EARLIER)]
    refused(268, approve, platform, one.id, "approve", name, "", key.sign(statement(one, "approve")), "ui")
    approve(platform, one.id, "approve", name, "", key.sign(statement(moved, "approve")), "ui")
    assert worth(platform, one) == [(name, "approve", True, None)]


@pytest.mark.parametrize(
    "column", [{"due_at": DUE + timedelta(minutes=1)}, {"digest": None}, {"source_id": None}]
)
def test_a_row_that_was_changed_behind_everybodys_back_is_found_when_it_is_used(platform, ann, column):
    name, key = ann
    one = release(platform)
    approve(platform, one.id, "approve", name, "", key.sign(statement(one, "approve")), "ui")
    with platform.store.database.write() as session:
        session.execute(update(tables.Release).where(tables.Release.id == one.id).values(**column))
    assert worth(platform, one) == [(name, "approve", True, ALTERED)]


def test_nothing_is_said_about_what_has_ended_or_is_changed_meanwhile(platform, ann):
    name, key = ann
    one = release(platform)
    approval = approve(platform, one.id, "approve", name, "", key.sign(statement(one, "approve")), "ui")
    refused(272, platform.store.approvals.add, replace(approval, revision=9), one)
    platform.store.releases.cancel(one.id, "cat", "not needed", platform.clock())
    refused(272, approve, platform, one.id, "approve", name, "", key.sign(statement(one, "approve")), "ui")
    assert len(platform.store.approvals.of(one.id)) == 1


@pytest.mark.parametrize(
    ("changed", "number"),
    [
        ({"name": SQL}, 260),
        ({"name": "ann\nbob"}, 260),
        ({"name": ""}, 260),
        ({"name": "$(reboot)"}, 260),
        ({"name": "<script>alert(1)</script>"}, 260),
        ({"release": SQL}, 240),
        ({"release": ""}, 240),
        ({"release": "%"}, 240),
        ({"release": "r-ffffffffff"}, 240),
        ({"decision": "maybe"}, 276),
        ({"decision": SQL}, 276),
        ({"comment": "x" * 501}, 274),
        ({"signature": SQL}, 265),
    ],
)
def test_text_of_a_form_is_data_even_when_the_form_did_not_check_it(made, platform, changed, number):
    one = release(platform, "staging")
    form = {"release": one.id, "decision": "approve", "name": "dora", "comment": "", "signature": None}
    refused(number, made.run, "approve_release", **form | changed)
    assert platform.store.approvals.of(one.id) == ()


def test_a_comment_is_kept_as_it_is_and_shown_harmlessly(made, platform):
    one = release(platform, "staging")
    comment = f"{SQL} <b>$(reboot)</b> [red]\x1b[31m"
    made.run("approve_release", release=one.id, decision="approve", name="dora", comment=comment)
    (approval,) = platform.store.approvals.of(one.id)
    assert approval.comment == f"{SQL} <b>$(reboot)</b> [red] [31m"


def test_the_command_signs_and_sends_at_once(made, platform, ann):
    name, key = ann
    one = release(platform)
    done = made.start("release", "approve", one.id, "--as", name, "--key", str(key.path), "--comment", "fine")
    out, err = done.communicate()
    assert done.returncode == 0, err
    assert f"{name} approved release {one.id}" in out
    assert worth(platform, one) == [(name, "approve", True, None)]


def test_the_command_rejects(platform, ann, capsys):
    name, key = ann
    one = release(platform)
    words = ("release", "approve", one.id, "--as", name, "--key", str(key.path), "--reject", "--json")
    assert branchline.cli.run(words) == 0
    assert json.loads(capsys.readouterr().out)["decision"] == "reject"
    assert worth(platform, one) == [(name, "reject", True, None)]


def test_who_signs_elsewhere_gets_the_exact_bytes(platform, ann, tmp_path, capsys):
    name, key = ann
    one = release(platform)
    assert branchline.cli.run(("release", "statement", one.id)) == 0
    text = capsys.readouterr().out
    assert text == statement(one, "approve")
    signature = tmp_path / "signature"
    signature.write_text(key.sign(text))
    words = ("release", "approve", one.id, "--as", name, "--signature", str(signature))
    assert branchline.cli.run(words) == 0
    assert worth(platform, one) == [(name, "approve", True, None)]


@pytest.mark.parametrize(
    ("options", "code", "number"),
    [
        (["--unsigned"], 3, 271),
        (["--key", "unlisted"], 3, 266),
        (["--key", "nothing"], 2, 277),
        (["--signature", "nothing"], 2, 277),
    ],
)
def test_the_command_says_why_not(platform, ann, tmp_path, monkeypatch, capsys, options, code, number):
    one = release(platform)
    made_key(tmp_path / "unlisted")
    monkeypatch.chdir(tmp_path)
    assert branchline.cli.run(("release", "approve", one.id, "--as", ann[0], *options)) == code
    assert f"[B{number}]" in capsys.readouterr().err


def test_people_are_added_listed_and_their_keys_revoked_by_command(platform, tmp_path, monkeypatch, capsys):
    def person(*words, code=0):
        assert branchline.cli.run(("person", *words)) == code, capsys.readouterr().err
        return capsys.readouterr()

    key, more = made_key(tmp_path / "id_eve"), made_key(tmp_path / "id_more")
    assert person("add", "eve", "--key", str(key.public_path)).out.startswith("eve signs with")
    monkeypatch.setattr(sys, "stdin", io.StringIO(more.public))
    eve = json.loads(person("add", "eve", "--key", "-", "--json").out)
    assert len(eve["keys"]) == 2
    first = eve["keys"][0]["fingerprint"]
    assert [each for each in json.loads(person("list", "--json").out) if each["name"] == "eve"] == [eve]
    assert first not in person("revoke", "eve", first).out
    assert "B264" in person("revoke", "eve", "SHA256:none", code=2).err
    said = person("add", "eve", "--key", str(key.path), code=2).err
    assert "private key" in said
    assert "B262" in said


def test_a_key_belongs_to_one_person_and_a_revoked_one_never_comes_back(platform, ann):
    name, key = ann
    assert add_person(platform, name.upper(), key.public).name == name
    refused(263, add_person, platform, "mallory", key.public)
    (registered,) = platform.store.people.find(name).keys
    revoke_key(platform, name, registered.fingerprint)
    revoke_key(platform, name, registered.fingerprint)
    refused(263, add_person, platform, name, key.public)
    refused(261, revoke_key, platform, "nobody", registered.fingerprint)
    assert platform.store.people.find("mallory") is None


def test_errors_are_of_the_kind_that_says_whether_to_try_again(platform, ann):
    one = release(platform)
    with pytest.raises(Refused):
        approve(platform, one.id, "approve", ann[0], "", None, "ui")
    with pytest.raises(BadInput):
        approve(platform, one.id, "perhaps", ann[0], "", None, "ui")
