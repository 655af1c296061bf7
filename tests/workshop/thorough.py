"""How much is tried: `make test` a part of what is alike, `make test-all` more, `make test-kill` every place to be killed at."""

import os

ALL = bool(os.environ.get("BRANCHLINE_TEST_REQUIRE_ALL"))
SERVERS = ALL or bool(os.environ.get("BRANCHLINE_TEST_REQUIRE_SERVERS"))
"""Whether a test that misses a database server fails instead of being skipped."""
EVERYWHERE = ("build", "deploy", "check", "post_deploy")
KILL_EVERY = 1 if os.environ.get("BRANCHLINE_TEST_KILL_EVERYWHERE") else 18
HOOKS = EVERYWHERE if ALL else ("deploy", "post_deploy")
