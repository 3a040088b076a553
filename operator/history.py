"""What happened, kept for people: every event of every tenant in the control database `skep`.

A record, never an input: while its server is down the operator goes on and keeps the last thousand. The database lies
on the Platform's first server, belongs to the admin role, and its contents to a role that nobody can log in as.
"""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from skep.operator import metrics
from skep.operator.errors import NotLeader, SkepError
from skep.operator.loop.backoff import Backoff
from skep.operator.loop.clock import Clock
from skep.operator.reconcilers.database.plan import ident
from skep.operator.reconcilers.database.servers import Server

log = logging.getLogger(__name__)

DATABASE = "skep"
OWNER = "skep_control"
BUFFERED = 1000
GATHER_S = 1.0  # events of one revision come together
KEPT = timedelta(days=180)
PRUNE_S = 3600.0
_LOCK = 7_305_000_413  # of this database; one replica migrates at a time

MIGRATIONS: tuple[str, ...] = (
    """
    create table event (
      id uuid primary key,
      at timestamptz not null,
      tenant text not null,
      uid text not null,
      generation bigint not null,
      phase text not null,
      reason text not null,
      message text not null
    );
    create index on event (at);
    create index on event (tenant, at)
    """,
)
_INSERT = """
insert into public.event (id, at, tenant, uid, generation, phase, reason, message)
select * from unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::text[])
on conflict (id) do nothing
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of one tenant; *id* makes writing it twice the same as once."""

    id: uuid.UUID
    at: datetime
    tenant: str
    uid: str
    generation: int
    phase: str
    reason: str
    message: str


class History:
    """*server* names the one that holds the control database, None while no Platform is declared."""

    def __init__(self, server: Callable[[], Server | None], clock: Clock) -> None:
        self._server = server
        self._clock = clock
        self._entries: deque[Entry] = deque(maxlen=BUFFERED)
        self._due = asyncio.Event()
        self._ready: Server | None = None  # whose control database was seen to be complete
        self._pruned_at = float("-inf")
        self._draw = random.Random()  # noqa: S311 - jitter, not a secret

    def __len__(self) -> int:
        return len(self._entries)

    def note(self, entry: Entry) -> None:
        if len(self._entries) == BUFFERED:
            metrics.history_dropped.inc()
        self._entries.append(entry)
        self._due.set()

    async def run(self) -> None:
        """Write what was noted, soon; what fails is tried again in growing pauses."""
        pause = Backoff(first_s=1.0, ceiling_s=60.0)
        failures = 0
        while True:
            await self._due.wait()
            await self._clock.sleep(pause.delay(failures, self._draw) if failures else GATHER_S)
            try:
                await self.flush()
                failures = 0
            except NotLeader:
                failures += 1
            except SkepError as error:
                failures += 1
                self._ready = None  # it may have lost its database meanwhile
                log.warning("events not written", extra={"error": str(error), "waiting": len(self)})

    async def flush(self) -> None:
        """Write everything noted so far. Raises SkepError, and then keeps it."""
        server = self._server()
        if server is None or not self._entries:
            self._due.clear()
            return
        if self._ready is not server:
            await prepare(server)
            self._ready = server
        batch = list(self._entries)
        async with server.inside(DATABASE) as connection:
            await connection.execute(f"set role {OWNER}")
            await connection.execute(_INSERT, *_columns(batch))
            if self._clock.monotonic() - self._pruned_at > PRUNE_S:
                await connection.execute("delete from public.event where at < now() - $1::interval", KEPT)
                self._pruned_at = self._clock.monotonic()
        written = {entry.id for entry in batch}
        self._entries = deque((entry for entry in self._entries if entry.id not in written), BUFFERED)
        if not self._entries:
            self._due.clear()


def _columns(batch: Sequence[Entry]) -> tuple[list[object], ...]:
    return (
        [entry.id for entry in batch],
        [entry.at for entry in batch],
        [entry.tenant for entry in batch],
        [entry.uid for entry in batch],
        [entry.generation for entry in batch],
        [entry.phase for entry in batch],
        [entry.reason for entry in batch],
        [entry.message for entry in batch],
    )


async def prepare(server: Server) -> None:
    """Make the control database, or bring it to what this operator needs. Killed in between, it is gone on with."""
    found = await server.seek(DATABASE)
    await server.execute(
        [
            *([f"create role {OWNER} nologin"] if OWNER not in found.roles else []),
            f"grant {OWNER} to {ident(server.admin)}",  # of no effect on a superuser, who may be it anyway
            *([f"create database {DATABASE} template template0"] if DATABASE not in found.databases else []),
            f"revoke all on database {DATABASE} from public",
        ]
    )
    async with server.inside(DATABASE) as connection, connection.transaction():
        await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
        await connection.execute("revoke all on schema public from public")
        await connection.execute(f"alter schema public owner to {OWNER}")
        await connection.execute(f"set local role {OWNER}")
        await connection.execute("set local search_path = public")
        await connection.execute(
            "create table if not exists migration (number int primary key, at timestamptz not null)"
        )
        done = int(await connection.fetchval("select coalesce(max(number), 0) from migration"))
        for number, statements in enumerate(MIGRATIONS[done:], done + 1):
            await connection.execute(statements)
            await connection.execute("insert into migration values ($1, now())", number)
