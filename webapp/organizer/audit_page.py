"""The log of every change, for owners: by who did it, by what it was done to."""

from __future__ import annotations

from urllib.parse import urlencode
from uuid import UUID

from aiohttp import web

from skep.webapp.http.keys import DATABASE, PAGES, SETTINGS
from skep.webapp.http.pages import page_number
from skep.webapp.http.sessions import HOME, for_owners
from skep.webapp.i18n import CATALOGS, Translator, dates
from skep.webapp.store import audit_log, events, team
from skep.webapp.store.audit_log import ACTORS, KINDS, Asked
from skep.webapp.store.members import SignedIn

PAGE_SIZE = 100

routes = web.RouteTableDef()


def said(action: str, t: Translator) -> str:
    """An action in words; one that only a newer or older image knows, as it stands."""
    key = f"audit.{action.replace(' ', '-')}"
    return t(key) if key in CATALOGS[t.language] else action


@routes.get(HOME + "/audit")
@for_owners
async def audit_page(request: web.Request, member: SignedIn) -> web.StreamResponse:
    page = page_number(request)
    who, kind = request.query.get("who", ""), request.query.get("kind", "")
    asked = Asked(
        actor=who if who in ACTORS else "",
        member_id=_id(who),
        kind=kind if kind in KINDS else "",
        event_id=_id(request.query.get("event", "")),
    )
    async with request.app[DATABASE].connection() as connection:
        found = await audit_log.lines(connection, asked, limit=PAGE_SIZE + 1, offset=(page - 1) * PAGE_SIZE)
        people = [one for one in await team.everybody(connection) if one.member_id is not None]
        event = None if asked.event_id is None else await events.by_id(connection, asked.event_id)
    query = {"who": asked.member_id or asked.actor, "kind": asked.kind, "event": asked.event_id}
    return request.app[PAGES].render(
        request,
        "organizer/audit.html",
        caching="no-store",
        lines=found[:PAGE_SIZE],
        people=people,
        actors=ACTORS,
        kinds=KINDS,
        asked=asked,
        event=event,
        said=said,
        zone=dates.zone(request.app[SETTINGS].timezone),
        query=urlencode({name: value for name, value in query.items() if value}),
        page=page,
        has_more=len(found) > PAGE_SIZE,
    )


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
