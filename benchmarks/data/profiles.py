"""What is copied: profile A, mostly pass-through, and profile B, every row masked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import polars as pl

from benchmarks.data.values import (
    CITIES,
    FIRST_NAMES,
    LAST_NAMES,
    NOTES,
    STREETS,
    WAYS,
    amount,
    digits,
    draw,
    moment,
    mostly_empty,
    one_of,
)

ROWS_IN_A_BLOCK = 100_000


@dataclass(frozen=True)
class Table:
    """`columns`: name to (SQL type, value); the first one is the primary key. `masked`: name to mask. `after`: statements
    that make indexes and foreign keys, once the rows are in.
    """

    name: str
    rows: int
    columns: Mapping[str, tuple[str, pl.Expr]]
    masked: Mapping[str, str] = field(default_factory=dict)
    after: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return next(iter(self.columns))

    @property
    def ddl(self) -> str:
        body = ", ".join(f"{name} {kind}" for name, (kind, _) in self.columns.items())
        return f"CREATE TABLE {self.name} ({body}, PRIMARY KEY ({self.key}))"

    def text(self) -> Iterator[bytes]:
        """Its rows as both engines' bulk loaders read them: tabs between values, \\N for NULL."""
        values = [value.alias(name) for name, (_, value) in self.columns.items()]
        for first in range(1, self.rows + 1, ROWS_IN_A_BLOCK):
            numbers = pl.DataFrame(
                {"n": pl.int_range(first, min(first + ROWS_IN_A_BLOCK, self.rows + 1), eager=True)}
            )
            yield (
                numbers.select(values)
                .write_csv(
                    separator="\t",
                    include_header=False,
                    null_value="\\N",
                    quote_style="never",
                    float_precision=2,
                    datetime_format="%Y-%m-%d %H:%M:%S",
                )
                .encode()
            )


@dataclass(frozen=True)
class Profile:
    """A database's worth of tables, parents first."""

    name: str
    title: str
    tables: tuple[Table, ...]

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)

    @property
    def policy(self) -> str:
        """As Branchline reads it."""
        lines = ["tables:"]
        for table in self.tables:
            rules = ", ".join(f"{name}: '{table.masked.get(name, 'keep')}'" for name in table.columns)
            lines += [f"  {table.name}:", f"    columns: {{{rules}}}"]
        return "\n".join(lines) + "\n"


N = pl.col("n")
FIRST, LAST = one_of(FIRST_NAMES, 1), one_of(LAST_NAMES, 2)
CUSTOMERS = Table(
    "customers",
    1_000_000,
    {
        "id": ("bigint NOT NULL", N),
        "email": (
            "varchar(190) NOT NULL",
            pl.format(
                "{}.{}{}@mail{}.example",
                FIRST.str.to_lowercase(),
                LAST.str.to_lowercase().str.replace_all("'", ""),
                N,
                draw(3, 50),
            ),
        ),
        "first_name": ("varchar(80) NOT NULL", FIRST),
        "last_name": ("varchar(80) NOT NULL", LAST),
        "phone": ("varchar(40)", mostly_empty(pl.format("+1 {}-{}", digits(4, 3), digits(5, 7)), 6, 90)),
        "street": (
            "varchar(190) NOT NULL",
            pl.format("{} {} {}", draw(7, 400) + 1, one_of(STREETS, 8), one_of(WAYS, 9)),
        ),
        "city": ("varchar(80) NOT NULL", one_of(CITIES, 10)),
        "balance": ("numeric(10,2) NOT NULL", amount(11, 5000)),
        "status": ("varchar(20) NOT NULL", one_of(("active", "active", "active", "blocked", "new"), 12)),
        "reset_token": (
            "varchar(64)",
            mostly_empty(pl.concat_str(digits(salt, 8) for salt in (13, 14, 15, 16)), 17, 20),
        ),
        "created_at": ("{moment} NOT NULL", moment(18)),
        "notes": ("text", mostly_empty(one_of(NOTES, 19), 20, 40)),
    },
    {
        "email": "email",
        "first_name": "first_name",
        "last_name": "last_name",
        "phone": "phone",
        "street": "street",
        "reset_token": "null",
    },
    ("CREATE INDEX customers_email ON customers (email)",),
)
ORDERS = Table(
    "orders",
    100_000,
    {
        "id": ("bigint NOT NULL", N),
        "customer_id": ("bigint NOT NULL", draw(31, 100_000) + 1),
        "number": ("varchar(20) NOT NULL", pl.format("2-{}", N.cast(pl.String).str.zfill(9))),
        "status": ("varchar(20) NOT NULL", one_of(("complete", "complete", "processing", "canceled"), 32)),
        "total": ("numeric(12,2) NOT NULL", amount(33, 900)),
        "currency": ("char(3) NOT NULL", one_of(("EUR", "USD", "GBP"), 34)),
        "items": ("integer NOT NULL", draw(35, 12) + 1),
        "shipping": ("varchar(40)", mostly_empty(one_of(("flat rate", "express", "pick-up"), 36), 37, 95)),
        "created_at": ("{moment} NOT NULL", moment(38)),
    },
    after=(
        "CREATE INDEX orders_customer ON orders (customer_id)",
        "ALTER TABLE orders ADD CONSTRAINT orders_of_customers FOREIGN KEY (customer_id) REFERENCES customers (id)",
    ),
)
MOVEMENTS = Table(
    "stock_movements",
    100_000,
    {
        "id": ("bigint NOT NULL", N),
        "sku": ("varchar(40) NOT NULL", pl.format("SKU-{}-{}", digits(41, 4), digits(42, 2))),
        "warehouse": ("varchar(20) NOT NULL", one_of(("north", "south", "returns"), 43)),
        "moved": ("integer NOT NULL", draw(44, 200) - 100),
        "price": ("numeric(10,4) NOT NULL", amount(45, 300)),
        "happened_at": ("{moment} NOT NULL", moment(46)),
        "remark": (
            "text",
            mostly_empty(one_of(("counted by hand", "damaged\\\\box", "inventory"), 47), 48, 15),
        ),
    },
    after=("CREATE INDEX stock_movements_sku ON stock_movements (sku)",),
)


def profile_a(rows: int = 300_000) -> Profile:
    """A third of the rows in each of three tables, one of which is masked."""
    each = rows // 3
    buyer = ("bigint NOT NULL", draw(31, each) + 1)
    return Profile(
        "A",
        "mostly pass-through",
        (
            replace(CUSTOMERS, rows=each, after=()),
            replace(ORDERS, rows=each, columns={**ORDERS.columns, "customer_id": buyer}),
            replace(MOVEMENTS, rows=each),
        ),
    )


def profile_b(rows: int = 1_000_000) -> Profile:
    """Rows of 12 columns, 6 of them masked."""
    return Profile("B", "every row masked", (replace(CUSTOMERS, rows=rows),))


PROFILES: Mapping[str, Callable[[int], Profile]] = {"A": profile_a, "B": profile_b}
ROWS = {"A": 300_000, "B": 1_000_000}
ROUNDS = {"A": 5, "B": 1}
"""For each repeat that is asked for. A copy of A takes a second, in which whatever else a machine does weighs a tenth: medians of five
runs gave 1.11x and 1.33x in one run for two that do the same, of 21 runs 1.15x and 1.18x."""
