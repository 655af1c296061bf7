"""Giving a slot back."""

from branchline.platform import Work
from branchline.steps import deactivate as deactivating
from tasks.journaled import journaled


@journaled("deactivate")
def deactivate(work: Work) -> None:
    deactivating.deactivate(work)
