"""Starting flows, here or on a Prefect server, and keeping such a server. The only room of the package that knows Prefect.

Prefect tells its makers when it is imported in a terminal for the first time, unless it is told not to before that.
"""

import os

os.environ["DO_NOT_TRACK"] = "1"

from branchline.launch.here import run_flow

__all__ = ["run_flow"]
