from base64 import b64encode
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from branchline.domain.approval import check_comment, check_seal, decisive, key_problem, read_signature
from branchline.domain.person import Key, Person, check_person, read_public_key
from branchline.domain.release import Approval
from branchline.errors import BadInput, Refused

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINtiPgPdrU1H/8A5bE4jxdZ67IyGs5FfObEY2ArN+KWP"
ANN = Person("ann", (Key(KEY, "SHA256:new", NOW), Key("ssh-rsa AAAA", "SHA256:old", NOW, NOW)))
SAID = Approval("r-1", 1, "approve", "ann", "", None, None, "ann", NOW)


def field(data):
    return len(data).to_bytes(4, "big") + data


def armoured(packed):
    return f"-----BEGIN SSH SIGNATURE-----\n{b64encode(packed).decode()}\n-----END SSH SIGNATURE-----\n"


def signature(namespace=b"branchline"):
    return armoured(b"SSHSIG\x00\x00\x00\x01" + field(b"key") + field(namespace) + field(b"") + field(b"x"))


@pytest.mark.parametrize("name", ["ann", "Ann.Smith", "ann@example.org", "a-b_c+d", "x" * 63])
def test_a_name_of_a_person(name):
    assert check_person(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-rf",
        "@ann",
        "ann smith",
        "ann\n",
        "ann\x00",
        "ann\x1b[31m",
        "ann,bob",
        "a*",
        "!ann",
        "'; DROP TABLE people; --",
        "$(reboot)",
        "<script>alert(1)</script>",
        "änn",
        "ann\u202e",
        "x" * 64,
        "x" * 1_000_000,
        "\ud800",
    ],
)
def test_what_is_no_name_is_refused_and_shown_harmlessly(name):
    with pytest.raises(BadInput) as refused:
        check_person(name)
    assert refused.value.number == 260
    assert str(refused.value).replace("\n  next:", "").isprintable()
    assert len(str(refused.value)) < 400


def test_a_public_key_is_kept_without_its_comment():
    assert read_public_key(f"{KEY} ann@laptop\n") == read_public_key(f"\n  {KEY}\n\n") == KEY


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh-ed25519",
        "ssh-dss AAAAB3NzaC1kc3MAAACBAJ",
        "ssh-ed25519 not-base-64!",
        f"{KEY}\n{KEY}",
        f'command="reboot" {KEY}',
        f"cert-authority {KEY}",
        "ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29t",
        KEY + "A" * 20_000,
        "x" * 1_000_000,
    ],
)
def test_what_is_no_public_key_is_refused(text):
    with pytest.raises(BadInput, match="no public key") as refused:
        read_public_key(text)
    assert refused.value.number == 262
    assert len(str(refused.value)) < 400


def test_a_private_key_is_refused_and_not_repeated():
    with pytest.raises(BadInput, match=r"\.pub") as refused:
        read_public_key(
            "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----\n"
        )
    assert "b3Blb" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        "-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----",
        "-----BEGIN SSH SIGNATURE-----\nU1NIU0lH",
        armoured(b"SSHSIG\x00\x00\x00\x01"),
        armoured(b"SSHSIG\x00\x00\x00\x02" + field(b"key") + field(b"branchline")),
        armoured(b"SSHSIG\x00\x00\x00\x01" + field(b"key") + b"\xff\xff\xff\xff"),
        armoured(b"SSHSIG\x00\x00\x00\x01" + field(b"key") + field(b"\xff")),
        signature().replace("U1NI", "U1NI="),
        signature() + "; rm -rf /",
        signature() * 2,
        "A" * 1_000_000,
        "-----BEGIN SSH SIGNATURE-----" + "A" * 1_000_000 + "-----END SSH SIGNATURE-----",
    ],
)
def test_what_is_no_signature_is_refused(text):
    with pytest.raises(BadInput) as refused:
        read_signature(text)
    assert refused.value.number == 265
    assert len(str(refused.value)) < 400


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_signature_or_bad_input(data):
    for packed in (data, b"SSHSIG\x00\x00\x00\x01" + data):
        with suppress(BadInput):
            seal = read_signature(armoured(packed))
            assert read_signature(seal.armoured) == seal


def test_a_signature_for_another_namespace_or_by_another_key_is_refused():
    with pytest.raises(Refused, match="'git'") as refused:
        check_seal(read_signature(signature(b"git")), ANN, "ann")
    assert refused.value.number == 267
    with pytest.raises(Refused, match="is not a key of ann") as refused:
        check_seal(read_signature(signature()), ANN, "ann")
    assert refused.value.number == 266


def test_a_key_signs_for_its_person_until_it_is_revoked():
    assert key_problem("SHA256:new", ANN, "ann") is None
    assert "revoked" in key_problem("SHA256:old", ANN, "ann")
    assert "not a key of ann" in key_problem("SHA256:other", ANN, "ann")
    assert "not registered" in key_problem("SHA256:new", None, "bob")


def test_the_latest_of_each_person_is_decisive_and_the_latest_signed_one_is_told_apart():
    signed = replace(SAID, signature="s", fingerprint="f")
    claim = replace(SAID, decision="reject", person="Ann")
    bob = replace(SAID, person="bob")
    assert list(decisive([signed, bob, claim], 1)) == [(claim, signed), (bob, None)]
    assert list(decisive([bob, replace(bob, decision="reject")], 1)) == [
        (replace(bob, decision="reject"), None)
    ]


def test_what_was_said_before_a_change_is_told_where_nothing_was_said_since():
    later = replace(SAID, revision=2)
    assert list(decisive([SAID], 2)) == [(SAID, None)]
    assert list(decisive([SAID, later], 2)) == [(later, None)]


def test_a_comment_is_on_one_line_and_not_too_long():
    assert check_comment(" fine\nby\x00 me\x1b[31m\u202e ") == "fine by me [31m"
    assert check_comment("<b>'; DROP TABLE x; --") == "<b>'; DROP TABLE x; --"
    with pytest.raises(BadInput) as refused:
        check_comment("x" * 501)
    assert refused.value.number == 274
