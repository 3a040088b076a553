"""The cart: what is held, until when, what it costs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from uuid import UUID

from aiohttp import web

from skep.webapp.http.forms import read_form
from skep.webapp.http.keys import DATABASE, PAGES, VISIT
from skep.webapp.http.pages import redirect
from skep.webapp.i18n import dates
from skep.webapp.shop import carts, catalog
from skep.webapp.shop.carts import Cart
from skep.webapp.shop.catalog import Catalog, Session, TicketType
from skep.webapp.shop.money import Amount, total
from skep.webapp.site.buyer import buyer
from skep.webapp.site.event_page import EVENT_PATH, after_adding, noted, visible_event

routes = web.RouteTableDef()


@dataclass(frozen=True, slots=True)
class Line:
    """Equal places of a cart: one type at one price."""

    type: TicketType
    session: Session
    price: int
    number: int
    amount: Amount


def lines(cart: Cart, offered: Catalog) -> list[Line]:
    """In the order of the page."""
    counts = Counter((hold.type_id, hold.price) for hold in cart.holds)
    found = []
    for kind in offered.types:
        for (type_id, price), number in sorted(counts.items(), key=lambda item: item[0][1]):
            if type_id == kind.id:
                amounts = [h.amount for h in cart.holds if h.type_id == type_id and h.price == price]
                found.append(Line(kind, offered.session_by_id[kind.session_id], price, number, total(amounts)))
    return found


@routes.get(EVENT_PATH + "/cart")
async def cart_page(request: web.Request) -> web.Response:
    async with request.app[DATABASE].connection() as connection:
        event = await visible_event(request, connection)
        offered = await catalog.load_one(connection, event.id, counted=False)
        token = buyer(request)
        cart = await carts.find(connection, event.id, token) if token else None
    if cart is not None and not cart.holds:
        cart = None
    return request.app[PAGES].render(
        request,
        "site/cart.html",
        caching="no-store",
        event=event,
        offered=offered,
        cart=cart,
        lines=lines(cart, offered) if cart else [],
        notes=noted(request, offered),
        expires=cart.expires_at.astimezone(dates.zone(event.timezone)) if cart else None,
        minutes=max(0, int(cart.remaining.total_seconds() // 60)) if cart else 0,
    )


@routes.post(EVENT_PATH + "/cart/remove")
async def remove(request: web.Request) -> web.StreamResponse:
    """Takes one place of a type out of the cart, or with `all` every one of it."""
    form = await read_form(request, request[VISIT].t)
    try:
        type_id = UUID(form.values.get("type", ""))
    except ValueError as error:
        raise web.HTTPBadRequest from error
    number = 1000 if form.values.get("all") else 1
    token = buyer(request)
    async with request.app[DATABASE].transaction() as connection:
        event = await visible_event(request, connection)
        if token:
            await carts.remove(connection, event.id, token, type_id, number)
    return redirect(f"/events/{event.slug}/cart")


@routes.post(EVENT_PATH + "/cart/renew")
async def renew(request: web.Request) -> web.StreamResponse:
    """Holds the places for longer, up to the cap; of a cart that ran out what nobody took meanwhile."""
    await read_form(request, request[VISIT].t)
    token = buyer(request)
    async with request.app[DATABASE].connection() as connection:
        event = await visible_event(request, connection)
    notes = await carts.add(request.app[DATABASE], event.id, token, {}) if token else ()
    return redirect(after_adding(event, notes))
