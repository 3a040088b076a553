"""When an event takes place: one more date, or another time for one."""

from __future__ import annotations

from aiohttp import web

from skep.webapp.http.forms import Form, read_form
from skep.webapp.http.keys import DATABASE, VISIT
from skep.webapp.http.sessions import for_members
from skep.webapp.organizer import offer_forms, stale
from skep.webapp.organizer.manage import managed_event
from skep.webapp.organizer.offer_frame import ID, OFFER_PATH, audited, done, page, row_id, version_of
from skep.webapp.shop import catalog
from skep.webapp.store import offers
from skep.webapp.store.members import SignedIn
from skep.webapp.store.offers import StaleVersion

routes = web.RouteTableDef()


@routes.get(OFFER_PATH + "/sessions/new")
@for_members
async def new_session(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].connection() as connection:
        event = await managed_event(request, connection)
    return page(request, event, "session", Form(request[VISIT].t, {"price": "0"}))


@routes.post(OFFER_PATH + "/sessions/new")
@for_members
async def create_session(request: web.Request, member: SignedIn) -> web.StreamResponse:
    """A session with its own places and a first ticket type."""
    form = await read_form(request, request[VISIT].t)
    async with request.app[DATABASE].transaction() as connection:
        event = await managed_event(request, connection)
        draft = offer_forms.session(form, event)
        if draft is None:
            return page(request, event, "session", form, status=422)
        session_id = await offers.create_session(
            connection, event.id, starts_at=draft.starts_at, ends_at=draft.ends_at, title=draft.title
        )
        pool_id = await offers.create_pool(connection, session_id, size=draft.capacity)
        await offers.save_type(connection, draft.first_type(session_id, pool_id))
        await audited(connection, member, "session created", "session", session_id)
    return done(event, "saved")


@routes.get(OFFER_PATH + f"/sessions/{{session_id:{ID}}}")
@for_members
async def edit_session(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].connection() as connection:
        event = await managed_event(request, connection)
        offered = await catalog.load_one(connection, event.id, counted=False)
    known = offered.session_by_id.get(row_id(request, "session_id"))
    if known is None:
        raise web.HTTPNotFound
    form = Form(request[VISIT].t, offer_forms.session_values(known, event))
    return page(request, event, "session", form, is_new=False)


@routes.post(OFFER_PATH + f"/sessions/{{session_id:{ID}}}")
@for_members
async def save_session(request: web.Request, member: SignedIn) -> web.StreamResponse:
    """Another time or name. Its places and prices have forms of their own."""
    form = await read_form(request, request[VISIT].t)
    try:
        async with request.app[DATABASE].transaction() as connection:
            event = await managed_event(request, connection)
            offered = await catalog.load_one(connection, event.id, counted=False)
            known = offered.session_by_id.get(row_id(request, "session_id"))
            if known is None:
                raise web.HTTPNotFound
            draft = offer_forms.session(form, event)
            if draft is None:
                return page(request, event, "session", form, is_new=False, status=422)
            await offers.save_session(
                connection,
                known.id,
                starts_at=draft.starts_at,
                ends_at=draft.ends_at,
                title=draft.title,
                version=version_of(form),
            )
            await audited(connection, member, "session saved", "session", known.id, ("starts_at", "ends_at", "title"))
    except StaleVersion:
        assert known is not None  # noqa: S101 (only what exists can be stale)
        saved = offer_forms.session_values(known, event)
        both = stale.differences(stale.SESSION, saved, form.values, form.t)
        form.values["version"] = saved["version"]
        return page(request, event, "session", form, is_new=False, stale=both, status=409)
    return done(event, "saved")
