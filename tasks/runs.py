"""How a flow's run looks in Prefect: its name, and how it fails."""

import functools
import logging
from collections.abc import Callable
from string import Formatter
from typing import Any, ParamSpec, TypeVar

from prefect import get_run_logger
from prefect.context import FlowRunContext
from prefect.runtime import flow_run
from prefect.states import Failed

from branchline.errors import BranchlineError

P = ParamSpec("P")
Result = TypeVar("Result")


def named(*sentences: str) -> Callable[[], str]:
    """A run's name: the first of the sentences whose parameters were all given, and whether it is a dry run."""

    def name() -> str:
        given = {key: value for key, value in flow_run.parameters.items() if value not in (None, "")}
        sentence = next(each for each in sentences if _fields(each) <= given.keys()).format_map(given)
        return f"dry run: {sentence}" if given.get("dry_run") else sentence

    return name


def one_clear_error(function: Callable[P, Result]) -> Callable[P, Result]:
    """In a run, an error of Branchline's own is the state's message and one line of the log, without a traceback.

    Whoever called the flow gets it raised all the same. Other errors keep their traceback: they are bugs.
    """
    for logger in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(logger).addFilter(_no_traceback_of_our_errors)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Any:
        try:
            return function(*args, **kwargs)
        except BranchlineError as error:
            if FlowRunContext.get() is None:
                raise
            get_run_logger().error("%s", error)
            return Failed(message=str(error), data=error)

    return call


def _no_traceback_of_our_errors(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], BranchlineError))


def _fields(sentence: str) -> set[str]:
    return {field for _, field, _, _ in Formatter().parse(sentence) if field}
