"""What programs read of an event."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from skep.webapp.shop.availability import Pool, Window
from skep.webapp.shop.catalog import Catalog, Session, TicketType
from skep.webapp.site.structured import event_data, script
from skep.webapp.store.events import Event
from skep.webapp.store.texts import Texts

NOW = datetime(2090, 1, 1, tzinfo=UTC)
URL = "https://acme.example.com"
SESSION = UUID(int=1)


def texts(text: str) -> Texts:
    return Texts({"en": text}, "en")


def make_event(**changes: Any) -> Event:
    known: dict[str, Any] = {
        "id": uuid4(), "slug": "night", "status": "live", "language": "en", "timezone": "UTC", "title": texts("Night"),
        "description": texts("Open."), "place": texts("Atelier"), "version": 1, "currency": "EUR",
        "pays_on_site": True, "transfer_details": "", "transfer_days": 7, "self_cancel_hours": None,
        "max_per_order": 10, "session_id": SESSION, "starts_at": NOW + timedelta(days=1),
        "ends_at": NOW + timedelta(days=2), "sessions": 1, "capacity": None, "registered": 0, "is_over": False,
        "picture": None, "notice": texts(""),
    }  # fmt: skip
    return Event(**(known | changes))


def make_catalog(*, left: int | None = None, **changes: Any) -> Catalog:
    pool = UUID(int=2)
    known: dict[str, Any] = {
        "id": uuid4(), "session_id": SESSION, "title": texts("Seat"), "description": texts(""), "price": 1250,
        "tax_bp": 0, "sales": Window(None, None), "min_per_order": 1, "max_per_order": None, "needs_voucher": False,
        "is_active": True, "pool_ids": (pool,), "version": 1,
    }  # fmt: skip
    session = Session(SESSION, texts(""), NOW + timedelta(days=1), NOW + timedelta(days=2), False, 1)
    size = None if left is None else left
    return Catalog(
        event_id=uuid4(), now=NOW, is_selling=True, max_per_order=10, sessions=(session,),
        types=(TicketType(**(known | changes)),), pools={pool: Pool(pool, SESSION, size, 0)},
    )  # fmt: skip


def data(event: Event, offered: Catalog) -> dict[str, Any]:
    return event_data(event, offered, url=URL, organizer="Acme", language="en")


def test_an_event_with_what_can_be_bought() -> None:
    said = data(make_event(), make_catalog())
    assert (said["@type"], said["name"], said["url"]) == ("Event", "Night", f"{URL}/events/night")
    assert said["startDate"] == "2090-01-02T00:00:00+00:00"
    (offer,) = said["offers"]
    assert (offer["price"], offer["priceCurrency"]) == ("12.50", "EUR")
    assert offer["availability"] == "https://schema.org/InStock"


@pytest.mark.parametrize(
    ("status", "word", "has_offers"),
    [("live", "EventScheduled", True), ("postponed", "EventPostponed", False), ("cancelled", "EventCancelled", False)],
)
def test_what_became_of_it_is_told(status: str, word: str, has_offers: bool) -> None:
    said = data(make_event(status=status), make_catalog())
    assert said["eventStatus"] == f"https://schema.org/{word}"
    assert ("offers" in said) is has_offers


def test_sold_out_is_told_and_what_needs_a_voucher_is_not() -> None:
    assert data(make_event(), make_catalog(left=0))["offers"][0]["availability"].endswith("SoldOut")
    assert "offers" not in data(make_event(), make_catalog(needs_voucher=True))


@pytest.mark.parametrize("title", ["</script><script>alert(1)</script>", "<!--", "]]>", "\u2028&amp;", '"\\"'])
def test_no_title_leaves_its_script(title: str) -> None:
    said = data(make_event(title=texts(title)), make_catalog())
    text = script(said)
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text)["name"] == title
