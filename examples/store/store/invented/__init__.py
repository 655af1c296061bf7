"""Invented customers and what they did, for demonstrations and tests."""

from store.invented.shop import PASSWORD, fill

__all__ = ["PASSWORD", "fill"]
