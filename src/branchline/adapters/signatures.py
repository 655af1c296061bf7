"""Signatures by SSH keys, made and verified by OpenSSH's own ssh-keygen."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from branchline.domain.approval import NAMESPACE
from branchline.errors import BadInput, Failed, Unavailable

SIGNER = "signer"
"""What allowed_signers calls whoever may have signed: whose keys these are is not ssh-keygen's business."""
VERIFY_SECONDS = 10.0
SIGN_SECONDS = 300.0
"""A person types a passphrase, or touches a token."""
_LAST_WORDS = 300


class SshSignatures:
    """Keeps nothing: its files, readable by this user only, lie in a directory that is gone afterwards."""

    def __init__(self, program: str = "ssh-keygen") -> None:
        self._program = program

    def fingerprint(self, public_key: str) -> str:
        with tempfile.TemporaryDirectory(prefix="branchline-key-") as directory:
            path = _write(directory, "key.pub", f"{public_key}\n")
            done = self._run(["-l", "-E", "sha256", "-f", path], b"", VERIFY_SECONDS, _CLEAN)
        found = re.match(r"\d+ (SHA256:[A-Za-z0-9+/]{43}) ", done.stdout.decode(errors="replace"))
        if done.returncode or not found:
            raise BadInput(
                262,
                "This is no public key: ssh-keygen cannot read it.",
                "give a file such as ~/.ssh/id_ed25519.pub",
            )
        return found[1]

    def verify(self, text: str, signature: str, keys: Sequence[str]) -> bool:
        with tempfile.TemporaryDirectory(prefix="branchline-signature-") as directory:
            allowed = "".join(f'{SIGNER} namespaces="{NAMESPACE}" {key}\n' for key in keys)
            signers = _write(directory, "allowed_signers", allowed)
            signed = _write(directory, "signature", signature)
            command = ["-Y", "verify", "-n", NAMESPACE, "-I", SIGNER, "-f", signers, "-s", signed]
            done = self._run(command, text.encode(), VERIFY_SECONDS, _CLEAN)
        return done.returncode == 0

    def sign(self, text: str, key: Path) -> str:
        command = ["-q", "-Y", "sign", "-n", NAMESPACE, "-f", str(key)]
        done = self._run(command, text.encode(), SIGN_SECONDS, os.environ, told_to_person=sys.stderr.isatty())
        if done.returncode:
            words = " ".join((done.stderr or b"").decode(errors="replace").split())[-_LAST_WORDS:]
            raise Failed(
                275,
                f"ssh-keygen did not sign with {key}: {words or f'exit status {done.returncode}'}.",
                "name another key with --key; for one in ssh-agent, its public half",
            )
        return done.stdout.decode()

    def _run(
        self,
        arguments: Sequence[str],
        data: bytes,
        seconds: float,
        environ: Mapping[str, str],
        *,
        told_to_person: bool = False,
    ) -> subprocess.CompletedProcess[bytes]:
        """It asks for a passphrase on the terminal, never on its input; that it waits for a token to be touched, it says."""
        command = [self._program, *arguments]
        pipe, error = subprocess.PIPE, None if told_to_person else subprocess.PIPE
        try:
            with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=error, env=environ) as process:
                try:
                    out, err = process.communicate(data, timeout=seconds)
                except subprocess.TimeoutExpired:
                    process.terminate()  # so that it gives the terminal back as it was
                    raise
                except BaseException:
                    process.kill()
                    raise
        except FileNotFoundError:
            raise Failed(269, "ssh-keygen is not installed.", "apt-get install openssh-client") from None
        except subprocess.TimeoutExpired:
            raise Unavailable(
                270, f"ssh-keygen did not answer within {seconds:g} seconds.", "try it again"
            ) from None
        return subprocess.CompletedProcess(command, process.returncode, out, err)


_CLEAN = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "SSH_ASKPASS_REQUIRE": "never"}


def _write(directory: str, name: str, text: str) -> str:
    path = Path(directory) / name
    path.touch(mode=0o600)
    path.write_text(text)
    return str(path)
