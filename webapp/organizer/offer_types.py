"""Ticket types: what is sold, for how much, and like which other type."""

from __future__ import annotations

from uuid import UUID

from aiohttp import web

from skep.webapp.http.forms import Form, read_form
from skep.webapp.http.keys import DATABASE, VISIT
from skep.webapp.http.sessions import for_members
from skep.webapp.organizer import offer_forms, stale
from skep.webapp.organizer.manage import managed_event
from skep.webapp.organizer.offer_frame import ID, OFFER_PATH, audited, done, page, row_id, version_of
from skep.webapp.shop import catalog
from skep.webapp.shop.catalog import Catalog, TicketType
from skep.webapp.store import offers
from skep.webapp.store.members import SignedIn
from skep.webapp.store.offers import StaleVersion

routes = web.RouteTableDef()


@routes.get(OFFER_PATH + "/types/new")
@for_members
async def new_type(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].connection() as connection:
        event = await managed_event(request, connection)
        offered = await catalog.load_one(connection, event.id)
    fresh = {"session": str(offered.sessions[0].id), "is_active": "yes", "min": "1"}
    if (model := _model(request.query.get("like", ""), offered)) is not None:
        fresh = {**offer_forms.type_values(model, event), "like": str(model.id)}
    return page(request, event, "type", Form(request[VISIT].t, fresh), offered=offered)


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
    kind = offered.type_by_id.get(row_id(request, "type_id"))
    if kind is None:
        raise web.HTTPNotFound
    form = Form(request[VISIT].t, offer_forms.type_values(kind, event))
    return page(request, event, "type", form, offered=offered, is_new=False)


@routes.post(OFFER_PATH + f"/types/{{type_id:{ID}}}")
@for_members
async def save_type(request: web.Request, member: SignedIn) -> web.StreamResponse:
    return await _save_type(request, member, row_id(request, "type_id"))


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
            model = None if known else _model(form.values.get("like", ""), offered)
            if model is not None:
                form.values["session"] = str(model.session_id)
            draft = offer_forms.ticket_type(form, event, offered, known, like=model)
            if draft is None:
                return page(request, event, "type", form, offered=offered, is_new=known is None, status=422)
            saved = await offers.save_type(connection, draft, type_id=type_id, version=version_of(form))
            await audited(connection, member, "type saved" if known else "type created", "type", saved)
    except StaleVersion:
        assert known is not None  # noqa: S101 (only what exists can be stale)
        values = offer_forms.type_values(known, event)
        both = stale.differences(stale.TYPE, values, form.values, form.t)
        form.values["version"] = values["version"]
        return page(request, event, "type", form, offered=offered, is_new=False, stale=both, status=409)
    return done(event, "saved")


def _model(text: str, offered: Catalog) -> TicketType | None:
    """The type that a new one is like: it draws on the same places."""
    return next((kind for kind in offered.types if str(kind.id) == text), None)
