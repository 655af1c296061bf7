"""Harbour & Clay: a small web shop, standard library only."""
