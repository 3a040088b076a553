"""One leader of several replicas: a lease in one object that all of them see, taken and renewed by compare-and-set.

No clock is held against another machine's. The holder counts from the moment it *sent* a renewal, an observer from
the moment it *saw* the object change, each on its own boot-time clock, which goes on while a machine sleeps. So a
holder gives up before anybody else may take over, and one that was stopped knows it when it wakes.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from dataclasses import dataclass
from typing import Protocol

from skep.operator.errors import NameTaken, NotFound, NotLeader, SkepError, TransientError, VersionConflict
from skep.operator.loop.clock import Clock, first

log = logging.getLogger(__name__)

TRIES = 5  # of a release that loses races: nobody else writes a lease that is held


@dataclass(frozen=True, slots=True)
class Grant:
    """What the object says. *holder* is empty once released; *version* is what the next write is compared against."""

    holder: str
    term: int
    version: int


class LeaseStore(Protocol):
    """Where the lease lies. Every method may raise what the place raises when it cannot be reached."""

    async def read(self) -> Grant | None:
        """None if there is none. Raises TerminalError for one that a newer release wrote."""
        ...

    async def create(self, holder: str, term: int) -> None:
        """Raises NameTaken."""
        ...

    async def write(self, grant: Grant, holder: str, term: int) -> None:
        """Replace *grant*. Raises VersionConflict or NotFound."""
        ...

    async def is_untouched(self) -> bool:
        """Nobody has ever led here: a missing lease is a beginning, and was not lost under a leader."""
        ...


def new_holder() -> str:
    """Unique for a process: one that starts again is somebody else. The host's name is for people."""
    return f"{socket.gethostname()}/{secrets.token_hex(6)}"


