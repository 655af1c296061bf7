from prefect import flow

from tasks.push import follow_remote
from tasks.runs import named, one_clear_error
from tasks.types import Project, RemoteUrl


@flow(
    name="watch-remote",
    flow_run_name=named("follow a remote of {project}"),
    retries=0,
    validate_parameters=False,
)
@one_clear_error
def watch_remote(project: Project, url: RemoteUrl) -> str:
    """Fetch an outside repository's branches and deploy what has moved there, as pushes of `watch-remote`.

    Args:
        project: The project whose branches follow
        url: Where to fetch from; without a password or token, which Git takes from its own credential helpers
    """
    return follow_remote(project, url)
