"""The ways in which an operation can say no. Each is numbered in docs/errors.md.

The class says whether to try again and is the exit code of the command; the message is one
sentence with the reason; the hint is what to do next, a command where there is one.
"""

from __future__ import annotations

from typing import ClassVar


class BranchlineError(Exception):
    """What every error of Branchline's own is."""

    exit_code: ClassVar[int] = 1

    def __init__(self, number: int, message: str, hint: str = "") -> None:
        super().__init__(number, message, hint)
        self.number = number
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        text = f"{self.message} [B{self.number}]"
        return f"{text}\n  next: {self.hint}" if self.hint else text


class Failed(BranchlineError):  # noqa: N818 - the kinds of a no, not of a mistake
    """It broke. What was begun is removed; a new attempt is a new activity."""


class Refused(BranchlineError):  # noqa: N818 - the kinds of a no, not of a mistake
    """A rule said no. Trying again without changing anything is refused again."""

    exit_code = 3


class BadInput(Refused):
    """What was asked for makes no sense here: an unknown name, a broken file. Nothing was changed."""

    exit_code = 2


class Unavailable(BranchlineError):  # noqa: N818 - the kinds of a no, not of a mistake
    """Somebody else is at it, or a service does not answer: try again later."""

    exit_code = 4
