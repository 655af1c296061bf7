"""How much is tried: `make test` a part of what is alike, `make test-all` more, `make test-kill` every place to be killed at."""

import os

ALL = bool(os.environ.get("BRANCHLINE_TEST_REQUIRE_ALL"))
SERVERS = ALL or bool(os.environ.get("BRANCHLINE_TEST_REQUIRE_SERVERS"))
"""Whether a test that misses a database server fails instead of being skipped."""
EVERYWHERE = ("build", "deploy", "check", "post_deploy")
KILL_EVERYWHERE = bool(os.environ.get("BRANCHLINE_TEST_KILL_EVERYWHERE"))
KILL_EVERY = 1 if KILL_EVERYWHERE else 18
KILL_EVERY_STATEMENT = 1 if KILL_EVERYWHERE else 3
HOOKS = EVERYWHERE if ALL else ("deploy", "post_deploy")
