"""The operator put together: sources and engine on one side, a queue of tenants in the middle, reconcilers on the other.

It reads as the flow does: `_survey` turns revisions into fates, `_reconcile` takes one tenant through its reconcilers,
`_report` writes what came of it. Everything else wakes one of these three.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import get_args

from skep.crds.reader import Reading
from skep.operator import metrics, names
from skep.operator.engine.port import Engine
from skep.operator.engine.spec import Config
from skep.operator.errors import NameTaken, NotFound, SkepError, TerminalError, TransientError, VersionConflict
from skep.operator.keys import RootKey
from skep.operator.loop.backoff import Backoff
from skep.operator.loop.clock import Clock
from skep.operator.loop.controller import Controller, Outcome
from skep.operator.loop.queue import Lane, WorkQueue
from skep.operator.loop.registry import Done, Result, Wait
from skep.operator.reconcilers import deletion, identity, judge, schema, status
from skep.operator.reconcilers import record as records
from skep.operator.reconcilers.database import reconciler as database
from skep.operator.reconcilers.database.servers import Servers
from skep.operator.reconcilers.database.template import Templates
from skep.operator.reconcilers.placement import load_of
from skep.operator.reconcilers.record import Record
from skep.operator.reconcilers.status import Finding, Phase
from skep.operator.reconcilers.subject import Images, Ports, Subject, tenants
from skep.operator.reconcilers.world import World
from skep.operator.settings import Settings
from skep.operator.sources import approvals
from skep.operator.sources.announcement import Announcement
from skep.operator.sources.fleet import EMPTY, Absent, Broken, Declared, Fleet, digest_of, read_revision, survey
from skep.operator.sources.ledger import Ledger
from skep.operator.sources.revision import Revision, from_config

log = logging.getLogger(__name__)

# Importing a reconciler registers it; naming them here says which ones an operator has.
RECONCILERS = (identity, database, schema, judge)
SURVEY_QUIET_S = 0.05  # revisions and approvals that arrive together are surveyed together


class Hive:
    """One operator. `run` returns after `stop`, or raises what nobody could handle."""

    def __init__(self, engine: Engine, settings: Settings, keys: RootKey, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.world = World(engine, clock)
        self.queue: WorkQueue[str] = WorkQueue(clock)
        self.fleet: Fleet = EMPTY
        self.ready = asyncio.Event()
        self._ports = Ports(
            world=self.world,
            servers=Servers(settings),
            templates=Templates(self.world, keys, clock, settings),
            edge=judge.Edge(settings, clock),
            images=Images(self.world, clock),
            keys=keys,
            clock=clock,
            settings=settings,
        )
        self._chain = tenants.in_order()
        self._readings: dict[str, Reading] = {}
        self._parsed: dict[str, tuple[int, Record]] = {}  # by the record's config: parsing costs, a fleet is read often
        self._seen: dict[str, int] = {}  # each source's highest index, should the ledger get lost
        self._surveyed: object = None
        self._surveying = asyncio.Lock()
        self._survey_due = asyncio.Event()
        self._requests_due = asyncio.Event()
        self._stopping = asyncio.Event()
        self._draw = random.Random()  # noqa: S311 - jitter, not a secret

    def stop(self) -> None:
        """Finish what is in hand and return from `run`."""
        self._stopping.set()
        self.queue.close()

    async def run(self) -> None:
        self.world.wake(tenant=self.queue.add, sources=self._survey_due.set, request=self._requests_due.set)
        controller = Controller(self.queue, self._reconcile, workers=self.settings.workers)
        background = [
            asyncio.create_task(loop, name=name)
            for name, loop in {
                "follow": self._follow(),
                "resync": self._resync(),
                "survey": self._survey_when_due(),
                "requests": self._consume_when_due(),
            }.items()
        ]
        work = asyncio.create_task(self._work(controller), name="workers")
        try:
            done, _ = await asyncio.wait({work, *background}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # a loop that ended by itself is a bug: let it be seen
            await work
        finally:
            self.queue.close()
            for task in (*background, work):
                task.cancel()
            await asyncio.gather(work, *background, return_exceptions=True)
            await self._ports.templates.close()
            await self._ports.servers.close()
            await self._ports.edge.close()

    async def _work(self, controller: Controller[str]) -> None:
        """No tenant is judged before everything was seen once."""
        await asyncio.wait(
            [asyncio.ensure_future(event.wait()) for event in (self.ready, self._stopping)],
            return_when=asyncio.FIRST_COMPLETED,
        )
        await controller.run()

    def measure(self) -> None:
        """Bring the gauges up to date; called when somebody scrapes."""
        metrics.queue_depth.set(len(self.queue))
        phases = Counter(dict(config.labels).get(status.PHASE, "") for config in self.world.of_kind("status"))
        for phase in get_args(Phase):
            metrics.tenants.labels(phase).set(phases[phase])

    # Seeing

    async def _resync(self) -> None:
        """Full lists, on start and on a jittered period: a fixed number of calls, however many tenants there are."""
        pause = Backoff(first_s=0.5, ceiling_s=15.0)
        failures = 0
        while True:
            try:
                await self.resync()
                failures = 0
                await self.clock.sleep(self.settings.resync_s * self._draw.uniform(0.9, 1.1))
            except Exception as error:  # noqa: BLE001 - the tenants' own loop must not die of it
                failures += 1
                _tell("resync failed", error, failures=failures)
                await self.clock.sleep(pause.delay(failures, self._draw))

    async def resync(self) -> None:
        """List everything, survey, read each server's catalog once, and give every tenant its turn."""
        await self.world.sync()
        await self._announce()
        await self._survey()
        await self._ports.servers.refresh()
        for name in self._names():
            self.queue.add(name, Lane.RESYNC)
        metrics.synced_at.set_to_current_time()
        metrics.resyncs.inc()
        self._requests_due.set()
        self.ready.set()

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
        return sorted({*self.fleet.tenants, *self.fleet.absent, *self._records(), *reported} - {""})

    def _records(self) -> Mapping[str, Record]:
        configs = self.world.of_kind("record")
        found = {}
        for config in configs:
            try:
                record = self._parse(config)
            except TerminalError:  # told by that tenant's own reconcile
                continue
            found[record.name] = record
        if len(self._parsed) > len(configs):
            ids = {config.id for config in configs}
            self._parsed = {object_id: known for object_id, known in self._parsed.items() if object_id in ids}
        return found

    def _parse(self, config: Config) -> Record:
        known = self._parsed.get(config.id)
        if known is None or known[0] != config.version:
            known = self._parsed[config.id] = config.version, records.from_config(config)
        return known[1]

    # Surveying

    async def _survey_when_due(self) -> None:
        await self.ready.wait()  # revisions may be listed before the ledger and the records that they are held against
        while True:
            await self._survey_due.wait()
            await self.clock.sleep(SURVEY_QUIET_S)
            self._survey_due.clear()
            try:
                await self._survey()
            except Exception as error:  # noqa: BLE001 - the tenants' own loop must not die of it
                _tell("survey failed", error)
                await self.clock.sleep(1.0)
                self._survey_due.set()

    async def _survey(self) -> None:
        """From revisions to fates; tenants whose fate changed go into the queue.

        What was seen is remembered before anybody acts on it; if that fails, nothing has changed and it is done again.
        """
        async with self._surveying:
            await self._survey_alone()

    async def _survey_alone(self) -> None:
        revisions = [revision for config in self.world.revisions if (revision := from_config(config)) is not None]
        owners = {name: record.owner for name, record in self._records().items() if record.leaving != "retained"}
        ledger = self._ledger().saw(self._seen)
        inputs = (frozenset((each.config_id, each.index) for each in revisions), ledger, owners)
        if inputs == self._surveyed:
            return
        fleet = survey(revisions, ledger, owners, read=self._read)
        self._readings = {
            each.config_id: self._readings[each.config_id] for each in revisions if each.config_id in self._readings
        }
        newest = {state.name: state.newest.index for state in fleet.sources if state.newest is not None}
        await self._remember(ledger.saw(newest))
        self._seen = dict(ledger.saw(newest).seen)
        before = self.fleet
        if fleet.platform is None and before.platform is not None:
            log.error("no source declares a valid Platform any more; the last one is kept")
            fleet = replace(fleet, platform=before.platform)
        if fleet.platform is not None:
            await self._ports.servers.adopt(fleet.platform)
        self.fleet = fleet
        for state in fleet.sources:
            metrics.source_problems.labels(state.name).set(len(state.problems))
            metrics.held_deletions.labels(state.name).set(state.held)
        self._surveyed = inputs
        everybody = before.platform != fleet.platform
        for name in {*before.tenants, *before.absent, *fleet.tenants, *fleet.absent}:
            if everybody or not _same_fate(before.fate(name), fleet.fate(name)):
                self.queue.add(name)
        log.info(
            "surveyed",
            extra={"sources": len(fleet.sources), "tenants": len(fleet.tenants), "absent": len(fleet.absent)},
        )

    def _read(self, revision: Revision) -> Reading:
        if (known := self._readings.get(revision.config_id)) is None:
            known = self._readings[revision.config_id] = read_revision(revision)
        return known

    def _ledger(self) -> Ledger:
        config = self.world.config(names.SOURCES)
        return Ledger.from_labels(dict(config.labels)) if config is not None else Ledger()

    async def _announce(self) -> None:
        """Say who runs here, if it is not said yet."""
        keys, settings = self._ports.keys, self.settings
        word = Announcement(
            version("skep"), keys.id, keys.own_fingerprint, settings.proxies, settings.addresses, settings.edge_suffix
        )
        config = self.world.config(names.OPERATOR)
        if config is None:
            with contextlib.suppress(NameTaken):
                await self.world.create_config(
                    names.OPERATOR, b"who operates this hive; see the labels\n", word.labels()
                )
        elif dict(config.labels) != word.labels():
            known = Announcement.from_labels(dict(config.labels))
            if known.key_fingerprint not in ("", word.key_fingerprint):
                # Each password derives from the root key: with another one every tenant would lose its database.
                raise TerminalError(
                    f"this hive was made with root key {known.key_id} ({known.key_fingerprint}), "
                    f"the operator has {word.key_id} ({word.key_fingerprint}); nothing is touched",
                    reason="RootKeyDiffers",
                    remedy="give it the right key; to begin anew, remove config skep.operator",
                )
            with contextlib.suppress(NotFound):  # removed in between: said again at the next resync
                await self.world.label_config(config, word.labels())

    async def _remember(self, ledger: Ledger) -> None:
        """Write the ledger if it says something new."""
        config = self.world.config(names.SOURCES)
        if config is None:
            with contextlib.suppress(NameTaken):
                await self.world.create_config(
                    names.SOURCES,
                    b"what skep remembers about its sources; see the labels\n",
                    {names.KIND: "sources", **ledger.labels()},
                )
        elif Ledger.from_labels(dict(config.labels)) != ledger:
            await self.world.label_config(config, {names.KIND: "sources", **ledger.labels()})

    # Requests

    async def _consume_when_due(self) -> None:
        await self.ready.wait()  # before the first survey an approval would fall on nothing
        while True:
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
            request = approvals.from_config(config)
            log.info("request", extra={"verb": request.verb, "target": request.target, "author": request.author})
            await self._survey()  # what the person saw may be newer than what was surveyed last
            if request.verb == "approve-deletions":
                newest = next((each.newest for each in self.fleet.sources if each.name == request.target), None)
                if newest is not None:
                    await self._remember(self._ledger().approve(request.target, newest.index))
                    self._survey_due.set()
            elif request.verb == "forced-delete":
                fate = self.fleet.tenants.get(request.target)
                if isinstance(fate, Declared):
                    await self._remember(self._ledger().force(request.target, digest_of(fate.document)))
                    self._survey_due.set()
            elif (held := self._records().get(request.target)) is not None:
                await self._subject(request.target, held).save(records.approve(held, request.verb))
                self.queue.add(request.target)
        except TransientError:
            raise
        except SkepError as error:
            log.error("request refused", extra={"request": config.name, "error": str(error)})
        await self.world.remove_config(config_id)

    # Reconciling

    def _record(self, name: str) -> Record | None:
        config = self.world.config(names.record(name))
        return self._parse(config) if config is not None else None

    def _subject(self, name: str, record: Record | None) -> Subject:
        platform = self.fleet.platform
        if platform is None:
            raise TerminalError(
                "no source declares a valid Platform",
                reason="NoPlatform",
                remedy="publish one: `skep apply manifests/demo`",
            )
        return Subject(
            name, self.fleet.fate(name), platform, self._ports, lambda: load_of(self._records().values()), record
        )

    async def _reconcile(self, name: str) -> Outcome:
        started = time.perf_counter()
        record: Record | None = None
        try:
            record = self._record(name)
            subject = self._subject(name, record)
            error: Exception | None = None
            try:
                result = await self._steps(subject)
            finally:
                record = subject.record
        except NotFound as missing:  # something a service needs: a network, a secret that went in between
            remedy = "`skep doctor` says what this swarm lacks"
            result, error = Done(), TransientError(missing.message, reason="Missing", remedy=remedy)
        except VersionConflict as conflict:  # somebody else wrote: look again at once, and say nothing to people
            await self.world.sync()
            metrics.reconciles.labels("conflict").inc()
            return Outcome(error=conflict)
        except Exception as failure:  # noqa: BLE001 - reported and handed to the controller, which knows what to do
            result, error = Done(), failure
        finally:
            metrics.duration.observe(time.perf_counter() - started)
        metrics.reconciles.labels(type(error).__name__ if error else type(result).__name__.lower()).inc()
        await self._report(name, record, result, error)
        if error is not None:
            return Outcome(error=error)
        return Outcome(requeue_after_s=result.requeue_after_s if isinstance(result, Wait) else None)

    async def _steps(self, subject: Subject) -> Result:
        """Each reconciler in order, until one waits or fails; the leaving go the other way."""
        fate, record = subject.fate, subject.record
        if record is None and not isinstance(fate, Declared):
            return Done()
        result = await self._chain[0].handle(subject)
        if subject.record is not None and subject.record.leaving:
            return await deletion.delete(subject)
        for reconciler in self._chain[1:]:
            if isinstance(result, Wait):
                break
            result = await reconciler.handle(subject)
        return result

    async def _report(self, name: str, record: Record | None, result: Result, error: Exception | None) -> None:
        """Write the status if it differs from the last one; a tenant that is gone has none."""
        config = self.world.config(names.status(name))
        previous = status.from_config(config) if config is not None else None
        finding = self._finding(name, record, result, error, previous)
        try:
            if finding is None:
                if config is not None:
                    await self.world.remove_config(config.id)
                return
            report = status.report(finding, previous, self.clock.now().replace(microsecond=0))
            labels = status.labels_of(name, record.uid if record is not None else "", report)
            if config is None:
                await self.world.create_config(names.status(name), b"a report; see the labels\n", labels)
            elif dict(config.labels) != labels:
                await self.world.label_config(config, labels)
        except (VersionConflict, NameTaken, NotFound):
            await self.world.configs.sync()
            self.queue.add_after(name, 0.1)

    def _finding(
        self, name: str, record: Record | None, result: Result, error: Exception | None, previous: status.Status | None
    ) -> Finding | None:
        fate = self.fleet.fate(name)
        if record is None and error is None:
            if not isinstance(fate, Broken):
                return None
            return Finding("Degraded", 0, "Invalid", _sentence(fate), declared=_sentence(fate))
        generation = record.generation if record is not None else 0
        scheme = "https" if record is not None and record.spec.secure else "http"
        urls = (
            tuple(f"{scheme}://{host}{self.settings.edge_suffix}" for host in record.spec.hosts)
            if record is not None
            else ()
        )
        declared = _sentence(fate) if isinstance(fate, Broken) else None
        if isinstance(fate, Absent) and fate.held:
            declared = fate.held
        if fate is None and record is not None and not record.leaving:
            declared = f"source {record.source} says nothing of it any more; it stays as it is"

        def finding(phase: Phase, reason: str, message: str) -> Finding:
            image = record.spec.image if record is not None else ""
            return Finding(phase, generation, reason, message, urls, image, declared)

        settled = (
            previous is not None
            and previous.observed_generation == generation
            and previous.phase in ("Ready", "Degraded", "Suspended")
        )
        match error, result:
            case TerminalError() as terminal, _:
                return finding("Degraded", terminal.reason, str(terminal))
            case TransientError() as transient, _:
                return finding("Degraded" if settled else "Progressing", transient.reason, str(transient))
            case Exception() as bug, _:
                return finding("Degraded", "InternalError", f"{type(bug).__name__}: {bug}; see the operator's log")
            case _, Wait(reason=reason, message=message):
                broken = settled or reason in ("TaskFailing", "TaskStuck")
                return finding("Degraded" if broken else "Progressing", reason, message)
            case _ if record is not None and record.leaving == "retained":
                return finding(
                    "Retained", "Retained", "deleted; its database is kept, `skep approve adopt` brings it back"
                )
            case _ if record is not None and record.leaving:
                return finding("Deleting", "Deleting", "its parts are being removed")
            case _ if record is not None and record.spec.suspend:
                return finding("Suspended", "Suspended", "suspended by its declaration")
            case _:
                return finding("Ready", "Ready", "answers on every host")


def _tell(what: str, error: Exception, **extra: object) -> None:
    """A warning for what heals itself, an error with its traceback for what should not have happened."""
    known = isinstance(error, SkepError)
    level = logging.WARNING if isinstance(error, TransientError) else logging.ERROR
    log.log(level, what, extra=extra | {"error": str(error)}, exc_info=None if known else error)


def _same_fate(before: object, after: object) -> bool:
    """Whether a tenant's turn would come to the same; a new revision with an equal spec wakes nobody."""
    match before, after:
        case Declared() as old, Declared() as new:
            return (old.source, old.effective, old.uid) == (new.source, new.effective, new.uid)
        case Broken() as old, Broken() as new:
            return old.problems == new.problems
        case old, new:
            return old == new


def _sentence(fate: Broken) -> str:
    return "; ".join(str(problem) for problem in fate.problems[:3])
