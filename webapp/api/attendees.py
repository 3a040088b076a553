"""Who comes, page by page; and lists to keep, as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from skep.webapp.api.asking import after, cursor_of, own_event
from skep.webapp.api.models import AttendeeOut, AttendeesParams, EventParams, Page
from skep.webapp.api.operations import Call, File, NoBody, operation
from skep.webapp.http.keys import DATABASE
from skep.webapp.i18n import dates
from skep.webapp.shop import tickets
from skep.webapp.store import attendee_pages

CSV = "text/csv; charset=utf-8"
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would compute what begins with one of these


@operation(
    "GET", "/events/{event_id}/attendees", scope="attendees:read", params=AttendeesParams, answer=Page[AttendeeOut]
)
async def list_attendees(call: Call[AttendeesParams, NoBody]) -> Page[AttendeeOut]:
    """Tickets that take a place, with their holders, in the order in which they were made."""
    wanted = call.params
    async with call.request.app[DATABASE].connection() as connection:
        event = await own_event(connection, call, wanted.event_id)
        found = await attendee_pages.page(connection, event.id, limit=wanted.limit + 1, after=after(wanted.cursor))
    items = [
        AttendeeOut(
            ticket_id=each.ticket_id,
            name=each.name,
            email=each.email,
            order_id=each.order_id,
            order_code=each.order_code,
            type_id=each.type_id,
            session_id=each.session_id,
            is_paid=each.is_paid,
            checked_in_at=each.checked_in_at,
        )
        for each in found[: wanted.limit]
    ]
    more = len(found) > wanted.limit
    return Page(items=items, next_cursor=cursor_of(str(items[-1].ticket_id)) if more else None)


@operation(
    "GET",
    "/events/{event_id}/exports/attendees.csv",
    scope="exports",
    params=EventParams,
    answer=File,
    content_type=CSV,
)
async def export_attendees(call: Call[EventParams, NoBody]) -> File:
    """Everybody who comes, as CSV."""
    async with call.request.app[DATABASE].connection() as connection:
        event = await own_event(connection, call, call.params.event_id)
        rows = await attendee_pages.page(connection, event.id, limit=None, after=None)
    zone = dates.zone(event.timezone)
    lines = [
        [each.order_code, each.name, each.email, each.type_title.text(event.language), "yes" if each.is_paid else "no",
         each.checked_in_at.astimezone(zone).isoformat(timespec="seconds") if each.checked_in_at else ""]
        for each in rows
    ]  # fmt: skip
    head = ["order", "name", "email", "type", "paid", "checked_in_at"]
    return File(f"attendees-{event.slug}.csv", CSV, written([head, *lines]))


@operation(
    "GET",
    "/events/{event_id}/exports/orders.csv",
    scope="exports",
    params=EventParams,
    answer=File,
    content_type=CSV,
)
async def export_orders(call: Call[EventParams, NoBody]) -> File:
    """All orders, as CSV. Amounts are in minor units."""
    async with call.request.app[DATABASE].connection() as connection:
        event = await own_event(connection, call, call.params.event_id)
        found = await tickets.page(connection, event.id, limit=1_000_000)
    head = ["order", "state", "name", "email", "tickets", "total", "tax", "currency", "method", "created_at"]
    lines = [
        [order.code, order.state, order.name, order.email, str(len(order.valid)), str(order.total.gross),
         str(order.total.tax), order.currency, order.provider, order.created_at.isoformat(timespec="seconds")]
        for order in found
    ]  # fmt: skip
    return File(f"orders-{event.slug}.csv", CSV, written([head, *lines]))


def written(rows: Iterable[Sequence[str]]) -> bytes:
    """CSV as spreadsheets read it: with a byte order mark, and nothing that they would compute."""
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\r\n")
    for row in rows:
        writer.writerow([f"'{cell}" if cell.startswith(FORMULA) else cell for cell in row])
    return b"\xef\xbb\xbf" + output.getvalue().encode()
