"""What each mail says: read from the rows as they are now, in the language of whom it is for.

None where there is nothing to say any more: the order was cancelled meanwhile, the event is over, the guest erased.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from skep.webapp.i18n import Translator, dates
from skep.webapp.ids import new_secret, new_token, secret_text, token_hash
from skep.webapp.settings import Settings
from skep.webapp.shop import calendars, catalog, tickets, waiting
from skep.webapp.shop.tickets import Order
from skep.webapp.store import events, invitations, members
from skep.webapp.store.events import Event

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection, Database


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail to one person. *facts* are pairs of label and value; *buttons* of label and address.

    *attached*: orders whose tickets go with it, all of *event*; *calendar* a calendar file. *because* says why it came.
    """

    name: str
    address: str
    language: str
    subject: str
    heading: str
    paragraphs: tuple[str, ...]
    because: str
    facts: tuple[tuple[str, str], ...] = ()
    buttons: tuple[tuple[str, str], ...] = ()
    event: Event | None = None
    attached: tuple[Order, ...] = field(default=())
    calendar: str = ""


class Letters:
    """Writes letters; *url* is the site's address."""

    def __init__(self, settings: Settings, database: Database, *, url: str) -> None:
        self._settings = settings
        self._database = database
        self._url = url

    async def write(self, kind: str, payload: dict[str, Any]) -> Letter | None:
        """Must not run in a transaction: links that it makes are committed before the letter leaves."""
        async with self._database.transaction() as connection:
            match kind:
                case "mail.event_cancelled" if "entry" in payload:
                    return await self._waited_in_vain(connection, UUID(payload["entry"]))
                case "mail.waiting_joined" | "mail.waiting_offer":
                    return await self._waiting(connection, kind, UUID(payload["entry"]))
                case "mail.invitation" | "mail.reset":
                    return await self._account(connection, kind, UUID(payload["person"]))
                case "mail.tickets_again":
                    return await self._again(connection, [UUID(text) for text in payload["orders"]])
                case _:
                    return await self._order(connection, kind, payload)

    # About orders

    async def _order(self, connection: Connection, kind: str, payload: dict[str, Any]) -> Letter | None:
        found = await _read(connection, UUID(payload["order"]))
        if found is None:
            return None
        order, event, t = found
        topic = _topic(kind, order, event)
        if topic is None or (event.is_over and topic not in ("refund", "cancelled", *HALTED)):
            return None
        title = event.title.text(t.language)
        words: dict[str, object] = {"event": title, "name": order.name, "code": order.code}
        match topic:
            case "cancelled":
                paragraphs = [t.n("mail.cancelled.text", int(payload.get("tickets", 1)), **words)]
            case "refund":
                paragraphs = [t(f"mail.refund.{payload.get('reason', 'cancelled')}", **words)]
            case _:
                paragraphs = [t(f"mail.{topic}.text", **words)]
        if topic in HALTED and event.notice:
            paragraphs.append(event.notice.text(t.language))
        if topic == "moved" and order.cancellable:
            paragraphs.append(t("mail.moved.back"))
        if topic in ("refund", "cancelled", "off") and order.owed_back:
            paragraphs.append(t("order.owed", amount=t.money(order.owed_back, order.currency)))
        attached = (order,) if topic in ("paid", "changed") and order.has_tickets else ()
        if attached:
            paragraphs.append(t("mail.attached"))
        return Letter(
            name=order.name,
            address=order.email,
            language=t.language,
            subject=t(f"mail.{topic}.subject", **words),
            heading=t(f"mail.{topic}.subject", **words),
            paragraphs=tuple(paragraphs),
            because=t("mail.because.order", site=self._settings.display_name),
            facts=(*_transfer(order, event, t, topic), *_event_facts(event, t)),
            buttons=(
                (
                    t("mail.button.confirm" if topic == "confirm" else "mail.button.order"),
                    await self._order_link(connection, order.id),
                ),
            ),
            event=event,
            attached=attached,
            calendar=await self._calendar(connection, event, t) if topic in HALTED else "",
        )

    async def _calendar(self, connection: Connection, event: Event, t: Translator) -> str:
        """As the event's page gives it: opened, it changes the entry that somebody has."""
        offered = await catalog.load_one(connection, event.id, counted=False)
        entry = (event, offered.sessions, f"{self._url}/events/{event.slug}")
        return calendars.render([entry], t.language, self._settings.uid, offered.now)

    async def _again(self, connection: Connection, order_ids: list[UUID]) -> Letter | None:
        found = [entry for entry in [await _read(connection, order_id) for order_id in order_ids] if entry is not None]
        found = [entry for entry in found if entry[0].state in ("pending", "paid")]
        if not found:
            return None
        first, event, t = found[0]
        title = event.title.text(t.language)
        attached = tuple(order for order, _, _ in found if order.has_tickets)
        paragraphs = [t("mail.again.text", event=title, name=first.name)]
        if attached:
            paragraphs.append(t("mail.attached"))
        buttons = [
            (
                t("mail.button.order") if len(found) == 1 else t("mail.button.order.of", code=order.code),
                await self._order_link(connection, order.id),
            )
            for order, _, _ in found
        ]
        return Letter(
            name=first.name,
            address=first.email,
            language=t.language,
            subject=t("mail.again.subject", event=title),
            heading=t("mail.again.subject", event=title),
            paragraphs=tuple(paragraphs),
            because=t("mail.because.again", site=self._settings.display_name),
            facts=_event_facts(event, t),
            buttons=tuple(buttons),
            event=event,
            attached=attached,
        )

    async def _order_link(self, connection: Connection, order_id: UUID) -> str:
        """A link of its own: the database holds hashes only, so none can be read from it."""
        token = secret_text(new_secret())
        await connection.execute(
            "INSERT INTO order_link (token_sha256, order_id, by_mail) VALUES ($1, $2, true)",
            token_hash(token),
            order_id,
        )
        return f"{self._url}/orders/{token}"

    # About the waiting list

    async def _waiting(self, connection: Connection, kind: str, entry_id: UUID) -> Letter | None:
        entry = await waiting.entry(connection, entry_id)
        event = None if entry is None else await events.by_id(connection, entry.event_id)
        if entry is None or event is None or event.is_over or event.status != "live" or not entry.email:
            return None
        is_offer = kind == "mail.waiting_offer"
        if (is_offer and (entry.state != "offered" or entry.code is None)) or (
            not is_offer and entry.state != "waiting"
        ):
            return None
        t = Translator(entry.language)
        offered = await catalog.load_one(connection, event.id, counted=False)
        words: dict[str, object] = {
            "name": entry.name,
            "event": event.title.text(t.language),
            "what": offered.type_by_id[entry.type_id].title.text(t.language),
        }
        topic = "offer" if is_offer else "joined"
        if entry.expires_at is not None:
            words["until"] = _moment(entry.expires_at.astimezone(dates.zone(event.timezone)), t)
        address = f"{self._url}/events/{event.slug}"
        button = (
            (t("mail.button.offer"), f"{address}?voucher={entry.code}#tickets")
            if is_offer
            else (t("mail.button.event"), address)
        )
        return Letter(
            name=entry.name,
            address=entry.email,
            language=t.language,
            subject=t(f"mail.{topic}.subject", **words),
            heading=t(f"mail.{topic}.subject", **words),
            paragraphs=(t(f"mail.{topic}.text", **words),),
            because=t("mail.because.waiting", site=self._settings.display_name),
            facts=_event_facts(event, t),
            buttons=(button,),
            event=event,
        )

    async def _waited_in_vain(self, connection: Connection, entry_id: UUID) -> Letter | None:
        entry = await waiting.entry(connection, entry_id)
        event = None if entry is None else await events.by_id(connection, entry.event_id)
        if entry is None or event is None or event.status != "cancelled" or not entry.email:
            return None
        t = Translator(entry.language)
        words: dict[str, object] = {"name": entry.name, "event": event.title.text(t.language)}
        notice = (event.notice.text(t.language),) if event.notice else ()
        return Letter(
            name=entry.name,
            address=entry.email,
            language=t.language,
            subject=t("mail.off.subject", **words),
            heading=t("mail.off.subject", **words),
            paragraphs=(t("mail.off.waiting", **words), *notice),
            because=t("mail.because.waiting", site=self._settings.display_name),
            facts=_event_facts(event, t),
            event=event,
        )

    # About accounts

    async def _account(self, connection: Connection, kind: str, person_id: UUID) -> Letter | None:
        """The way in is made when the mail is, so that no row holds it."""
        person = await members.mailable(connection, person_id)
        if person is None:
            return None
        topic = kind.removeprefix("mail.")
        t = Translator(person.language)
        token = new_token()
        lifetime = invitations.RESET_LIFETIME if topic == "reset" else invitations.LIFETIME
        await invitations.create(connection, token, email=person.email, language=person.language, lifetime=lifetime)
        words: dict[str, object] = {"name": person.name, "site": self._settings.display_name}
        return Letter(
            name=person.name,
            address=person.email,
            language=t.language,
            subject=t(f"mail.{topic}.subject", **words),
            heading=t(f"mail.{topic}.subject", **words),
            paragraphs=(t(f"mail.{topic}.text", **words), t("mail.account.once")),
            because=t(f"mail.because.{topic}", site=self._settings.display_name),
            buttons=((t(f"mail.button.{topic}"), f"{self._url}/invite/{token}"),),
        )


