"""The leader's term, as a database server remembers it: who led before is let in no more.

A new leader writes its term into table `skep.leader` of the maintenance database and then ends every session of an
older one, which it knows by the application name. A session is opened before it asks for the term: whoever still read
the old one was there to be ended. A hive has a row of its own, since two hives may share a server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from skep.operator.errors import DatabaseUnavailable, NotLeader, TransientError
from skep.operator.fence import Fence

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]

_PREFIX = "skep-operator"
_END_MS = 5000  # a clone that is under way ends at its next look for signals

_READ = "select term from skep.leader where hive = $1"

# Two that make the table at once would both fail.
_MAKE = """
do $$ begin
  perform pg_advisory_xact_lock(hashtextextended('skep.leader', 0));
  create schema if not exists skep;
  create table if not exists skep.leader (hive text primary key, term bigint not null);
end $$
"""
_RAISE = """
insert into skep.leader (hive, term) values ($1, $2)
on conflict (hive) do update set term = excluded.term where leader.term < excluded.term
"""
# A session without a term is of a release before there were any.
_END = """
select count(*) filter (where not pg_terminate_backend(pid, $3)) from pg_stat_activity
where usename = current_user and pid <> pg_backend_pid() and backend_type = 'client backend'
  and (application_name = $4 or (split_part(application_name, '/', 1) = $4 and split_part(application_name, '/', 2) = $1
       and split_part(application_name, '/', 3) ~ '^[0-9]{1,18}$'
       and split_part(application_name, '/', 3)::bigint < $2))
"""


def application_name(hive: str, term: int) -> str:
    return f"{_PREFIX}/{hive}/{term}"


async def read(connection: Connection, hive: str) -> int:
    """0 on a server that knows no leader of this hive."""
    try:
        return int(await connection.fetchval(_READ, hive) or 0)
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        return 0


async def admit(connection: Connection, hive: str, term: int, fence: Fence) -> None:
    """What a session of *term* does first, on the maintenance database; the first of a new term ends the older ones.

    Raises NotLeader if the server has seen a later leader; TransientError if only the lease had lost count.
    """
    if term == 0:
        return
    known = await read(connection, hive)
    if known < term:
        fence.check()
        await connection.execute(_MAKE)
        await connection.execute(_RAISE, hive, term)
        known = await read(connection, hive)
        left = await connection.fetchval(_END, hive, term, _END_MS, _PREFIX)
        if known == term and left:
            raise DatabaseUnavailable(
                f"{left} sessions of an earlier leader do not end", reason="EarlierLeader", retry_after_s=2.0
            )
    if known > term:
        await fence.confirm()
        await fence.outgrow(known)
        raise TransientError(
            f"the server knows term {known}, the lease said {term}", reason="TermLost", retry_after_s=0.1
        )


async def still(connection: Connection, hive: str, term: int) -> None:
    """Raises NotLeader if the server has seen a later leader than that of *term*."""
    if term and (known := await read(connection, hive)) > term:
        raise NotLeader(f"the database server knows term {known}, this replica led in term {term}", retry_after_s=5.0)
