"""Signatures by the real ssh-keygen."""

import os
import pty
import stat
import subprocess
import sys
import tempfile

import pytest

from branchline.adapters.signatures import SshSignatures
from branchline.domain.approval import read_signature
from branchline.domain.person import read_public_key
from branchline.errors import BadInput, Failed, Unavailable
from tests.workshop.ssh_keys import made_key
from tests.workshop.waiting import until

TEXT = "release: r-1\nartifact: sha256:ab\n"


@pytest.fixture
def signatures():
    return SshSignatures()


@pytest.fixture
def key(tmp_path):
    return made_key(tmp_path / "id_ann")


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """Where temporary files go."""
    directory = tmp_path / "scratch"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    return directory


def public(key):
    return read_public_key(key.public)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_signature_is_verified_by_its_key_over_its_text_only(signatures, tmp_path, scratch, kind):
    key, other = made_key(tmp_path / "one", kind), made_key(tmp_path / "other", kind)
    signature = signatures.sign(TEXT, key.path)
    assert signatures.verify(TEXT, signature, [public(other), public(key)])
    assert not signatures.verify(TEXT.replace("r-1", "r-2"), signature, [public(key)])
    assert not signatures.verify(TEXT + "\n", signature, [public(key)])
    assert not signatures.verify(TEXT, signature, [public(other)])
    assert not signatures.verify(TEXT, signature, [])
    assert list(scratch.iterdir()) == []


def test_a_signature_for_something_else_does_not_count(signatures, key):
    assert not signatures.verify(TEXT, key.sign(TEXT, namespace="git"), [public(key)])
    assert not signatures.verify(TEXT, "no signature", [public(key)])


def test_a_signature_says_which_key_made_it_and_what_for(signatures, key):
    seal = read_signature(key.sign(TEXT, namespace="file"))
    assert (seal.fingerprint, seal.namespace) == (signatures.fingerprint(public(key)), "file")


def test_a_signature_whose_lines_a_form_has_joined_is_the_same(signatures, key):
    signature = signatures.sign(TEXT, key.path)
    for joined in (
        signature.replace("\n", ""),
        signature.replace("\n", " "),
        signature.replace("\n", "\r\n"),
    ):
        assert read_signature(joined).armoured == signature


def test_a_fingerprint_is_the_one_that_ssh_keygen_shows(signatures, key, scratch):
    shown = subprocess.run(["ssh-keygen", "-lf", key.public_path], capture_output=True, text=True, check=True)
    assert signatures.fingerprint(public(key)) == shown.stdout.split()[1]
    assert list(scratch.iterdir()) == []


def test_what_only_looks_like_a_key_is_refused(signatures):
    with pytest.raises(BadInput) as refused:
        signatures.fingerprint("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAA")
    assert refused.value.number == 262


def test_files_are_for_this_user_only_while_they_are_there(tmp_path, scratch, key):
    """A stand-in for ssh-keygen writes down what it was given."""
    program = tmp_path / "ssh-keygen"
    program.write_text('#!/bin/sh\nstat -c "%a" "$8" "${10}" "$(dirname "$8")" > "$0.modes"\nexit 1\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert not SshSignatures(str(program)).verify(TEXT, key.sign(TEXT), [public(key)])
    assert (tmp_path / "ssh-keygen.modes").read_text().split() == ["600", "600", "700"]
    assert list(scratch.iterdir()) == []


def test_without_ssh_keygen_it_is_said_what_to_install():
    with pytest.raises(Failed, match="openssh-client") as failed:
        SshSignatures("no-such-ssh-keygen").verify(TEXT, "x", [])
    assert failed.value.number == 269


def test_an_ssh_keygen_that_hangs_is_ended(tmp_path, monkeypatch, scratch):
    program = tmp_path / "ssh-keygen"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o700)
    monkeypatch.setattr("branchline.adapters.signatures.VERIFY_SECONDS", 0.05)
    with pytest.raises(Unavailable) as unavailable:
        SshSignatures(str(program)).verify(TEXT, "x", [])
    assert unavailable.value.number == 270
    assert list(scratch.iterdir()) == []


def test_a_key_that_cannot_sign_says_why_and_nothing_of_the_key(signatures, tmp_path, key):
    broken = tmp_path / "broken"
    broken.write_text(
        "-----BEGIN OPENSSH PRIVATE KEY-----\nsecretsecret\n-----END OPENSSH PRIVATE KEY-----\n"
    )
    broken.chmod(0o600)
    with pytest.raises(Failed) as failed:
        signatures.sign(TEXT, broken)
    assert failed.value.number == 275
    assert "secretsecret" not in str(failed.value)


def test_a_passphrase_is_asked_for_on_the_terminal(tmp_path):
    key = made_key(tmp_path / "locked", passphrase="open sesame")
    program = (
        "from pathlib import Path; from branchline.adapters.signatures import SshSignatures; "
        f"Path({str(tmp_path / 'made')!r}).write_text(SshSignatures().sign({TEXT!r}, Path({str(key.path)!r})))"
    )
    child, terminal = pty.fork()
    if child == 0:
        os.environ.pop("SSH_AUTH_SOCK", None)
        os.execv(sys.executable, [sys.executable, "-c", program])
    seen = b""
    while b"passphrase" not in seen:
        seen += os.read(terminal, 1000)
    os.write(terminal, b"open sesame\n")
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    assert status == 0
    assert SshSignatures().verify(TEXT, (tmp_path / "made").read_text(), [public(key)])


def test_a_key_in_the_agent_signs_by_its_public_half(signatures, tmp_path, monkeypatch):
    key = made_key(tmp_path / "id")
    socket = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        until(socket.exists)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        subprocess.run(["ssh-add", "-q", str(key.path)], check=True)
        key.path.unlink()
        signature = signatures.sign(TEXT, key.public_path)
    finally:
        agent.terminate()
        agent.wait()
    assert signatures.verify(TEXT, signature, [public(key)])
