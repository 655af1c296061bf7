"""The state database: the truth about environments. Tables are private to this package; dataclasses come out."""
