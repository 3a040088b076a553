"""The organizers' home: all events and how they are doing."""

from __future__ import annotations

from datetime import datetime, timedelta

from aiohttp import web

from skep.webapp.http.keys import DATABASE, PAGES, SETTINGS, VISIT
from skep.webapp.http.pages import page_number
from skep.webapp.http.sessions import HOME, for_members
from skep.webapp.i18n import dates
from skep.webapp.organizer import plots
from skep.webapp.organizer.figures import named, said
from skep.webapp.store import events, figures, jobs
from skep.webapp.store.members import SignedIn

PAST_PAGE_SIZE = 20
SHOWN_DAYS = 28  # four weeks, so that weekends are seen against weekends

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
        attention = await figures.attention(connection, person_id=whose)
        now: datetime = await connection.fetchval("SELECT clock_timestamp()")
        zone = request.app[SETTINGS].timezone
        days = await figures.sold_by_day(connection, zone, person_id=whose, since=now - timedelta(days=SHOWN_DAYS))
    today = now.astimezone(dates.zone(zone)).date()
    _, buckets = plots.by_time(days, today, least_days=SHOWN_DAYS)
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
        attention=attention,
        sales=plots.plot(buckets[-SHOWN_DAYS:]),
        today=days.get(today, 0),
        finding=said(days, today, request[VISIT].t),
        named=named,
        notice="welcome" if request.query.get("notice") == "welcome" else None,
    )
