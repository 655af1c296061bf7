"""How a flow's run looks in Prefect: its name, how it ends, and how it fails."""

import functools
import inspect
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from string import Formatter
from typing import Any, ParamSpec, TypeVar

from prefect import get_run_logger
from prefect.context import FlowRunContext
from prefect.exceptions import SignatureMismatchError
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from branchline import errors
from branchline.errors import BadInput, BranchlineError
from branchline.steps import preview as previews
from branchline.steps import summary as summaries
from branchline.steps.preview import Preview
from branchline.steps.releases.listing import ReleaseView
from branchline.steps.summary import Summary
from tasks.presence import recorded
from tasks.summarize import summarize_failure

P = ParamSpec("P")
Result = TypeVar("Result")

STATES: Mapping[type[BranchlineError], str] = {
    errors.BadInput: "Bad input",
    errors.Refused: "Refused",
    errors.Unavailable: "Unavailable",
    errors.Failed: "Failed",
}
"""How the state of a failed run is named, by the kind of its error. `branchline ci` makes exit codes of these names."""
MOST_OF_A_NAME = 100
"""Characters of one parameter in a run's name."""


def named(*sentences: str) -> Callable[[], str]:
    """A run's name: the first of the sentences whose parameters were all given, and whether it is a dry run."""

    def name() -> str:
        given = {
            key: _in_a_name(value) for key, value in flow_run.parameters.items() if value not in (None, "")
        }
        fitting = (each.format_map(given) for each in sentences if _fields(each) <= given.keys())
        sentence = next(fitting, str(flow_run.flow_name))
        return f"dry run: {sentence}" if flow_run.parameters.get("dry_run") is True else sentence

    return name


def one_clear_error(function: Callable[P, Result]) -> Callable[P, Result]:
    """In a run, an error of Branchline's own is the state's message and one line of the log, without a traceback.

    The parameters are checked here, not by Prefect, which would show them with a traceback: the flow is declared with
    `validate_parameters=False`. Whoever called the flow gets the error raised all the same. Other errors keep their
    traceback: they are bugs.
    """
    for logger in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(logger).addFilter(_no_traceback_of_our_errors)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Any:
        if FlowRunContext.get() is None:
            return function(*args, **kwargs)
        given = inspect.signature(function).bind_partial(*args, **kwargs).arguments
        try:
            with recorded():
                return _ended(function(**_checked(function, given)))
        except BranchlineError as error:
            get_run_logger().error("%s", error)
            with suppress(BranchlineError):  # when the platform itself cannot be opened, the message says so
                summarize_failure(error)
            return Failed(message=str(error), name=state_of(error), data=error)

    if "PREFECT__FLOW_RUN_ID" in os.environ:
        call.__signature__ = _nothing_required(inspect.signature(function))  # type: ignore[attr-defined]
    return call


def state_of(error: BranchlineError) -> str:
    """The name of the state of a run that it ended."""
    return next(STATES[kind] for kind in type(error).__mro__ if kind in STATES)


def _ended(result: Any) -> Any:
    """The state of a run that gave this; what is no outcome of ours stays what it is."""
    match result:
        case Summary(outcome="skipped"):
            return Completed(message=summaries.in_words(result), name="Skipped", data=result)
        case Summary():
            return Completed(message=summaries.in_words(result), data=result)
        case Preview():
            return Completed(message=previews.in_words(result), data=result)
        case ReleaseView():
            return Completed(message=f"{result.sentence}, due {result.due}", data=result)
        case [Summary(), *_]:
            name = "Skipped" if all(each.outcome == "skipped" for each in result) else None
            return Completed(message="; ".join(map(summaries.in_words, result)), name=name, data=result)
        case _:
            return result


def _checked(function: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters as the flow's types want them; None is as if it was left out. Raises BadInput."""
    try:
        checked = _form(function).model_validate(
            {key: value for key, value in given.items() if value is not None}
        )
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_input=False)
        )
        raise BadInput(
            343,
            f"The flow {flow_run.flow_name} does not take that: {problems}.",
            "see --help, or its form in the UI",
        ) from None
    return {name: getattr(checked, name) for name in checked.model_fields_set}


@functools.cache
def _form(function: Callable[..., Any]) -> type[BaseModel]:
    fields: dict[str, Any] = {
        name: (field.annotation, ... if field.default is field.empty else field.default)
        for name, field in inspect.signature(function).parameters.items()
    }
    return create_model(function.__name__, __config__=ConfigDict(extra="forbid"), **fields)


def _nothing_required(signature: inspect.Signature) -> inspect.Signature:
    """For the process of a run that a worker started: Prefect would crash it when a parameter was left out."""
    return signature.replace(
        parameters=[
            each.replace(default=None) if each.default is each.empty else each
            for each in signature.parameters.values()
        ]
    )


def _no_traceback_of_our_errors(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(
        error, SignatureMismatchError
    ):  # Prefect crashes a run with a parameter that its flow does not have
        record.msg, record.args, record.exc_info = "%s", (str(error),), None
    return not isinstance(error, BranchlineError)


def _in_a_name(value: Any) -> str:
    """On one line, and not too long."""
    text = " ".join("".join(each if each.isprintable() else " " for each in str(value)).split())
    return text if len(text) <= MOST_OF_A_NAME else f"{text[:MOST_OF_A_NAME]}..."


def _fields(sentence: str) -> set[str]:
    return {field for _, field, _, _ in Formatter().parse(sentence) if field}
