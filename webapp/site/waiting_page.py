"""Joining the waiting list of a ticket type that is sold out."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from aiohttp import web

from skep.webapp.http.forms import Form, read_form
from skep.webapp.http.keys import DATABASE, LIMITS, PAGES, VISIT
from skep.webapp.http.pages import redirect
from skep.webapp.shop import catalog, waiting
from skep.webapp.shop.catalog import Catalog, TicketType
from skep.webapp.site.checkout import TRAP
from skep.webapp.site.event_page import EVENT_PATH, visible_event
from skep.webapp.store.events import Event

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

WAITING_PATH = EVENT_PATH + "/waiting/{type_id:[0-9a-f-]{36}}"

routes = web.RouteTableDef()


@routes.get(WAITING_PATH)
async def waiting_page(request: web.Request) -> web.StreamResponse:
    async with request.app[DATABASE].connection() as connection:
        event = await visible_event(request, connection)
        offered, kind = await _wanted(request, connection, event)
    joined = request.query.get("joined") == "yes"
    if not joined and offered.sale(kind) != "sold out":
        return redirect(f"/events/{event.slug}")
    return _page(request, event, kind, Form(request[VISIT].t), joined=joined)


@routes.post(WAITING_PATH)
async def join(request: web.Request) -> web.StreamResponse:
    """The same answer whether or not the address waits already: nobody learns who does."""
    visit = request[VISIT]
    form = await read_form(request, visit.t)
    async with request.app[DATABASE].connection() as connection:
        event = await visible_event(request, connection)
        offered, kind = await _wanted(request, connection, event)
    if offered.sale(kind) != "sold out":
        return redirect(f"/events/{event.slug}")
    name, email = form.name(), form.email()
    if form.values.get(TRAP):
        form.refuse("name", form.t("refused.robot"))
    limit = request.app[LIMITS].registration
    if not form.errors and (wait_s := limit.retry_after_s(visit.client.address)) is not None:
        form.refuse("name", visit.t("wrong.often", minutes=-(-wait_s // 60)))
    if form.errors:
        return _page(request, event, kind, form, joined=False, status=422)
    limit.count(visit.client.address)
    async with request.app[DATABASE].transaction() as connection:
        await waiting.join(connection, kind.id, name=name, email=email, language=visit.t.language)
    return redirect(f"/events/{event.slug}/waiting/{kind.id}?joined=yes")


async def _wanted(request: web.Request, connection: Connection, event: Event) -> tuple[Catalog, TicketType]:
    """Raises HTTPNotFound for a type of another event, or one that is not shown."""
    offered = await catalog.load_one(connection, event.id)
    try:
        kind = offered.type_by_id.get(UUID(request.match_info["type_id"]))
    except ValueError as error:
        raise web.HTTPNotFound from error
    if kind is None or kind.needs_voucher or not kind.is_active:
        raise web.HTTPNotFound
    return offered, kind


def _page(
    request: web.Request, event: Event, kind: TicketType, form: Form, *, joined: bool, status: int = 200
) -> web.Response:
    return request.app[PAGES].render(
        request,
        "site/waiting.html",
        status=status,
        caching="no-store",
        event=event,
        kind=kind,
        form=form,
        joined=joined,
        trap=TRAP,
    )
