"""What handlers and the server ask of a request alike: fields, versions, cursors, events that a token is for."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from aiohttp import web
from pydantic import ValidationError

from skep.webapp.api.operations import Call
from skep.webapp.http.problems import FieldError, Problem
from skep.webapp.store import events

if TYPE_CHECKING:
    from skep.webapp.store.events import Event
    from skep.webapp.store.pool import Connection


def field_errors(error: ValidationError) -> list[FieldError]:
    """What pydantic says, without the values: they may be personal."""
    return [
        FieldError(".".join(str(part) for part in each["loc"]) or "body", each["type"], each["msg"])
        for each in error.errors(include_url=False, include_context=False, include_input=False)[:20]
    ]


def matches(header: str, etag: str) -> bool:
    """If-None-Match: weak comparison, as RFC 9110 asks."""
    asked = [each.strip().removeprefix("W/") for each in header.split(",")]
    return etag in asked or "*" in asked


def match_version(request: web.Request) -> int:
    """The version that If-Match names. Raises Problem where it is absent or none of ours."""
    header = request.headers.get("If-Match", "").strip()
    if not header:
        raise Problem("precondition_required")
    version = header.strip('"').partition("-")[0]
    if not (version.isascii() and version.isdigit() and len(version) < 10):
        raise Problem("stale")
    return int(version)


def allowed(call: Call[Any, Any], event_id: UUID) -> UUID:
    """*event_id*, if the token is for it. Raises Problem: what is not for it is not there."""
    if not call.bearer.may(event_id):
        raise Problem("not_found")
    return event_id


async def seen_event(connection: Connection, call: Call[Any, Any], event_id: UUID) -> Event:
    """A public event; with `events:read` for it also a draft. Raises Problem."""
    found = await events.by_ids(connection, [event_id])
    if not found or not (found[0].is_published or sees_drafts(call, event_id)):
        raise Problem("not_found")
    return found[0]


def sees_drafts(call: Call[Any, Any], event_id: UUID) -> bool:
    return call.token is not None and "events:read" in call.token.scopes and call.token.may(event_id)


async def own_event(connection: Connection, call: Call[Any, Any], event_id: UUID) -> Event:
    """An event that the token is for, draft or not. Raises Problem."""
    event = await events.by_id(connection, allowed(call, event_id))
    if event is None:
        raise Problem("not_found")
    return event


def cursor_of(*parts: str) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).rstrip(b"=").decode()


def after(cursor: str | None) -> UUID | None:
    """The row after which the next page begins. Raises Problem for a cursor that is none of ours."""
    return None if cursor is None else _parts(cursor)[1]


def after_moment(cursor: str | None) -> tuple[datetime, UUID] | None:
    """The same where rows are in the order of time."""
    if cursor is None:
        return None
    moment, identity = _parts(cursor)
    if moment is None:
        raise _bad_cursor()
    return moment, identity


def _parts(cursor: str) -> tuple[datetime | None, UUID]:
    try:
        *moment, identity = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return (datetime.fromisoformat(moment[0]) if moment else None), UUID(identity)
    except (ValueError, binascii.Error, TypeError, AttributeError, RecursionError) as error:
        raise _bad_cursor() from error


def _bad_cursor() -> Problem:
    return Problem("invalid", errors=[FieldError("cursor", "unknown", "Take it from next_cursor as it is.")])
