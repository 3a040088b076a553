"""The operator put together: sources and engine on one side, a queue of tenants in the middle, reconcilers on the other.

It reads as the flow does: the surveyor turns revisions into fates, a turn takes one tenant through its reconcilers and
reports what came of it. Everything else wakes one of these two.

Of several replicas one leads. The others see all that it sees and keep it, and write nothing.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from skep.operator import formats, metrics, names
from skep.operator.engine.fenced import Fenced
from skep.operator.engine.measured import measured
from skep.operator.engine.port import Engine
from skep.operator.engine.spec import Config
from skep.operator.errors import (
    SkepError,
    TerminalError,
    TransientError,
)
from skep.operator.history import History
from skep.operator.keys import RootKey
from skep.operator.leadership import ConfigStore, is_released, while_leading
from skep.operator.loop.backoff import Backoff
from skep.operator.loop.clock import Clock, first
from skep.operator.loop.controller import Controller
from skep.operator.loop.lease import Lease, new_holder
from skep.operator.loop.queue import Lane, WorkQueue
from skep.operator.reconcilers import fallback, judge
from skep.operator.reconcilers import record as records
from skep.operator.reconcilers.cache.servers import Caches
from skep.operator.reconcilers.database.servers import Server, Servers
from skep.operator.reconcilers.database.template import Templates
from skep.operator.reconcilers.roster import Roster
from skep.operator.reconcilers.strangers import strangers
from skep.operator.reconcilers.subject import Images, Ports
from skep.operator.reconcilers.world import World
from skep.operator.scrape import Known, TenantSeries
from skep.operator.settings import Settings
from skep.operator.sources import approvals
from skep.operator.sources.fleet import Fleet
from skep.operator.surveyor import Surveyor
from skep.operator.turn import Turns

log = logging.getLogger(__name__)

ANSWERS = frozenset(
    {"ok", "NotFound", "NameTaken", "VersionConflict", "InUse", "EngineRefused"}
)  # of calls to the engine
STOP_S = 1.0  # for what is in hand, when told to stop: a follower waits for the lease
SURVEY_QUIET_S = 0.05  # revisions and approvals that arrive together are surveyed together

OWN_HOST = "operator"  # as the edge knows it on the control network: swarm/skep.yml


class Hive:
    """One operator. `run` returns after `stop`, or raises what nobody could handle.

    *sole*: no other operator of this hive can be alive, so an earlier one's lease is not waited for.
    """

    def __init__(self, engine: Engine, settings: Settings, keys: RootKey, clock: Clock, *, sole: bool = False) -> None:
        self.settings = settings
        self.clock = clock
        self.synced_at: float | None = None  # when the last full list was followed to its end
        self.answered_at: float | None = None  # by the engine, last; on the clock's monotonic scale
        self.registry = CollectorRegistry()  # of what is this operator's own: its queue, what it knows
        engine = measured(engine, self._called)
        self.lease = Lease(
            ConfigStore(engine),
            clock,
            holder=new_holder(),
            ttl_s=settings.lease_s,
            deadline_s=settings.call_deadline_s,
            sole=sole,
        )
        self.world = World(Fenced(engine, self.lease), clock)
        self.queue: WorkQueue[str] = WorkQueue(
            clock, observer=metrics.QueueMetrics("tenant", clock.monotonic, self.registry)
        )
        self.ready = asyncio.Event()  # everything was seen once, whether it leads or follows
        self._ports = Ports(
            world=self.world,
            servers=Servers(settings, self.lease, keys.own_fingerprint),
            caches=Caches(settings, self.lease),
            templates=Templates(self.world, keys, clock, settings),
            edge=judge.Edge(settings, clock),
            images=Images(self.world, clock),
            keys=keys,
            clock=clock,
            settings=settings,
        )
        self._history = History(self._control_server, clock)
        self._roster = Roster(self.world)
        self._tenants = TenantSeries(self.world, lambda: self.fleet, self._roster.get)
        self.registry.register(
            Known(self.world, clock, lambda: self.fleet, self._ports.servers, lambda: self.synced_at)
        )
        self._surveyor = Surveyor(self.world, self._roster.all, self.queue.add)
        self._turns = Turns(self._ports, self._roster, self._history, lambda: self.fleet, self.queue.add_after)
        self._fallback: tuple[object, dict[str, Any]] | None = None
        self._survey_due = asyncio.Event()
        self._requests_due = asyncio.Event()
        self._resync_due = asyncio.Event()
        self._took_up = asyncio.Event()  # everything was seen once by who leads now
        self._strangers: tuple[str, ...] = ()  # as last told
        self._listed_in = 0  # the reign in which the last list began
        self._stopping = asyncio.Event()
        self._draw = random.Random()  # noqa: S311 - jitter, not a secret

    @property
    def fleet(self) -> Fleet:
        """What all sources together declare, as last surveyed."""
        return self._surveyor.fleet

    def stop(self) -> None:
        """Finish what is in hand and return from `run`."""
        self._stopping.set()
        self.queue.close()

    async def run(self) -> None:
        self.world.wake(tenant=self.queue.add, sources=self._survey_due.set, request=self._requests_due.set)
        self.world.configs.subscribe(self._see_lease)
        background = [
            asyncio.create_task(loop, name=name)
            for name, loop in {
                "lease": self.lease.run(),
                "follow": self._follow(),
                "resync": self._resync(),
                "survey": self._survey_when_due(),
            }.items()
        ]
        lead = asyncio.create_task(while_leading(self.lease, self._lead), name="lead")
        stopping = asyncio.create_task(self._stopping.wait(), name="stopping")
        try:
            done, _ = await asyncio.wait({stopping, lead, *background}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # a loop that ended by itself is a bug: let it be seen
            await self._finish(lead)
        finally:
            self.queue.close()
            for task in (*background, lead, stopping):
                task.cancel()
            await asyncio.gather(*background, lead, stopping, return_exceptions=True)
            await self._ports.templates.close()
            await self._ports.servers.close()
            await self._ports.caches.close()
            await self._ports.edge.close()
        await self.lease.release()  # last, and only here: whoever takes it finds nothing of ours under way

    async def _finish(self, lead: asyncio.Task[None]) -> None:
        """Who stops ends what is in hand, if that is soon; the rest is as if it had been killed there."""
        if self.lease.leading.is_set():
            await first(self.clock.sleep(STOP_S), asyncio.wait({lead}))

    async def _lead(self) -> None:
        """What only the leader does, until it is cancelled or the queue is closed. It begins with a full list."""
        if self._listed_in != self.lease.reign:  # nor does one list what is being listed
            self._resync_due.set()
        await first(self._took_up.wait(), self._stopping.wait())
        controller = Controller(self.queue, self._turns.take, workers=self.settings.workers)
        work = asyncio.create_task(controller.run(), name="workers")
        requests = asyncio.create_task(self._consume_when_due(), name="requests")
        history = asyncio.create_task(self._history.run(), name="history")
        try:
            done, _ = await asyncio.wait({work, requests, history}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self._took_up.clear()
            work.cancel()
            requests.cancel()
            history.cancel()
            await asyncio.gather(work, requests, history, return_exceptions=True)
            await self._ports.templates.close()
            await self._ports.servers.close()
            await self._ports.caches.close()

    def _control_server(self) -> Server | None:
        """The one that holds the control database: the Platform's first."""
        return next(iter(self._ports.servers.all()), None)

    def _see_lease(self, old: Config | None, new: Config | None) -> None:
        """A lease that was let go is taken at once, not at the next look."""
        config = new if new is not None else old
        if config is not None and config.name == names.LEASE and (new is None or is_released(new)):
            self.lease.nudge()

    async def exposition(self) -> bytes:
        """Everything for Prometheus, in its text format; other work goes on while a large fleet is written out."""
        return generate_latest(metrics.REGISTRY) + generate_latest(self.registry) + await self._tenants.text()

    @property
    def reachable(self) -> bool:
        """Whether the engine answered lately: full lists are due every `resync_s`, and one may take its time."""
        patience_s = self.settings.resync_s * 2 + self.settings.call_deadline_s
        return self.answered_at is not None and self.clock.monotonic() - self.answered_at < patience_s

    def _called(self, method: str, outcome: str, seconds: float) -> None:
        metrics.engine_calls.labels(method, outcome).inc()
        metrics.engine_call_duration.labels(method).observe(seconds)
        if outcome in ANSWERS:
            self.answered_at = self.clock.monotonic()

    def fallback_routes(self) -> dict[str, Any]:
        """What Traefik polls every two seconds; made anew only when a record changed."""
        records_now = frozenset((config.id, config.version) for config in self.world.of_kind("record"))
        if self._fallback is None or self._fallback[0] != records_now:
            pages = f"http://{OWN_HOST}:{self.settings.http_port}"
            self._fallback = (records_now, fallback.configuration(self._roster.all().values(), pages=pages))
        return self._fallback[1]

    # Seeing

    async def _resync(self) -> None:
        """Full lists: on start, on taking the lead, and on a jittered period; as many calls for any number of tenants."""
        pause = Backoff(first_s=0.5, ceiling_s=15.0)
        failures = 0
        await self.lease.tried.wait()  # who leads at once need not list everything twice
        while True:
            self._resync_due.clear()
            try:
                await self.resync()
                failures = 0
                wait = self.settings.resync_s * self._draw.uniform(0.9, 1.1)
            except Exception as error:  # noqa: BLE001 - the tenants' own loop must not die of it
                failures += 1
                _tell("resync failed", error, failures=failures)
                wait = pause.delay(failures, self._draw)
            await first(self.clock.sleep(wait), self._resync_due.wait())

    async def resync(self) -> None:
        """List everything and survey; who leads reads each server's catalog once, and gives every tenant its turn."""
        leads = self.lease.leading.is_set()
        reign = self._listed_in = self.lease.reign
        await self.world.sync()
        if leads:
            await self._surveyor.announce(self._ports.keys, self.settings)
        await self._survey()
        if leads:
            await asyncio.gather(self._ports.servers.refresh(), self._ports.caches.refresh())
            for name in self._names():
                self.queue.add(name, Lane.RESYNC)
            self._tell_strangers()
        self.synced_at = self.clock.monotonic()
        metrics.resyncs.inc()
        self._requests_due.set()
        if leads and reign == self.lease.reign and self.lease.leading.is_set():
            self._took_up.set()
        self.ready.set()

    def _tell_strangers(self) -> None:
        """Once for each, not once a resync."""
        found = strangers(
            self._roster.all(),
            configs=self.world.of_kind("record"),
            secrets=self.world.secrets,
            services=self.world.services,
            tenants={*self.fleet.tenants, *self.fleet.absent},
            is_damaged=self._roster.is_damaged,
        )
        for each in found:
            if each not in self._strangers:
                log.warning("not ours, though it carries our labels: left alone", extra={"object": each})
        self._strangers = found
        metrics.strangers.set(len(found))

    async def _follow(self) -> None:
        """Hints; each new stream begins with a full list, because whatever happened before it was missed."""
        pause = Backoff(first_s=0.2, ceiling_s=15.0)
        failures = 0
        while True:
            heard_at = self.world.heard_at
            try:
                await self.world.follow(idle_s=self.settings.resync_s * 2)
                failures = 0
            except Exception as error:  # noqa: BLE001 - the tenants' own loop must not die of it
                failures = 1 if self.world.heard_at != heard_at else failures + 1
                _tell("stream of changes broke", error, failures=failures)
            metrics.streams.inc()
            await self.clock.sleep(pause.delay(max(1, failures), self._draw))

    def _names(self) -> list[str]:
        reported = {dict(config.labels).get(names.TENANT, "") for config in self.world.of_kind("status")}
        return sorted({*self.fleet.tenants, *self.fleet.absent, *self._roster.all(), *reported} - {""})

    async def _survey(self) -> None:
        await self._surveyor.survey(remember=self.lease.leading.is_set())
        if self.fleet.platform is not None:
            await self._ports.servers.adopt(self.fleet.platform)
            await self._ports.caches.adopt(self.fleet.platform)

    async def _survey_when_due(self) -> None:
        await self.ready.wait()  # revisions may be listed before the ledger and the records that they are held against
        surveyed_at = self.clock.monotonic() - SURVEY_QUIET_S
        while True:
            await self._survey_due.wait()
            # The first after a calm is surveyed at once: mostly it is the only one.
            if (quiet_s := self.clock.monotonic() - surveyed_at) < SURVEY_QUIET_S:
                await self.clock.sleep(SURVEY_QUIET_S - quiet_s)
            self._survey_due.clear()
            try:
                await self._survey()
                surveyed_at = self.clock.monotonic()
            except Exception as error:  # noqa: BLE001 - the tenants' own loop must not die of it
                _tell("survey failed", error)
                await self.clock.sleep(1.0)
                self._survey_due.set()

    # Requests

    async def _consume_when_due(self) -> None:
        while True:  # not before the first survey: an approval would fall on nothing
            await self._requests_due.wait()
            self._requests_due.clear()
            for config in self.world.of_kind("request"):
                try:
                    await self._consume(config.id)
                except Exception as error:  # noqa: BLE001 - the tenants' own loop must not die of it
                    _tell("request failed", error, request=config.name)
                    await self.clock.sleep(1.0)
                    self._requests_due.set()

    async def _consume(self, config_id: str) -> None:
        """Do what is asked, then remove the request; killed in between, it is done again and comes to the same."""
        config = self.world.configs.get(config_id)
        if config is None:
            return
        try:
            formats.check(config.name, dict(config.labels))
        except TerminalError as newer:  # left for who knows it
            log.error("request not understood", extra={"request": config.name, "error": str(newer)})
            return
        try:
            request = approvals.from_config(config)
            log.info("request", extra={"verb": request.verb, "target": request.target, "author": request.author})
            await self._survey()  # what the person saw may be newer than what was surveyed last
            if request.verb == "approve-deletions":
                await self._surveyor.approve_deletions(request.target, request.index)
                self._survey_due.set()
            elif request.verb == "forced-delete":
                await self._surveyor.force_deletion(request.target)
                self._survey_due.set()
            elif (held := self._roster.all().get(request.target)) is not None:
                await self._turns.subject(request.target, held).save(records.approve(held, request.verb))
                self.queue.add(request.target)
        except TransientError:
            raise
        except SkepError as error:
            log.error("request refused", extra={"request": config.name, "error": str(error)})
        await self.world.remove_config(config_id)


def _tell(what: str, error: Exception, **extra: object) -> None:
    """A warning for what heals itself, an error with its traceback for what should not have happened."""
    known = isinstance(error, SkepError)
    level = logging.WARNING if isinstance(error, TransientError) else logging.ERROR
    log.log(level, what, extra=extra | {"error": str(error)}, exc_info=None if known else error)
