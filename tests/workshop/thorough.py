"""How much is tried: `make test-all` tries everything, `make test` a part of what is alike."""

import os

ALL = bool(os.environ.get("BRANCHLINE_TEST_REQUIRE_ALL"))
EVERYWHERE = ("build", "deploy", "check", "post_deploy")
HOOKS = EVERYWHERE if ALL else ("deploy", "post_deploy")
