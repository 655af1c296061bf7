"""A step as a Prefect task: in the journal, in the run's log, and never retried or cached by Prefect.

Outside a flow run the task's function is called as it is: `branchline` without a Prefect server, and the
tests of what operations do, need no server for that (docs/decisions/0003).
"""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext

from branchline.platform import Work
from branchline.wiring import open_platform
from tasks.run_log import into_the_run_log

Result = TypeVar("Result")


def journaled(name: str) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """The function gets a Work where its callers give the operation's id."""

    def decorate(function: Callable[..., Result]) -> Callable[..., Result]:
        @functools.wraps(function)
        def in_the_journal(op: str, *args: Any, **kwargs: Any) -> Result:
            platform = open_platform()
            operation = platform.operations.live(op)
            with operation.step(name) as run:
                return function(Work(platform, operation, run), *args, **kwargs)

        @functools.wraps(function)
        def logged(op: str, *args: Any, **kwargs: Any) -> Result:
            with into_the_run_log():
                return in_the_journal(op, *args, **kwargs)

        as_task = task(logged, name=name, task_run_name=name, cache_policy=NO_CACHE, retries=0)

        @functools.wraps(function)
        def call(op: str, *args: Any, **kwargs: Any) -> Result:
            run_it = as_task if FlowRunContext.get() else in_the_journal
            return run_it(op, *args, **kwargs)

        return call

    return decorate
