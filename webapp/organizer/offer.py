"""What an event offers, written by its organizers: sessions, ticket types, vouchers, questions.

One page lists it all; each thing has a form of its own.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from uuid import UUID

from aiohttp import web

from skep.webapp.http.forms import Form, read_form
from skep.webapp.http.keys import DATABASE, PAGES, VISIT
from skep.webapp.http.pages import redirect
from skep.webapp.http.sessions import for_members
from skep.webapp.organizer import offer_forms
from skep.webapp.organizer.manage import EVENT_PATH, managed_event
from skep.webapp.shop import catalog, stock
from skep.webapp.shop.catalog import Catalog
from skep.webapp.store import audit, offers
from skep.webapp.store.audit import Actor
from skep.webapp.store.events import Event
from skep.webapp.store.members import SignedIn
from skep.webapp.store.offers import CodeTaken, InUse, StaleVersion

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

log = logging.getLogger(__name__)

OFFER_PATH = EVENT_PATH + "/tickets"
ID = "[0-9a-f-]{36}"
NOTICES = frozenset({"saved", "in-use", "removed"})

routes = web.RouteTableDef()


@routes.get(OFFER_PATH)
@for_members
async def offer_page(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].connection() as connection:
        event = await managed_event(request, connection)
        offered = await catalog.load_one(connection, event.id)
        questions = await catalog.questions(connection, event.id, event.language)
        vouchers = await connection.fetch(
            "SELECT v.id, v.code, v.effect, v.value, v.max_uses, v.type_id, "
            "(SELECT count(*) FROM order_position x WHERE x.voucher_id = v.id AND x.is_held) AS used "
            "FROM voucher v WHERE v.event_id = $1 ORDER BY v.code",
            event.id,
        )
    notice = request.query.get("notice")
    return request.app[PAGES].render(
        request,
        "organizer/offer.html",
        caching="no-store",
        event=event,
        offered=offered,
        questions=questions,
        vouchers=vouchers,
        notice=notice if notice in NOTICES else None,
    )


@routes.get(OFFER_PATH + "/sessions/new")
@for_members
async def new_session(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].connection() as connection:
        event = await managed_event(request, connection)
    return _page(request, event, "session", Form(request[VISIT].t, {"price": "0"}))


@routes.post(OFFER_PATH + "/sessions/new")
@for_members
async def create_session(request: web.Request, member: SignedIn) -> web.StreamResponse:
    """A session with its own places and a first ticket type."""
    form = await read_form(request, request[VISIT].t)
    async with request.app[DATABASE].transaction() as connection:
        event = await managed_event(request, connection)
        draft = offer_forms.session(form, event)
        if draft is None:
            return _page(request, event, "session", form, status=422)
        session_id = await offers.create_session(
            connection, event.id, starts_at=draft.starts_at, ends_at=draft.ends_at, title=draft.title
        )
        pool_id = await offers.create_pool(connection, session_id, size=draft.capacity)
        await offers.save_type(connection, draft.first_type(session_id, pool_id))
        await _audited(connection, member, "session created", "session", session_id)
    return _done(event, "saved")


@routes.get(OFFER_PATH + f"/sessions/{{session_id:{ID}}}")
@for_members
async def edit_session(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].connection() as connection:
        event = await managed_event(request, connection)
        offered = await catalog.load_one(connection, event.id, counted=False)
    known = offered.session_by_id.get(_id(request, "session_id"))
    if known is None:
        raise web.HTTPNotFound
    form = Form(request[VISIT].t, offer_forms.session_values(known, event))
    return _page(request, event, "session", form, is_new=False)


@routes.post(OFFER_PATH + f"/sessions/{{session_id:{ID}}}")
@for_members
async def save_session(request: web.Request, member: SignedIn) -> web.StreamResponse:
    """Another time or name. Its places and prices have forms of their own."""
    form = await read_form(request, request[VISIT].t)
    try:
        async with request.app[DATABASE].transaction() as connection:
            event = await managed_event(request, connection)
            offered = await catalog.load_one(connection, event.id, counted=False)
            known = offered.session_by_id.get(_id(request, "session_id"))
            if known is None:
                raise web.HTTPNotFound
            draft = offer_forms.session(form, event)
            if draft is None:
                return _page(request, event, "session", form, is_new=False, status=422)
            await offers.save_session(
                connection,
                known.id,
                starts_at=draft.starts_at,
                ends_at=draft.ends_at,
                title=draft.title,
                version=_version(form),
            )
            await _audited(connection, member, "session saved", "session", known.id, ("starts_at", "ends_at", "title"))
    except StaleVersion:
        assert known is not None  # noqa: S101 (only what exists can be stale)
        form.values["version"] = str(known.version)
        return _page(request, event, "session", form, is_new=False, stale=True, status=409)
    return _done(event, "saved")


@routes.get(OFFER_PATH + "/types/new")
@for_members
async def new_type(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].connection() as connection:
        event = await managed_event(request, connection)
        offered = await catalog.load_one(connection, event.id)
    fresh = {"session": str(offered.sessions[0].id), "is_active": "yes", "min": "1"}
    return _page(request, event, "type", Form(request[VISIT].t, fresh), offered=offered)


@routes.post(OFFER_PATH + "/types/new")
@for_members
async def create_type(request: web.Request, member: SignedIn) -> web.StreamResponse:
    return await _save_type(request, member, None)


@routes.get(OFFER_PATH + f"/types/{{type_id:{ID}}}")
@for_members
async def edit_type(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].connection() as connection:
        event = await managed_event(request, connection)
        offered = await catalog.load_one(connection, event.id)
    kind = offered.type_by_id.get(_id(request, "type_id"))
    if kind is None:
        raise web.HTTPNotFound
    form = Form(request[VISIT].t, offer_forms.type_values(kind, event))
    return _page(request, event, "type", form, offered=offered, is_new=False)


@routes.post(OFFER_PATH + f"/types/{{type_id:{ID}}}")
@for_members
async def save_type(request: web.Request, member: SignedIn) -> web.StreamResponse:
    return await _save_type(request, member, _id(request, "type_id"))


async def _save_type(request: web.Request, member: SignedIn, type_id: UUID | None) -> web.StreamResponse:
    form = await read_form(request, request[VISIT].t)
    try:
        async with request.app[DATABASE].transaction() as connection:
            event = await managed_event(request, connection)
            offered = await catalog.load_one(connection, event.id)
            known = offered.type_by_id.get(type_id) if type_id else None
            if type_id is not None and known is None:
                raise web.HTTPNotFound
            if known is not None:
                form.values["session"] = str(known.session_id)  # what was sold stays where it is
            draft = offer_forms.ticket_type(form, event, offered, known)
            if draft is None:
                return _page(request, event, "type", form, offered=offered, is_new=known is None, status=422)
            saved = await offers.save_type(connection, draft, type_id=type_id, version=_version(form))
            await _audited(connection, member, "type saved", "type", saved)
    except StaleVersion:
        assert known is not None  # noqa: S101 (only what exists can be stale)
        form.values["version"] = str(known.version)
        return _page(request, event, "type", form, offered=offered, is_new=False, stale=True, status=409)
    return _done(event, "saved")


@routes.post(OFFER_PATH + f"/pools/{{pool_id:{ID}}}")
@for_members
async def resize_pool(request: web.Request, member: SignedIn) -> web.StreamResponse:
    """More or fewer places. Below what is held nothing is taken away: carts that live still succeed."""
    form = await read_form(request, request[VISIT].t)
    places = offer_forms.capacity(form)
    async with request.app[DATABASE].transaction() as connection:
        event = await managed_event(request, connection)
        offered = await catalog.load_one(connection, event.id)
        pool_id = _id(request, "pool_id")
        if pool_id not in offered.pools:
            raise web.HTTPNotFound
        if form.errors:
            return _page(request, event, "pool", form, status=422)
        await stock.lock(connection, [stock.pool_key(pool_id)])
        await offers.resize_pool(connection, pool_id, places)
        await _audited(connection, member, "pool resized", "pool", pool_id, ("size",))
    return _done(event, "saved")


@routes.get(OFFER_PATH + "/vouchers/new")
@for_members
async def new_voucher(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].connection() as connection:
        event = await managed_event(request, connection)
        offered = await catalog.load_one(connection, event.id)
    return _page(request, event, "voucher", Form(request[VISIT].t, {"max_uses": "1"}), offered=offered)


@routes.post(OFFER_PATH + "/vouchers/new")
@for_members
async def create_voucher(request: web.Request, member: SignedIn) -> web.StreamResponse:
    form = await read_form(request, request[VISIT].t)
    async with request.app[DATABASE].transaction() as connection:
        event = await managed_event(request, connection)
        offered = await catalog.load_one(connection, event.id)
        draft = offer_forms.voucher(form, event, offered)
        try:
            if draft is not None:
                voucher_id = await offers.create_voucher(connection, event.id, draft)
                await _audited(connection, member, "voucher created", "voucher", voucher_id)
        except CodeTaken:
            form.refuse("code", form.t("wrong.code.taken"))
        if form.errors:
            return _page(request, event, "voucher", form, offered=offered, status=422)
    return _done(event, "saved")


@routes.post(OFFER_PATH + f"/vouchers/{{voucher_id:{ID}}}/delete")
@for_members
async def delete_voucher(request: web.Request, member: SignedIn) -> web.StreamResponse:
    voucher_id = _id(request, "voucher_id")
    try:
        async with request.app[DATABASE].transaction() as connection:
            event = await managed_event(request, connection)
            await offers.delete_voucher(connection, event.id, voucher_id)
            await _audited(connection, member, "voucher deleted", "voucher", voucher_id)
    except InUse:
        return _done(event, "in-use")
    return _done(event, "removed")


@routes.get(OFFER_PATH + "/questions/new")
@for_members
async def new_question(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].connection() as connection:
        event = await managed_event(request, connection)
    return _page(request, event, "question", Form(request[VISIT].t, {"kind": "line"}))


@routes.post(OFFER_PATH + "/questions/new")
@for_members
async def create_question(request: web.Request, member: SignedIn) -> web.StreamResponse:
    form = await read_form(request, request[VISIT].t)
    async with request.app[DATABASE].transaction() as connection:
        event = await managed_event(request, connection)
        draft = offer_forms.question(form, event)
        if draft is None:
            return _page(request, event, "question", form, status=422)
        question_id = await offers.create_question(connection, event.id, draft)
        await _audited(connection, member, "question created", "question", question_id)
    return _done(event, "saved")


@routes.post(OFFER_PATH + f"/questions/{{question_id:{ID}}}/delete")
@for_members
async def delete_question(request: web.Request, member: SignedIn) -> web.StreamResponse:
    question_id = _id(request, "question_id")
    try:
        async with request.app[DATABASE].transaction() as connection:
            event = await managed_event(request, connection)
            await offers.delete_question(connection, event.id, question_id)
            await _audited(connection, member, "question deleted", "question", question_id)
    except InUse:
        return _done(event, "in-use")
    return _done(event, "removed")


async def _audited(
    connection: Connection, member: SignedIn, action: str, kind: str, identity: UUID, fields: tuple[str, ...] = ()
) -> None:
    await audit.record(connection, Actor("member", member.member_id), action, kind, identity, fields)
    log.info(action, extra={"object_id": str(identity), "member_id": str(member.member_id)})


def _version(form: Form) -> int:
    """Which version the form was made of; -1, which no row has, for rubbish."""
    version = form.values.get("version", "")
    return int(version) if version.isascii() and version.isdigit() and len(version) < 10 else -1


def _id(request: web.Request, name: str) -> UUID:
    try:
        return UUID(request.match_info[name])
    except ValueError as error:
        raise web.HTTPNotFound from error


def _done(event: Event, notice: str) -> web.StreamResponse:
    return redirect(f"/organizer/events/{event.id}/tickets?notice={notice}")


def _page(
    request: web.Request,
    event: Event,
    kind: str,
    form: Form,
    *,
    offered: Catalog | None = None,
    is_new: bool = True,
    stale: bool = False,
    status: int = 200,
) -> web.Response:
    return request.app[PAGES].render(
        request,
        "organizer/offer_form.html",
        status=status,
        caching="no-store",
        event=event,
        kind=kind,
        form=form,
        offered=offered,
        is_new=is_new,
        stale=stale,
    )