async def _read(connection: Connection, order_id: UUID) -> tuple[Order, Event, Translator] | None:
    """None if there is no such order, or nobody to write to: its buyer was erased."""
    row = await connection.fetchrow("SELECT event_id, language FROM ticket_order WHERE id = $1", order_id)
    if row is None:
        return None
    order = await tickets.by_id(connection, row["event_id"], order_id)
    event = await events.by_id(connection, row["event_id"])
    if order is None or event is None or not order.email:
        return None
    return order, event, Translator(row["language"])


HALTED = ("off", "postponed", "moved")


def _topic(kind: str, order: Order, event: Event) -> str | None:
    """Which words: as order and event stand now, not as they stood when the mail was queued."""
    match kind, order.state:
        case "mail.event_cancelled", "cancelled":
            return "off"
        case "mail.event_postponed", "paid" | "pending":
            return "postponed" if event.status == "postponed" else None
        case "mail.event_moved", "paid" | "pending":
            return "moved" if event.status == "live" else None
        case "mail.order_paid", "paid":
            return "paid"
        case "mail.order_placed", "pending":
            return {"transfer": "transfer", "by-mail": "confirm"}.get(order.provider, "onsite")
        case "mail.order_expired", "expired" if order.provider != "by-mail":  # perhaps a robot's: one mail is enough
            return "expired"
        case "mail.tickets_changed", "paid" | "pending":
            return "changed"
        case "mail.tickets_cancelled", _:
            return "cancelled"
        case "mail.refund_owed", _:
            return "refund"
    return None


def _transfer(order: Order, event: Event, t: Translator, topic: str) -> tuple[tuple[str, str], ...]:
    if topic != "transfer":
        return ()
    pairs = [
        (t("order.amount"), t.money(order.total.gross, order.currency)),
        (t("order.reference"), order.code),
    ]
    if order.due_at is not None:
        pairs.append((t("order.due"), dates.day(order.due_at, t.language)))
    return (*pairs, (t("order.to"), event.transfer_details))


def _event_facts(event: Event, t: Translator) -> tuple[tuple[str, str], ...]:
    days, hours = dates.period(event.starts_at, event.ends_at, t.language)
    zone = dates.zone_words(event.starts_at, event.timezone, t.language)
    pairs = [(t("event.when"), f"{days}\n{hours}\n{zone}")]
    if place := event.place.text(t.language):
        pairs.append((t("event.where"), place))
    return tuple(pairs)


def _moment(moment: datetime, t: Translator) -> str:
    return f"{dates.day(moment, t.language)}, {dates.clock(moment, t.language)}"
