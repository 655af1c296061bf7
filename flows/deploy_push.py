from prefect import flow

from branchline.steps.summary import Summary
from tasks.build import build_artifact
from tasks.deactivate import deactivate
from tasks.deploy import check_candidate, finish, preflight_deploy, prepare_data, prepare_release, switch
from tasks.operate import operation, skipped
from tasks.push import begin, claimed, named_after_the_push
from tasks.runs import one_clear_error
from tasks.summarize import summarize
from tasks.types import PushNumber


@flow(name="push", flow_run_name=named_after_the_push(), retries=0, validate_parameters=False)
@one_clear_error
def deploy_push(push: PushNumber) -> Summary:
    """Deploy the commit that was pushed to a branch on its environment; where the branch was deleted, free the slot.

    Args:
        push: The number of a push, as `branchline push list` shows it
    """
    with claimed(push) as claim:
        target, commit, branch = claim.environment, claim.push.new, claim.push.branch
        if commit is None:
            with operation(
                "deactivate",
                target,
                sentence=f"deactivate {target}, whose branch {branch} was deleted",
                actor=claim.push.pusher,
                push=push,
                wait=True,
            ) as op:
                begin(op, claim)
                deactivate(op)
                if not skipped(op):
                    finish(op)
            return summarize(op)
        with operation(
            "deploy",
            target,
            sentence=f"deploy {commit[:12]}, pushed to {branch}, to {target}",
            actor=claim.push.pusher,
            ref=commit,
            push=push,
            wait=True,
        ) as op:
            begin(op, claim)
            commit = preflight_deploy(op, commit, force=False, retry_bad=None)
            if not skipped(op):
                artifact = build_artifact(op, commit)
                deployment = prepare_release(op, commit, artifact)
                prepare_data(op, deployment)
                check_candidate(op, deployment)
                switch(op, deployment)
                finish(op)
        return summarize(op)
