"""Masking the blocks of one table."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import polars as pl

from branchline.domain.policy import ColumnRule, Policy, TableRule
from branchline.domain.schema import Table
from branchline.errors import Failed, Refused
from branchline.ports import Block
from branchline.sanitize.drawing import Draw, Person, joined, replaced, where
from branchline.sanitize.masks import DOMAIN, Mask, Unmaskable, catalogue
from branchline.sanitize.scan import Originals
from branchline.sanitize.texts import as_text

ATTEMPTS = 16
_BY_PERSON = ("first_name", "last_name", "full_name", "username", "date_shift")


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    mask: Mask
    draw: Draw
    identity: str


@dataclass(frozen=True, slots=True)
class TableMasker:
    """Takes a block of a table's masked columns and gives it masked; remembers the originals where there is to."""

    table: str
    rule: TableRule
    masked: tuple[_Column, ...]
    originals: Originals | None

    @property
    def columns(self) -> list[str]:
        """Which columns it masks: all but the kept."""
        return [column.name for column in self.masked]

    def __call__(self, block: Block) -> pl.DataFrame:
        people: dict[str, Person] = {}
        done = []
        for column in self.masked:
            values = block.frame[column.name]
            masked = self._masked(column, values, block.frame, people)
            done.append(_passing(block.keep, values, masked).alias(column.name))
        if self.originals is not None:
            self.originals.aside.put(partial(self._remember, self.originals, block))
        return pl.DataFrame(done)

    def _remember(self, originals: Originals, block: Block) -> None:
        for identifying in (True, False):
            columns = [block.frame[each.name] for each in self.masked if each.mask.identifying == identifying]
            names = whole_names(self.rule, block.frame) if identifying else []
            originals.add([*columns, *names], identifying=identifying, keep=block.keep)
        if block.beside is None:
            originals.echoes.missed.add(self.table)
            return
        secret = [block.frame[each.name] for each in self.masked if each.mask.draws and each.mask.identifying]
        originals.echoes.look(self.table, secret, block.beside, block.keep)

    def _masked(
        self, column: _Column, values: pl.Series, frame: pl.DataFrame, people: dict[str, Person]
    ) -> pl.Series:
        """Raises Refused or Failed that name the column; libraries' errors quote values, so none is passed on."""
        where_, failure, broken = f"{self.table}.{column.name}", "", ""
        try:
            draw = column.draw
            if column.identity:
                draw = replace(draw, person=self._person(column, frame, people))
            return apply(column.mask, values, draw)
        except Unmaskable as error:
            failure = str(error)
        except Failed:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it may hold a value
            broken = type(error).__name__
        if failure:
            what = f"{where_} {failure}; the mask {column.mask.name} cannot mask that."
            raise Refused(502, what, "Choose another mask for it in sanitize.yaml.")
        what = f"The mask {column.mask.name} failed on {where_} ({broken})."
        raise Failed(517, what, "Choose another mask for it in sanitize.yaml, and report this.")

    def _person(self, column: _Column, frame: pl.DataFrame, people: dict[str, Person]) -> Person | None:
        identity = frame[column.identity]
        if identity.dtype != pl.String:
            return None
        if column.identity not in people:
            people[column.identity] = column.draw.someone(identity, "email")
        return people[column.identity]


def masker_for(
    table: Table,
    rule: TableRule,
    locale: str,
    key: bytes,
    originals: Originals | None,
    by_value: bool = False,
) -> TableMasker:
    """Plans one table. `by_value`: user names are drawn from themselves in every table, so that joins on them hold. What refers
    to another table is drawn as what it refers to is: as unique.
    """
    masks = catalogue()
    columns = []
    referring = {name for foreign in table.foreign_keys for name in foreign.columns}
    for name, chosen in rule.columns.items():
        column = table.column(name)
        if column is None or column.generated or chosen.mask == "keep":
            continue
        apart = column.unique or name in referring
        draw = Draw(
            key,
            locale,
            chosen.parameters,
            apart,
            length=column.length,
            highest=column.highest,
            scale=column.scale,
        )
        columns.append(
            _Column(name, masks[chosen.mask], draw, identity_of(rule, name, chosen, by_value=by_value))
        )
    return TableMasker(table.name, rule, tuple(columns), originals)


def fill_pools(policy: Policy) -> None:
    """Has the policy's masks make the values that they pick from, before the first row waits for them."""
    masks = catalogue()
    used = {
        rule.mask for table in policy.tables.values() for rule in table.columns.values() if rule.mask in masks
    }
    for name in sorted(used):
        if not masks[name].needs:
            with suppress(Unmaskable):
                masks[name].apply(pl.Series(["nobody"]), Draw(b"nothing", policy.locale))


