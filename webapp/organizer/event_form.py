"""What an organizer writes about an event: from form fields to a `Draft`, and back."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo
from functools import cache
from zoneinfo import available_timezones

from skep.webapp.http.forms import Form
from skep.webapp.i18n import CATALOGS, dates, money
from skep.webapp.store.events import Draft, Event

TITLE_LIMIT = 200
PLACE_LIMIT = 300
DESCRIPTION_LIMIT = 20_000
CAPACITY_LIMIT = 1_000_000
DETAILS_LIMIT = 500
HOURS_LIMIT = 8760  # a year
SPAN_LIMIT_DAYS = 366
YEARS = (2000, 2100)
SLUG_LENGTH = 60
_AREAS = ("Africa/", "America/", "Antarctica/", "Arctic/", "Asia/", "Atlantic/", "Australia/", "Europe/", "Indian/",
          "Pacific/")  # fmt: skip
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that look alike


def parse(form: Form, *, is_new: bool) -> Draft | None:
    """None if something was refused; `form.errors` says what. Only a new event has a price: later its types have."""
    t = form.t
    title = form.text("title", limit=TITLE_LIMIT, missing="wrong.title")
    place = form.text("place", limit=PLACE_LIMIT)
    description = form.long_text("description", limit=DESCRIPTION_LIMIT)
    language = form.values.get("language", "")
    if language not in CATALOGS:
        form.refuse("language", t("wrong.language"))
    zone = _zone(form)
    starts_at = moment(form, "starts", zone)
    ends_at = moment(form, "ends", zone)
    places = capacity(form)
    currency = form.values.get("currency", "EUR")
    if currency not in money.DIGITS:
        form.refuse("currency", t("wrong.currency"))
    cost = price(form, "price", currency) if is_new else 0
    rate = tax(form) if is_new else 0
    details = form.long_text("transfer_details", limit=DETAILS_LIMIT)
    check_span(form, starts_at, ends_at)
    cancel_hours = _cancel_hours(form)
    if form.errors or zone is None or starts_at is None or ends_at is None:
        return None
    return Draft(
        title=title,
        description=description,
        place=place,
        language=language,
        timezone=form.values["timezone"].strip(),
        starts_at=starts_at,
        ends_at=ends_at,
        capacity=places,
        currency=currency,
        price=cost,
        tax_bp=rate,
        pays_on_site=form.values.get("pays_on_site") == "yes",
        transfer_details=details,
        self_cancel_hours=cancel_hours,
    )


def values(event: Event) -> dict[str, str]:
    """The form's fields for an event that exists: its own language, its local times."""
    return {
        "title": event.title.text(event.language),
        "description": event.description.text(event.language),
        "place": event.place.text(event.language),
        "language": event.language,
        "timezone": event.timezone,
        "starts": event.starts_at.strftime("%Y-%m-%dT%H:%M"),
        "ends": event.ends_at.strftime("%Y-%m-%dT%H:%M"),
        "capacity": "" if event.capacity is None else str(event.capacity),
        "currency": event.currency,
        "pays_on_site": "yes" if event.pays_on_site else "",
        "transfer_details": event.transfer_details,
        "cancel_hours": "" if event.self_cancel_hours is None else str(event.self_cancel_hours),
        "version": str(event.version),
    }


def changed(before: Mapping[str, str], typed: Mapping[str, str]) -> list[str]:
    """The names of the fields that differ, as far as both have them."""
    return [
        name for name, value in before.items() if name != "version" and _bare(typed.get(name, value)) != _bare(value)
    ]


def _bare(text: str) -> str:
    """As a form sends it and as it is stored: line ends and spaces around do not count."""
    return text.replace("\r\n", "\n").strip()


def slugs(title: str) -> list[str]:
    """Public addresses to try for a title, the plain one first."""
    letters = unicodedata.normalize("NFKD", title.lower().replace("œ", "oe").replace("æ", "ae").replace("ß", "ss"))
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
    plain = re.sub(r"[^a-z0-9]+", "-", bare).strip("-")
    plain = plain[:SLUG_LENGTH].rstrip("-") or "event"
    return [plain, *(f"{plain}-{''.join(secrets.choice(_LETTERS) for _ in range(5))}" for _ in range(4))]


@cache
def timezones() -> tuple[str, ...]:
    """What the form offers: places, not the many old names for them."""
    return (*sorted(name for name in available_timezones() if name.startswith(_AREAS)), "UTC")


def _zone(form: Form) -> tzinfo | None:
    name = form.values.get("timezone", "").strip()
    try:
        if not re.fullmatch(r"[A-Za-z0-9_+/-]{1,60}", name):
            raise ValueError(name)
        return dates.zone(name)
    except ValueError:
        form.refuse("timezone", form.t("wrong.timezone"))
        return None


def moment(form: Form, field: str, zone: tzinfo | None, *, missing: str | None = None) -> datetime | None:
    """A local time of the form as a moment in *zone*; None if it was refused, or if there is no zone to tell.

    *missing*: the key of what to say if it is none.
    """
    text = form.values.get(field, "").strip()
    try:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2})?", text):
            raise ValueError(text)
        local = datetime.fromisoformat(text)
    except ValueError:
        form.refuse(field, form.t(missing or f"wrong.{field}"))
        return None
    if not YEARS[0] <= local.year < YEARS[1]:
        form.refuse(field, form.t("wrong.year", low=YEARS[0], high=YEARS[1] - 1))
        return None
    if zone is None:
        return None
    found = local.replace(tzinfo=zone)
    there_and_back = datetime.fromtimestamp(found.timestamp(), zone)
    if there_and_back.replace(tzinfo=None) != local:  # skipped when the clocks went forward
        form.refuse(field, form.t("wrong.gap"))
        return None
    return found


def check_span(form: Form, starts_at: datetime | None, ends_at: datetime | None, *, field: str = "ends") -> None:
    if starts_at and ends_at:
        if ends_at <= starts_at:
            form.refuse(field, form.t("wrong.order"))
        elif ends_at - starts_at > timedelta(days=SPAN_LIMIT_DAYS):
            form.refuse(field, form.t("wrong.span", limit=SPAN_LIMIT_DAYS))


def price(form: Form, field: str, currency: str) -> int:
    """An amount in minor units; empty is free."""
    written = form.values.get(field, "").strip()
    amount = money.parse(written, currency) if written else 0
    if amount is None:
        form.refuse(field, form.t("wrong.price"))
    return amount or 0


def tax(form: Form) -> int:
    """Basis points of a rate in percent; empty is none."""
    written = form.values.get("tax", "").strip().removesuffix("%").strip().replace(",", ".")
    if not written:
        return 0
    if not re.fullmatch(r"\d{1,2}(\.\d{1,2})?", written, flags=re.ASCII):
        form.refuse("tax", form.t("wrong.tax"))
        return 0
    whole, _, rest = written.partition(".")
    return int(whole) * 100 + int(rest.ljust(2, "0"))


def _cancel_hours(form: Form) -> int | None:
    text = form.values.get("cancel_hours", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit() and int(text[:6]) <= HOURS_LIMIT:
        return int(text)
    form.refuse("cancel_hours", form.t("wrong.hours", limit=form.t.number(HOURS_LIMIT)))
    return None


def capacity(form: Form) -> int | None:
    text = "".join(form.values.get("capacity", "").split())
    if not text:
        return None
    if text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= CAPACITY_LIMIT:
        return int(text)
    form.refuse("capacity", form.t("wrong.capacity", limit=form.t.number(CAPACITY_LIMIT)))
    return None
