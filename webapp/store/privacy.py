"""One person's data: all of it, and erased. A person is whoever uses an address: each order names its buyer anew.

Orders, payments and tickets hold amounts and ids only; they stay. Names of other people on the buyer's tickets are
theirs and stay too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from skep.webapp.store import audit, tombstones
from skep.webapp.store.audit import Actor

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection


@dataclass(frozen=True, slots=True)
class Held:
    """What is held of an address. *coming*: tickets to what is not over; *is_organizer*: it has an account."""

    persons: tuple[UUID, ...]
    orders: int
    answers: int
    waiting: int
    coming: int
    is_organizer: bool

    @property
    def is_nothing(self) -> bool:
        return not self.persons


_PERSONS = "SELECT id FROM person WHERE kind IN ('guest', 'invited') AND email = $1 AND email <> '' ORDER BY id"
_OWN_ANSWERS = """
SELECT a.id FROM answer a JOIN order_position x ON x.id = a.position_id JOIN ticket_order o ON o.id = x.order_id
WHERE coalesce(x.person_id, o.person_id) = ANY($1)
"""


async def held(connection: Connection, email: str) -> Held:
    """*email* in the form in which addresses are stored."""
    persons = tuple(row["id"] for row in await connection.fetch(_PERSONS, email))
    answers = await connection.fetch(_OWN_ANSWERS, list(persons))
    row = await connection.fetchrow(
        "SELECT (SELECT count(*) FROM ticket_order WHERE person_id = ANY($1)) AS orders, "
        "(SELECT count(*) FROM waiting_entry WHERE person_id = ANY($1)) AS waiting, "
        "(SELECT count(*) FROM order_position x JOIN ticket_order o ON o.id = x.order_id "
        "JOIN event_session s ON s.id = x.session_id "
        "WHERE o.person_id = ANY($1) AND x.is_held AND s.ends_at > clock_timestamp()) AS coming, "
        "EXISTS (SELECT FROM person WHERE kind = 'member' AND email = $2) AS is_organizer",
        list(persons),
        email,
    )
    assert row is not None  # noqa: S101 (a row without FROM is always there)
    return Held(persons, answers=len(answers), **dict(row))


async def export(connection: Connection, persons: tuple[UUID, ...]) -> dict[str, Any]:
    """Everything, as JSON can hold it; moments in UTC."""
    people = await connection.fetch(
        "SELECT id, name, email, language, created_at FROM person WHERE id = ANY($1) ORDER BY id", list(persons)
    )
    orders = await connection.fetch(
        "SELECT o.id, o.code, o.state, o.created_at, o.paid_at, o.currency, o.language, o.terms_id, e.slug AS event "
        "FROM ticket_order o JOIN event e ON e.id = o.event_id WHERE o.person_id = ANY($1) ORDER BY o.id",
        list(persons),
    )
    tickets = await connection.fetch(
        "SELECT x.id, x.order_id, x.gross, x.net, x.tax, x.cancelled_at, s.starts_at, t.title->>e.language AS type, "
        "coalesce(h.name, b.name) AS holder FROM order_position x JOIN ticket_order o ON o.id = x.order_id "
        "JOIN event e ON e.id = o.event_id JOIN event_session s ON s.id = x.session_id "
        "JOIN ticket_type t ON t.id = x.type_id JOIN person b ON b.id = o.person_id "
        "LEFT JOIN person h ON h.id = x.person_id WHERE o.person_id = ANY($1) ORDER BY x.order_id, x.rank",
        list(persons),
    )
    answers = await connection.fetch(
        "SELECT a.position_id, q.label->>e.language AS question, a.value FROM answer a "
        "JOIN question q ON q.id = a.question_id JOIN event e ON e.id = q.event_id "
        "JOIN order_position x ON x.id = a.position_id JOIN ticket_order o ON o.id = x.order_id "
        "WHERE o.person_id = ANY($1) ORDER BY a.id",
        list(persons),
    )
    payments = await connection.fetch(
        "SELECT p.order_id, p.provider, p.state, p.amount, p.created_at, p.confirmed_at FROM payment p "
        "JOIN ticket_order o ON o.id = p.order_id WHERE o.person_id = ANY($1) ORDER BY p.id",
        list(persons),
    )
    waiting = await connection.fetch(
        "SELECT w.state, w.created_at, t.title->>e.language AS type, e.slug AS event FROM waiting_entry w "
        "JOIN ticket_type t ON t.id = w.type_id JOIN event_session s ON s.id = t.session_id "
        "JOIN event e ON e.id = s.event_id WHERE w.person_id = ANY($1) ORDER BY w.id",
        list(persons),
    )
    invoices = await connection.fetch(
        "SELECT i.order_id, i.series, i.label, i.issued_on, i.gross, i.net, i.tax, b.name AS billed_to FROM invoice i "
        "JOIN person b ON b.id = i.person_id JOIN ticket_order o ON o.id = i.order_id WHERE o.person_id = ANY($1) "
        "ORDER BY i.id",
        list(persons),
    )
    parts = {"people": people, "orders": orders, "tickets": tickets, "answers": answers, "payments": payments}
    return {
        name: [dict(row) for row in rows]
        for name, rows in {**parts, "invoices": invoices, "waiting_list": waiting}.items()
    }


async def erase(connection: Connection, persons: tuple[UUID, ...], actor: Actor) -> None:
    """Name, address and own answers are gone, for good: a restore of earlier rows erases them again.

    What waits for a place waits no more. An order's links go on working, and show no name. Must run in a transaction.
    """
    ids = list(persons)
    answers = [row["id"] for row in await connection.fetch(_OWN_ANSWERS, ids)]
    await connection.execute("DELETE FROM answer WHERE id = ANY($1)", answers)
    await connection.execute(
        "UPDATE waiting_entry SET state = 'gone', version = version + 1 WHERE person_id = ANY($1) AND state = 'waiting'",
        ids,
    )
    await connection.execute(
        "DELETE FROM order_note n USING ticket_order o WHERE o.id = n.order_id AND o.person_id = ANY($1)", ids
    )
    await connection.execute("DELETE FROM invitation WHERE person_id = ANY($1)", ids)
    await connection.execute("DELETE FROM person WHERE id = ANY($1) AND kind = 'invited'", ids)
    await connection.execute(
        "UPDATE person SET name = '', email = '', version = version + 1 WHERE id = ANY($1) AND kind = 'guest'", ids
    )
    await tombstones.bury(connection, "person", *ids)
    for person_id in ids:
        await audit.record(connection, actor, "person erased", "person", person_id, ("name", "email", "answers"))


async def same_address(connection: Connection, person_id: UUID) -> tuple[UUID, ...]:
    """Everybody with the address of *person_id*, itself first found or not at all."""
    email = await connection.fetchval("SELECT email FROM person WHERE id = $1 AND kind <> 'member'", person_id)
    return (await held(connection, email)).persons if email else ()
