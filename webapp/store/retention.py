"""Names, addresses and answers of guests are kept for a while after their event, and then no more.

Orders, positions and payments stay: they hold amounts and ids. A postponed event is not over, whatever its old date.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

AT_ONCE = 20  # events in one transaction
INVOICES_KEPT_YEARS = 10  # as tax law has it in France, Germany and most of their neighbours

# When the last session of an event that still has its guests' names is over.
_ENDED = """
SELECT e.id, max(s.ends_at) AS ended_at FROM event e JOIN event_session s ON s.event_id = e.id
WHERE e.erased_at IS NULL AND e.status <> 'postponed' GROUP BY e.id
"""
_FIRST = "SELECT min(ended_at) FROM (:ended) AS over".replace(":ended", _ENDED)
_DUE = """
SELECT id FROM (:ended) AS over WHERE ended_at <= clock_timestamp() - $1::interval ORDER BY 1 LIMIT $2
""".replace(":ended", _ENDED)


async def next_due(connection: Connection, keep: timedelta) -> datetime | None:
    """When the first event's guests are to be forgotten."""
    ended: datetime | None = await connection.fetchval(_FIRST)
    return None if ended is None else ended + keep


async def erase(connection: Connection, keep: timedelta) -> int:
    """Erase what is due; of how many events. Must run in a transaction; twice changes nothing the second time."""
    rows = await connection.fetch(_DUE, keep, AT_ONCE)
    events = [row["id"] for row in rows]
    await connection.execute(
        "DELETE FROM answer a USING order_position x, ticket_order o "
        "WHERE a.position_id = x.id AND x.order_id = o.id AND o.event_id = ANY($1)",
        events,
    )
    await connection.execute(
        "UPDATE person SET name = '', email = '', version = version + 1 WHERE kind = 'guest' AND id IN ("
        "SELECT o.person_id FROM ticket_order o WHERE o.event_id = ANY($1) "
        "UNION SELECT x.person_id FROM order_position x JOIN ticket_order o ON o.id = x.order_id "
        "WHERE o.event_id = ANY($1) "
        "UNION SELECT w.person_id FROM waiting_entry w JOIN ticket_type t ON t.id = w.type_id "
        "JOIN event_session s ON s.id = t.session_id WHERE s.event_id = ANY($1))",
        events,
    )
    await connection.execute(
        "DELETE FROM order_note n USING ticket_order o WHERE n.order_id = o.id AND o.event_id = ANY($1)", events
    )
    await connection.execute("UPDATE event SET erased_at = clock_timestamp() WHERE id = ANY($1)", events)
    return len(events)


# All of an order's go together, ten years after the end of the year of the last. Only old ones are looked at: this is
# asked whenever somebody asks what is due.
_OLD_ORDERS = "SELECT order_id FROM invoice WHERE issued_on < clock_timestamp() - make_interval(years => $1)"
_OLD_INVOICES = """
SELECT order_id FROM invoice WHERE order_id IN (:old) GROUP BY order_id
HAVING max(year) < extract(year FROM clock_timestamp() AT TIME ZONE 'UTC') - $1
""".replace(":old", _OLD_ORDERS)
_NEXT_INVOICES = """
SELECT make_timestamptz(coalesce(
    (SELECT min(last) FROM (SELECT max(year) AS last FROM invoice WHERE order_id IN (:old) GROUP BY order_id) AS orders),
    (SELECT extract(year FROM min(issued_on)) FROM invoice))::integer + $1 + 1, 1, 1, 0, 0, 0, 'UTC')
""".replace(":old", _OLD_ORDERS)


async def next_invoices_due(connection: Connection) -> datetime | None:
    """When the first invoices are to be forgotten."""
    due: datetime | None = await connection.fetchval(_NEXT_INVOICES, INVOICES_KEPT_YEARS)
    return due


async def erase_invoices(connection: Connection) -> int:
    """Delete them and the names on them; how many. The counters stay: no number is ever given twice."""
    old = [row["order_id"] for row in await connection.fetch(_OLD_INVOICES, INVOICES_KEPT_YEARS)]
    rows = await connection.fetch("DELETE FROM invoice WHERE order_id = ANY($1) RETURNING person_id", old)
    people = {row["person_id"] for row in rows}
    await connection.execute("DELETE FROM person WHERE kind = 'billed' AND id = ANY($1)", list(people))
    return len(rows)
