"""Selling: carts that hold places, and orders made of them. The stock engine is the shop's; nothing goes past it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from skep.webapp.addresses import normal_email
from skep.webapp.api.asking import own_event
from skep.webapp.api.events import by_language
from skep.webapp.api.models import (
    AnswerIn,
    BuyerIn,
    CartOut,
    CartParams,
    CheckoutIn,
    EventParams,
    ItemParams,
    ItemsIn,
    NoteOut,
    OrderIn,
    PlacedOut,
    PlaceOut,
)
from skep.webapp.api.operations import Call, NoBody, operation
from skep.webapp.api.orders import one
from skep.webapp.http.keys import DATABASE, PROVIDERS, SETTINGS, VISIT
from skep.webapp.http.problems import FieldError, Problem
from skep.webapp.i18n import dates
from skep.webapp.ids import new_secret, secret_text
from skep.webapp.shop import answers, carts, catalog, orders
from skep.webapp.shop.answers import AnswerRefused
from skep.webapp.shop.orders import Changed, Placed, Purchase
from skep.webapp.shop.refusal import Note, Refused
from skep.webapp.store import legal

if TYPE_CHECKING:
    from skep.webapp.shop.carts import Cart
    from skep.webapp.shop.catalog import Catalog, Question
    from skep.webapp.store.events import Event
    from skep.webapp.store.pool import Connection


@operation(
    "POST",
    "/events/{event_id}/carts",
    scope="sell",
    params=EventParams,
    body=ItemsIn,
    answer=CartOut,
    status=201,
    errors=("refused",),
    idempotent=True,
)
async def open_cart(call: Call[EventParams, ItemsIn]) -> CartOut:
    """Hold places in a new cart.

    They are held for 30 minutes. What could not be had is in `notes`; a refusal changes nothing and says why.
    """
    return await _added(call, secret_text(new_secret()), call.params.event_id, call.body)


@operation("GET", "/events/{event_id}/carts/{cart}", scope="sell", params=CartParams, answer=CartOut)
async def read_cart(call: Call[CartParams, NoBody]) -> CartOut:
    """What a cart holds, and until when."""
    async with call.request.app[DATABASE].connection() as connection:
        event = await own_event(connection, call, call.params.event_id)
        return await _cart(connection, event, call.params.cart)


@operation(
    "POST",
    "/events/{event_id}/carts/{cart}/items",
    scope="sell",
    params=CartParams,
    body=ItemsIn,
    answer=CartOut,
    errors=("refused",),
    idempotent=True,
)
async def add_items(call: Call[CartParams, ItemsIn]) -> CartOut:
    """Hold more places in a cart. All of it is held for longer then, up to 90 minutes in all."""
    return await _added(call, call.params.cart, call.params.event_id, call.body)


@operation("DELETE", "/events/{event_id}/carts/{cart}/items/{type_id}", scope="sell", params=ItemParams, answer=CartOut)
async def remove_items(call: Call[ItemParams, NoBody]) -> CartOut:
    """Give back all places of a type. Doing it twice changes nothing the second time."""
    wanted = call.params
    async with call.request.app[DATABASE].transaction() as connection:
        event = await own_event(connection, call, wanted.event_id)
        await carts.remove(connection, event.id, wanted.cart, wanted.type_id, 1000)
        return await _cart(connection, event, wanted.cart, may_be_empty=True)


@operation(
    "POST",
    "/events/{event_id}/carts/{cart}/order",
    scope="sell",
    params=CartParams,
    body=CheckoutIn,
    answer=PlacedOut,
    status=201,
    errors=("refused", "cart_changed"),
    idempotent=True,
)
async def order_cart(call: Call[CartParams, CheckoutIn]) -> PlacedOut:
    """Turn a cart into an order: at once or not at all. The buyer gets the same mails as from the site."""
    wanted, body = call.params, call.body
    async with call.request.app[DATABASE].connection() as connection:
        event = await own_event(connection, call, wanted.event_id)
        cart = await carts.find(connection, event.id, wanted.cart)
        if cart is None or not cart.holds:
            raise Problem("not_found")
        questions = await catalog.questions(connection, event.id, event.language)
        errors = await _buyer_errors(connection, call, body)
    types = {hold.id: hold.type_id for hold in cart.holds}
    given: dict[UUID, tuple[str, str, Sequence[AnswerIn]]] = {}
    for number, holder in enumerate(body.holders):
        if holder.place_id not in types or holder.place_id in given:
            errors.append(FieldError(f"holders.{number}.place_id", "unknown"))
        given[holder.place_id] = (f"holders.{number}", holder.name, holder.answers)
    places = [(hold.id, hold.type_id, *given.get(hold.id, ("holders", "", ()))) for hold in cart.holds]
    names, replies = _answers(event, questions, places, errors)
    if errors:
        raise Problem("invalid", errors=errors)
    return await _placed(call, event, wanted.cart, cart.id, _purchase(body, names, replies))


@operation(
    "POST",
    "/events/{event_id}/orders",
    scope="sell",
    params=EventParams,
    body=OrderIn,
    answer=PlacedOut,
    status=201,
    errors=("refused", "sold_out", "cart_changed"),
    idempotent=True,
)
async def create_order(call: Call[EventParams, OrderIn]) -> PlacedOut:
    """Sell in one step: every position, or nothing.

    Where there are not as many places, `sold_out` names each position that could not be had, and nothing is kept.
    """
    body, database = call.body, call.request.app[DATABASE]
    async with database.connection() as connection:
        event = await own_event(connection, call, call.params.event_id)
        questions = await catalog.questions(connection, event.id, event.language)
        errors = await _buyer_errors(connection, call, body)
    holders = [
        (UUID(int=number), position.type_id, f"positions.{number}", position.name, position.answers)
        for number, position in enumerate(body.positions)
    ]
    names, replies = _answers(event, questions, holders, errors)
    if errors:
        raise Problem("invalid", errors=errors)
    buyer = secret_text(new_secret())
    wanted = Counter(position.type_id for position in body.positions)
    try:
        notes = await carts.add(database, event.id, buyer, wanted, code=body.voucher)
        async with database.connection() as connection:
            cart = await carts.find(connection, event.id, buyer)
        held = Counter(hold.type_id for hold in cart.holds) if cart else Counter()
        lacking = [
            FieldError(f"positions.{number}.type_id", "sold_out")
            for number, position in enumerate(body.positions)
            if sum(p.type_id == position.type_id for p in body.positions[: number + 1]) > held[position.type_id]
        ]
        if cart is None or lacking or notes:
            raise Problem("sold_out", errors=lacking)
        free = {type_id: [hold.id for hold in cart.holds if hold.type_id == type_id] for type_id in wanted}
        place_of = {UUID(int=n): free[position.type_id].pop(0) for n, position in enumerate(body.positions)}
        purchase = _purchase(
            body,
            {place_of[number]: name for number, name in names.items()},
            {(place_of[number], question): value for (number, question), value in replies.items()},
        )
        return await _placed(call, event, buyer, cart.id, purchase)
    except Refused as refusal:
        await _give_back(call, event, buyer, wanted)
        raise await _refused(
            call, event, refusal, [position.type_id for position in body.positions], "positions"
        ) from refusal
    except Problem:
        await _give_back(call, event, buyer, wanted)
        raise


async def _give_back(call: Call[Any, Any], event: Event, buyer: str, wanted: Counter[UUID]) -> None:
    async with call.request.app[DATABASE].transaction() as connection:
        for type_id in wanted:
            await carts.remove(connection, event.id, buyer, type_id, 1000)


async def _added(call: Call[Any, ItemsIn], buyer: str, event_id: UUID, body: ItemsIn) -> CartOut:
    database = call.request.app[DATABASE]
    async with database.connection() as connection:
        event = await own_event(connection, call, event_id)
    wanted: Counter[UUID] = Counter()
    for item in body.items:
        wanted[item.type_id] += item.quantity
    try:
        notes = await carts.add(database, event.id, buyer, wanted, code=body.voucher)
    except Refused as refusal:
        raise await _refused(call, event, refusal, [item.type_id for item in body.items], "items") from refusal
    async with database.connection() as connection:
        return await _cart(connection, event, buyer, notes=notes, may_be_empty=True)


async def _refused(
    call: Call[Any, Any], event: Event, refusal: Refused, type_ids: Sequence[UUID], field: str
) -> Problem:
    """In the shop's own words, with the field that it is about."""
    async with call.request.app[DATABASE].connection() as connection:
        offered: Catalog = await catalog.load_one(connection, event.id, counted=False)
    about = field
    if refusal.reason == "method":
        about = "method"
    elif refusal.reason.startswith("voucher-") and refusal.reason != "voucher-needed":
        about = "voucher"
    else:
        for number, type_id in enumerate(type_ids):
            kind = offered.type_by_id.get(type_id)
            if refusal.reason == "unknown" if kind is None else kind.title == refusal.what:
                about = f"{field}.{number}.type_id"
                break
    what = refusal.what.text("en") if refusal.what else ""
    detail = call.request[VISIT].t(f"refused.{refusal.reason}", what=what, number=refusal.number)
    return Problem("refused", detail, errors=[FieldError(about, refusal.reason)])


