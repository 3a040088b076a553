"""The organizers' home: all events and how they are doing."""

from __future__ import annotations

from aiohttp import web

from skep.webapp.http.keys import DATABASE, PAGES
from skep.webapp.http.pages import page_number
from skep.webapp.http.sessions import HOME, for_members
from skep.webapp.store import events, jobs
from skep.webapp.store.members import SignedIn

PAST_PAGE_SIZE = 20

routes = web.RouteTableDef()


@routes.get(HOME)
@for_members
async def dashboard(request: web.Request, member: SignedIn) -> web.StreamResponse:
    page = page_number(request)
    whose = None if member.is_owner else member.person_id
    async with request.app[DATABASE].connection() as connection:
        current = await events.current(connection, person_id=whose)
        backlog = await jobs.backlog(connection) if member.is_owner else None
        past = await events.past(
            connection, limit=PAST_PAGE_SIZE + 1, offset=(page - 1) * PAST_PAGE_SIZE, person_id=whose
        )
    return request.app[PAGES].render(
        request,
        "organizer/dashboard.html",
        caching="no-store",
        current=current,
        past=past[:PAST_PAGE_SIZE],
        page=page,
        has_more=len(past) > PAST_PAGE_SIZE,
        registered=sum(event.registered for event in current),
        backlog=backlog,
        notice="welcome" if request.query.get("notice") == "welcome" else None,
    )
