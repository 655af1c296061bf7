"""What the dispatcher does, one duty in each file: `EVERY` seconds it calls `run`."""
