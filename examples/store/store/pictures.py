"""Product pictures and avatars, drawn as PNG files: what is thrown on a wheel is a profile, turned."""

from __future__ import annotations

import math
import struct
import zlib
from itertools import pairwise

Colour = tuple[int, int, int]

GLAZES: dict[str, Colour] = {
    "sage": (147, 163, 132),
    "ochre": (201, 151, 70),
    "slate": (70, 84, 104),
    "blush": (219, 172, 160),
    "oat": (226, 214, 192),
}
# Half of the width at heights from the top (0) to the foot (1), as parts of the picture.
PROFILES: dict[str, list[tuple[float, float]]] = {
    "mug": [(0.30, 0.185), (0.34, 0.19), (0.66, 0.185), (0.73, 0.16), (0.75, 0.12)],
    "bowl": [(0.42, 0.33), (0.50, 0.32), (0.60, 0.27), (0.69, 0.17), (0.72, 0.12), (0.75, 0.12)],
    "bottle": [
        (0.16, 0.055),
        (0.19, 0.05),
        (0.36, 0.05),
        (0.44, 0.10),
        (0.52, 0.15),
        (0.70, 0.155),
        (0.77, 0.13),
    ],
    "vase": [
        (0.20, 0.075),
        (0.24, 0.06),
        (0.30, 0.07),
        (0.42, 0.19),
        (0.52, 0.225),
        (0.64, 0.19),
        (0.77, 0.10),
    ],
    "lamp": [
        (0.20, 0.09),
        (0.23, 0.12),
        (0.47, 0.25),
        (0.471, 0.02),
        (0.71, 0.02),
        (0.715, 0.14),
        (0.75, 0.15),
    ],
}
SLUGS = [f"{glaze}-{shape}" for shape in PROFILES for glaze in GLAZES]

_SIZE = 360
_SHADES = 96
_PAPER: Colour = (240, 234, 224)


def product(slug: str) -> bytes:
    """The picture of one product. Raises ValueError for a glaze or shape that is not made."""
    glaze, _, shape = slug.partition("-")
    if glaze not in GLAZES or shape not in PROFILES:
        raise ValueError(f"no such product: {slug}")
    palette = [
        _PAPER,
        _mix(_PAPER, (0, 0, 0), 0.10),
        *(_shade(GLAZES[glaze], i / _SHADES) for i in range(_SHADES)),
    ]
    rows = [_row(y, PROFILES[shape], handle=shape == "mug") for y in range(_SIZE)]
    return png(_SIZE, palette, rows)


def avatar(number: int) -> bytes:
    """A small disc, coloured by number."""
    size, radius = 48, 22
    colour = list(GLAZES.values())[number % len(GLAZES)]
    rows = []
    for y in range(size):
        half = int(math.sqrt(max(0, radius**2 - (y - size // 2) ** 2)))
        rows.append(bytes(size // 2 - half) + b"\1" * (2 * half) + bytes(size // 2 - half))
    return png(size, [_PAPER, colour], rows)


def png(width: int, palette: list[Colour], rows: list[bytes]) -> bytes:
    """An indexed PNG of one byte per pixel."""
    header = struct.pack(">IIBBBBB", width, len(rows), 8, 3, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    chunks = [(b"IHDR", header), (b"PLTE", bytes(sum(palette, ()))), (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def _row(y: int, profile: list[tuple[float, float]], *, handle: bool) -> bytes:
    row = bytearray(_SIZE)
    _shadow(row, y)
    if handle:
        _handle(row, y)
    half = round(_half_width(y / _SIZE, profile) * _SIZE)
    if half:
        body = bytes(2 + int((x + 0.5) / (2 * half) * _SHADES) for x in range(2 * half))
        row[_SIZE // 2 - half : _SIZE // 2 + half] = body
    return bytes(row)


def _half_width(height: float, profile: list[tuple[float, float]]) -> float:
    """A cubic through the profile's points that never bulges between two of them (Fritsch and Carlson)."""
    slopes = [(below - above) / (bottom - top) for (top, above), (bottom, below) in pairwise(profile)]
    inner = [2 * a * b / (a + b) if a * b > 0 else 0.0 for a, b in pairwise(slopes)]
    tangents = [slopes[0], *inner, slopes[-1]]
    for ((top, above), (bottom, below)), (leaving, arriving) in zip(
        pairwise(profile), pairwise(tangents), strict=True
    ):
        if top <= height <= bottom:
            span, t = bottom - top, (height - top) / (bottom - top)
            ends = (1 + 2 * t) * (1 - t) ** 2 * above + t**2 * (3 - 2 * t) * below
            return ends + span * (t * (1 - t) ** 2 * leaving - t**2 * (1 - t) * arriving)
    return 0.0


def _shadow(row: bytearray, y: int) -> None:
    distance = (y / _SIZE - 0.76) / 0.025
    if abs(distance) < 1:
        half = round(0.30 * _SIZE * math.sqrt(1 - distance**2))
        row[_SIZE // 2 - half : _SIZE // 2 + half] = b"\1" * (2 * half)


def _handle(row: bytearray, y: int) -> None:
    middle, outer, inner = 0.50, 0.135, 0.085
    off = abs(y / _SIZE - middle)
    if off < outer:
        start = math.sqrt(inner**2 - off**2) if off < inner else 0.0
        left, right = (round((0.665 + part) * _SIZE) for part in (start, math.sqrt(outer**2 - off**2)))
        row[left:right] = bytes(
            2 + int(_SHADES * (0.35 + 0.5 * (x - left) / max(1, right - left))) for x in range(left, right)
        )


def _shade(colour: Colour, across: float) -> Colour:
    """Light from the left, a soft edge on the right."""
    light = 0.30 * math.exp(-(((across - 0.30) / 0.16) ** 2))
    dark = 0.48 * max(0.0, across - 0.42) ** 1.3 + 0.22 * max(0.0, 0.14 - across) / 0.14
    return _mix(_mix(colour, (255, 255, 255), light), (20, 16, 12), min(dark, 0.6))


def _mix(colour: Colour, other: Colour, part: float) -> Colour:
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(colour, other, strict=True))
    return red, green, blue
