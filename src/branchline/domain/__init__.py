"""Frozen values and pure functions: the words of docs/reference and the rules about them."""
