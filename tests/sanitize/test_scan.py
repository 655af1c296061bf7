"""The filter that remembers originals: it may err, but never forgets."""

from __future__ import annotations

import polars as pl

from branchline.sanitize.scan import Filter


def test_no_form_is_forgotten_where_many_of_a_block_meet_in_one_word_of_the_filter() -> None:
    forms = pl.int_range(300_000, eager=True).cast(pl.String)  # some 5,000 pairs of them do
    remembered = Filter()
    remembered.add(forms)
    assert remembered.has(forms).all()
    assert not remembered.has("other " + forms).any()
