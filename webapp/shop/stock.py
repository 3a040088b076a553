"""A place is never sold twice: the lock, and the count after it. docs/adr/0012 has the measurements.

Under READ COMMITTED a statement sees the world as of its own beginning. So the lock is a statement of its own, and what
is left is counted in a later one of the same transaction; in one statement the count would be older than the lock.
Times are compared with `clock_timestamp()`: `now()` stands still while a transaction waits. Only taking places from a
limited pool needs a lock; freeing them, and unlimited pools, need none.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

import asyncpg

from skep.webapp.errors import Busy, DatabaseDown
from skep.webapp.shop.availability import Pool

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection, Database

T = TypeVar("T")

LOCK_TIMEOUT_MS = 3000
TRIES = 3
TURN_TIMEOUT_S = 10.0
CONFIRM_TIMEOUT_S = 30.0
# A cart with at least this long to live is confirmed without the lock: nobody can be given its places before its end,
# and the confirming transaction ends well before (CONFIRM_TIMEOUT_S).
SAFE_MARGIN = timedelta(seconds=120)


def pool_key(pool_id: UUID) -> int:
    return _key(b"pool", pool_id)


def voucher_key(voucher_id: UUID) -> int:
    return _key(b"voucher", voucher_id)


def _key(kind: bytes, identity: UUID) -> int:
    return int.from_bytes(hashlib.sha256(kind + identity.bytes).digest()[:8], "big", signed=True)


async def lock(connection: Connection, keys: Iterable[int]) -> None:
    """Hold *keys* until the transaction ends. Sorted, so that two who want the same never wait for each other.

    Raises Busy after 3 s of waiting; the transaction is lost then.
    """
    wanted = sorted(set(keys))
    if not wanted:
        return
    try:
        await connection.execute(
            "SELECT set_config('lock_timeout', $2, true), pg_advisory_xact_lock(key) FROM unnest($1::bigint[]) AS key",
            wanted,
            str(LOCK_TIMEOUT_MS),
        )
    except asyncpg.LockNotAvailableError as error:
        raise Busy("these places are in demand") from error


def require(locked: set[int], pools: Iterable[Pool]) -> None:
    """Raises Busy if one of *pools* is limited and not locked: it became so after the locks were chosen."""
    if not {pool_key(pool.id) for pool in pools if pool.size is not None} <= locked:
        raise Busy("the stock was changed a moment ago")


# What takes a place: sold and not given back; in a cart that lives; kept by a voucher that nobody used yet.
_USAGE = """
SELECT p.id, p.session_id, p.size,
  (SELECT count(*) FROM ticket_type_pool tp JOIN order_position x ON x.type_id = tp.type_id AND x.is_held
   WHERE tp.pool_id = p.id)
  + (SELECT count(*) FROM ticket_type_pool tp JOIN cart_hold h ON h.type_id = tp.type_id
     JOIN cart c ON c.id = h.cart_id AND c.expires_at > clock_timestamp()
     WHERE tp.pool_id = p.id AND c.id IS DISTINCT FROM $2)
  + coalesce((SELECT sum(greatest(0, v.max_uses
       - (SELECT count(*) FROM order_position x WHERE x.voucher_id = v.id AND x.is_held)
       - (SELECT count(*) FROM cart_hold h JOIN cart c ON c.id = h.cart_id AND c.expires_at > clock_timestamp()
          WHERE h.voucher_id = v.id)))
     FROM ticket_type_pool tp JOIN voucher v ON v.type_id = tp.type_id AND v.blocks_stock
     WHERE tp.pool_id = p.id AND (v.expires_at IS NULL OR v.expires_at > clock_timestamp())), 0)::bigint AS used
FROM stock_pool p
"""


async def pools_of(
    connection: Connection, session_ids: Iterable[UUID], *, except_cart: UUID | None = None
) -> dict[UUID, Pool]:
    """All pools of the sessions, with what is used of each. *except_cart* is left out of the count."""
    rows = await connection.fetch(f"{_USAGE} WHERE p.session_id = ANY($1)", list(session_ids), except_cart)
    return {row["id"]: Pool(row["id"], row["session_id"], row["size"], row["used"]) for row in rows}


async def pools_by_id(
    connection: Connection, pool_ids: Iterable[UUID], *, except_cart: UUID | None = None
) -> dict[UUID, Pool]:
    rows = await connection.fetch(f"{_USAGE} WHERE p.id = ANY($1)", list(pool_ids), except_cart)
    return {row["id"]: Pool(row["id"], row["session_id"], row["size"], row["used"]) for row in rows}


async def voucher_uses(connection: Connection, voucher_id: UUID) -> tuple[int, int]:
    """(used in orders, used in carts that live)."""
    row = await connection.fetchrow(
        "SELECT (SELECT count(*) FROM order_position WHERE voucher_id = $1 AND is_held) AS sold, "
        "(SELECT count(*) FROM cart_hold h JOIN cart c ON c.id = h.cart_id AND c.expires_at > clock_timestamp() "
        "WHERE h.voucher_id = $1) AS held",
        voucher_id,
    )
    assert row is not None  # noqa: S101 (a row without FROM is always there)
    return row["sold"], row["held"]


async def in_turn(
    database: Database,
    keys: Callable[[Connection], Awaitable[set[int]]],
    work: Callable[[Connection, set[int]], Awaitable[T]],
    *,
    most_need_none: bool = False,
) -> T:
    """*work* in a transaction that holds the locks which *keys* asks for; *work* gets them too.

    At most four connections of the process wait for locks, so that page views never starve; other buyers queue here.
    Without keys nobody queues. *work* raises Busy if it needs more locks than it got, and a lost wait does too: then
    the keys are asked for again, a few times. With *most_need_none* the first try asks for none.
    """
    tries = TRIES + most_need_none
    for attempt in range(tries):
        wanted: set[int] = set()
        if attempt or not most_need_none:
            async with database.connection() as connection:
                wanted = await keys(connection)
        try:
            if not wanted:
                return await _bounded(database, wanted, work)
            async with _turn(database):
                return await _bounded(database, wanted, work)
        except Busy:
            if attempt + 1 == tries:
                raise
    raise AssertionError("the last try returns or raises")


@asynccontextmanager
async def _turn(database: Database) -> AsyncIterator[None]:
    try:
        await asyncio.wait_for(database.stock_turns.acquire(), TURN_TIMEOUT_S)
    except TimeoutError as error:
        raise Busy("too many buyers at once") from error
    try:
        yield
    finally:
        database.stock_turns.release()


async def _bounded(database: Database, wanted: set[int], work: Callable[[Connection, set[int]], Awaitable[T]]) -> T:
    """The transaction, ended well within the margin of a safe cart. Raises DatabaseDown if it takes longer."""
    try:
        async with asyncio.timeout(CONFIRM_TIMEOUT_S), database.transaction() as connection:
            await lock(connection, wanted)
            return await work(connection, wanted)
    except TimeoutError as error:
        raise DatabaseDown(f"a sale took longer than {CONFIRM_TIMEOUT_S:g} s") from error
