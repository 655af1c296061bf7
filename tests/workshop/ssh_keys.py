"""SSH keys of people, made by ssh-keygen."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SshKey:
    """The private half lies at `path`, the public one beside it."""

    path: Path

    @property
    def public(self) -> str:
        return self.path.with_suffix(".pub").read_text()

    @property
    def public_path(self) -> Path:
        return self.path.with_suffix(".pub")

    def sign(self, text: str, namespace: str = "branchline") -> str:
        done = subprocess.run(
            ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", str(self.path)],
            input=text,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout


def made_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> SshKey:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", f"{path.name}@host", "-f", str(path)],
        check=True,
    )
    return SshKey(path)
