"""Invoices and credit notes: made in the transaction that takes the money or gives it back, numbered without gaps.

The last number of a year is a row that stays locked until the transaction ends. So numbers are given in the order of
commits, and a number that was rolled back is given again. The lock is taken last: nothing else waits while it is held.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from skep.webapp.i18n import Translator, dates
from skep.webapp.ids import uuid7
from skep.webapp.shop import invoice_sheets
from skep.webapp.shop.invoice_sheets import About, Place, Seller, Series
from skep.webapp.shop.money import Amount, total
from skep.webapp.store import tombstones
from skep.webapp.store.texts import Texts

if TYPE_CHECKING:
    import asyncpg

    from skep.webapp.store.pool import Connection


@dataclass(frozen=True, slots=True)
class Invoice:
    """One that was issued, or a credit note (`series`); *label* is the number as it is printed."""

    id: UUID
    series: str
    label: str
    issued_on: date
    currency: str
    gross: int


async def seller(connection: Connection) -> Seller | None:
    """None: nobody said who sells, and no invoice is made."""
    row = await connection.fetchrow("SELECT legal_name, address, vat_id, footer, prefix, timezone, version FROM seller")
    return None if row is None else Seller(**dict(row))


async def save_seller(connection: Connection, who: Seller) -> bool:
    """False if it no longer has *who*'s version (0: there was none). Invoices that were made stay as they are."""
    values = (who.legal_name, who.address, who.vat_id, who.footer, who.prefix, who.timezone)
    if who.version == 0:
        saved = await connection.fetchval(
            "INSERT INTO seller (legal_name, address, vat_id, footer, prefix, timezone) "
            "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING true",
            *values,
        )
    else:
        saved = await connection.fetchval(
            "UPDATE seller SET legal_name = $1, address = $2, vat_id = $3, footer = $4, prefix = $5, timezone = $6, "
            "version = version + 1 WHERE version = $7 RETURNING true",
            *values,
            who.version,
        )
    return bool(saved)


async def issue(connection: Connection, order_id: UUID) -> UUID | None:
    """The invoice of an order that is paid, once. The caller's transaction holds the order's row.

    None where there is nothing to invoice: it is free, not paid, has one, or nobody said who sells.
    """
    who = await seller(connection)
    if who is None:
        return None
    places = await _places(connection, [order_id], "o.state = 'paid' AND NOT EXISTS (SELECT FROM invoice i "
                           "WHERE i.order_id = o.id AND i.series = 'invoice')")  # fmt: skip
    made = await _write(connection, who, "invoice", places)
    return made[0] if made else None


async def credit(connection: Connection, order_id: UUID, position_ids: Collection[UUID]) -> UUID | None:
    """Take back what an invoice said of these tickets. None if it never said it, or they were free."""
    who = await seller(connection)
    if who is None:
        return None
    places = await _places(connection, [order_id], "true", list(position_ids))
    made = await _write(connection, who, "credit", places)
    return made[0] if made else None


async def credit_all(connection: Connection, order_ids: Sequence[UUID]) -> int:
    """Credit notes for all that is still good of these orders; how many. Called before their tickets are cancelled."""
    who = await seller(connection)
    if who is None:
        return 0
    return len(await _write(connection, who, "credit", await _places(connection, order_ids, "o.state = 'paid'")))


async def of_order(connection: Connection, order_id: UUID) -> list[Invoice]:
    """In the order in which they were made."""
    rows = await connection.fetch(
        "SELECT id, series, label, issued_on, currency, gross FROM invoice WHERE order_id = $1 ORDER BY created_at, id",
        order_id,
    )
    return [Invoice(**dict(row)) for row in rows]


@dataclass(frozen=True, slots=True)
class Issued:
    """A line of the journal. *corrects*: the number of the invoice that a credit note takes back."""

    id: UUID
    series: str
    label: str
    issued_on: date
    order_id: UUID
    event_id: UUID
    code: str
    buyer: str
    currency: str
    gross: int
    net: int
    tax: int
    corrects: str | None

    @property
    def sign(self) -> int:
        return -1 if self.series == "credit" else 1


_JOURNAL = """
SELECT i.id, i.series, i.label, i.issued_on, i.order_id, o.event_id, o.code, p.name AS buyer, i.currency,
       i.gross, i.net, i.tax, c.label AS corrects
FROM invoice i JOIN ticket_order o ON o.id = i.order_id JOIN person p ON p.id = i.person_id
LEFT JOIN invoice c ON c.id = i.corrects_id WHERE i.year = $1
"""


async def of_year(
    connection: Connection, year: int, *, limit: int, offset: int = 0, newest_first: bool = True
) -> list[Issued]:
    """By day, and on a day by number."""
    rows = await connection.fetch(
        _JOURNAL + ("ORDER BY i.issued_on DESC, i.series DESC, i.number DESC" if newest_first
                    else "ORDER BY i.issued_on, i.series, i.number") + " LIMIT $2 OFFSET $3",
        year,
        limit,
        offset,
    )  # fmt: skip
    return [Issued(**dict(row)) for row in rows]


async def years(connection: Connection) -> list[int]:
    return [row["year"] for row in await connection.fetch("SELECT DISTINCT year FROM invoice_counter")]


