"""Checkout without an account: who buys, whose tickets, how it is paid; then the order, at once or not at all."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from aiohttp import web

from skep.webapp.http.forms import NAME_LIMIT, Form, read_form
from skep.webapp.http.keys import DATABASE, KEPT, LIMITS, PAGES, PROVIDERS, SETTINGS, VISIT
from skep.webapp.http.pages import redirect
from skep.webapp.i18n import dates
from skep.webapp.shop import answers, carts, catalog, orders
from skep.webapp.shop.answers import AnswerRefused
from skep.webapp.shop.carts import Cart, Hold
from skep.webapp.shop.catalog import Catalog, Question
from skep.webapp.shop.orders import Changed, Placed, Purchase
from skep.webapp.shop.payments import Provider, Terms
from skep.webapp.shop.refusal import Refused
from skep.webapp.site.buyer import buyer
from skep.webapp.site.cart import lines
from skep.webapp.site.event_page import EVENT_PATH, after_adding, buyers_event, said
from skep.webapp.store import legal, options
from skep.webapp.store.events import Event
from skep.webapp.store.legal import LegalText

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

log = logging.getLogger(__name__)

TRAP = "website"  # a field that people do not see and simple robots fill in

routes = web.RouteTableDef()


@dataclass(frozen=True, slots=True)
class Counter:
    """Everything that the checkout's page is about."""

    event: Event
    offered: Catalog
    cart: Cart
    questions: tuple[Question, ...]
    providers: Sequence[Provider]
    terms: LegalText | None

    def holds(self) -> list[Hold]:
        """In the order of the page."""
        order = {kind.id: place for place, kind in enumerate(self.offered.types)}
        return sorted(self.cart.holds, key=lambda hold: (order.get(hold.type_id, 0), hold.id))

    def asked(self, hold: Hold) -> list[Question]:
        return [question for question in self.questions if question.is_for(hold.type_id)]


@routes.get(EVENT_PATH + "/checkout")
async def checkout_page(request: web.Request) -> web.StreamResponse:
    token = buyer(request)
    event = await buyers_event(request)
    async with request.app[DATABASE].connection() as connection:
        counter = await _counter(request, connection, event, token)
    if counter is None or not counter.cart.is_live:
        return redirect(f"/events/{event.slug}/cart")
    return _page(request, counter, Form(request[VISIT].t))


@routes.post(EVENT_PATH + "/checkout")
async def check_out(request: web.Request) -> web.StreamResponse:
    visit, database, token = request[VISIT], request.app[DATABASE], buyer(request)
    form = await read_form(request, visit.t)
    event = await buyers_event(request)
    async with database.connection() as connection:
        counter = await _counter(request, connection, event, token)
    cart_id = _uuid(form.values.get("cart", ""))
    if token is None or cart_id is None:
        return redirect(f"/events/{event.slug}/cart")
    if counter is None or counter.cart.id != cart_id:  # sent twice: the order is there, or the cart is another
        purchase = Purchase("", "", visit.t.language, {}, {}, "")
    else:
        parsed = _purchase(form, counter)
        _refuse_robots(request, form, counter)
        if parsed is None or form.errors:
            return _page(request, counter, form, status=422)
        purchase = parsed
    try:
        providers = request.app[PROVIDERS]
        done = await orders.place(database, event.id, token, cart_id, purchase, providers)
    except Refused as refusal:
        if counter is None:
            return redirect(f"/events/{event.slug}/cart")
        form.refuse("method" if refusal.reason == "method" else "order", said(refusal, visit.t))
        return _page(request, counter, form, status=409)
    match done:
        case Placed():
            return await _to_order(request, event, done)
        case Changed():
            return redirect(after_adding(event, done.notes))
        case _:
            return redirect(f"/events/{event.slug}/cart")


async def _to_order(request: web.Request, event: Event, placed: Placed) -> web.StreamResponse:
    """To the order's page, or first to where its provider takes the money. No transaction is open here."""
    if placed.payment is not None and placed.provider is not None:
        log.info(
            "order placed",
            extra={"request": request[VISIT].id, "event_id": str(event.id), "order_id": str(placed.order_id)},
        )
        if (elsewhere := await placed.provider.begin(placed.payment)) is not None:
            return redirect(elsewhere)
    return redirect(f"/orders/{placed.link}")


