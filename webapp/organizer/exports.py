"""Lists to take along: orders and attendees as CSV, and the calendar of all events."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, tzinfo
from uuid import UUID

from aiohttp import web

from skep.webapp.http.keys import DATABASE, SETTINGS, VISIT
from skep.webapp.http.sessions import HOME, for_members
from skep.webapp.i18n import Translator, dates
from skep.webapp.organizer.attendees import answers_of, asked
from skep.webapp.organizer.csv_files import Cell, amount, stream
from skep.webapp.organizer.manage import EVENT_PATH, managed_event
from skep.webapp.organizer.orders import asked_state, asked_words
from skep.webapp.shop import calendars, catalog, tickets
from skep.webapp.shop.catalog import Question
from skep.webapp.shop.tickets import Order
from skep.webapp.store import attendees, audit, events, feeds
from skep.webapp.store.attendees import Attendee
from skep.webapp.store.audit import Actor
from skep.webapp.store.events import Event
from skep.webapp.store.members import SignedIn

log = logging.getLogger(__name__)

PIECE = 500
FEED_PAST = 50  # events that are over, in a calendar

routes = web.RouteTableDef()


@routes.get(EVENT_PATH + "/orders.csv")
@for_members
async def orders_csv(request: web.Request, member: SignedIn) -> web.StreamResponse:
    """What the list shows for the same words and state."""
    t = request[VISIT].t
    words, state = asked_words(request), asked_state(request)
    event = await _exported(request, member, "orders exported")
    zone = dates.zone(event.timezone)

    async def pieces() -> AsyncIterator[Sequence[Sequence[Cell]]]:
        last: UUID | None = None
        while True:
            async with request.app[DATABASE].connection() as connection:
                found = await tickets.after(connection, event.id, last, words=words, state=state, limit=PIECE)
            yield [_order_line(order, zone, t) for order in found]
            if len(found) < PIECE:
                return
            last = found[-1].id

    head = [t(f"csv.{name}") for name in
            ("order", "state", "ordered", "buyer", "email", "method", "tickets", "currency", "net", "tax", "gross", "owed")]  # fmt: skip
    return await stream(request, f"{event.slug}-orders", t, head, pieces())


@routes.get(EVENT_PATH + "/attendees.csv")
@for_members
async def attendees_csv(request: web.Request, member: SignedIn) -> web.StreamResponse:
    """What the list shows for the same filters, with every answer in a column of its own."""
    t = request[VISIT].t
    wanted = asked(request)
    event = await _exported(request, member, "attendees exported")
    zone = dates.zone(event.timezone)
    async with request.app[DATABASE].connection() as connection:
        questions = await catalog.questions(connection, event.id, event.language)

    async def pieces() -> AsyncIterator[Sequence[Sequence[Cell]]]:
        last: UUID | None = None
        while True:
            async with request.app[DATABASE].connection() as connection:
                found = await attendees.after(connection, event.id, last, wanted, limit=PIECE)
                answered = await answers_of(connection, event, questions, [who.position_id for who in found], t)
            yield [_attendee_line(who, questions, answered.get(who.position_id, {}), zone, t) for who in found]
            if len(found) < PIECE:
                return
            last = found[-1].position_id

    head = [t(f"csv.{name}") for name in ("name", "type", "date", "session", "order", "state", "ordered", "email")]
    head += [question.label.text(t.language) for question in questions]
    return await stream(request, f"{event.slug}-attendees", t, head, pieces())


@routes.get(HOME + "/calendar/{token:[A-Za-z0-9_-]{43}}.ics")
async def feed(request: web.Request) -> web.Response:
    """All events of the member who made this secret address. Programs that read it cannot sign in."""
    visit = request[VISIT]
    async with request.app[DATABASE].connection() as connection:
        whose = await feeds.find(connection, request.match_info["token"])
        if whose is None:
            raise web.HTTPNotFound
        person_id = None if whose[1] else whose[0]
        found = await events.current(connection, person_id=person_id)
        found += await events.past(connection, limit=FEED_PAST, person_id=person_id)
        offered = await catalog.load(connection, [event.id for event in found], counted=False)
        now: datetime = await connection.fetchval("SELECT clock_timestamp()")
    settings = request.app[SETTINGS]
    site = settings.url or f"{visit.client.scheme}://{visit.client.host}"
    entries = [(event, offered[event.id].sessions, f"{site}{HOME}/events/{event.id}") for event in found]
    text = calendars.render(entries, visit.t.language, settings.uid, now, name=settings.display_name)
    return web.Response(
        text=text, content_type="text/calendar", charset="utf-8", headers={"Cache-Control": "private, no-cache"}
    )


async def _exported(request: web.Request, member: SignedIn, action: str) -> Event:
    """The event; that somebody took its list along is in the log."""
    async with request.app[DATABASE].transaction() as connection:
        event = await managed_event(request, connection, "orders")
        await audit.record(connection, Actor("member", member.member_id), action, "event", event.id)
    log.info(action, extra={"event_id": str(event.id), "member_id": str(member.member_id)})
    return event


def _order_line(order: Order, zone: tzinfo, t: Translator) -> list[Cell]:
    total = order.total
    return [
        order.code,
        t(f"orders.state.{order.state}"),
        _moment(order.created_at, zone),
        order.name,
        order.email,
        t(f"method.{order.provider}"),
        len(order.valid),
        order.currency,
        amount(total.net, order.currency, t),
        amount(total.tax, order.currency, t),
        amount(total.gross, order.currency, t),
        amount(order.owed_back, order.currency, t),
    ]


def _attendee_line(
    who: Attendee, questions: Sequence[Question], answered: dict[UUID, str], zone: tzinfo, t: Translator
) -> list[Cell]:
    return [
        who.name,
        who.type_title.text(t.language),
        _moment(who.starts_at, zone),
        who.session_title.text(t.language),
        who.code,
        t("orders.state.paid") if who.is_paid else t("orders.state.pending"),
        _moment(who.created_at, zone),
        who.email,
        *(answered.get(question.id, "") for question in questions),
    ]


def _moment(moment: datetime, zone: tzinfo) -> str:
    """As spreadsheets read it, in the event's zone."""
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}"
