"""An event's page: what it is, and what can be had of it."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from uuid import UUID

from aiohttp import web

from skep.webapp.http.forms import Form, read_form
from skep.webapp.http.kept import kept
from skep.webapp.http.keys import DATABASE, KEPT, LIMITS, PAGES, SETTINGS, VISIT
from skep.webapp.http.pages import redirect
from skep.webapp.http.sessions import signed_in
from skep.webapp.i18n import Translator
from skep.webapp.shop import carts, catalog, vouchers
from skep.webapp.shop.carts import Cart
from skep.webapp.shop.catalog import Catalog
from skep.webapp.shop.refusal import Note, Refused
from skep.webapp.shop.vouchers import Voucher
from skep.webapp.site.buyer import buyer, new_buyer, remember
from skep.webapp.site.structured import event_data, script
from skep.webapp.store import events, rights
from skep.webapp.store.events import Event

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

log = logging.getLogger(__name__)

EVENT_PATH = "/events/{slug:[a-z0-9-]{1,80}}"
MOST_AT_ONCE = 20  # choices in a list of quantities

routes = web.RouteTableDef()


@routes.get(EVENT_PATH)
@kept
async def event_page(request: web.Request) -> web.Response:
    async with request.app[DATABASE].connection() as connection:
        event = await visible_event(request, connection)
        form = Form(request[VISIT].t, {"voucher": request.query.get("voucher", "")[: vouchers.CODE_LIMIT]})
        return await _page(request, connection, event, form)


@routes.post(EVENT_PATH + "/cart")
async def add_to_cart(request: web.Request) -> web.StreamResponse:
    """Holds what was chosen. The quantities are fields `n-<type>`; what could not be had is said on the next page."""
    visit, database = request[VISIT], request.app[DATABASE]
    event = await buyers_event(request)
    form = await read_form(request, visit.t)
    wanted = _wanted(form)
    token = buyer(request)
    limit = request.app[LIMITS].cart
    wait_s = limit.retry_after_s(visit.client.address)
    if wait_s is not None:
        form.refuse("tickets", visit.t("wrong.often", minutes=-(-wait_s // 60)))
    elif not wanted:
        form.refuse("tickets", visit.t("refused.nothing"))
    status = 422 if wait_s is None else 429
    if not form.errors:
        limit.count(visit.client.address)
        holder = token or new_buyer()
        try:
            notes = await carts.add(database, event.id, holder, wanted, code=form.values.get("voucher", ""))
        except Refused as refusal:
            form.refuse("voucher" if refusal.reason.startswith("voucher-") else "tickets", said(refusal, visit.t))
            status = 409
        else:
            log.debug("added to cart", extra={"request": visit.id, "event_id": str(event.id)})
            straight = form.values.get("then") == "checkout" and not notes  # one free ticket type: nothing to look over
            response = redirect(f"/events/{event.slug}/checkout" if straight else after_adding(event, notes))
            if token is None:
                remember(request, response, holder)
            return response
    async with database.connection() as connection:
        return await _page(request, connection, event, form, status=status)


async def visible_event(request: web.Request, connection: Connection) -> Event:
    """The event of the address. A draft is there for its organizers only; for everybody else it does not exist."""
    event = await events.by_slug(connection, request.match_info["slug"])
    member = await signed_in(request, connection)
    if event is not None and member is not None:
        request[VISIT].rights = await rights.of(connection, member, event.id)
    if event is None or not (event.is_published or request[VISIT].rights):
        raise web.HTTPNotFound
    request[VISIT].prefer(event.language)
    return event


async def buyers_event(request: web.Request) -> Event:
    """As `visible_event`, as it was within the last 2 s: what is sold in the end is looked at again under its locks."""
    slug, database = request.match_info["slug"], request.app[DATABASE]

    async def read() -> Event | None:
        async with database.connection() as connection:
            return await events.by_slug(connection, slug)

    event = await request.app[KEPT].fact(("event", slug), read)
    if event is None or not event.is_published:  # perhaps an organizer looks at a draft
        async with database.connection() as connection:
            return await visible_event(request, connection)
    request[VISIT].prefer(event.language)
    return event


def said(refusal: Refused, t: Translator) -> str:
    """A refusal in the reader's words."""
    what = refusal.what.text(t.language) if refusal.what else ""
    return t(f"refused.{refusal.reason}", what=what, number=t.number(refusal.number))