async def _cart(
    connection: Connection, event: Event, buyer: str, *, notes: Sequence[Note] = (), may_be_empty: bool = False
) -> CartOut:
    cart: Cart | None = await carts.find(connection, event.id, buyer)
    if (cart is None or not cart.holds) and not may_be_empty:
        raise Problem("not_found")
    holds = cart.holds if cart else ()
    total = cart.total if cart else None
    now = await connection.fetchval("SELECT clock_timestamp()")
    return CartOut(
        cart=buyer,
        event_id=event.id,
        expires_at=(cart.expires_at if cart else now).astimezone(dates.zone(event.timezone)),
        places=[
            PlaceOut(id=h.id, type_id=h.type_id, session_id=h.session_id, price=h.price, tax_bp=h.tax_bp) for h in holds
        ],
        total=total.gross if total else 0,
        tax=total.tax if total else 0,
        currency=event.currency,
        notes=[NoteOut(kind=note.kind, what=by_language(note.what), number=note.number) for note in notes],
    )


async def _buyer_errors(connection: Connection, call: Call[Any, Any], body: BuyerIn) -> list[FieldError]:
    errors = []
    if normal_email(body.email) is None:
        errors.append(FieldError("email", "format"))
    terms = (await legal.current(connection, call.request.app[SETTINGS].language)).get("terms")
    if terms is not None and body.terms_id != terms.id:
        errors.append(FieldError("terms_id", "missing" if body.terms_id is None else "stale"))
    if terms is None and body.terms_id is not None:
        errors.append(FieldError("terms_id", "unknown"))
    return errors


