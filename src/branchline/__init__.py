"""What the steps of Branchline's flows do: pure rules, and the adapters around them. Knows no Prefect."""

import os

os.environ.setdefault("POLARS_MAX_THREADS", "1")
"""Read when Polars is imported. Blocks of rows are worked on by threads of our own; handing the parts of each small question to further
ones and waiting for them takes longer than the answer.
"""
