"""The example of a work pool per environment: what it registers exists, and repeats the flows of prefect.yaml."""

import inspect
from pathlib import Path

import yaml

from branchline.launch.here import load_flow
from tests.workshop.home import CHECKOUT

FILE = yaml.safe_load((CHECKOUT / "deployments/pool-per-environment.yaml").read_text())
ALL = yaml.safe_load((CHECKOUT / "deployments/prefect.yaml").read_text())


def test_it_registers_flows_that_prefect_yaml_registers_too_with_parameters_that_they_have() -> None:
    known = {each["entrypoint"] for each in ALL["deployments"]}
    for each in FILE["deployments"]:
        assert each["entrypoint"] in known
        flow = load_flow(Path(each["entrypoint"].partition(":")[0]).stem)
        assert each["parameters"].keys() <= inspect.signature(flow.fn).parameters.keys()


def test_its_runs_outlive_a_worker_and_find_the_flows_as_the_others_do() -> None:
    assert FILE["pull"] == ALL["pull"]
    for each in FILE["deployments"]:
        assert each["work_pool"]["job_variables"]["stream_output"] is False


def test_no_two_have_one_name() -> None:
    names = [(each["entrypoint"], each["name"]) for each in [*FILE["deployments"], *ALL["deployments"]]]
    assert len(names) == len(set(names))
