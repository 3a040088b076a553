"""Letting people in: one scan, what it answers, and scans that were made without network and told later.

A ticket is let in once by each list: a unique index says so, however many gates ask at once. What a door did without
network happened, so it is kept whatever we know by now, and marked where it contradicts.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from skep.webapp.i18n import dates
from skep.webapp.ids import uuid7
from skep.webapp.shop import answers as replies
from skep.webapp.shop import doors
from skep.webapp.shop.answers import AnswerRefused
from skep.webapp.shop.catalog import Question
from skep.webapp.store import audit
from skep.webapp.store.texts import Texts

if TYPE_CHECKING:
    import asyncpg

    from skep.webapp.store.audit import Actor
    from skep.webapp.store.pool import Connection

Mark = Literal["already_redeemed", "unknown", "cancelled", "unpaid", "wrong_list", "too_early", "incomplete"]


@dataclass(frozen=True, slots=True)
class Scan:
    """What a device says. *at* by its own clock. *is_past*: it was made without network, and cannot be refused."""

    code_sha256: bytes
    nonce: str
    at: datetime
    gate: str
    token_id: UUID | None
    answers: Mapping[UUID, str]
    is_past: bool = False


@dataclass(frozen=True, slots=True)
class Entered:
    """*id* None: nothing was written. *mark* None: somebody is let in, and counts.

    *came_at* and *came_by*: when and where the ticket was let in, by this scan or before it. *asked*: door questions
    without an answer. *opens_at*: where it is too early.
    """

    id: UUID | None
    mark: Mark | None
    name: str = ""
    type_title: Texts | None = None
    order_code: str = ""
    came_at: datetime | None = None
    came_by: str = ""
    opens_at: datetime | None = None
    asked: tuple[Question, ...] = ()
    wrong_answers: tuple[UUID, ...] = ()
    is_repeated: bool = False


def code_hash(code: str) -> bytes | None:
    """Of what a ticket's QR code holds; None if no ticket of ours could hold it."""
    text = "".join(code.split())
    if not re.fullmatch(r"[A-Za-z0-9_-]{22}", text):
        return None
    try:
        secret = base64.b64decode(text + "==", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return hashlib.sha256(secret).digest()


def foreign_hash(code: str) -> bytes:
    """Stands for a code that is none of ours: it finds no ticket."""
    return hashlib.sha256(b"not a ticket's code: " + code.encode(errors="replace")).digest()


_LOOK = """
SELECT l.event_id, l.session_id AS door_session, l.opens_minutes, x.id AS position_id, x.session_id, x.type_id,
       x.cancelled_at, o.state, o.event_id AS sold_for, o.code, coalesce(h.name, b.name) AS name, t.title, e.language,
       e.timezone, s.starts_at, clock_timestamp() AS now,
       NOT EXISTS (SELECT FROM checkin_list_type lt WHERE lt.list_id = l.id)
         OR EXISTS (SELECT FROM checkin_list_type lt WHERE lt.list_id = l.id AND lt.type_id = x.type_id) AS has_type,
       EXISTS (SELECT FROM question q WHERE q.event_id = l.event_id AND q.at_door) AS asks,
       n.id AS told, n.mark AS told_mark, n.at AS told_at, n.gate AS told_gate, n.undone_at AS told_undone,
       c.id AS came, c.at AS came_at, c.gate AS came_by
FROM checkin_list l
LEFT JOIN order_position x ON sha256(x.secret) = $2
LEFT JOIN ticket_order o ON o.id = x.order_id
LEFT JOIN person b ON b.id = o.person_id
LEFT JOIN person h ON h.id = x.person_id
LEFT JOIN ticket_type t ON t.id = x.type_id
LEFT JOIN event_session s ON s.id = x.session_id
LEFT JOIN event e ON e.id = l.event_id
LEFT JOIN checkin n ON n.list_id = l.id AND n.nonce = $3 AND n.code_sha256 = $2
LEFT JOIN checkin c ON c.list_id = l.id AND c.position_id = x.id AND c.mark IS NULL AND c.undone_at IS NULL
WHERE l.id = $1
"""

_WRITE = """
INSERT INTO checkin (id, list_id, position_id, code_sha256, nonce, gate, token_id, at, mark)
VALUES ($1, $2, $3, $4, $5, $6, $7, least($8, clock_timestamp()), $9) ON CONFLICT DO NOTHING RETURNING at
"""


_AT_ONCE = """
WITH look AS (
    SELECT l.id AS list_id, x.id AS position_id, o.code, coalesce(h.name, b.name) AS name, t.title, e.language,
           EXISTS (SELECT FROM webhook w WHERE w.is_active AND 'checkin.made' = ANY(w.topics)) AS is_told
    FROM checkin_list l JOIN order_position x ON sha256(x.secret) = $3 AND x.cancelled_at IS NULL
    JOIN ticket_order o ON o.id = x.order_id AND o.state = 'paid' AND o.event_id = l.event_id
    JOIN event e ON e.id = l.event_id JOIN ticket_type t ON t.id = x.type_id
    JOIN event_session s ON s.id = x.session_id JOIN person b ON b.id = o.person_id
    LEFT JOIN person h ON h.id = x.person_id
    WHERE l.id = $2 AND ($8::uuid[] IS NULL OR l.event_id = ANY($8))
      AND (l.session_id IS NULL OR l.session_id = x.session_id)
      AND (l.opens_minutes IS NULL OR least(CASE WHEN $9::boolean THEN $7::timestamptz END, clock_timestamp())
           >= s.starts_at - make_interval(mins => l.opens_minutes))
      AND (NOT EXISTS (SELECT FROM checkin_list_type lt WHERE lt.list_id = l.id)
           OR EXISTS (SELECT FROM checkin_list_type lt WHERE lt.list_id = l.id AND lt.type_id = x.type_id))
      AND NOT EXISTS (SELECT FROM question q WHERE q.event_id = l.event_id AND q.at_door)),
done AS (
    INSERT INTO checkin (id, list_id, position_id, code_sha256, nonce, gate, token_id, at)
    SELECT $1, look.list_id, look.position_id, $3, $4, $5, $6, least($7, clock_timestamp()) FROM look
    ON CONFLICT DO NOTHING RETURNING at)
SELECT look.*, done.at FROM look, done
"""


async def let_in_at_once(
    connection: Connection, list_id: UUID, scan: Scan, event_ids: Collection[UUID] | None
) -> tuple[Entered, bool] | None:
    """The usual case in one statement: a good ticket, the first time. And whether a webhook is to be told of it.

    None: nothing was written, and `let_in` says why. *event_ids*: what the device is for; None: everything.
    """
    identity = uuid7()
    row = await connection.fetchrow(
        _AT_ONCE,
        identity,
        list_id,
        scan.code_sha256,
        scan.nonce,
        scan.gate,
        scan.token_id,
        scan.at,
        None if event_ids is None else list(event_ids),
        scan.is_past,
    )
    if row is None:
        return None
    entered = Entered(
        id=identity,
        mark=None,
        name=row["name"],
        type_title=_title(row),
        order_code=row["code"],
        came_at=row["at"],
        came_by=scan.gate,
    )
    return entered, row["is_told"]


async def let_in(connection: Connection, list_id: UUID, scan: Scan) -> Entered | None:
    """None: there is no such list. Must run in a transaction if the scan carries answers."""
    for _ in range(3):
        row = await connection.fetchrow(_LOOK, list_id, scan.code_sha256, scan.nonce)
        if row is None:
            return None
        if row["told"] is not None:
            return _told(row)
        mark, asked, wrong = await _judged(connection, row, scan)
        if mark is not None and not scan.is_past:
            return _answer(row, None, mark, asked=asked, wrong=wrong)
        identity = uuid7()
        position_id = row["position_id"] if row["sold_for"] == row["event_id"] else None
        at = await connection.fetchval(
            _WRITE,
            identity,
            list_id,
            position_id,
            scan.code_sha256,
            scan.nonce,
            scan.gate,
            scan.token_id,
            scan.at,
            mark,
        )
        if at is not None:
            return _answer(row, identity, mark, at=at, gate=scan.gate)
        # Another gate was faster by a moment: looked at again, this scan finds what that one did.
    raise AssertionError("a conflict leaves a row that the next look finds")


async def _judged(
    connection: Connection, row: asyncpg.Record, scan: Scan
) -> tuple[Mark | None, tuple[Question, ...], tuple[UUID, ...]]:
    """(why not, what is still to be asked, which answers make no sense). Right answers are written."""
    if row["position_id"] is None or row["sold_for"] != row["event_id"]:
        return "unknown", (), ()
    if row["cancelled_at"] is not None or row["state"] in ("cancelled", "expired"):
        return "cancelled", (), ()
    if row["state"] != "paid":
        return "unpaid", (), ()
    if not row["has_type"] or (row["door_session"] is not None and row["door_session"] != row["session_id"]):
        return "wrong_list", (), ()
    if row["came"] is not None:
        return "already_redeemed", (), ()
    opens_at = _opens_at(row)
    if opens_at is not None and min(scan.at if scan.is_past else row["now"], row["now"]) < opens_at:
        return "too_early", (), ()
    if not row["asks"]:
        return None, (), ()
    asked, wrong = await _asked(connection, row, scan.answers)
    return ("incomplete" if asked or wrong else None), asked, wrong


async def _asked(
    connection: Connection, row: asyncpg.Record, given: Mapping[UUID, str]
) -> tuple[tuple[Question, ...], tuple[UUID, ...]]:
    zone = dates.zone(row["timezone"])
    found = [
        question
        for question in await doors.questions(connection, row["event_id"], row["language"])
        if question.is_for(row["type_id"])
    ]
    known = {
        answer["question_id"]
        for answer in await connection.fetch(
            "SELECT question_id FROM answer WHERE position_id = $1", row["position_id"]
        )
    }
    right: list[tuple[UUID, UUID, UUID, str]] = []
    open_: list[Question] = []
    wrong: list[UUID] = []
    for question in found:
        if question.id not in given:
            if question.is_required and question.id not in known:
                open_.append(question)
            continue
        try:
            value = replies.parse(question, given[question.id], zone)
        except AnswerRefused:
            open_.append(question)
            wrong.append(question.id)
            continue
        if value is not None:
            right.append((uuid7(), row["position_id"], question.id, value))
    if right:
        await connection.executemany(
            "INSERT INTO answer (id, position_id, question_id, value) VALUES ($1, $2, $3, $4) "
            "ON CONFLICT (position_id, question_id) DO UPDATE SET value = excluded.value, version = answer.version + 1",
            right,
        )
    return tuple(open_), tuple(wrong)


def _opens_at(row: asyncpg.Record) -> datetime | None:
    if row["opens_minutes"] is None:
        return None
    opens_at: datetime = row["starts_at"] - timedelta(minutes=row["opens_minutes"])
    return opens_at.astimezone(dates.zone(row["timezone"]))


def _told(row: asyncpg.Record) -> Entered:
    """The same scan again: the same answer."""
    came = row["came"] is not None and row["told_mark"] is not None
    return Entered(
        id=row["told"],
        mark=row["told_mark"],
        name=row["name"] or "",
        type_title=_title(row),
        order_code=row["code"] or "",
        came_at=row["came_at"] if came else row["told_at"],
        came_by=row["came_by"] if came else row["told_gate"],
        is_repeated=True,
    )


def _answer(
    row: asyncpg.Record,
    identity: UUID | None,
    mark: Mark | None,
    *,
    at: datetime | None = None,
    gate: str = "",
    asked: tuple[Question, ...] = (),
    wrong: tuple[UUID, ...] = (),
) -> Entered:
    is_ours = mark != "unknown"
    before = mark == "already_redeemed"
    return Entered(
        id=identity,
        mark=mark,
        name=row["name"] if is_ours else "",
        type_title=_title(row) if is_ours else None,
        order_code=row["code"] if is_ours else "",
        came_at=row["came_at"] if before else at,
        came_by=row["came_by"] if before else gate,
        opens_at=_opens_at(row) if mark == "too_early" else None,
        asked=asked,
        wrong_answers=wrong,
    )


def _title(row: asyncpg.Record) -> Texts | None:
    return None if row["title"] is None else Texts(json.loads(row["title"]), row["language"])


async def undo(connection: Connection, list_id: UUID, scan_id: UUID, actor: Actor) -> bool:
    """Somebody was let in by mistake: the ticket may come again. False if there is no such scan, or it was undone.

    Must run in a transaction.
    """
    done = await connection.fetchval(
        "UPDATE checkin SET undone_at = clock_timestamp() WHERE list_id = $1 AND id = $2 AND undone_at IS NULL "
        "RETURNING true",
        list_id,
        scan_id,
    )
    if done:
        await audit.record(connection, actor, "check-in undone", "checkin", scan_id, ("undone_at",))
    return bool(done)


@dataclass(frozen=True, slots=True)
class Logged:
    """A scan as it is read later; the newest first."""

    id: UUID
    name: str
    type_title: Texts | None
    order_code: str
    at: datetime
    gate: str
    mark: Mark | None
    undone_at: datetime | None


async def log_of(connection: Connection, list_id: UUID, *, limit: int, before: UUID | None = None) -> list[Logged]:
    rows = await connection.fetch(
        "SELECT c.id, coalesce(h.name, b.name, '') AS name, t.title, e.language, coalesce(o.code, '') AS code, c.at, "
        "c.gate, c.mark, c.undone_at, e.timezone FROM checkin c JOIN checkin_list l ON l.id = c.list_id "
        "JOIN event e ON e.id = l.event_id LEFT JOIN order_position x ON x.id = c.position_id "
        "LEFT JOIN ticket_order o ON o.id = x.order_id LEFT JOIN person b ON b.id = o.person_id "
        "LEFT JOIN person h ON h.id = x.person_id LEFT JOIN ticket_type t ON t.id = x.type_id "
        "WHERE c.list_id = $1 AND ($3::uuid IS NULL OR c.id < $3) ORDER BY c.id DESC LIMIT $2",
        list_id,
        limit,
        before,
    )
    return [
        Logged(
            id=row["id"],
            name=row["name"],
            type_title=_title(row),
            order_code=row["code"],
            at=row["at"].astimezone(dates.zone(row["timezone"])),
            gate=row["gate"],
            mark=row["mark"],
            undone_at=row["undone_at"],
        )
        for row in rows
    ]