async def sheet(connection: Connection, order_id: UUID, invoice_id: UUID) -> tuple[str, dict[str, Any]] | None:
    """(label, what is drawn), as it was issued."""
    row = await connection.fetchrow(
        "SELECT i.label, i.document, p.name FROM invoice i JOIN person p ON p.id = i.person_id "
        "WHERE i.id = $1 AND i.order_id = $2",
        invoice_id,
        order_id,
    )
    return None if row is None else (row["label"], {**json.loads(row["document"]), "name": row["name"]})


_PLACES = """
SELECT o.id AS order_id, o.code, o.currency, o.language, b.name AS buyer, e.title AS event, e.language AS own,
       e.timezone, t.title AS type_title, s.title AS session_title, s.starts_at, x.gross, x.net, x.tax, x.tax_bp,
       i.id AS invoice_id, i.label AS invoice_label, i.person_id,
       (SELECT y.provider FROM payment y WHERE y.order_id = o.id AND y.state = 'confirmed'
        ORDER BY y.confirmed_at DESC LIMIT 1) AS method
FROM ticket_order o JOIN event e ON e.id = o.event_id JOIN person b ON b.id = o.person_id
JOIN order_position x ON x.order_id = o.id AND x.gross > 0
JOIN ticket_type t ON t.id = x.type_id JOIN event_session s ON s.id = x.session_id
LEFT JOIN invoice i ON i.order_id = o.id AND i.series = 'invoice'
WHERE o.id = ANY($1) AND (x.id = ANY($2) OR ($2::uuid[] IS NULL AND x.cancelled_at IS NULL)) AND :which
ORDER BY o.id, x.rank
"""


async def _places(
    connection: Connection, order_ids: Sequence[UUID], which: str, positions: list[UUID] | None = None
) -> dict[UUID, list[asyncpg.Record]]:
    """Paid tickets by order: these, or all that are not cancelled. *which* is SQL of ours."""
    rows = await connection.fetch(_PLACES.replace(":which", which), list(order_ids), positions)
    found: dict[UUID, list[asyncpg.Record]] = {}
    for row in rows:
        found.setdefault(row["order_id"], []).append(row)
    return found


async def _write(
    connection: Connection, who: Seller, series: Series, orders: dict[UUID, list[asyncpg.Record]]
) -> list[UUID]:
    if series == "credit":
        orders = {order_id: rows for order_id, rows in orders.items() if rows[0]["invoice_id"] is not None}
    if not orders:
        return []
    year = (await _today(connection, who)).year
    last: int = await connection.fetchval(
        "INSERT INTO invoice_counter (series, year, last) VALUES ($1, $2, $3) "
        "ON CONFLICT (series, year) DO UPDATE SET last = invoice_counter.last + $3 RETURNING last",
        series,
        year,
        len(orders),
    )
    await tombstones.bury(connection, "invoice", f"{series}-{year}", value=last)
    # The day as of the lock: a later number never has an earlier day, nor one of another year.
    issued_on = min(await _today(connection, who), date(year, 12, 31))
    made = []
    for number, (order_id, rows) in enumerate(orders.items(), last - len(orders) + 1):
        made.append(await _write_one(connection, who, series, year, number, issued_on, order_id, rows))
    return made


async def _write_one(
    connection: Connection, who: Seller, series: Series, year: int, number: int, issued_on: date, order_id: UUID,
    rows: list[asyncpg.Record],
) -> UUID:  # fmt: skip
    first, identity = rows[0], uuid7()
    label = invoice_sheets.label(who, series, year, number)
    t = Translator(first["language"])
    about = About(
        event=Texts(json.loads(first["event"]), first["own"]).text(t.language),
        code=first["code"],
        supplied_on=min(row["starts_at"].astimezone(dates.zone(row["timezone"])).date() for row in rows),
        currency=first["currency"],
        method=first["method"] or "free",
        corrects=first["invoice_label"] if series == "credit" else None,
    )
    places = [_place(row, t.language) for row in rows]
    amount = total([place.amount for place in places])
    person_id = first["person_id"]
    if person_id is None:
        person_id = uuid7()
        await connection.execute(
            "INSERT INTO person (id, kind, name, email, language) VALUES ($1, 'billed', $2, '', $3)",
            person_id,
            first["buyer"],
            t.language,
        )
    await connection.execute(
        "INSERT INTO invoice (id, series, year, number, label, order_id, corrects_id, person_id, issued_on, currency, "
        "gross, net, tax, document) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        identity,
        series,
        year,
        number,
        label,
        order_id,
        first["invoice_id"] if series == "credit" else None,
        person_id,
        issued_on,
        about.currency,
        amount.gross,
        amount.net,
        amount.tax,
        json.dumps(invoice_sheets.document(who, series, label, issued_on, about, places, t), ensure_ascii=False),
    )
    return identity


def _place(row: asyncpg.Record, language: str) -> Place:
    what = Texts(json.loads(row["type_title"]), row["own"]).text(language)
    if session := Texts(json.loads(row["session_title"]), row["own"]).text(language):
        what = f"{what} · {session}"
    return Place(what, Amount(row["gross"], row["net"], row["tax"]), row["tax_bp"])


async def _today(connection: Connection, who: Seller) -> date:
    now: datetime = await connection.fetchval("SELECT clock_timestamp()")
    return now.astimezone(dates.zone(who.timezone)).date()
