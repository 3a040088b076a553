"""Identifiers and secrets: UUIDv7 for rows, codes for orders, tokens for links and cookies.

Rows get UUIDv7 so that keys grow with time (small indexes); the app makes them because PostgreSQL 15 cannot. Tokens
are stored as SHA-256 only: they are random, so a slow hash would add nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import time
from uuid import UUID

CODE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ379"  # without I O 0 1 2 4 5 6 8: 387 million codes


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


def new_secret() -> bytes:
    """A secret of 128 bits: what a ticket's code or a guest's link holds."""
    return secrets.token_bytes(16)


def secret_text(secret: bytes) -> str:
    """*secret* for a path or a QR code: 22 characters for 128 bits."""
    return base64.urlsafe_b64encode(secret).rstrip(b"=").decode()


def derived_secret(token: str, purpose: str) -> bytes:
    """128 bits that only who holds *token* can make: the same for the same *purpose*."""
    return hmac.new(token.encode(errors="replace"), purpose.encode(), hashlib.sha256).digest()[:16]


def order_code() -> str:
    """Six characters that people read to each other on the phone: none looks like another."""
    return "".join(secrets.choice(CODE_LETTERS) for _ in range(6))


def token_hash(token: str) -> bytes:
    """What is stored of a token: 32 bytes."""
    return hashlib.sha256(token.encode(errors="replace")).digest()
