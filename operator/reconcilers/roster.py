"""Everybody's record as the world holds it, each parsed once a version: parsing costs, and a fleet is read often."""

from __future__ import annotations

from collections.abc import Mapping

from skep.operator import names
from skep.operator.engine.spec import Config
from skep.operator.errors import TerminalError
from skep.operator.reconcilers import record as records
from skep.operator.reconcilers.record import Record
from skep.operator.reconcilers.world import World


class Roster:
    def __init__(self, world: World) -> None:
        self._world = world
        self._parsed: dict[str, tuple[int, Record]] = {}  # by the ID of the record's config

    def get(self, name: str) -> Record | None:
        """Raises TerminalError for a record that cannot be read."""
        config = self._world.config(names.record(name))
        return self._parse(config) if config is not None else None

    def all(self) -> Mapping[str, Record]:
        """By name, without those that cannot be read: that is told by their tenants' own reconcile."""
        configs = self._world.of_kind("record")
        found = {}
        for config in configs:
            try:
                record = self._parse(config)
            except TerminalError:
                continue
            found[record.name] = record
        if len(self._parsed) > len(configs):
            ids = {config.id for config in configs}
            self._parsed = {object_id: known for object_id, known in self._parsed.items() if object_id in ids}
        return found

    def is_damaged(self, config: Config) -> bool:
        try:
            self._parse(config)
        except TerminalError:
            return True
        return False

    def _parse(self, config: Config) -> Record:
        known = self._parsed.get(config.id)
        if known is None or known[0] != config.version:
            known = self._parsed[config.id] = config.version, records.from_config(config)
        return known[1]
