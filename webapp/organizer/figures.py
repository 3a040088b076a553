"""How one event is doing: sales over time and by type, money, arrivals."""

from __future__ import annotations

from datetime import date, datetime

from aiohttp import web

from skep.webapp.http.keys import DATABASE, PAGES, VISIT
from skep.webapp.http.sessions import for_members
from skep.webapp.i18n import Translator, dates
from skep.webapp.organizer import plots
from skep.webapp.organizer.manage import EVENT_PATH, managed_event
from skep.webapp.organizer.plots import Span
from skep.webapp.store import figures
from skep.webapp.store.members import SignedIn

routes = web.RouteTableDef()


@routes.get(EVENT_PATH + "/figures")
@for_members
async def figures_page(request: web.Request, member: SignedIn) -> web.StreamResponse:
    t = request[VISIT].t
    async with request.app[DATABASE].connection() as connection:
        event = await managed_event(request, connection, "manage", "orders")
        days = await figures.sold_by_day(connection, event.timezone, event_id=event.id)
        kinds = await figures.sold_by_type(connection, event.id)
        money = await figures.money(connection, event.id)
        doors = await figures.doors(connection, event.id)
        came = await figures.arrivals(connection, event.id)
        now: datetime = await connection.fetchval("SELECT clock_timestamp()")
    zone = dates.zone(event.timezone)
    today = now.astimezone(zone).date()
    over = event.ends_at.date() if event.is_over else today
    span, buckets = plots.by_time(days, max(min(today, over), max(days, default=over)))
    return request.app[PAGES].render(
        request,
        "organizer/figures.html",
        caching="no-store",
        event=event,
        sold=sum(days.values()),
        sales=plots.plot(buckets),
        span=span,
        finding=said(days, today, t),
        named=named,
        kinds=kinds,
        most=max((kind.sold for kind in kinds), default=0),
        money=money,
        doors=doors,
        came=plots.plot(plots.by_clock([moment.astimezone(zone) for moment in came])),
    )


def said(days: dict[date, int], today: date, t: Translator) -> str:
    """The finding: how many were sold in seven days, and is that more than in the seven before?"""
    this, before = plots.week_compared(days, today)
    sentence = t.n("figures.week", this)
    if this == before:
        return sentence + " " + t("figures.week.same") if this else sentence
    more = t.n("figures.week.more", this - before) if this > before else t.n("figures.week.less", before - this)
    return f"{sentence} {more}"


def named(start: date | datetime, span: Span | None, t: Translator) -> str:
    """A bucket's name: a day, the week of a day, a month, a time of day."""
    if isinstance(start, datetime):
        return dates.stamp(start, t.language)
    day = dates.short_day(start, t.language)
    if span == "week":
        return t("figures.week.of", day=day)
    return dates.month(start, t.language) if span == "month" else day
