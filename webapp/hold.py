"""Commands over a whole database: `python -m skep.webapp quarantine`, and `erase --person ID`.

An id, because what a command is given is seen in process lists and service specs, and addresses are not for those.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

import asyncpg

from skep.webapp.errors import AppError
from skep.webapp.settings import Settings
from skep.webapp.store import privacy
from skep.webapp.store import quarantine as held
from skep.webapp.store.audit import CLOCK
from skep.webapp.store.pool import connect

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

T = TypeVar("T")


class Refused(AppError): ...


async def quarantine(settings: Settings) -> dict[str, int]:
    """How many jobs were parked and sessions ended. Raises Refused, DatabaseDown."""
    return asdict(await _in_transaction(settings, held.begin))


async def erase(settings: Settings, person_id: UUID) -> int:
    """How many rows of persons had the address of *person_id*. Raises Refused, DatabaseDown."""

    async def work(connection: Connection) -> int:
        persons = await privacy.same_address(connection, person_id)
        await privacy.erase(connection, persons, CLOCK)
        return len(persons)

    return await _in_transaction(settings, work)


async def _in_transaction(settings: Settings, work: Callable[[Connection], Awaitable[T]]) -> T:
    connection = await connect(settings.database)
    try:
        async with connection.transaction():
            return await work(connection)
    except asyncpg.PostgresError as error:
        remedy = "run `schema` first" if isinstance(error, asyncpg.UndefinedTableError) else "try again"
        raise Refused(f"nothing was changed: {error} ({remedy})") from error
    finally:
        await connection.close()
