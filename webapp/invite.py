"""The first organizer's way in: `python -m skep.webapp invite --to <public key> [--email ADDRESS]`.

The token leaves the process only sealed to the asker's key, so that job logs hold nothing that opens a door.
"""

from __future__ import annotations

import base64
import binascii
import json

import asyncpg

from skep.webapp.addresses import normal_email
from skep.webapp.errors import AppError
from skep.webapp.ids import new_token
from skep.webapp.settings import Settings
from skep.webapp.store import invitations
from skep.webapp.store.pool import connect

HPKE_INFO = b"skep invite"


class InviteRefused(AppError): ...


def public_key(text: str) -> bytes:
    """The 32 raw bytes of an X25519 public key in base64. Raises InviteRefused."""
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InviteRefused("--to: is not base64") from error
    if len(key) != 32:
        raise InviteRefused(f"--to: an X25519 public key has 32 bytes, this has {len(key)}")
    return key


def seal(message: bytes, key: bytes) -> str:
    """HPKE (RFC 9180, base mode): base64 of the encapsulated key followed by the ciphertext."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
    from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
    try:
        sealed = suite.encrypt(message, X25519PublicKey.from_public_bytes(key), HPKE_INFO)
    except ValueError as error:  # a point of low order
        raise InviteRefused("--to: is not a usable X25519 public key") from error
    return base64.b64encode(sealed).decode()


async def invite(settings: Settings, *, to: str, email: str | None) -> str:
    """Store an invitation and return its token, sealed. Raises InviteRefused, DatabaseDown."""
    key = public_key(to)
    address = None
    if email is not None and (address := normal_email(email)) is None:
        raise InviteRefused("--email: is not an e-mail address")
    token = new_token()
    sealed = seal(json.dumps({"token": token}).encode(), key)
    connection = await connect(settings.database)
    try:
        async with connection.transaction():
            await invitations.create(connection, token, email=address, language=settings.language)
    except asyncpg.PostgresError as error:
        remedy = "run `schema` first" if isinstance(error, asyncpg.UndefinedTableError) else "try again"
        raise InviteRefused(f"the invitation was not stored: {error} ({remedy})") from error
    finally:
        await connection.close()
    return sealed
