"""Whether a symbolic link leads out of its tree, over other links too."""

from __future__ import annotations

from collections.abc import Mapping

_HOPS = 40  # as many links as the kernel follows
_STEPS = 10_000_000


def leaving(links: Mapping[bytes, bytes]) -> bytes | None:
    """The first of these links (target by path, all links that the tree has) that leads out of the tree, if any.

    A link that leads nowhere or in a circle stays inside. Links so tangled that following them all takes more
    than ten million steps count as leaving: nobody needs such, and following them is work for an attacker.
    """
    steps = 0
    for path, target in links.items():
        taken = _steps_inside(path, target, links)
        if taken is None:
            return path
        steps += taken
        if steps > _STEPS:
            return path
    return None


def _steps_inside(path: bytes, target: bytes, links: Mapping[bytes, bytes]) -> int | None:
    """How many steps it takes to follow a link; None when one of them leaves the tree."""
    here = path.split(b"/")[:-1]
    ahead = [target]
    hops = steps = 0
    while ahead:
        way = ahead.pop()
        if way.startswith(b"/"):
            return None
        first, _, rest = way.partition(b"/")
        steps += 1
        if rest := rest.lstrip(b"/"):
            ahead.append(rest)
        if first == b"..":
            if not here:
                return None
            here.pop()
        elif first not in (b"", b"."):
            here.append(first)
            onward = links.get(b"/".join(here))
            if onward is not None:
                hops += 1
                if hops > _HOPS:
                    break
                here.pop()
                ahead.append(onward)
    return steps
