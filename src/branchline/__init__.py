"""What the steps of Branchline's flows do: pure rules, and the adapters around them. Knows no Prefect."""

import os

os.environ.setdefault("POLARS_MAX_THREADS", "1")
"""Read when Polars is imported. Blocks of rows are worked on by threads of our own; handing the parts of each small question to further
ones and waiting for them takes longer than the answer.
"""
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:100,muzzy_decay_ms:0")
"""Read by Polars' allocator: what a block leaves is given back within a tenth of a second, not in half of one. Five million masked rows then
take 360 MiB and not 386, a hundred thousand about 320 as before, and a sync takes as long (within what repeated measurements differ by).
"""
