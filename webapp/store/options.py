"""What organizers choose for the whole site."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from skep.webapp.store.offers import StaleVersion
from skep.webapp.store.texts import Texts

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection


@dataclass(frozen=True, slots=True)
class Options:
    """*reply_to* empty: as the settings say. *confirms_free*: free tickets count once the buyer answered a mail."""

    mail_intro: Texts
    mail_footer: Texts
    reply_to: str
    confirms_free: bool
    version: int


async def read(connection: Connection, own: str) -> Options:
    """*own*: the site's language."""
    row = await connection.fetchrow("SELECT * FROM site_option")
    assert row is not None  # noqa: S101 (the migration made it)
    return Options(
        mail_intro=Texts(json.loads(row["mail_intro"]), own),
        mail_footer=Texts(json.loads(row["mail_footer"]), own),
        reply_to=row["reply_to"],
        confirms_free=row["confirms_free"],
        version=row["version"],
    )


async def save(
    connection: Connection,
    *,
    language: str,
    mail_intro: str,
    mail_footer: str,
    reply_to: str,
    confirms_free: bool,
    version: int,
) -> None:
    """Texts are in *language*, those in others stay. Raises StaleVersion."""
    saved = await connection.fetchval(
        "UPDATE site_option SET mail_intro = mail_intro || jsonb_build_object($1::text, $2::text), "
        "mail_footer = mail_footer || jsonb_build_object($1::text, $3::text), reply_to = $4, confirms_free = $5, "
        "version = version + 1 WHERE version = $6 RETURNING true",
        language,
        mail_intro,
        mail_footer,
        reply_to,
        confirms_free,
        version,
    )
    if not saved:
        raise StaleVersion
