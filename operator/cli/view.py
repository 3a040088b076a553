"""What a command sees of a hive: everything is read from the engine, with a handful of list calls."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

from skep.crds.reader import Document
from skep.crds.tenant import Tenant
from skep.operator import names
from skep.operator.engine.port import Engine
from skep.operator.engine.spec import Config, Network, Secret, Service
from skep.operator.errors import TerminalError, UsageError
from skep.operator.reconcilers import record as records
from skep.operator.reconcilers import status as statuses
from skep.operator.reconcilers.record import Record
from skep.operator.reconcilers.status import Status
from skep.operator.sources.announcement import Announcement
from skep.operator.sources.fleet import Fleet, read_revision, survey
from skep.operator.sources.ledger import Ledger
from skep.operator.sources.revision import Revision, by_source, from_config


@dataclass(frozen=True, slots=True)
class View:
    """*fleet* is surveyed here by the operator's own function, so both see the same."""

    configs: tuple[Config, ...]
    revisions: Mapping[str, tuple[Revision, ...]]  # by source, newest first
    secrets: tuple[Secret, ...]
    services: tuple[Service, ...]
    records: Mapping[str, Record]
    statuses: Mapping[str, Status]
    ledger: Ledger
    fleet: Fleet
    announcement: Announcement | None  # None: no operator has run here yet
    networks: tuple[Network, ...] = ()

    @property
    def tenants(self) -> tuple[str, ...]:
        return tuple(sorted({*self.records, *self.statuses, *self.fleet.tenants}))

    def documents(self) -> dict[tuple[str, str], tuple[Revision, Document]]:
        """The newest valid document of each kind and name, with the revision that holds it."""
        found: dict[tuple[str, str], tuple[Revision, Document]] = {}
        for state in self.fleet.sources:
            if state.newest is not None:
                for document in read_revision(state.newest).documents:
                    found.setdefault((document.kind, document.name), (state.newest, document))
        return found

    def configs_of(self, tenant: str, kind: names.Kind) -> tuple[Config, ...]:
        wanted = {names.KIND: kind, names.TENANT: tenant}.items()
        return tuple(config for config in self.configs if wanted <= dict(config.labels).items())

    def secrets_of(self, tenant: str) -> tuple[Secret, ...]:
        return tuple(secret for secret in self.secrets if dict(secret.labels).get(names.TENANT) == tenant)

    def service(self, name: str) -> Service | None:
        return next((service for service in self.services if service.name == name), None)

    def tenant_named(self, name: str) -> str:
        """*name*, if there is such a tenant. Raises UsageError with the nearest one."""
        if name in self.tenants:
            return name
        import difflib

        near = difflib.get_close_matches(name, self.tenants, 1)
        remedy = f"did you mean {near[0]}?" if near else "`skep get tenants` lists them"
        raise UsageError(f"there is no tenant {name}", remedy=remedy)


async def look(engine: Engine) -> View:
    """Read everything at once."""
    configs, sources, secrets, services, networks = await asyncio.gather(
        engine.list_configs(label=names.KIND),
        engine.list_configs(label=names.SOURCE),
        engine.list_secrets(label=names.TENANT),
        engine.list_services(label=names.UID),
        engine.list_networks(label=names.NETWORK),
    )
    return view_of(configs, sources, secrets, services, networks)


def view_of(
    configs: tuple[Config, ...],
    sources: tuple[Config, ...],
    secrets: tuple[Secret, ...],
    services: tuple[Service, ...],
    networks: tuple[Network, ...] = (),
) -> View:
    found_records: dict[str, Record] = {}
    found_statuses: dict[str, Status] = {}
    ledger, announcement = Ledger(), None
    for config in configs:
        labels = dict(config.labels)
        match labels.get(names.KIND):
            case "record":
                with contextlib.suppress(TerminalError):  # its status says so
                    record = records.from_config(config)
                    found_records[record.name] = record
            case "status":
                with contextlib.suppress(TerminalError):  # `skep doctor` says so
                    if (status := statuses.from_config(config)) is not None:
                        found_statuses[labels.get(names.TENANT, "")] = status
            case "sources":
                ledger = Ledger.from_labels(labels)
            case "operator":
                announcement = Announcement.from_labels(labels)
    revisions = [revision for config in sources if (revision := from_config(config)) is not None]
    owners = {name: record.owner for name, record in found_records.items() if record.leaving != "retained"}
    return View(
        configs,
        by_source(revisions),
        secrets,
        services,
        found_records,
        found_statuses,
        ledger,
        survey(revisions, ledger, owners),
        announcement,
        networks,
    )


def tenant_of(document: Document) -> Tenant | None:
    return document.model if isinstance(document.model, Tenant) else None
