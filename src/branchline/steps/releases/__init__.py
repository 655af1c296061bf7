"""Timed releases: asked for, changed, run when they are due, shown."""
