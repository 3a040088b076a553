"""One tenant's turn: its reconcilers in order until one waits or fails, and the report of what came of it."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Self

from skep.operator import logs, metrics, names
from skep.operator.errors import (
    NameTaken,
    NotFound,
    NotLeader,
    SkepError,
    TerminalError,
    TransientError,
    VersionConflict,
)
from skep.operator.history import Entry, History
from skep.operator.loop.controller import Outcome
from skep.operator.loop.registry import Done, Reconciler, Result, Wait
from skep.operator.reconcilers import deletion, identity, judge, schema, status, worker
from skep.operator.reconcilers.cache import reconciler as cache
from skep.operator.reconcilers.database import reconciler as database
from skep.operator.reconcilers.finding import find
from skep.operator.reconcilers.placement import load_of
from skep.operator.reconcilers.record import Record
from skep.operator.reconcilers.roster import Roster
from skep.operator.reconcilers.status import Event, Status
from skep.operator.reconcilers.subject import Ports, Subject, tenants
from skep.operator.sources.fleet import Declared, Fleet

# Importing a reconciler registers it; naming them here says which ones an operator has.
RECONCILERS = (identity, database, cache, schema, judge, worker)
DELETION: Reconciler[Subject] = Reconciler("deletion", (), deletion.delete)


class Turns:
    """*fleet* is what all sources declare by now; *again* gives a tenant another turn after so many seconds."""

    def __init__(
        self,
        ports: Ports,
        roster: Roster,
        history: History,
        fleet: Callable[[], Fleet],
        again: Callable[[str, float], None],
    ) -> None:
        self._ports = ports
        self._roster = roster
        self._history = history
        self._fleet = fleet
        self._again = again
        self._chain = tenants.in_order()

    def subject(self, name: str, record: Record | None) -> Subject:
        platform = self._fleet().platform
        if platform is None:
            raise TerminalError(
                "no source declares a valid Platform",
                reason="NoPlatform",
                remedy="publish one: `skep apply manifests/demo`",
            )
        return Subject(
            name, self._fleet().fate(name), platform, self._ports, lambda: load_of(self._roster.all().values()), record
        )

    async def take(self, name: str) -> Outcome:
        logs.bind(tenant=name)
        record: Record | None = None
        result: Result = Done()
        error: Exception | None = None
        try:
            with _Told("record"):
                record = self._roster.get(name)
                subject = self.subject(name, record)
            try:
                result = await self._steps(subject)
            finally:
                known, record = record, subject.record
            if known is not None and record is None:
                gone = Event(self._ports.clock.now().replace(microsecond=0), "Deleted", "nothing of it is left")
                self._note(name, known.uid, known.generation, "Deleted", gone)
        except NotFound as missing:  # something a service needs: a network, a secret that went in between
            remedy = "`skep doctor` says what this swarm lacks"
            error = TransientError(missing.message, reason="Missing", remedy=remedy)
        except NotLeader as lost:  # whoever leads now takes it from the beginning
            return Outcome(error=lost)
        except VersionConflict as conflict:  # somebody else wrote: look again at once, and say nothing to people
            await self._ports.world.sync()
            return Outcome(error=conflict)
        except Exception as failure:  # noqa: BLE001 - reported and handed to the controller, which knows what to do
            error = failure
        with _Told("status"):
            await self._report(name, record, result, error)
        if error is not None:
            return Outcome(error=error)
        return Outcome(requeue_after_s=result.requeue_after_s if isinstance(result, Wait) else None)

    async def _steps(self, subject: Subject) -> Result:
        """Each reconciler in order, until one waits or fails; the leaving go the other way."""
        fate, record = subject.fate, subject.record
        if record is None and not isinstance(fate, Declared):
            return Done()
        result = await self._step(self._chain[0], subject)
        if subject.record is not None:
            logs.bind(tenant=subject.name, generation=subject.record.generation)
        if subject.record is not None and subject.record.leaving:
            return await self._step(DELETION, subject)
        for reconciler in self._chain[1:]:
            if isinstance(result, Wait):
                break
            result = await self._step(reconciler, subject)
        if subject.trouble is not None and not isinstance(result, Wait):
            raise subject.trouble
        return result

    async def _step(self, reconciler: Reconciler[Subject], subject: Subject) -> Result:
        with _Told(reconciler.name) as told:
            result = await reconciler.handle(subject)
        told.came_to(type(result).__name__.lower())
        return result

    async def _report(self, name: str, record: Record | None, result: Result, error: Exception | None) -> None:
        """Write the status if it differs from the last one; a tenant that is gone has none."""
        config = self._ports.world.config(names.status(name))
        previous = status.from_config(config) if config is not None else None
        suffix = self._ports.settings.edge_suffix
        finding = find(record, self._fleet().fate(name), result, error, previous, edge_suffix=suffix)
        try:
            if finding is None:
                if config is not None:
                    await self._ports.world.remove_config(config.id)
                return
            report = status.report(finding, previous, self._ports.clock.now().replace(microsecond=0))
            labels = status.labels_of(name, record.uid if record is not None else "", report)
            if config is None:
                await self._ports.world.create_config(names.status(name), b"a report; see the labels\n", labels)
            elif dict(config.labels) != labels:
                await self._ports.world.label_config(config, labels)
            self._keep(name, record, report, previous)
        except (VersionConflict, NameTaken, NotFound):
            await self._ports.world.configs.sync()
            self._again(name, 0.1)

    def _keep(self, name: str, record: Record | None, report: Status, previous: Status | None) -> None:
        """Events that the last report did not have go to the control database, as soon as it takes them."""
        known = previous.events if previous is not None else ()
        uid, generation = (record.uid, record.generation) if record is not None else ("", 0)
        for event in report.events:
            if event not in known:
                self._note(name, uid, generation, report.phase, event)

    def _note(self, name: str, uid: str, generation: int, phase: str, event: Event) -> None:
        self._history.note(Entry(uuid.uuid4(), event.at, name, uid, generation, phase, event.reason, event.message))


class _Told:
    """Lines of this block name the reconciler; an error is counted and passed on.

    No generator, which would cost three times as much: a fleet's turn enters it nine times a tenant.
    """

    __slots__ = ("_bound", "_reconciler", "_started")

    def __init__(self, reconciler: str) -> None:
        self._reconciler = reconciler

    def __enter__(self) -> Self:
        self._started = time.perf_counter()
        self._bound = logs.bind_more(reconciler=self._reconciler)
        return self

    def came_to(self, result: str) -> None:
        metrics.ran(self._reconciler, result, time.perf_counter() - self._started)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            logs.unbind(self._bound)
        elif isinstance(error, asyncio.CancelledError):  # its deadline passed, or the operator stops
            self.came_to("cancelled")
        elif isinstance(error, Exception):  # its keys stay: whoever handles it tells more
            self.came_to(_kind(error))
            reason = error.reason if isinstance(error, SkepError) else "InternalError"
            metrics.reconcile_errors.labels(self._reconciler, reason).inc()


def _kind(error: Exception) -> str:
    """The result that an error is, for Prometheus."""
    match error:
        case VersionConflict():
            return "conflict"
        case TransientError() | NotFound():
            return "transient"
        case SkepError():
            return "terminal"
        case _:
            return "bug"
