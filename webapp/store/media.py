"""Files that the site shows: content-addressed, immutable, in the tenant's database.

Behind a port, so that a shared volume can be another place for them; pictures name their files by hash only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from skep.webapp.store.texts import Texts

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

ADVISORY_LOCK = 0x736B6570_6D656469  # "skepmedi": uploads of a tenant count the space one after the other
CONTENT_TYPES = {"webp": "image/webp", "jpg": "image/jpeg"}


class MediaFull(Exception):
    """The tenant's plan has no room for more."""


@dataclass(frozen=True, slots=True)
class File:
    """*format* is the ending of its name: webp or jpg."""

    format: str
    width: int
    height: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Variant:
    sha256: str
    format: str
    width: int
    height: int

    @property
    def path(self) -> str:
        return f"/media/{self.sha256}.{self.format}"


@dataclass(frozen=True, slots=True)
class Picture:
    """Its variants, the largest first; each in all formats."""

    alt: Texts
    variants: tuple[Variant, ...]

    def of(self, format_: str) -> tuple[Variant, ...]:
        return tuple(variant for variant in self.variants if variant.format == format_)

    @property
    def largest(self) -> Variant:
        """As JPEG, which everything can show."""
        return self.of("jpg")[0]

    @property
    def smallest(self) -> Variant:
        return self.of("jpg")[-1]

    def srcset(self, format_: str) -> str:
        return ", ".join(f"{variant.path} {variant.width}w" for variant in self.of(format_))


def picture(text: str | None, own: str) -> Picture | None:
    """From a row's JSON, `{"alt": {...}, "variants": [...]}`."""
    if text is None:
        return None
    stored = json.loads(text)
    return Picture(Texts(stored["alt"], own), tuple(Variant(**variant) for variant in stored["variants"]))


class Media(Protocol):
    """Where files are kept. All in the caller's transaction, as far as the place allows it."""

    async def keep(self, connection: Connection, files: Sequence[File], *, most_bytes: int) -> list[str]:
        """The SHA-256 of each, in hex. Raises MediaFull."""

    async def find(self, connection: Connection, sha256: bytes, format_: str) -> bytes | None: ...

    async def forget_unused(self, connection: Connection) -> None: ...


class DatabaseMedia:
    async def keep(self, connection: Connection, files: Sequence[File], *, most_bytes: int) -> list[str]:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", ADVISORY_LOCK)
        digests = [hashlib.sha256(file.body).digest() for file in files]
        await connection.executemany(
            "INSERT INTO media (sha256, format, body) VALUES ($1, $2, $3) ON CONFLICT (sha256) DO NOTHING",
            [(digest, file.format, file.body) for digest, file in zip(digests, files, strict=True)],
        )
        total = await connection.fetchval("SELECT coalesce(sum(octet_length(body)), 0) FROM media")
        if total > most_bytes:
            raise MediaFull
        return [digest.hex() for digest in digests]

    async def find(self, connection: Connection, sha256: bytes, format_: str) -> bytes | None:
        body: bytes | None = await connection.fetchval(
            "SELECT body FROM media WHERE sha256 = $1 AND format = $2", sha256, format_
        )
        return body

    async def forget_unused(self, connection: Connection) -> None:
        await connection.execute(
            "DELETE FROM media WHERE encode(sha256, 'hex') NOT IN ("
            "SELECT v->>'sha256' FROM picture, jsonb_array_elements(variants) AS v)"
        )


async def set_picture(
    connection: Connection, media: Media, event_id: UUID, files: Sequence[File], *, alt: str, most_bytes: int
) -> None:
    """The event's picture, in place of the one it had. *alt* is JSON. Raises MediaFull."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", ADVISORY_LOCK)
    await connection.execute("DELETE FROM picture WHERE event_id = $1", event_id)
    await media.forget_unused(connection)
    digests = await media.keep(connection, files, most_bytes=most_bytes)
    variants = [
        {"sha256": digest, "format": file.format, "width": file.width, "height": file.height}
        for digest, file in zip(digests, files, strict=True)
    ]
    await connection.execute(
        "INSERT INTO picture (event_id, alt, variants) VALUES ($1, $2, $3)", event_id, alt, json.dumps(variants)
    )


async def remove_picture(connection: Connection, media: Media, event_id: UUID) -> None:
    await connection.execute("SELECT pg_advisory_xact_lock($1)", ADVISORY_LOCK)
    await connection.execute("DELETE FROM picture WHERE event_id = $1", event_id)
    await media.forget_unused(connection)
