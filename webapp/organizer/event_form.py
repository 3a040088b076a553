"""What an organizer writes about an event: from form fields to a `Draft`, and back."""

from __future__ import annotations

import re
import secrets
import unicodedata
from datetime import datetime, timedelta, tzinfo
from functools import cache
from zoneinfo import available_timezones

from skep.webapp.http.forms import Form
from skep.webapp.i18n import CATALOGS, dates
from skep.webapp.store.events import Draft, Event

TITLE_LIMIT = 200
PLACE_LIMIT = 300
DESCRIPTION_LIMIT = 20_000
CAPACITY_LIMIT = 1_000_000
SPAN_LIMIT_DAYS = 366
YEARS = (2000, 2100)
SLUG_LENGTH = 60
_AREAS = ("Africa/", "America/", "Antarctica/", "Arctic/", "Asia/", "Atlantic/", "Australia/", "Europe/", "Indian/",
          "Pacific/")  # fmt: skip
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that look alike


def parse(form: Form) -> Draft | None:
    """None if something was refused; `form.errors` says what."""
    t = form.t
    title = form.text("title", limit=TITLE_LIMIT, missing="wrong.title")
    place = form.text("place", limit=PLACE_LIMIT)
    description = form.long_text("description", limit=DESCRIPTION_LIMIT)
    language = form.values.get("language", "")
    if language not in CATALOGS:
        form.refuse("language", t("wrong.language"))
    zone = _zone(form)
    starts_at = _moment(form, "starts", zone)
    ends_at = _moment(form, "ends", zone)
    capacity = _capacity(form)
    if starts_at and ends_at:
        if ends_at <= starts_at:
            form.refuse("ends", t("wrong.order"))
        elif ends_at - starts_at > timedelta(days=SPAN_LIMIT_DAYS):
            form.refuse("ends", t("wrong.span", limit=SPAN_LIMIT_DAYS))
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
        capacity=capacity,
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
        "version": str(event.version),
    }


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


def _moment(form: Form, field: str, zone: tzinfo | None) -> datetime | None:
    text = form.values.get(field, "").strip()
    try:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2})?", text):
            raise ValueError(text)
        local = datetime.fromisoformat(text)
    except ValueError:
        form.refuse(field, form.t(f"wrong.{field}"))
        return None
    if not YEARS[0] <= local.year < YEARS[1]:
        form.refuse(field, form.t("wrong.year", low=YEARS[0], high=YEARS[1] - 1))
        return None
    if zone is None:
        return None
    moment = local.replace(tzinfo=zone)
    there_and_back = datetime.fromtimestamp(moment.timestamp(), zone)
    if there_and_back.replace(tzinfo=None) != local:  # skipped when the clocks went forward
        form.refuse(field, form.t("wrong.gap"))
        return None
    return moment


def _capacity(form: Form) -> int | None:
    text = "".join(form.values.get("capacity", "").split())
    if not text:
        return None
    if text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= CAPACITY_LIMIT:
        return int(text)
    form.refuse("capacity", form.t("wrong.capacity", limit=form.t.number(CAPACITY_LIMIT)))
    return None