def after_adding(event: Event, notes: tuple[Note, ...]) -> str:
    """The cart's address; the notes travel in it, so that reloading the page adds nothing twice."""
    query = [("note", f"{note.kind}-{note.number}-{note.what.text(event.language)}") for note in notes]
    return f"/events/{event.slug}/cart" + (f"?{urlencode(query)}" if query else "")


def noted(request: web.Request, offered: Catalog) -> list[str]:
    """The sentences for the notes in the address: only about this event's types, whatever the address says."""
    t = request[VISIT].t
    titles = {kind.title.text(kind.title.own): kind.title for kind in offered.types}
    sentences = []
    for note in request.query.getall("note", [])[:10]:
        found = re.fullmatch(r"(fewer|none|lost)-(\d{1,3})-(.{1,200})", note)
        if found and found[3] in titles:
            sentences.append(t.n(f"note.{found[1]}", int(found[2]), what=titles[found[3]].text(t.language)))
    return sentences


def _wanted(form: Form) -> dict[UUID, int]:
    """What was chosen: numbers above zero. Anything else in these fields is no choice of our page."""
    wanted: dict[UUID, int] = {}
    for field, value in form.values.items():
        if not field.startswith("n-") or value in ("", "0"):
            continue
        try:
            type_id = UUID(field.removeprefix("n-"))
        except ValueError as error:
            raise web.HTTPBadRequest from error
        if not (value.isascii() and value.isdigit() and len(value) < 4):
            raise web.HTTPBadRequest
        if int(value):
            wanted[type_id] = int(value)
    return wanted


async def _page(
    request: web.Request, connection: Connection, event: Event, form: Form, *, status: int = 200
) -> web.Response:
    offered = await catalog.load_one(connection, event.id)
    voucher = await _voucher(connection, event, form)
    token = buyer(request)
    cart = await carts.find(connection, event.id, token) if token else None
    return request.app[PAGES].render(
        request,
        "site/event.html",
        status=status,
        event=event,
        form=form,
        offered=offered,
        rows=_rows(offered, voucher),
        voucher=voucher,
        cart=_shown(cart),
        has_vouchers=await vouchers.exist(connection, event.id),
        structured=_structured(request, event, offered),
    )


def _structured(request: web.Request, event: Event, offered: Catalog) -> str | None:
    """None where there is nothing to tell programs: nobody knows the site's address, or only organizers see the page."""
    settings = request.app[SETTINGS]
    if settings.url is None or not event.is_published:
        return None
    language = request[VISIT].t.language
    data = event_data(event, offered, url=settings.url, organizer=settings.display_name, language=language)
    return script(data)


def _shown(cart: Cart | None) -> Cart | None:
    return cart if cart is not None and cart.holds and cart.is_live else None


async def _voucher(connection: Connection, event: Event, form: Form) -> Voucher | None:
    """The voucher of the form, if it is good; otherwise its field says why not."""
    code = form.values.get("voucher", "")
    if not code.strip():
        return None
    try:
        return vouchers.usable(await vouchers.find(connection, event.id, code))
    except Refused as refusal:
        form.refuse("voucher", said(refusal, form.t))
        return None


def _rows(offered: Catalog, voucher: Voucher | None) -> list[dict[str, object]]:
    """Sessions with their types as the page lists them: price with the voucher, and how many may be chosen."""
    groups = []
    for session in offered.sessions:
        types = []
        for kind in offered.types:
            fits = voucher is not None and voucher.is_for(kind.id)
            if kind.session_id != session.id or not kind.is_active or (kind.needs_voucher and not fits):
                continue
            sale, left = offered.sale(kind), offered.left(kind)
            if fits and voucher is not None:
                if sale in ("voucher", "sold out") and (left is None or left > 0 or voucher.keeps_places_of(kind.id)):
                    sale = "open"
                if voucher.keeps_places_of(kind.id):
                    left = None if left is None else left + voucher.uses_left
            most = min(kind.max_per_order or MOST_AT_ONCE, offered.max_per_order, MOST_AT_ONCE)
            types.append(
                {
                    "type": kind,
                    "sale": sale,
                    "left": left,
                    "most": most if left is None else min(most, left),
                    "price": voucher.price(kind.price) if fits and voucher else kind.price,
                }
            )
        if types and not (session.is_over and len(offered.sessions) > 1):
            groups.append({"session": session, "types": types})
    return groups
