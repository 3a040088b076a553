"""What stands on tickets of paper: texts in the buyer's language, ready to be drawn; nothing of it is stored."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from skep.webapp.i18n import Translator, dates
from skep.webapp.settings import Settings
from skep.webapp.shop.tickets import Order, Ticket
from skep.webapp.store.events import Event
from skep.webapp.theme import make_theme


@dataclass(frozen=True, slots=True)
class TicketSheet:
    """One page. *code* is what the QR code holds: the ticket's secret of 128 bits, as text."""

    title: str
    kind: str
    holder: str
    when: tuple[str, ...]
    place: str
    price: str
    reference: str
    number: str
    code: str


@dataclass(frozen=True, slots=True)
class Sheets:
    """*accent* and *on_accent* are `#rrggbb`; *words* are labels by name."""

    site: str
    language: str
    accent: str
    on_accent: str
    words: dict[str, str]
    tickets: tuple[TicketSheet, ...]

    def document(self) -> dict[str, Any]:
        """As JSON says it."""
        return asdict(self)


def of_order(settings: Settings, order: Order, event: Event, language: str) -> Sheets:
    """All tickets of *order* that are good."""
    t = Translator(language)
    scheme = make_theme(settings.accent).light
    return Sheets(
        site=settings.display_name,
        language=language,
        accent=scheme.accent,
        on_accent=scheme.on_accent,
        words={name: t(f"ticket.{name}") for name in ("holder", "when", "where", "code", "show", "secret")},
        tickets=tuple(_sheet(order, event, ticket, t) for ticket in order.valid),
    )


def file_name(orders: Iterable[Order]) -> str:
    return f"tickets-{'-'.join(order.code for order in orders)}.pdf"


def _sheet(order: Order, event: Event, ticket: Ticket, t: Translator) -> TicketSheet:
    language = t.language
    kind = ticket.type_title.text(language)
    if session := ticket.session_title.text(language):
        kind = f"{kind} · {session}"
    price = t.money(ticket.amount.gross, order.currency) if ticket.amount.gross else t("price.free")
    return TicketSheet(
        title=event.title.text(language),
        kind=kind,
        holder=ticket.holder,
        when=(
            *dates.period(ticket.starts_at, ticket.ends_at, language),
            dates.zone_words(ticket.starts_at, event.timezone, language),
        ),
        place=event.place.text(language),
        price=price,
        reference=order.code,
        number=t("ticket.number", number=ticket.number, count=len(order.tickets)),
        code=ticket.secret,
    )
