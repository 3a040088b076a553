"""What goes in and out, as pydantic models. Amounts are in minor units of the event's currency; moments carry a zone."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, Field

from skep.webapp.api.operations import Model
from skep.webapp.store.tokens import Scope

T = TypeVar("T")

MOST_A_PAGE = 100


def _in_reach(moment: datetime) -> datetime:
    if not 2000 <= moment.year < 2200:
        raise ValueError("a year from 2000 to 2199")
    return moment


Line = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Words = Annotated[str, Field(max_length=20_000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
Name = Annotated[
    str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$")
]
Email = Annotated[str, Field(min_length=3, max_length=254, pattern=r"^[^\x00-\x20\x7f@]+@[^\x00-\x20\x7f@]+$")]
Language = Literal["en", "fr"]
Moment = Annotated[AwareDatetime, AfterValidator(_in_reach)]
Secret = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{22}$")]
Cursor = Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9_-]+$")]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
ByLanguage = dict[Language, Words]


class Page(Model, Generic[T]):
    items: list[T]
    next_cursor: str | None = Field(description="Ask for the next page with it; null on the last one.")


class Paged(Model):
    cursor: Cursor | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_A_PAGE)] = 50


# Events


class EventParams(Model):
    event_id: UUID


class EventsParams(Paged):
    q: Annotated[Line | None, Field(description="Words that the title or the place has.")] = None
    after: Annotated[Moment | None, Field(description="Only what ends after this; by default now.")] = None


class SessionOut(Model):
    id: UUID
    title: ByLanguage
    starts_at: datetime
    ends_at: datetime


class EventOut(Model):
    id: UUID
    slug: str
    status: Literal["draft", "live", "cancelled", "postponed"]
    title: ByLanguage
    description: ByLanguage
    place: ByLanguage
    language: Language
    timezone: str
    currency: str
    max_per_order: int
    sessions: list[SessionOut]
    url: str
    version: int


class EventChange(Model):
    """Texts that are left out stay. A text in a language replaces that one, an empty one removes it."""

    title: ByLanguage | None = None
    description: ByLanguage | None = None
    place: ByLanguage | None = None
    max_per_order: Annotated[int | None, Field(ge=1, le=100)] = None


class TypeOut(Model):
    id: UUID
    session_id: UUID
    title: ByLanguage
    description: ByLanguage
    price: int
    tax_bp: int
    sales_start: datetime | None
    sales_end: datetime | None
    min_per_order: int
    max_per_order: int | None
    needs_voucher: bool


class QuestionOut(Model):
    id: UUID
    kind: Literal["line", "text", "yes", "choice", "number", "date", "time", "moment"]
    label: ByLanguage
    choices: list[ByLanguage]
    is_required: bool
    type_ids: list[UUID] = Field(description="Empty: asked for every ticket.")


class OfferOut(Model):
    types: list[TypeOut]
    questions: list[QuestionOut] = Field(description="What an order has to answer, ticket by ticket.")
    terms_id: UUID | None = Field(description="The terms that a buyer has to accept; null where there are none.")


class Left(Model):
    type_id: UUID
    sale: Literal["open", "soon", "over", "sold_out", "voucher", "closed"]
    left: int | None = Field(description="null: unlimited.")


class AvailabilityOut(Model):
    types: list[Left]


# Carts and orders


class CartParams(EventParams):
    cart: Secret


class ItemParams(CartParams):
    type_id: UUID


class Item(Model):
    type_id: UUID
    quantity: Annotated[int, Field(ge=1, le=100)]


class ItemsIn(Model):
    items: Annotated[list[Item], Field(min_length=1, max_length=50)]
    voucher: Annotated[str, Field(max_length=40, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""


class PlaceOut(Model):
    id: UUID
    type_id: UUID
    session_id: UUID
    price: int
    tax_bp: int


class NoteOut(Model):
    kind: Literal["fewer", "none", "lost"]
    what: ByLanguage
    number: int


class CartOut(Model):
    cart: Secret = Field(description="Whoever holds it holds the cart: keep it to yourself.")
    event_id: UUID
    expires_at: datetime
    places: list[PlaceOut]
    total: int
    tax: int
    currency: str
    notes: list[NoteOut] = Field(description="What could not be had, or was lost by waiting.")


class AnswerIn(Model):
    question_id: UUID
    value: Annotated[str, Field(max_length=2000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]


class HolderIn(Model):
    place_id: UUID
    name: Annotated[str, Field(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    answers: Annotated[tuple[AnswerIn, ...], Field(max_length=50)] = ()


class BuyerIn(Model):
    name: Name
    email: Email
    language: Language = "en"
    method: Literal["free", "on-site", "transfer"]
    terms_id: UUID | None = None


class CheckoutIn(BuyerIn):
    holders: Annotated[tuple[HolderIn, ...], Field(max_length=100)] = ()


class PositionIn(Model):
    type_id: UUID
    name: Annotated[str, Field(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    answers: Annotated[tuple[AnswerIn, ...], Field(max_length=50)] = ()


class OrderIn(BuyerIn):
    positions: Annotated[list[PositionIn], Field(min_length=1, max_length=100)]
    voucher: Annotated[str, Field(max_length=40, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""


class OrderParams(EventParams):
    order_id: UUID


class OrdersParams(EventParams, Paged):
    state: Literal["pending", "paid", "expired", "cancelled"] | None = None


class TicketOut(Model):
    id: UUID
    number: int
    type_id: UUID
    session_id: UUID
    holder: str
    price: int
    tax: int
    code: Secret = Field(description="What the ticket's QR code holds.")
    is_cancelled: bool


class OrderOut(Model):
    id: UUID
    event_id: UUID
    code: str
    state: Literal["pending", "paid", "expired", "cancelled"]
    name: str
    email: str
    method: str
    currency: str
    total: int
    tax: int
    owed_back: int
    created_at: datetime
    due_at: datetime | None
    tickets: list[TicketOut]
    version: int


class PlacedOut(Model):
    order: OrderOut
    url: str = Field(description="The buyer's own page: whoever has it sees the order.")
    pay_at: str | None = Field(description="Where the buyer pays; null: nowhere.")


class CancelIn(Model):
    ticket_ids: Annotated[list[UUID] | None, Field(max_length=100, description="null: all.")] = None


# Who comes


class AttendeesParams(EventParams, Paged): ...


class AttendeeOut(Model):
    ticket_id: UUID
    name: str
    email: str = Field(description="The buyer's: only buyers are asked for one.")
    order_id: UUID
    order_code: str
    type_id: UUID
    session_id: UUID
    is_paid: bool
    checked_in_at: datetime | None


# Check-in


class ListParams(Model):
    list_id: UUID


class ScanParams(ListParams):
    scan_id: UUID


class ScansParams(ListParams, Paged): ...


class DoorOut(Model):
    id: UUID
    event_id: UUID
    event_title: ByLanguage
    name: str
    expected: int
    inside: int
    ends_at: datetime
    forget_at: datetime


class DoorsOut(Model):
    lists: list[DoorOut]


class KnownOut(Model):
    """Short names, because a device holds thousands: *h* hash of the code, *n* first name and initial, *t* the type's
    place in `types`. *p* false: not paid. *o*: the door opens for it then. *q*: there is something to ask. *c*, *g*:
    it came, when and where.
    """

    h: Hash
    n: str
    t: int
    p: bool = True
    o: datetime | None = None
    q: bool = False
    c: datetime | None = None
    g: str | None = None


class DoorQuestion(Model):
    id: UUID
    kind: Literal["yes", "line", "number", "date"]
    label: ByLanguage
    is_required: bool
    type_ids: list[UUID]


class TypeName(Model):
    id: UUID
    title: ByLanguage


class OfflineList(Model):
    door: DoorOut
    version: str
    types: list[TypeName]
    questions: list[DoorQuestion]
    tickets: list[KnownOut]


class ScanIn(Model):
    """Either the code as the QR code holds it, or its SHA-256."""

    code: Annotated[str | None, Field(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")] = None
    code_sha256: Hash | None = None
    nonce: Annotated[str, Field(min_length=16, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
    at: Annotated[Moment, Field(description="By the device's clock.")]
    list_version: Annotated[str, Field(max_length=40, pattern=r"^[A-Za-z0-9_-]*$")] = ""
    answers: Annotated[tuple[AnswerIn, ...], Field(max_length=50)] = ()


class UploadIn(Model):
    scans: Annotated[list[ScanIn], Field(min_length=1, max_length=MOST_A_PAGE)]


MarkOut = Literal["already_redeemed", "unknown", "cancelled", "unpaid", "wrong_list", "too_early", "incomplete"]


class ScanOut(Model):
    id: UUID
    nonce: str
    name: str
    type: ByLanguage
    order_code: str
    at: datetime
    gate: str


class ToldOut(Model):
    """*mark* null: it counts. Otherwise it is kept, and says what it contradicts; *at* and *gate* of the first."""

    nonce: str
    id: UUID | None
    mark: MarkOut | None
    at: datetime | None
    gate: str


class ToldsOut(Model):
    scans: list[ToldOut]


class LoggedOut(Model):
    id: UUID
    name: str
    type: ByLanguage
    order_code: str
    at: datetime
    gate: str
    mark: MarkOut | None
    undone_at: datetime | None


# Tokens


class EnrolIn(Model):
    code: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")]


class EnrolledOut(Model):
    token: str = Field(description="Shown this once.")
    me: MeOut


class MeOut(Model):
    id: UUID
    kind: Literal["team", "device"]
    name: str
    scopes: list[Scope]
    event_ids: list[UUID] | None = Field(description="null: all events.")


EnrolledOut.model_rebuild()
