"""The environment where it was tried and the one where it goes are alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from branchline.domain.gates.facts import Facts, Side, Verdict, not_asked
from branchline.domain.plan import Aspect

Differences = Callable[[str, Side, str, Side], Iterator[str]]


def parity(facts: Facts) -> Verdict:
    """In each aspect that the tier asks for. What cannot be told is not taken for equal."""
    asked = facts.rules.parity
    if not asked:
        return not_asked("parity", facts)
    if facts.source is None or facts.source_side is None:
        return Verdict(
            "parity", passed=False, reason=f"there is no environment to compare {facts.target} with"
        )
    if facts.target_side is None:
        return Verdict("parity", passed=True, reason=f"{facts.target} runs nothing yet that could differ")
    differing = [
        words
        for aspect in asked
        for words in _ASPECTS[aspect](facts.source, facts.source_side, facts.target, facts.target_side)
    ]
    if differing:
        return Verdict("parity", passed=False, reason="; ".join(differing))
    alike = ", ".join(asked)
    return Verdict("parity", passed=True, reason=f"{facts.source} and {facts.target} agree in {alike}")


def _config(source: str, here: Side, target: str, there: Side) -> Iterator[str]:
    for name in sorted(here.variables - there.variables):
        yield f"variable {name} is set for {source} only"
    for name in sorted(there.variables - here.variables):
        yield f"variable {name} is set for {target} only"


def _services(source: str, here: Side, target: str, there: Side) -> Iterator[str]:
    for name in sorted({*here.services, *there.services}):
        if name not in there.services:
            yield f"service {name} ({here.services[name]}) is declared on {source} only"
        elif name not in here.services:
            yield f"service {name} ({there.services[name]}) is declared on {target} only"
        elif here.services[name] != there.services[name]:
            yield f"service {name} is {here.services[name]} on {source} and {there.services[name]} on {target}"


def _schema(source: str, here: Side, target: str, there: Side) -> Iterator[str]:
    for slot, fingerprint in sorted(there.schemas.items()):
        database = slot.partition(":")[2]
        known = here.schemas.get(slot)
        if fingerprint is None:
            yield f"nothing tells the schema of database {database} on {target}"
        elif known is None:
            yield (
                f"nothing tells what schema database {database} had on {source} with the artifact "
                f"that {target} runs"
            )
        elif known != fingerprint:
            yield (
                f"the schema of database {database} on {target} is not the one that {source} had with the same artifact"
            )


_ASPECTS: Mapping[Aspect, Differences] = {"config": _config, "services": _services, "schema": _schema}
