"""Sanitized copies of PostgreSQL and MariaDB against plain dumps and against other tools: see `python -m benchmarks.data --help`."""
