"""Entity tags: whatever has a version is told from its other versions by that number."""

from __future__ import annotations


def etag_of(version: int) -> str:
    """Return the entity tag of a version."""
    return f'"{version}"'


def has_already(if_none_match: str | None, version: int) -> bool:
    """Return whether the client says that it has this version (RFC 9110, section 13.1.2)."""
    if not if_none_match:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or etag_of(version) in tags
