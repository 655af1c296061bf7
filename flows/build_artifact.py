from prefect import flow

from branchline.steps.preview import Preview
from branchline.steps.summary import Summary
from tasks.build import build_artifact as build
from tasks.operate import building
from tasks.preview import explain_build
from tasks.runs import named, one_clear_error
from tasks.summarize import summarize
from tasks.types import Project, Ref


@flow(name="build", flow_run_name=named("build {ref} of {project}"), retries=0, validate_parameters=False)
@one_clear_error
def build_artifact(project: Project, ref: Ref, dry_run: bool = False) -> Summary | Preview:
    """Make the artifact of a ref, or find the one that its build key has, without deploying it.

    Args:
        project: The project
        ref: Branch, tag or commit
        dry_run: Only say what the build depends on, and whether it was made before
    """
    if dry_run:
        return explain_build(project, ref)
    with building(project, ref) as (op, commit):
        build(op, commit)
    return summarize(op)
