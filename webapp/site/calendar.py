"""The calendar file of an event: one entry a session, with an identity that stays when its time changes."""

from __future__ import annotations

from datetime import UTC, datetime

from aiohttp import web

from skep.webapp.http.keys import DATABASE, SETTINGS, VISIT
from skep.webapp.shop import catalog
from skep.webapp.shop.catalog import Session
from skep.webapp.site.event_page import EVENT_PATH, visible_event
from skep.webapp.store.events import Event

routes = web.RouteTableDef()


@routes.get(EVENT_PATH + "/calendar.ics")
async def calendar(request: web.Request) -> web.Response:
    async with request.app[DATABASE].connection() as connection:
        event = await visible_event(request, connection)
        offered = await catalog.load_one(connection, event.id)
    visit = request[VISIT]
    address = f"{visit.client.scheme}://{visit.client.host}/events/{event.slug}"
    text = render(event, offered.sessions, visit.t.language, address, request.app[SETTINGS].uid, offered.now)
    return web.Response(
        text=text,
        content_type="text/calendar",
        charset="utf-8",
        headers={"Content-Disposition": f'attachment; filename="{event.slug}.ics"', "Cache-Control": "no-cache"},
    )


def render(event: Event, sessions: tuple[Session, ...], language: str, address: str, site: str, now: datetime) -> str:
    """RFC 5545. Moments are in UTC, which every calendar shows in its reader's zone."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//skep//events//EN"]
    for session in sessions:
        part = session.title.text(language)
        title = event.title.text(language)
        lines += [
            "BEGIN:VEVENT",
            f"UID:{session.id}@{site}",
            f"SEQUENCE:{event.version + session.version - 2}",
            f"DTSTAMP:{_moment(now)}",
            f"DTSTART:{_moment(session.starts_at)}",
            f"DTEND:{_moment(session.ends_at)}",
            f"SUMMARY:{_text(f'{title}: {part}' if part else title)}",
            *([f"LOCATION:{_text(event.place.text(language))}"] if event.place.text(language) else []),
            f"URL:{address}",
            f"STATUS:{'CANCELLED' if event.status == 'cancelled' else 'CONFIRMED'}",
            "END:VEVENT",
        ]
    lines.append("END:VCALENDAR")
    return "".join(f"{_folded(line)}\r\n" for line in lines)


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _text(text: str) -> str:
    return text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def _folded(line: str) -> str:
    """At most 75 bytes a line, never inside a character."""
    parts: list[str] = []
    part = ""
    for letter in line:
        if len((part + letter).encode()) > (75 if not parts else 74):
            parts.append(part)
            part = ""
        part += letter
    return "\r\n ".join([*parts, part])
