"""Check-in lists, and what a door asks."""

from __future__ import annotations

MESSAGES: dict[str, str] = {
    "doors.first": "Entrance",
}