def whole_names(rule: TableRule, frame: pl.DataFrame) -> list[pl.Series]:
    """First and last names of a row as one: apart they are everybody's words, together they are a person."""
    firsts, lasts = (
        [
            name
            for name, chosen in rule.columns.items()
            if chosen.mask == mask and frame[name].dtype == pl.String
        ]
        for mask in ("first_name", "last_name")
    )
    return [
        joined(frame[first], frame[last], between=" ") for first, last in zip(firsts, lasts, strict=False)
    ]


def identity_of(rule: TableRule, name: str, chosen: ColumnRule, *, by_value: bool = False) -> str:
    """The column that says who a row is about, for a mask that asks: the one named, else the table's first masked e-mail,
    else its first masked user name. Empty: the value itself decides.
    """
    if chosen.mask == "email":
        return name if not chosen.parameters.get("identity") else ""
    if chosen.mask not in _BY_PERSON or (chosen.mask == "username" and by_value):
        return ""
    said = chosen.parameters.get("identity")
    if said is not None:
        return "" if said == "none" else str(said)
    kinds = ("email",) if chosen.mask == "username" else ("email", "username")
    for kind in kinds:
        found = next((other for other, other_rule in rule.columns.items() if other_rule.mask == kind), "")
        if found:
            return found
    return ""


def value_derived_usernames(policy: Policy) -> bool:
    """Whether some table has user names but no e-mail beside them."""
    return any(
        chosen.mask == "username" and not identity_of(rule, name, chosen)
        for rule in policy.tables.values()
        for name, chosen in rule.columns.items()
    )


def apply(mask: Mask, values: pl.Series, draw: Draw) -> pl.Series:
    """Masks a column: NULL and empty strings stay, and what comes out as it went in is drawn again.

    Raises Unmaskable where the mask does not understand a value.
    """
    if mask.whole:
        return mask.apply(values, draw)
    if values.dtype == pl.Binary and "binary" not in mask.fits:
        if values.null_count() == values.len():
            return values
        raise Unmaskable("holds binary values")
    empty = values.dtype == pl.String and (values == "").any()
    if not empty and not values.null_count():
        return _drawn(mask, values, draw)
    present = (values != "").fill_null(value=False) if empty else values.is_not_null()
    masked = _drawn(mask, values.filter(present), draw.rows(present))
    places = pl.select(pl.when(present).then(present.cast(pl.UInt32).cum_sum() - 1)).to_series()
    spread = masked.gather(places)
    return (
        where(values == "", values, spread)
        if values.dtype == pl.String and spread.dtype == pl.String
        else spread
    )


def _drawn(mask: Mask, values: pl.Series, draw: Draw) -> pl.Series:
    if values.is_empty():
        return values
    if values.dtype in (pl.Int64, pl.Float64) and not mask.fits & {"integer", "number"}:
        values = values.cast(pl.String)
    masked = fitted(mask, mask.apply(values, draw), draw)
    if not mask.draws:
        return masked
    for _ in range(ATTEMPTS):
        same = as_text(masked) == as_text(values)
        if not same.any():
            return masked
        draw = draw.again()
        again = fitted(mask, mask.apply(values.filter(same), draw), draw)
        masked = replaced(masked, same, again)
    raise Failed(
        516, f"The mask {mask.name} keeps giving back what went in.", "Choose another mask for that column."
    )


def fitted(mask: Mask, masked: pl.Series, draw: Draw) -> pl.Series:
    """No longer than the column: an address keeps its domain, a unique value its end, which tells it from others. A value that
    the policy gives is not cut.
    """
    length = draw.length
    if (
        length is None
        or "value" in draw.parameters
        or masked.dtype != pl.String
        or not (masked.str.len_bytes() > length).any()
    ):
        return masked
    long = masked.str.len_chars() > length
    if not long.any():
        return masked
    if mask.name == "email":
        room = length - len(DOMAIN) - 1
        local = masked.str.head(-len(DOMAIN) - 1).str.tail(room).str.strip_chars_start(".")
        shorter = joined(local, f"@{DOMAIN}")
    else:
        shorter = masked.str.tail(length) if draw.unique else masked.str.head(length)
    return where(long, shorter, masked)


def _passing(keep: pl.Series | None, values: pl.Series, masked: pl.Series) -> pl.Series:
    """The originals in rows of the keep-list."""
    if keep is None or not keep.any():
        return masked
    if masked.dtype != values.dtype:
        if masked.null_count() == masked.len():
            masked = masked.cast(values.dtype)
        elif values.dtype == pl.Binary:
            masked = masked.cast(pl.String).cast(pl.Binary)
        else:
            values, masked = values.cast(pl.String), masked.cast(pl.String)
    return where(keep, values, masked)
