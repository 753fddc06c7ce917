"""Which format an Accept header asks for (RFC 9110, section 12.5.1)."""

from __future__ import annotations

from ops.problems import Problem
from services.weights.formats import MEDIA_TYPES, Format


def negotiate(accept: str | None) -> Format:
    """Return the format that `accept` likes best, JSON first among equals; raise Problem 406."""
    if not accept or not accept.strip():
        return Format.JSON
    ranges = [_media_range(part) for part in accept.split(",") if part.strip()]
    best = max(MEDIA_TYPES, key=lambda kind: _quality(MEDIA_TYPES[kind], ranges))
    if _quality(MEDIA_TYPES[best], ranges) <= 0:
        allowed = ", ".join(MEDIA_TYPES.values())
        raise Problem(406, f"Accept is {accept[:80]!r}; weights can be had as {allowed}")
    return best


def _media_range(part: str) -> tuple[str, float]:
    """Return the type of one part of the header, and its quality; a wrong quality is 0."""
    media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
    quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
    try:
        return media_type, min(max(float(quality), 0.0), 1.0)
    except ValueError:
        return media_type, 0.0


def _quality(media_type: str, ranges: list[tuple[str, float]]) -> float:
    """Return how welcome `media_type` is: what the most specific range says that matches it."""
    for wanted in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
        found = [quality for given, quality in ranges if given == wanted]
        if found:
            return max(found)
    return 0.0
