"""What search engines and other programs read of an event: schema.org's Event, as JSON in the page.

A data block runs nothing, so the content security policy has no say in it; but it ends at the first `</script>`, and
titles are people's: every `<`, `>` and `&` is written as an escape of JSON.
"""

from __future__ import annotations

import json
from typing import Any

from skep.webapp.i18n import money
from skep.webapp.shop.catalog import Catalog
from skep.webapp.store.events import Event

CONTEXT = "https://schema.org"
_STATUS = {"live": "EventScheduled", "postponed": "EventPostponed", "cancelled": "EventCancelled"}
_SALE = {"open": "InStock", "sold out": "SoldOut", "soon": "PreOrder"}
DESCRIPTION_LIMIT = 5000


def event_data(event: Event, offered: Catalog, *, url: str, organizer: str, language: str) -> dict[str, Any]:
    """*url* is the site's address. Only what everybody may know: no type that needs a voucher."""
    page = f"{url}/events/{event.slug}"
    data: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "Event",
        "name": event.title.text(language),
        "url": page,
        "startDate": event.starts_at.isoformat(),
        "endDate": event.ends_at.isoformat(),
        "eventStatus": f"{CONTEXT}/{_STATUS.get(event.status, 'EventScheduled')}",
        "organizer": {"@type": "Organization", "name": organizer, "url": url},
    }
    if description := event.description.text(language):
        data["description"] = description[:DESCRIPTION_LIMIT]
    if place := event.place.text(language):
        data["eventAttendanceMode"] = f"{CONTEXT}/OfflineEventAttendanceMode"
        data["location"] = {"@type": "Place", "name": place, "address": place}
    if event.picture:
        data["image"] = [f"{url}{event.picture.largest.path}"]
    offers = []
    for kind in offered.public_types:
        sale = offered.sale(kind)
        if sale in _SALE:
            offer: dict[str, Any] = {
                "@type": "Offer",
                "name": kind.title.text(language),
                "price": money.typed(kind.price, event.currency),
                "priceCurrency": event.currency,
                "availability": f"{CONTEXT}/{_SALE[sale]}",
                "url": f"{page}#tickets",
            }
            if kind.sales.starts_at is not None:
                offer["validFrom"] = kind.sales.starts_at.isoformat()
            offers.append(offer)
    if offers and event.status == "live":
        data["offers"] = offers
    return data


def script(data: dict[str, Any]) -> str:
    """*data* for the inside of a `<script type="application/ld+json">`: nothing that ends a script is left in it."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text