def _answers(
    event: Event,
    questions: Sequence[Question],
    places: Sequence[tuple[UUID, UUID, str, str, Sequence[AnswerIn]]],
    errors: list[FieldError],
) -> tuple[dict[UUID, str], dict[tuple[UUID, UUID], str]]:
    """Names and stored answers by place, of (place, type, field, name, answers); what is wrong goes to *errors*."""
    zone = dates.zone(event.timezone)
    names: dict[UUID, str] = {}
    replies: dict[tuple[UUID, UUID], str] = {}
    for place, type_id, field, name, said in places:
        names[place] = " ".join(name.split())
        asked = {question.id: question for question in questions if question.is_for(type_id)}
        given: dict[UUID, tuple[str, str]] = {}
        for number, reply in enumerate(said):
            if reply.question_id not in asked or reply.question_id in given:
                errors.append(FieldError(f"{field}.answers.{number}.question_id", "unknown"))
            given[reply.question_id] = (f"{field}.answers.{number}.value", reply.value)
        for question in asked.values():
            where, value = given.get(question.id, (f"{field}.answers", ""))
            try:
                stored = answers.parse(question, value, zone)
            except AnswerRefused as refused:
                errors.append(FieldError(where, refused.problem, f"question {question.id}"))
                continue
            if stored is not None:
                replies[place, question.id] = stored
    return names, replies


def _purchase(body: BuyerIn, names: dict[UUID, str], replies: dict[tuple[UUID, UUID], str]) -> Purchase:
    email = normal_email(body.email) or ""
    name = " ".join(body.name.split())
    return Purchase(name, email, body.language, names, replies, body.method, body.terms_id)


async def _placed(call: Call[Any, Any], event: Event, buyer: str, cart_id: UUID, purchase: Purchase) -> PlacedOut:
    database = call.request.app[DATABASE]
    try:
        providers = call.request.app[PROVIDERS]
        done = await orders.place(database, event.id, buyer, cart_id, purchase, providers)
    except Refused as refusal:
        raise await _refused(call, event, refusal, [], "places") from refusal
    if isinstance(done, Changed) or done is None:
        raise Problem("cart_changed")
    pay_at = None
    if done.payment is not None and done.provider is not None:
        pay_at = await done.provider.begin(done.payment)
    return await _told(call, event, done, pay_at)


async def _told(call: Call[Any, Any], event: Event, placed: Placed, pay_at: str | None) -> PlacedOut:
    client = call.request[VISIT].client
    async with call.request.app[DATABASE].connection() as connection:
        order = await one(connection, event.id, placed.order_id)
    return PlacedOut(order=order, url=f"{client.scheme}://{client.host}/orders/{placed.link}", pay_at=pay_at)
