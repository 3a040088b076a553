"""From revisions to fates: what the sources say of every tenant, and what the operator remembers of the sources.

The surveyor reads revisions from the world, remembers in `skep.sources` what it saw before anybody acts on it, and
tells whose fate changed. It also says who operates this hive (`skep.operator`), and refuses a strange root key.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import version

from skep.crds.reader import Reading
from skep.operator import names
from skep.operator.errors import NameTaken, NotFound, TerminalError, UsageError
from skep.operator.keys import RootKey
from skep.operator.reconcilers.record import Record
from skep.operator.reconcilers.world import World
from skep.operator.settings import Settings
from skep.operator.sources.announcement import Announcement
from skep.operator.sources.fleet import EMPTY, Broken, Declared, Fate, Fleet, digest_of, read_revision, survey
from skep.operator.sources.ledger import Ledger
from skep.operator.sources.revision import Revision, from_config

log = logging.getLogger(__name__)


class Surveyor:
    """*records* gives everybody's record by name; *changed* is called with each tenant whose fate did."""

    def __init__(
        self, world: World, records: Callable[[], Mapping[str, Record]], changed: Callable[[str], None]
    ) -> None:
        self.fleet: Fleet = EMPTY
        self._world = world
        self._records = records
        self._changed = changed
        self._readings: dict[str, Reading] = {}
        self._seen: dict[str, int] = {}  # each source's highest index, should the ledger get lost
        self._inputs: object = None
        self._alone = asyncio.Lock()

    async def survey(self, *, remember: bool = True) -> None:
        """Take the newest revisions; if something fails, nothing has changed and it is done again.

        Who may not write does not *remember*: it knows the fleet and has parsed it, for the day when it leads.
        """
        async with self._alone:
            await self._survey(remember=remember)

    async def approve_deletions(self, source: str, index: int | None) -> None:
        """A person lets the source's newest revision, the one they saw, delete what the brake holds."""
        newest = next((each.newest for each in self.fleet.sources if each.name == source), None)
        if newest is not None and index not in (None, newest.index):
            raise UsageError(f"{source} has a newer revision than the one that was approved")
        if newest is not None:
            await self._remember((await self._ledger()).approve(source, newest.index))

    async def force_deletion(self, tenant: str) -> None:
        """A person deletes what a source still declares, until that declaration changes."""
        fate = self.fleet.tenants.get(tenant)
        if isinstance(fate, Declared):
            await self._remember((await self._ledger()).force(tenant, digest_of(fate.document)))

    async def announce(self, keys: RootKey, settings: Settings) -> None:
        """Say who runs here, if it is not said yet. Raises TerminalError for another root key than the hive's."""
        word = Announcement.of(version("skep"), keys, settings)
        config = self._world.config(names.OPERATOR)
        if config is None:
            with contextlib.suppress(NameTaken):
                body = b"who operates this hive; see the labels\n"
                await self._world.create_config(names.OPERATOR, body, word.labels())
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
                await self._world.label_config(config, word.labels())

    async def _survey(self, *, remember: bool) -> None:
        revisions = [revision for config in self._world.revisions if (revision := from_config(config)) is not None]
        owners = {name: record.owner for name, record in self._records().items() if record.leaving != "retained"}
        ledger = (await self._ledger()).saw(self._seen)
        inputs = (frozenset((each.config_id, each.index) for each in revisions), ledger, owners, remember)
        if inputs == self._inputs:
            return
        fleet = survey(revisions, ledger, owners, read=self._read)
        held = {each.config_id for each in revisions}
        self._readings = {config_id: each for config_id, each in self._readings.items() if config_id in held}
        newest = {state.name: state.newest.index for state in fleet.sources if state.newest is not None}
        if remember:
            await self._remember(ledger.saw(newest))
        self._seen = dict(ledger.saw(newest).seen)
        before = self.fleet
        if fleet.platform is None and before.platform is not None:
            log.error("no source declares a valid Platform any more; the last one is kept")
            fleet = replace(fleet, platform=before.platform)
        self.fleet, self._inputs = fleet, inputs
        everybody = before.platform != fleet.platform
        for name in {*before.tenants, *before.absent, *fleet.tenants, *fleet.absent}:
            if everybody or not _same(before.fate(name), fleet.fate(name)):
                self._changed(name)
        counts = {"sources": len(fleet.sources), "tenants": len(fleet.tenants), "absent": len(fleet.absent)}
        log.info("surveyed", extra=counts)

    def _read(self, revision: Revision) -> Reading:
        if (known := self._readings.get(revision.config_id)) is None:
            known = self._readings[revision.config_id] = read_revision(revision)
        return known

    async def _ledger(self) -> Ledger:
        """As written. A list that was cut short shows nothing of it, and what a person approved must not be forgotten."""
        config = self._world.config(names.SOURCES) or await self._world.find_config(names.SOURCES)
        return Ledger.from_labels(dict(config.labels)) if config is not None else Ledger()

    async def _remember(self, ledger: Ledger) -> None:
        """Write the ledger if it says something new."""
        config = self._world.config(names.SOURCES)
        labels = {names.KIND: "sources", **ledger.labels()}
        if config is None:
            with contextlib.suppress(NameTaken):
                body = b"what skep remembers about its sources; see the labels\n"
                await self._world.create_config(names.SOURCES, body, labels)
        elif Ledger.from_labels(dict(config.labels)) != ledger:
            await self._world.label_config(config, labels)


def _same(before: Fate, after: Fate) -> bool:
    """Whether a tenant's turn would come to the same; a new revision with an equal spec wakes nobody."""
    match before, after:
        case Declared() as old, Declared() as new:
            return (old.source, old.effective, old.uid) == (new.source, new.effective, new.uid)
        case Broken() as old, Broken() as new:
            return old.problems == new.problems
        case old, new:
            return old == new
