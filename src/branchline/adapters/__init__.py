"""The outside world, one file per thing in it; each answers a protocol of branchline.ports."""
