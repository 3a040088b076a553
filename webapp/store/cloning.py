"""A copy of an event with its whole offer, as a draft: dates, places, ticket types, questions, check-in lists, picture.

Nothing that was sold is copied, and no codes: those were given to people. Rows are copied with all their columns,
whatever later migrations add to them; what is named here begins anew.
"""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any
from uuid import UUID

from skep.webapp.i18n import dates
from skep.webapp.ids import uuid7
from skep.webapp.store.events import Event
from skep.webapp.store.texts import texts

if TYPE_CHECKING:
    import asyncpg

    from skep.webapp.store.pool import Connection

_FRESH = ("created_at", "updated_at", "version")  # the table's own defaults


async def clone(
    connection: Connection, event: Event, *, title: str, slug: str, starts_at: datetime, member_id: UUID
) -> UUID | None:
    """The new draft, whose first date is *starts_at* (of the event's zone); None if *slug* is taken: try another.

    All dates move by as much as the first, in local time: a quarter past eight stays it in winter.
    """
    zone = dates.zone(event.timezone)
    sessions = await connection.fetch("SELECT * FROM event_session WHERE event_id = $1 ORDER BY starts_at", event.id)
    shift = _local(starts_at, zone) - _local(sessions[0]["starts_at"], zone)

    def moved(moment: datetime | None) -> datetime | None:
        return None if moment is None else (_local(moment, zone) + shift).replace(tzinfo=zone)

    row = await connection.fetchrow("SELECT * FROM event WHERE id = $1", event.id)
    assert row is not None  # noqa: S101 (the caller has just read it)
    new = {event.id: uuid7()}
    made = await _copy(
        connection, "event", row, id=new[event.id], slug=slug, status="draft", title=texts(event.language, title),
        created_by=member_id, published_at=None, erased_at=None, halted_at=None, notice="{}",
    )  # fmt: skip
    if not made:
        return None
    for session in sessions:
        new[session["id"]] = uuid7()
        await _copy(
            connection, "event_session", session, id=new[session["id"]], event_id=new[event.id],
            starts_at=moved(session["starts_at"]), ends_at=moved(session["ends_at"]),
        )  # fmt: skip
    ids = list(new)[1:]
    for pool in await connection.fetch("SELECT * FROM stock_pool WHERE session_id = ANY($1) ORDER BY id", ids):
        new[pool["id"]] = uuid7()
        await _copy(connection, "stock_pool", pool, id=new[pool["id"]], session_id=new[pool["session_id"]])
    kinds = await connection.fetch("SELECT * FROM ticket_type WHERE session_id = ANY($1) ORDER BY id", ids)
    for kind in kinds:
        new[kind["id"]] = uuid7()
        await _copy(
            connection, "ticket_type", kind, id=new[kind["id"]], session_id=new[kind["session_id"]],
            sales_start=moved(kind["sales_start"]), sales_end=moved(kind["sales_end"]),
        )  # fmt: skip
    for question in await connection.fetch("SELECT * FROM question WHERE event_id = $1 ORDER BY id", event.id):
        new[question["id"]] = uuid7()
        await _copy(connection, "question", question, id=new[question["id"]], event_id=new[event.id])
    for list_ in await connection.fetch("SELECT * FROM checkin_list WHERE event_id = $1 ORDER BY id", event.id):
        new[list_["id"]] = uuid7()
        session_id = None if list_["session_id"] is None else new[list_["session_id"]]
        await _copy(
            connection, "checkin_list", list_, id=new[list_["id"]], event_id=new[event.id], session_id=session_id
        )
    for picture in await connection.fetch("SELECT * FROM picture WHERE event_id = $1", event.id):
        await _copy(connection, "picture", picture, event_id=new[event.id])
    await _copy_pairs(connection, new)
    return new[event.id]


async def _copy(connection: Connection, table: str, row: asyncpg.Record, **changes: Any) -> bool:
    """*row* again, with *changes*; False if that cannot be because of another row. Columns' names come from *row*."""
    values = {name: value for name, value in row.items() if name not in _FRESH} | changes
    places = ", ".join(f"${place}" for place in range(1, len(values) + 1))
    made = await connection.fetchval(
        f"INSERT INTO {table} ({', '.join(values)}) VALUES ({places}) "  # noqa: S608 (see above)
        "ON CONFLICT DO NOTHING RETURNING true",
        *values.values(),
    )
    return bool(made)


async def _copy_pairs(connection: Connection, new: dict[UUID, UUID]) -> None:
    """Rows that join two others, of which both were copied."""
    old = list(new)
    for query, table in (
        ("SELECT type_id, pool_id FROM ticket_type_pool WHERE type_id = ANY($1)", "ticket_type_pool"),
        ("SELECT question_id, type_id FROM question_type WHERE question_id = ANY($1)", "question_type"),
        ("SELECT list_id, type_id FROM checkin_list_type WHERE list_id = ANY($1)", "checkin_list_type"),
    ):
        pairs = [(new[row[0]], new[row[1]]) for row in await connection.fetch(query, old)]
        await connection.executemany(
            f"INSERT INTO {table} VALUES ($1, $2)",  # noqa: S608 (one of three names)
            pairs,
        )


def _local(moment: datetime, zone: tzinfo) -> datetime:
    """As a clock on the wall shows it."""
    return moment.astimezone(zone).replace(tzinfo=None, microsecond=0)


def default_start(event: Event, now: datetime) -> datetime:
    """The date to propose: the same weekday and hour, as many weeks on as it takes to lie ahead."""
    weeks = max(1, (now - event.starts_at) // timedelta(days=7) + 1)
    return event.starts_at + timedelta(days=7 * weeks)
