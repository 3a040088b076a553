"""What an event offers, on one page, and its number of places. Sessions, ticket types, codes and questions have forms of
their own.
"""

from __future__ import annotations

from aiohttp import web

from skep.webapp.http.forms import read_form
from skep.webapp.http.keys import DATABASE, PAGES, VISIT
from skep.webapp.http.sessions import for_members
from skep.webapp.organizer import offer_forms
from skep.webapp.organizer.manage import managed_event
from skep.webapp.organizer.offer_frame import ID, OFFER_PATH, audited, done, page, row_id
from skep.webapp.shop import catalog, stock
from skep.webapp.store import offers
from skep.webapp.store.members import SignedIn

NOTICES = frozenset({"saved", "in-use", "removed"})

routes = web.RouteTableDef()


@routes.get(OFFER_PATH)
@for_members
async def offer_page(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].connection() as connection:
        event = await managed_event(request, connection)
        offered = await catalog.load_one(connection, event.id)
        questions = await catalog.questions(connection, event.id, event.language)
        vouchers = await connection.fetch(
            "SELECT v.id, v.code, v.effect, v.value, v.max_uses, v.type_id, "
            "(SELECT count(*) FROM order_position x WHERE x.voucher_id = v.id AND x.is_held) AS used "
            "FROM voucher v WHERE v.event_id = $1 ORDER BY v.code",
            event.id,
        )
    notice = request.query.get("notice")
    return request.app[PAGES].render(
        request,
        "organizer/offer.html",
        caching="no-store",
        event=event,
        offered=offered,
        questions=questions,
        vouchers=vouchers,
        notice=notice if notice in NOTICES else None,
    )


@routes.post(OFFER_PATH + f"/pools/{{pool_id:{ID}}}")
@for_members
async def resize_pool(request: web.Request, member: SignedIn) -> web.StreamResponse:
    """More or fewer places. Below what is held nothing is taken away: carts that live still succeed."""
    form = await read_form(request, request[VISIT].t)
    places = offer_forms.capacity(form)
    async with request.app[DATABASE].transaction() as connection:
        event = await managed_event(request, connection)
        offered = await catalog.load_one(connection, event.id)
        pool_id = row_id(request, "pool_id")
        if pool_id not in offered.pools:
            raise web.HTTPNotFound
        if form.errors:
            return page(request, event, "pool", form, status=422)
        await stock.lock(connection, [stock.pool_key(pool_id)])
        await offers.resize_pool(connection, pool_id, places)
        await audited(connection, member, "pool resized", "pool", pool_id, ("size",))
    return done(event, "saved")
