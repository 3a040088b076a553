"""Numbers about the whole site, for whoever watches over it. One connection that closes again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from skep.webapp.store import jobs
from skep.webapp.store.jobs import Backlog

if TYPE_CHECKING:
    from skep.webapp.store.pool import Database


@dataclass(frozen=True, slots=True)
class Vitals:
    """*orders* by state."""

    backlog: Backlog
    parked: int
    orders: tuple[tuple[str, int], ...]
    check_ins: int


async def read(database: Database) -> Vitals:
    """Raises DatabaseDown."""
    async with database.brief() as connection:
        backlog = await jobs.backlog(connection)
        parked = await connection.fetchval("SELECT count(*) FROM job WHERE parked_at IS NOT NULL")
        orders = await connection.fetch("SELECT state, count(*) AS number FROM ticket_order GROUP BY state ORDER BY 1")
        check_ins = await connection.fetchval("SELECT count(*) FROM checkin WHERE mark IS NULL AND undone_at IS NULL")
        return Vitals(backlog, parked, tuple((row["state"], row["number"]) for row in orders), check_ins)
