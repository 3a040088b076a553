"""Listes d’entrée, et ce qu’on demande à la porte."""

from __future__ import annotations

MESSAGES: dict[str, str] = {
    "doors.first": "Entrée",
}
