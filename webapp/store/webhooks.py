"""Who wants to hear of what happens here, what there is to say of it, and what they were told.

That something happened is noticed by the database itself, in the transaction of what happened (docs/adr/0021): a job
`webhook.send` for each webhook that wants to hear. A job holds ids only; what is said is read when it is sent.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, get_args
from uuid import UUID

from skep.webapp.ids import uuid7
from skep.webapp.store import audit, jobs
from skep.webapp.store.audit import Actor

if TYPE_CHECKING:
    import asyncpg

    from skep.webapp.store.pool import Connection

Topic = Literal["order.paid", "order.cancelled", "order.refunded", "checkin.made", "event.changed"]
TOPICS: Final[tuple[Topic, ...]] = get_args(Topic)
TEST = "test"
KIND = "webhook.send"
KEPT = timedelta(days=30)
MOST = 20  # each is a call of its own for each thing that happens
SECRET_PREFIX = "whsec_"  # noqa: S105 (says what it is; the rest is random, in base64, as standardwebhooks.com has it)


@dataclass(frozen=True, slots=True)
class Webhook:
    """*disabled_reason*: "gone", its target said so; "hand", an organizer did."""

    id: UUID
    url: str
    secret: str
    topics: tuple[str, ...]
    is_active: bool
    disabled_reason: str | None


@dataclass(frozen=True, slots=True)
class Call:
    """One call. *status* None: no answer came, and *error* is a word for why."""

    id: UUID
    message_id: UUID
    topic: str
    object_id: UUID
    happened_at: datetime
    at: datetime
    status: int | None
    error: str | None
    took_ms: int

    @property
    def is_done(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


_SELECT = "SELECT id, url, secret, topics, is_active, disabled_reason FROM webhook"


def _webhook(row: asyncpg.Record) -> Webhook:
    return Webhook(**{**dict(row), "topics": tuple(row["topics"])})


async def everything(connection: Connection) -> list[Webhook]:
    return [_webhook(row) for row in await connection.fetch(f"{_SELECT} ORDER BY id")]


async def by_id(connection: Connection, webhook_id: UUID) -> Webhook | None:
    row = await connection.fetchrow(f"{_SELECT} WHERE id = $1", webhook_id)
    return None if row is None else _webhook(row)


async def create(connection: Connection, *, url: str, topics: Collection[Topic], member_id: UUID) -> UUID | None:
    """None if there are as many as there may be. Must run in a transaction."""
    if await connection.fetchval("SELECT count(*) FROM webhook") >= MOST:
        return None
    identity = uuid7()
    await connection.execute(
        "INSERT INTO webhook (id, url, secret, topics, created_by) VALUES ($1, $2, $3, $4, $5)",
        identity,
        url,
        SECRET_PREFIX + base64.b64encode(os.urandom(24)).decode(),
        sorted(topics),
        member_id,
    )
    await audit.record(connection, Actor("member", member_id), "webhook made", "webhook", identity, ("url", "topics"))
    return identity


async def set_active(connection: Connection, webhook_id: UUID, member_id: UUID, *, active: bool) -> None:
    await connection.execute(
        "UPDATE webhook SET is_active = $2, disabled_reason = CASE WHEN NOT $2 THEN 'hand' END, version = version + 1 "
        "WHERE id = $1 AND is_active <> $2",
        webhook_id,
        active,
    )
    action = "webhook switched on" if active else "webhook switched off"
    await audit.record(connection, Actor("member", member_id), action, "webhook", webhook_id, ("is_active",))


async def disable_gone(connection: Connection, webhook_id: UUID) -> None:
    """Its target said 410: it is never coming back."""
    await connection.execute(
        "UPDATE webhook SET is_active = false, disabled_reason = 'gone', version = version + 1 WHERE id = $1",
        webhook_id,
    )
    await audit.record(connection, audit.CLOCK, "webhook switched off", "webhook", webhook_id, ("is_active",))


async def remove(connection: Connection, webhook_id: UUID, member_id: UUID) -> None:
    await connection.execute("DELETE FROM webhook WHERE id = $1", webhook_id)
    await audit.record(connection, Actor("member", member_id), "webhook removed", "webhook", webhook_id)


async def send(
    connection: Connection, webhook_id: UUID, topic: str, object_id: UUID, happened_at: datetime, *, message_id: UUID
) -> None:
    """Queue one message: a test, or one that was told before."""
    payload = {
        "webhook": str(webhook_id),
        "message": str(message_id),
        "topic": topic,
        "object": str(object_id),
        "at": happened_at.isoformat(),
    }
    await jobs.enqueue(connection, KIND, payload)


async def again(connection: Connection, webhook_id: UUID, call_id: UUID) -> bool:
    """Tell once more what this call told; the message keeps its id. False if there is no such call."""
    row = await connection.fetchrow(
        "SELECT topic, object_id, happened_at, message_id FROM webhook_call WHERE id = $1 AND webhook_id = $2",
        call_id,
        webhook_id,
    )
    if row is None:
        return False
    await send(connection, webhook_id, row["topic"], row["object_id"], row["happened_at"], message_id=row["message_id"])
    return True


async def note(
    connection: Connection,
    webhook_id: UUID,
    *,
    message_id: UUID,
    topic: str,
    object_id: UUID,
    happened_at: datetime,
    status: int | None,
    error: str | None,
    took_ms: int,
) -> None:
    await connection.execute(
        "INSERT INTO webhook_call (id, webhook_id, message_id, topic, object_id, happened_at, status, error, took_ms) "
        "SELECT $1, id, $3, $4, $5, $6, $7, $8, $9 FROM webhook WHERE id = $2",
        uuid7(),
        webhook_id,
        message_id,
        topic,
        object_id,
        happened_at,
        status,
        error,
        took_ms,
    )


async def calls(connection: Connection, webhook_id: UUID, *, limit: int) -> list[Call]:
    """The newest first."""
    rows = await connection.fetch(
        "SELECT id, message_id, topic, object_id, happened_at, at, status, error, took_ms FROM webhook_call "
        "WHERE webhook_id = $1 ORDER BY id DESC LIMIT $2",
        webhook_id,
        limit,
    )
    return [Call(**dict(row)) for row in rows]


async def sweep(connection: Connection) -> None:
    await connection.execute("DELETE FROM webhook_call WHERE at <= clock_timestamp() - $1::interval", KEPT)


async def body(connection: Connection, topic: str, object_id: UUID, happened_at: datetime, message_id: UUID) -> bytes:
    """What is said: ids and states, no names: whoever may know more asks the API."""
    message: dict[str, Any] = {
        "id": str(message_id),
        "type": topic,
        "timestamp": happened_at.astimezone(UTC).isoformat(timespec="milliseconds"),
        "data": await _data(connection, topic, object_id),
    }
    return json.dumps(message, separators=(",", ":")).encode()


_DATA = {
    "order": "SELECT o.id AS order_id, o.event_id, o.code, o.state, o.version FROM ticket_order o WHERE o.id = $1",
    "checkin": "SELECT c.id AS checkin_id, l.event_id, c.list_id, c.position_id AS ticket_id, c.gate, c.at "
    "FROM checkin c JOIN checkin_list l ON l.id = c.list_id WHERE c.id = $1",
    "event": "SELECT e.id AS event_id, e.slug, e.status, e.version FROM event e WHERE e.id = $1",
}


async def _data(connection: Connection, topic: str, object_id: UUID) -> dict[str, Any]:
    """As it is now; only its id where it is gone."""
    kind = topic.partition(".")[0]
    row = await connection.fetchrow(_DATA[kind], object_id) if kind in _DATA else None
    if row is None:
        return {"id": str(object_id)}
    return {name: value.isoformat() if isinstance(value, datetime) else value if isinstance(value, int | str) or
            value is None else str(value) for name, value in row.items()}  # fmt: skip
