"""An event's doors: its check-in lists, what is asked there, and who was let in."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from uuid import UUID

from aiohttp import web

from skep.webapp.http.forms import Form, read_form
from skep.webapp.http.keys import DATABASE, PAGES, VISIT
from skep.webapp.http.pages import redirect
from skep.webapp.http.sessions import for_members
from skep.webapp.organizer.access import Shown, offered
from skep.webapp.organizer.manage import EVENT_PATH, managed_event
from skep.webapp.shop import catalog, doors, entry
from skep.webapp.store import audit, offers, tokens
from skep.webapp.store.audit import Actor
from skep.webapp.store.events import Event
from skep.webapp.store.members import SignedIn
from skep.webapp.store.offers import InUse, QuestionDraft
from skep.webapp.store.rights import Right

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

log = logging.getLogger(__name__)

DOORS = EVENT_PATH + "/doors"
ID = "[0-9a-f-]{36}"
NAME_LIMIT = 60
LABEL_LIMIT = 300
MINUTES_LIMIT = 10_080  # a week
SHOWN = 50
MAY: tuple[Right, ...] = ("checkin", "manage")
NOTICES = frozenset({"made", "removed", "kept", "undone", "asked"})

routes = web.RouteTableDef()


@routes.get(DOORS)
@for_members
async def doors_page(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].connection() as connection:
        event = await managed_event(request, connection, *MAY)
        return await _page(request, connection, event, Form(request[VISIT].t, {"kind": "line"}))


@routes.post(DOORS)
@for_members
async def make_list(request: web.Request, member: SignedIn) -> web.StreamResponse:
    t = request[VISIT].t
    form = await read_form(request, t)
    name = form.text("name", limit=NAME_LIMIT, missing="wrong.doors.name")
    minutes = _minutes(form)
    async with request.app[DATABASE].transaction() as connection:
        event = await managed_event(request, connection, *MAY)
        offered = await catalog.load_one(connection, event.id, counted=False)
        chosen = [kind.id for kind in offered.types if form.values.get(f"type-{kind.id}") == "yes"]
        if form.errors:
            return await _page(request, connection, event, form, status=422)
        actor = Actor("member", member.member_id)
        await doors.create(connection, event.id, actor, name=name, type_ids=chosen, opens_minutes=minutes)
    return _back(event, "made")


@routes.post(DOORS + "/devices")
@for_members
async def offer_device(request: web.Request, member: SignedIn) -> web.StreamResponse:
    """Who may check in at this event may sign in a device for it, and for nothing else."""
    t = request[VISIT].t
    form = await read_form(request, t)
    name = form.text("device_name", limit=NAME_LIMIT, missing="wrong.access.name")
    async with request.app[DATABASE].connection() as connection:
        event = await managed_event(request, connection, *MAY)
    shown = None if form.errors else await offered(request, member, name, [event.id])
    async with request.app[DATABASE].connection() as connection:
        kept = form if form.errors else Form(t, {"kind": "line"})
        return await _page(request, connection, event, kept, shown=shown, status=422 if form.errors else 200)


@routes.post(DOORS + f"/{{list_id:{ID}}}/remove")
@for_members
async def remove_list(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].transaction() as connection:
        event = await managed_event(request, connection, *MAY)
        list_id = await _list_of(request, connection, event)
        gone = await doors.remove(connection, list_id, Actor("member", member.member_id))
    return _back(event, "removed" if gone else "kept")


@routes.post(DOORS + f"/{{list_id:{ID}}}/scans/{{scan_id:{ID}}}/undo")
@for_members
async def undo(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].transaction() as connection:
        event = await managed_event(request, connection, *MAY)
        list_id = await _list_of(request, connection, event)
        await entry.undo(connection, list_id, _id(request, "scan_id"), Actor("member", member.member_id))
    return _back(event, "undone")


@routes.post(DOORS + "/questions")
@for_members
async def ask(request: web.Request, member: SignedIn) -> web.StreamResponse:
    form = await read_form(request, request[VISIT].t)
    label = form.text("label", limit=LABEL_LIMIT, missing="wrong.doors.question")
    kind = form.values.get("kind", "")
    async with request.app[DATABASE].transaction() as connection:
        event = await managed_event(request, connection, *MAY)
        if kind not in doors.QUESTION_KINDS:
            raise web.HTTPBadRequest
        if form.errors:
            return await _page(request, connection, event, form, status=422)
        draft = QuestionDraft(kind, {event.language: label}, is_required=form.values.get("is_required") == "yes")
        question_id = await offers.create_question(connection, event.id, draft)
        await connection.execute("UPDATE question SET at_door = true WHERE id = $1", question_id)
        actor = Actor("member", member.member_id)
        await audit.record(connection, actor, "door question made", "question", question_id)
    return _back(event, "asked")


@routes.post(DOORS + f"/questions/{{question_id:{ID}}}/remove")
@for_members
async def remove_question(request: web.Request, member: SignedIn) -> web.StreamResponse:
    """One that was answered stays in the rows, and is not asked any more."""
    question_id = _id(request, "question_id")
    async with request.app[DATABASE].transaction() as connection:
        event = await managed_event(request, connection, *MAY)
        known = {question.id for question in await doors.questions(connection, event.id, event.language)}
        if question_id not in known:
            raise web.HTTPNotFound
        try:
            await offers.delete_question(connection, event.id, question_id)
        except InUse:
            return _back(event, "kept")
        actor = Actor("member", member.member_id)
        await audit.record(connection, actor, "door question removed", "question", question_id)
    return _back(event, "removed")


def _back(event: Event, notice: str) -> web.Response:
    return redirect(f"/organizer/events/{event.id}/doors?notice={notice}")


def _minutes(form: Form) -> int | None:
    text = form.values.get("minutes", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit() and len(text) < 6 and int(text) <= MINUTES_LIMIT:
        return int(text)
    form.refuse("minutes", form.t("wrong.doors.minutes", limit=form.t.number(MINUTES_LIMIT)))
    return None


async def _list_of(request: web.Request, connection: Connection, event: Event) -> UUID:
    """Raises HTTPNotFound for a list of another event."""
    list_id = _id(request, "list_id")
    if await connection.fetchval("SELECT event_id FROM checkin_list WHERE id = $1", list_id) != event.id:
        raise web.HTTPNotFound
    return list_id


def _id(request: web.Request, name: str) -> UUID:
    try:
        return UUID(request.match_info[name])
    except ValueError as error:
        raise web.HTTPNotFound from error


async def _page(
    request: web.Request,
    connection: Connection,
    event: Event,
    form: Form,
    *,
    status: int = 200,
    shown: Shown | None = None,
) -> web.StreamResponse:
    found = await doors.of_events(connection, [event.id])
    offered = await catalog.load_one(connection, event.id, counted=False)
    logs = [(door, await entry.log_of(connection, door.id, limit=SHOWN)) for door in found]
    questions = await doors.questions(connection, event.id, event.language)
    notice = request.query.get("notice")
    return request.app[PAGES].render(
        request,
        "organizer/doors.html",
        status=status,
        caching="no-store",
        event=event,
        form=form,
        doors=found,
        logs=logs,
        types=offered.types,
        questions=questions,
        kinds=doors.QUESTION_KINDS,
        shown=shown,
        minutes=int(tokens.ENROLMENT_LIFETIME.total_seconds() // 60),
        notice=notice if notice in NOTICES else None,
    )
