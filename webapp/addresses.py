"""E-mail addresses as people type them."""

from __future__ import annotations

import re

MAX_LENGTH = 254  # RFC 5321's longest path, without its angle brackets
_SHAPE = re.compile(r"[^\s@<>(),;:\"\\\x00-\x1f\x7f]+@(?:[^\W_](?:[\w-]*[^\W_])?\.)+[^\W_](?:[\w-]*[^\W_])?")


def normal_email(text: str) -> str | None:
    """*text* trimmed and in lower case; None if no mail could ever arrive there.

    Only a mail can prove an address, so this refuses what is surely a slip and nothing clever.
    """
    address = text.strip().lower()
    if len(address) > MAX_LENGTH or not _SHAPE.fullmatch(address) or ".." in address:
        return None
    return address
