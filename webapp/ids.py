"""Identifiers and secrets: UUIDv7 for rows, 256-bit tokens for links and cookies.

Rows get UUIDv7 so that keys grow with time (small indexes); the app makes them because PostgreSQL 15 cannot. Tokens
are stored as SHA-256 only: they are random, so a slow hash would add nothing.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from uuid import UUID


def uuid7() -> UUID:
    """A version 7 UUID (RFC 9562): 48 bits of Unix milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    value = milliseconds << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)


def new_token() -> str:
    """A secret of 256 bits, safe in a path (43 characters)."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> bytes:
    """What is stored of a token: 32 bytes."""
    return hashlib.sha256(token.encode(errors="replace")).digest()
