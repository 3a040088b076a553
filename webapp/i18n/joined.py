"""The words of one language are kept in a module a room."""

from __future__ import annotations

from collections.abc import Mapping


def joined(*rooms: Mapping[str, str]) -> dict[str, str]:
    """All of them as one catalog. ValueError if two rooms say the same key: one of them would be mute."""
    catalog: dict[str, str] = {}
    for room in rooms:
        if twice := catalog.keys() & room.keys():
            raise ValueError(f"said in two rooms: {', '.join(sorted(twice))}")
        catalog |= room
    return catalog