@dataclass(frozen=True, slots=True)
class _Standing:
    """What organizers wrote about buying here: the same for every buyer."""

    offered: Catalog
    questions: tuple[Question, ...]
    confirms_free: bool
    terms: LegalText | None


async def _counter(request: web.Request, connection: Connection, event: Event, token: str | None) -> Counter | None:
    cart = await carts.find(connection, event.id, token) if token else None
    if cart is None or not cart.holds:
        return None

    async def read() -> _Standing:
        own = request.app[SETTINGS].language
        return _Standing(
            offered=await catalog.load_one(connection, event.id, counted=False),
            questions=await catalog.questions(connection, event.id, event.language),
            confirms_free=(await options.read(connection, own)).confirms_free,
            terms=(await legal.current(connection, own)).get("terms"),
        )

    standing = await request.app[KEPT].fact(("standing", event.id), read)
    terms = Terms(
        amount=cart.total.gross,
        currency=event.currency,
        timezone=event.timezone,
        pays_on_site=event.pays_on_site,
        transfer_details=event.transfer_details,
        transfer_days=event.transfer_days,
        ends_at=max(session.ends_at for session in standing.offered.sessions),
        confirms_free=standing.confirms_free,
    )
    return Counter(
        event=event,
        offered=standing.offered,
        cart=cart,
        questions=standing.questions,
        providers=[provider for provider in request.app[PROVIDERS] if provider.offers(terms)],
        terms=standing.terms,
    )


def _purchase(form: Form, counter: Counter) -> Purchase | None:
    """What the form says; its errors name each field that is wrong."""
    name, email = form.name(), form.email()
    zone = dates.zone(counter.event.timezone)
    holders: dict[UUID, str] = {}
    replies: dict[tuple[UUID, UUID], str] = {}
    for hold in counter.holds():
        field = f"holder-{hold.id}"
        holders[hold.id] = form.text(field, limit=NAME_LIMIT, too_long="wrong.name.long")
        for question in counter.asked(hold):
            field = f"q-{hold.id}-{question.id}"
            try:
                reply = answers.parse(question, form.values.get(field, ""), zone)
            except AnswerRefused as refusal:
                problem = form.t(f"wrong.answer.{refusal.problem}")
                label = question.label.text(form.t.language)
                form.refuse(field, form.t("wrong.answer", question=label, problem=problem))
                continue
            if reply is not None:
                replies[hold.id, question.id] = reply
    methods = [provider.name for provider in counter.providers]
    method = form.values.get("method", "")
    if len(methods) == 1:
        method = methods[0]
    elif method not in methods:
        form.refuse("method", form.t("refused.method"))
    if counter.terms is not None:
        if form.values.get("terms_id", "") not in ("", str(counter.terms.id)):
            form.values["terms"] = ""  # what was accepted is not what counts now
            form.refuse("terms", form.t("wrong.terms.changed"))
        elif form.values.get("terms") != "yes":
            form.refuse("terms", form.t("wrong.terms"))
    if form.errors:
        return None
    accepted = counter.terms.id if counter.terms else None
    return Purchase(name, email, form.t.language, holders, replies, method, accepted)


def _refuse_robots(request: web.Request, form: Form, counter: Counter) -> None:
    """Free places cost a robot nothing: a trap, and a limit for each network."""
    if form.values.get(TRAP):
        form.refuse("order", form.t("refused.robot"))
    if counter.cart.total.gross or form.errors:
        return
    visit, limit = request[VISIT], request.app[LIMITS].registration
    if (wait_s := limit.retry_after_s(visit.client.address)) is not None:
        form.refuse("order", visit.t("wrong.often", minutes=-(-wait_s // 60)))
    else:
        limit.count(visit.client.address)


def _page(request: web.Request, counter: Counter, form: Form, *, status: int = 200) -> web.Response:
    cart = counter.cart
    return request.app[PAGES].render(
        request,
        "site/checkout.html",
        status=status,
        caching="no-store",
        form=form,
        event=counter.event,
        counter=counter,
        cart=cart,
        lines=lines(cart, counter.offered),
        terms=counter.terms,
        methods=[provider.name for provider in counter.providers],
        expires=cart.expires_at.astimezone(dates.zone(counter.event.timezone)),
        minutes=max(0, int(cart.remaining.total_seconds() // 60)),
        trap=TRAP,
    )


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
