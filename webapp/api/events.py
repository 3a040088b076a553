"""Events, what they offer, and what is left of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skep.webapp.api.asking import after_moment, cursor_of, match_version, own_event, seen_event, sees_drafts
from skep.webapp.api.models import (
    AvailabilityOut,
    ByLanguage,
    EventChange,
    EventOut,
    EventParams,
    EventsParams,
    Left,
    OfferOut,
    Page,
    QuestionOut,
    SessionOut,
    TypeOut,
)
from skep.webapp.api.operations import Call, NoBody, operation
from skep.webapp.http.keys import DATABASE, SETTINGS, VISIT
from skep.webapp.http.problems import FieldError, Problem
from skep.webapp.shop import catalog
from skep.webapp.store import audit, event_pages, events, legal
from skep.webapp.store.audit import Actor
from skep.webapp.store.texts import Texts

if TYPE_CHECKING:
    from skep.webapp.shop.catalog import Catalog, Question, TicketType
    from skep.webapp.store.events import Event


@operation("GET", "/events", scope=None, params=EventsParams, answer=Page[EventOut])
async def list_events(call: Call[EventsParams, NoBody]) -> Page[EventOut]:
    """Events that are not over, by their beginning.

    Public ones for everybody; with a token that has `events:read` drafts too, of the events that it is for.
    """
    wanted, token = call.params, call.token
    reads = token is not None and "events:read" in token.scopes
    async with call.request.app[DATABASE].connection() as connection:
        found = await event_pages.page(
            connection,
            limit=wanted.limit + 1,
            after=after_moment(wanted.cursor),
            ending_after=wanted.after,
            words=wanted.q or "",
            drafts=reads and token is not None and token.event_ids is None,
            drafts_of=(token.event_ids or ()) if reads and token is not None else (),
        )
        offers = await catalog.load(connection, [event.id for _, event in found], counted=False)
    items = [_event(call, event, offers[event.id]) for _, event in found[: wanted.limit]]
    last = found[wanted.limit - 1] if len(found) > wanted.limit else None
    return Page(items=items, next_cursor=last and cursor_of(last[0].isoformat(), str(last[1].id)))


@operation("GET", "/events/{event_id}", scope=None, params=EventParams, answer=EventOut, versioned=True)
async def read_event(call: Call[EventParams, NoBody]) -> EventOut:
    """One event."""
    async with call.request.app[DATABASE].connection() as connection:
        event = await seen_event(connection, call, call.params.event_id)
        offered = await catalog.load_one(connection, event.id, counted=False)
    return _event(call, event, offered)


@operation(
    "PATCH",
    "/events/{event_id}",
    scope="events:write",
    params=EventParams,
    body=EventChange,
    answer=EventOut,
    versioned=True,
    needs_match=True,
)
async def change_event(call: Call[EventParams, EventChange]) -> EventOut:
    """Change an event's texts and its limit per order.

    If-Match carries the ETag of what you read, so that nobody's change is lost.
    """
    version, change = match_version(call.request), call.body
    texts = {
        field: given for field in ("title", "description", "place") if (given := getattr(change, field)) is not None
    }
    async with call.request.app[DATABASE].transaction() as connection:
        event = await own_event(connection, call, call.params.event_id)
        if not (texts.get("title", {}).get(event.language, "-")).strip():
            raise Problem("invalid", errors=[FieldError(f"title.{event.language}", "missing")])
        if not await event_pages.change(
            connection, event.id, version=version, texts=texts, max_per_order=change.max_per_order
        ):
            raise Problem("stale")
        fields = (*texts, *(("max_per_order",) if change.max_per_order is not None else ()))
        await audit.record(connection, Actor("token", call.bearer.id), "event changed", "event", event.id, fields)
        changed = await events.by_id(connection, event.id)
        offered = await catalog.load_one(connection, event.id, counted=False)
    return _event(call, changed or event, offered)


@operation("GET", "/events/{event_id}/types", scope=None, params=EventParams, answer=OfferOut)
async def read_offer(call: Call[EventParams, NoBody]) -> OfferOut:
    """Ticket types, and the questions that an order has to answer.

    Types that need a voucher are listed for tokens with `sell` or `events:read` only.
    """
    async with call.request.app[DATABASE].connection() as connection:
        event = await seen_event(connection, call, call.params.event_id)
        offered = await catalog.load_one(connection, event.id, counted=False)
        questions = await catalog.questions(connection, event.id, event.language)
        terms = (await legal.current(connection, call.request.app[SETTINGS].language)).get("terms")
    return OfferOut(
        types=[_type(kind) for kind in _shown_types(call, offered)],
        questions=[_question(question) for question in questions],
        terms_id=terms.id if terms else None,
    )


@operation("GET", "/events/{event_id}/availability", scope=None, params=EventParams, answer=AvailabilityOut)
async def read_availability(call: Call[EventParams, NoBody]) -> AvailabilityOut:
    """What is left of each ticket type at this moment. Only a cart holds a place."""
    async with call.request.app[DATABASE].connection() as connection:
        event = await seen_event(connection, call, call.params.event_id)
        offered = await catalog.load_one(connection, event.id)
    return AvailabilityOut(
        types=[
            Left(
                type_id=kind.id,
                sale="sold_out" if (sale := offered.sale(kind)) == "sold out" else sale,
                left=offered.left(kind),
            )
            for kind in _shown_types(call, offered)
        ],
    )


def _shown_types(call: Call[EventParams, NoBody], offered: Catalog) -> tuple[TicketType, ...]:
    token = call.token
    sells = token is not None and "sell" in token.scopes and token.may(offered.event_id)
    if sells or sees_drafts(call, offered.event_id):
        return tuple(kind for kind in offered.types if kind.is_active)
    return offered.public_types


def _event(call: Call[EventParams, NoBody] | Call[EventsParams, NoBody] | Call[EventParams, EventChange],
           event: Event, offered: Catalog) -> EventOut:  # fmt: skip
    client = call.request[VISIT].client
    return EventOut.model_validate({
        "id": event.id,
        "slug": event.slug,
        "status": event.status,
        "title": by_language(event.title),
        "description": by_language(event.description),
        "place": by_language(event.place),
        "language": event.language,
        "timezone": event.timezone,
        "currency": event.currency,
        "max_per_order": event.max_per_order,
        "sessions": [
            SessionOut(
                id=session.id,
                title=by_language(session.title),
                starts_at=session.starts_at,
                ends_at=session.ends_at,
            )
            for session in offered.sessions
        ],
        "url": f"{client.scheme}://{client.host}/events/{event.slug}",
        "version": event.version,
    })  # fmt: skip


def _type(kind: TicketType) -> TypeOut:
    return TypeOut(
        id=kind.id,
        session_id=kind.session_id,
        title=by_language(kind.title),
        description=by_language(kind.description),
        price=kind.price,
        tax_bp=kind.tax_bp,
        sales_start=kind.sales.starts_at,
        sales_end=kind.sales.ends_at,
        min_per_order=kind.min_per_order,
        max_per_order=kind.max_per_order,
        needs_voucher=kind.needs_voucher,
    )


def _question(question: Question) -> QuestionOut:
    return QuestionOut.model_validate({
        "id": question.id,
        "kind": question.kind,
        "label": by_language(question.label),
        "choices": [by_language(choice) for choice in question.choices],
        "is_required": question.is_required,
        "type_ids": sorted(question.type_ids),
    })  # fmt: skip


def by_language(texts: Texts) -> ByLanguage:
    """The languages that we speak; a text in another one only is given as the event's own."""
    found: ByLanguage = {}
    if (english := texts.by_language.get("en")) is not None:
        found["en"] = english
    if (french := texts.by_language.get("fr")) is not None:
        found["fr"] = french
    return found
