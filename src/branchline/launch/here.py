"""Runs a flow in this process.

With PREFECT_API_URL the flow runs here as a Prefect flow run that the server shows. Without it the same
function runs plainly: the activity is the record, and nothing has to be started first.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from typing import Any

from prefect.flows import Flow
from prefect.logging.configuration import setup_logging
from prefect.logging.handlers import PrefectConsoleHandler
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from branchline.wiring import CHECKOUT


def run_flow(file: str, parameters: dict[str, Any]) -> Any:
    """The result of the flow in flows/<file>.py. Raises what its steps raise; on a server, BadInput for its parameters too."""
    flow = load_flow(file)
    if not os.environ.get("PREFECT_API_URL"):
        return flow.fn(**parameters)
    _keep_prefect_off_the_terminal()
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        return flow(**parameters)


def _keep_prefect_off_the_terminal() -> None:
    """Steps and errors are shown by whoever called; Prefect's own lines go to its server only."""
    if os.environ.get("BRANCHLINE_DEBUG"):
        return
    setup_logging()
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, PrefectConsoleHandler)]:
        root.removeHandler(handler)


def load_flow(file: str) -> Flow[..., Any]:
    """The flow of flows/<file>.py, which has the same name."""
    if str(CHECKOUT) not in sys.path:
        sys.path.insert(0, str(CHECKOUT))
    flow = getattr(importlib.import_module(f"flows.{file}"), file)
    assert isinstance(flow, Flow)
    return flow
