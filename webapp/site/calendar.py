"""The calendar file of an event."""

from __future__ import annotations

from aiohttp import web

from skep.webapp.http.keys import DATABASE, SETTINGS, VISIT
from skep.webapp.shop import calendars, catalog
from skep.webapp.site.event_page import EVENT_PATH, visible_event

routes = web.RouteTableDef()


@routes.get(EVENT_PATH + "/calendar.ics")
async def calendar(request: web.Request) -> web.Response:
    async with request.app[DATABASE].connection() as connection:
        event = await visible_event(request, connection)
        offered = await catalog.load_one(connection, event.id, counted=False)
    visit = request[VISIT]
    address = f"{visit.client.scheme}://{visit.client.host}/events/{event.slug}"
    entry = (event, offered.sessions, address)
    text = calendars.render([entry], visit.t.language, request.app[SETTINGS].uid, offered.now)
    return web.Response(
        text=text,
        content_type="text/calendar",
        charset="utf-8",
        headers={"Content-Disposition": f'attachment; filename="{event.slug}.ics"', "Cache-Control": "no-cache"},
    )
