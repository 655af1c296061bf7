"""Starting flows, here or on a Prefect server, and keeping such a server. The only room of the package that knows Prefect."""

from branchline.launch.here import run_flow

__all__ = ["run_flow"]
