"""The most memory that a sync and the processes it starts have had."""

from __future__ import annotations

import json
import subprocess
from contextlib import suppress

import psutil

from benchmarks.data.commands import COMPLAINT, DidNotRun
from benchmarks.data.contender import Job
from benchmarks.data.high_water import high_water
from benchmarks.data.sync import COMMAND, request

EVERY = 0.02
"""Seconds between two looks."""
LIMIT = 600.0


def peak(job: Job) -> int:
    """Bytes: of all processes that lived at the same time, the sum of the most that each one had until then.

    That most is the kernel's own record, so nothing is missed between two looks.
    """
    with subprocess.Popen(
        COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        child.stdin.write(request(job))
        child.stdin.close()
        child.stdin = None
        parent, most, waited = psutil.Process(child.pid), 0, 0.0
        while child.poll() is None and waited < LIMIT:
            most = max(most, sum(high_water(each.pid) for each in _family(parent)))
            with suppress(subprocess.TimeoutExpired):
                child.wait(EVERY)
            waited += EVERY
        if child.poll() is None:
            child.kill()
        printed, complaint = child.communicate()
    if child.returncode:
        lines = complaint.decode(errors="replace").strip().splitlines()
        raise DidNotRun(" ".join(lines[-COMPLAINT:]))
    return max(most, int(json.loads(printed)["bytes"]))


def _family(parent: psutil.Process) -> list[psutil.Process]:
    """Without a child that is about to become another program, and until then has the parent's memory."""
    with suppress(psutil.NoSuchProcess):
        own = parent.cmdline()
        return [parent, *(child for child in parent.children(recursive=True) if _cmdline(child) != own)]
    return []


def _cmdline(process: psutil.Process) -> list[str] | None:
    with suppress(psutil.Error):
        return process.cmdline()
    return None
