from collections.abc import Iterator

import pytest

from tests.kill.children import Children, children


@pytest.fixture(scope="session")
def flows() -> Iterator[Children]:
    """Runs flows in processes of their own, without importing everything anew."""
    with children() as started:
        yield started
