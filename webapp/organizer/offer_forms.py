"""From the fields of the offer's forms to drafts, and back. An organizer writes in the event's own language."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import get_args
from uuid import UUID

from skep.webapp.http.forms import Form
from skep.webapp.i18n import dates, money
from skep.webapp.organizer.event_form import capacity, check_span, moment, price, tax
from skep.webapp.shop.catalog import Catalog, Question, Session, TicketType
from skep.webapp.shop.money import Effect
from skep.webapp.shop.vouchers import normal_code
from skep.webapp.store.events import FIRST_TYPE, Event
from skep.webapp.store.offers import QuestionDraft, TypeDraft, Uses, VoucherDraft

__all__ = [
    "capacity",
    "question",
    "question_values",
    "session",
    "session_values",
    "ticket_type",
    "type_values",
    "uses",
    "uses_values",
    "voucher",
]

TITLE_LIMIT = 120
HINT_LIMIT = 300
KINDS = ("line", "text", "yes", "choice", "number", "date", "time", "moment")
MAX_CHOICES = 50
NO_MOMENT = "wrong.answer.moment"  # of a sale or a code, not of the event


@dataclass(frozen=True, slots=True)
class SessionDraft:
    title: dict[str, str]
    starts_at: datetime
    ends_at: datetime
    capacity: int | None
    price: int
    tax_bp: int

    def first_type(self, session_id: UUID, pool_id: UUID) -> TypeDraft:
        return TypeDraft(
            session_id=session_id, title=FIRST_TYPE, price=self.price, tax_bp=self.tax_bp, pool_ids=(pool_id,)
        )


def session(form: Form, event: Event) -> SessionDraft | None:
    zone = dates.zone(event.timezone)
    title = form.text("title", limit=TITLE_LIMIT)
    starts_at, ends_at = moment(form, "starts", zone), moment(form, "ends", zone)
    check_span(form, starts_at, ends_at)
    places, cost, rate = capacity(form), price(form, "price", event.currency), tax(form)
    if form.errors or starts_at is None or ends_at is None:
        return None
    return SessionDraft({event.language: title} if title else {}, starts_at, ends_at, places, cost, rate)


def session_values(known: Session, event: Event) -> dict[str, str]:
    return {
        "title": known.title.text(event.language),
        "starts": known.starts_at.strftime("%Y-%m-%dT%H:%M"),
        "ends": known.ends_at.strftime("%Y-%m-%dT%H:%M"),
        "version": str(known.version),
    }


def ticket_type(
    form: Form, event: Event, offered: Catalog, known: TicketType | None, *, like: TicketType | None = None
) -> TypeDraft | None:
    """*known* is the type that is edited: it keeps its pools. A new one draws on the pools of the type that it is
    *like*, or on all pools of its session."""
    zone = dates.zone(event.timezone)
    title = form.text("title", limit=TITLE_LIMIT, missing="wrong.type.title")
    description = form.text("description", limit=HINT_LIMIT)
    cost, rate = price(form, "price", event.currency), tax(form)
    session_id = next((s.id for s in offered.sessions if str(s.id) == form.values.get("session")), None)
    if session_id is None:
        form.refuse("session", form.t("wrong.session"))
    opens = moment(form, "starts", zone, missing=NO_MOMENT) if form.values.get("starts", "").strip() else None
    closes = moment(form, "ends", zone, missing=NO_MOMENT) if form.values.get("ends", "").strip() else None
    if opens and closes and closes <= opens:
        form.refuse("ends", form.t("wrong.order"))
    least = _number(form, "min", 1, 100) or 1
    most = _number(form, "max", 1, 100)
    if most is not None and most < least:
        form.refuse("max", form.t("wrong.max"))
    if form.errors or session_id is None:
        return None
    pools = tuple(p.id for p in offered.pools.values() if p.session_id == session_id)
    return TypeDraft(
        session_id=session_id,
        title={event.language: title},
        description={event.language: description},
        price=cost,
        tax_bp=rate,
        pool_ids=known.pool_ids if known else like.pool_ids if like else pools,
        rank=offered.types.index(known) if known else len(offered.types),
        sales_start=opens,
        sales_end=closes,
        min_per_order=least,
        max_per_order=most,
        needs_voucher=form.values.get("needs_voucher") == "yes",
        is_active=form.values.get("is_active") == "yes",
    )


def type_values(kind: TicketType, event: Event) -> dict[str, str]:
    zone = dates.zone(event.timezone)
    opens, closes = kind.sales.starts_at, kind.sales.ends_at
    return {
        "title": kind.title.text(event.language),
        "description": kind.description.text(event.language),
        "session": str(kind.session_id),
        "price": money.typed(kind.price, event.currency),
        "tax": f"{kind.tax_bp / 100:g}" if kind.tax_bp else "",
        "starts": opens.astimezone(zone).strftime("%Y-%m-%dT%H:%M") if opens else "",
        "ends": closes.astimezone(zone).strftime("%Y-%m-%dT%H:%M") if closes else "",
        "min": str(kind.min_per_order),
        "max": "" if kind.max_per_order is None else str(kind.max_per_order),
        "needs_voucher": "yes" if kind.needs_voucher else "",
        "is_active": "yes" if kind.is_active else "",
        "version": str(kind.version),
    }


def voucher(form: Form, event: Event, offered: Catalog) -> VoucherDraft | None:
    code = normal_code(form.text("code", limit=40, missing="wrong.code"))
    chosen = form.values.get("type", "")
    type_id = next((kind.id for kind in offered.types if str(kind.id) == chosen), None)
    if chosen and type_id is None:
        form.refuse("type", form.t("wrong.type"))
    max_uses = _number(form, "max_uses", 1, 1_000_000) or 1
    effect: Effect = next((one for one in get_args(Effect) if one == form.values.get("effect")), "none")
    value = 0
    if effect in ("set", "subtract"):
        value = price(form, "value", event.currency)
    elif effect == "percent":
        value = (_number(form, "value", 1, 100) or 0) * 100
    blocks = form.values.get("blocks_stock") == "yes"
    if blocks and type_id is None:
        form.refuse("type", form.t("wrong.type.blocks"))
    expires = None
    if form.values.get("ends", "").strip():
        expires = moment(form, "ends", dates.zone(event.timezone), missing=NO_MOMENT)
    if form.errors:
        return None
    return VoucherDraft(code, type_id, max_uses, effect, value, blocks, expires)


def uses(form: Form, event: Event) -> tuple[int, datetime | None]:
    """How often a voucher is good, and until when."""
    most = _number(form, "max_uses", 1, 1_000_000) or 1
    ends = (
        moment(form, "ends", dates.zone(event.timezone), missing=NO_MOMENT)
        if form.values.get("ends", "").strip()
        else None
    )
    return most, ends


def uses_values(known: Uses, event: Event) -> dict[str, str]:
    ends = known.expires_at.astimezone(dates.zone(event.timezone)) if known.expires_at else None
    return {
        "code": known.code,
        "max_uses": str(known.max_uses),
        "ends": ends.strftime("%Y-%m-%dT%H:%M") if ends else "",
    }


def question(form: Form, event: Event) -> QuestionDraft | None:
    label = form.text("label", limit=HINT_LIMIT, missing="wrong.question")
    hint = form.text("hint", limit=HINT_LIMIT)
    kind = form.values.get("kind", "")
    if kind not in KINDS:
        form.refuse("kind", form.t("wrong.kind"))
    lines = [line.strip() for line in form.long_text("choices", limit=4000).splitlines() if line.strip()]
    if kind == "choice" and not 2 <= len(lines) <= MAX_CHOICES:
        form.refuse("choices", form.t("wrong.choices", limit=MAX_CHOICES))
    if form.errors:
        return None
    return QuestionDraft(
        kind=kind,
        label={event.language: label},
        hint={event.language: hint} if hint else {},
        choices=tuple({event.language: line} for line in lines) if kind == "choice" else (),
        is_required=form.values.get("is_required") == "yes",
    )


def question_values(known: Question, event: Event) -> dict[str, str]:
    language = event.language
    return {
        "label": known.label.text(language),
        "hint": known.hint.text(language),
        "kind": known.kind,
        "choices": "\n".join(choice.text(language) for choice in known.choices),
        "is_required": "yes" if known.is_required else "",
        "version": str(known.version),
    }


def _number(form: Form, field: str, low: int, high: int) -> int | None:
    text = form.values.get(field, "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit() and len(text) < 9 and low <= int(text) <= high:
        return int(text)
    form.refuse(field, form.t("wrong.number", low=low, high=form.t.number(high)))
    return None