class Lease:
    """Contend for the lease with `run`. It is a Fence: `check` and `confirm` say whether a write may start.

    *ttl_s* is how long a grant counts, *deadline_s* how long one write may take. *sole*: every earlier holder is known
    to be dead, so none is waited for.
    """

    def __init__(
        self,
        store: LeaseStore,
        clock: Clock,
        *,
        holder: str,
        ttl_s: float = 15.0,
        deadline_s: float = 5.0,
        sole: bool = False,
    ) -> None:
        self.holder = holder
        self.ttl_s = ttl_s
        self.renew_s = ttl_s / 3
        self.poll_s = ttl_s / 7.5  # a follower's: 2 s, for a release whose hint was lost
        self.leading = asyncio.Event()
        self.following = asyncio.Event()  # always the other of the two
        self.tried = asyncio.Event()  # once somebody knows who leads, or that it cannot be known now
        self.following.set()
        self.reign = 0  # how often it was gained here; a term may also grow within one
        self._margin_s = deadline_s + 1.0
        self._store = store
        self._clock = clock
        self._sole = sole
        self._term = 0
        self._highest = 0
        self._until = 0.0  # on the boot-time clock: what we hold ends then
        self._seen: tuple[Grant | None, float] | None = None  # the last look that differed, and when that was
        self._nudged = asyncio.Event()
        self._alone = asyncio.Lock()
        self._trouble = ""

    # The fence

    @property
    def term(self) -> int:
        return self._term

    @property
    def remaining_s(self) -> float:
        return max(0.0, self._until - self._clock.boottime()) if self.leading.is_set() else 0.0

    def check(self) -> None:
        if (left := self.remaining_s) <= self._margin_s:
            said = f"its lease ends in {left:.1f} s" if left else "another replica may lead"
            raise NotLeader(f"nothing is written: {said}", retry_after_s=self.renew_s)

    async def confirm(self) -> None:
        self.check()
        grant = await self._store.read()
        if grant is None:
            raise NotLeader("nothing is removed: the lease is not there", retry_after_s=self.renew_s)
        if not self._is_ours(grant):
            self._lose(f"{grant.holder or 'nobody'} holds term {grant.term}")
        self.check()

    async def outgrow(self, term: int) -> None:
        async with self._alone:
            self.check()
            grant = await self._store.read()
            if grant is None or not self._is_ours(grant):
                raise NotLeader("nothing is written: another replica leads", retry_after_s=self.renew_s)
            if term >= self._term:
                sent = self._clock.boottime()
                await self._store.write(grant, self.holder, term + 1)
                self._term, self._highest, self._until = term + 1, term + 1, sent + self.ttl_s
                log.warning("the lease had lost its term", extra={"term": self._term})

    # Contending

    def nudge(self) -> None:
        """Somebody saw the lease released, or gone: look now."""
        if not self.leading.is_set():
            self._nudged.set()

    async def run(self) -> None:
        """Contend until cancelled; whoever leads goes on to hold the lease until it runs out, or `release`."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._contend(), name="lease")
            group.create_task(self._watch(), name="lease-watch")

    async def release(self) -> None:
        """Let go, so that a follower need not wait. After `run` was cancelled, and nothing of ours is under way."""
        if not self.leading.is_set():
            return
        term = self._term
        self._lose("released")
        for _ in range(TRIES):
            try:
                grant = await self._store.read()
                if grant is not None and (grant.holder, grant.term) == (self.holder, term):
                    await self._store.write(grant, "", term)
            except VersionConflict:
                continue
            except SkepError as error:  # it runs out by itself
                log.warning("lease not released", extra={"error": str(error)})
            return

    async def _contend(self) -> None:
        while True:
            self._nudged.clear()
            try:
                async with self._alone:
                    await self._turn()
                self._tell("")
                pause = self.renew_s if self.leading.is_set() else self._patience()
            except (VersionConflict, NameTaken, NotFound):  # somebody wrote between look and write
                pause = min(0.1, self.poll_s)
            except Exception as error:  # noqa: BLE001 - an engine that answers nonsense must not end a follower
                self._tell(str(error) or type(error).__name__, error)
                pause = min(1.0, self.poll_s)
            self.tried.set()
            await first(self._clock.sleep(pause), self._nudged.wait())

    async def _turn(self) -> None:
        """Look, then hold, take, or leave it. The time that counts is the one before the request was sent."""
        grant = await self._store.read()
        if self._seen is None or self._seen[0] != grant:
            self._seen = grant, self._clock.boottime()
        self._highest = max(self._highest, grant.term if grant is not None else 0)
        if self.leading.is_set() and grant is not None and not self._is_ours(grant):
            self._lose(f"{grant.holder or 'nobody'} holds term {grant.term}")
        if self.leading.is_set():
            sent = self._clock.boottime()
            await self._put(grant, self._term)
            self._until = sent + self.ttl_s
        elif await self._may_take(grant):
            term, sent = self._highest + 1, self._clock.boottime()
            await self._put(grant, term)
            self._gain(term, sent)

    async def _put(self, grant: Grant | None, term: int) -> None:
        if grant is None:
            await self._store.create(self.holder, term)
        else:
            await self._store.write(grant, self.holder, term)

    async def _may_take(self, grant: Grant | None) -> bool:
        if self._sole or self._patience() <= 0:
            return True
        if grant is None:
            return await self._store.is_untouched()
        return grant.holder in ("", self.holder)  # our own: a grant that ran out, or whose answer was lost

    def _patience(self) -> float:
        """Until what was seen last may be taken, and no longer than a look may wait."""
        seen_at = self._seen[1] if self._seen is not None else self._clock.boottime()
        return min(self.poll_s, max(0.0, seen_at + self.ttl_s - self._clock.boottime()))

    def _is_ours(self, grant: Grant) -> bool:
        return (grant.holder, grant.term) == (self.holder, self._term)

    async def _watch(self) -> None:
        """See the end of what we hold, also while a renewal hangs; a machine that slept is noticed in a second."""
        while True:
            await self.leading.wait()
            if (left := self.remaining_s) > 0:
                await self._clock.sleep(min(1.0, left))
            else:
                self._lose("it ran out")

    def _gain(self, term: int, sent: float) -> None:
        self._term = self._highest = term
        self._until = sent + self.ttl_s
        self.reign += 1
        self._nudged.clear()  # by what is over now
        self.following.clear()
        self.leading.set()
        log.info("leads", extra={"holder": self.holder, "term": term})

    def _lose(self, why: str) -> None:
        if self.leading.is_set():
            self.leading.clear()
            self.following.set()
            self._nudged.set()
            log.info("leads no longer", extra={"holder": self.holder, "term": self._term, "because": why})

    def _tell(self, trouble: str, error: Exception | None = None) -> None:
        """Once per trouble, not once per look."""
        if trouble and trouble != self._trouble:
            level = logging.WARNING if isinstance(error, TransientError) else logging.ERROR
            known = isinstance(error, SkepError)
            log.log(level, "lease not reached", extra={"error": trouble}, exc_info=None if known else error)
        self._trouble = trouble
