"""How a database spells and orders its texts: chosen when it is made, and for good."""

from __future__ import annotations

from dataclasses import dataclass

from branchline.adapters.databases.postgresql_connection import Connection, literal

_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}


@dataclass(frozen=True, slots=True)
class Locale:
    """`provider` and `locale` are empty for versions of PostgreSQL that know libc only."""

    encoding: str
    collate: str
    ctype: str
    provider: str
    locale: str

    @property
    def sql(self) -> str:
        """What CREATE DATABASE is told."""
        told = {"ENCODING": self.encoding, "LC_COLLATE": self.collate, "LC_CTYPE": self.ctype}
        if self.provider:
            told["LOCALE_PROVIDER"] = self.provider
        if self.locale:
            told[f"{self.provider.upper()}_LOCALE"] = self.locale
        return " ".join(f"{name} {literal(value)}" for name, value in told.items())


def locale_of(connection: Connection) -> Locale:
    """Of the database that a connection is to."""
    question = "SELECT to_jsonb(d), pg_encoding_to_char(encoding) FROM pg_database d WHERE datname = current_database()"
    ((found, encoding),) = connection.execute(question).fetchall()
    return Locale(
        encoding,
        found["datcollate"],
        found["datctype"],
        _PROVIDERS.get(found.get("datlocprovider"), ""),
        found.get("datlocale") or found.get("daticulocale") or "",
    )
