"""Putting right what was cut short."""

from collections.abc import Sequence

from branchline.steps.agree import agree_everywhere
from branchline.wiring import open_platform


def recover() -> Sequence[str]:
    """The ids of the activities that were ended; then the host agrees with every environment's row."""
    platform = open_platform()
    ended = [activity.id for activity in platform.operations.recover()]
    agree_everywhere(platform)
    return ended
