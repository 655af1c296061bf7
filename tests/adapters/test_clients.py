"""Rows as client programs write them are passed on whole, in blocks of whole lines."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from branchline.adapters.databases import clients


@given(st.lists(st.text("ab", max_size=9), max_size=30), st.booleans(), st.integers(1, 8), st.integers(8, 40))
def test_blocks_end_where_lines_do_and_hold_all_that_came(
    lines: list[str], ended: bool, piece: int, block: int
) -> None:
    written = ("\n".join(lines) + "\n" * ended).encode()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(clients, "PIPE_BYTES", piece)
        patched.setattr(clients, "BLOCK_BYTES", block)
        blocks = list(clients.line_blocks(io.BytesIO(written)))
    assert b"".join(blocks) == written
    assert all(each.endswith(b"\n") for each in blocks[:-1])
    assert all(len(each) >= block - piece for each in blocks[1:-1])
