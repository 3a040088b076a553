"""The record: who a tenant is. An input, made before anything else is made for the tenant.

One config, `skep.record.<name>`. Its data (name, uid, creation) never changes; its labels do, by compare-and-set.
Creation is create-only, so two replicas or a crash cannot mint two identities. After a Retain deletion the record
stays as a tombstone, so that a name taken again is never handed the old database silently.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from skep.crds.effective import EffectiveTenant
from skep.operator import names
from skep.operator.engine.spec import Config
from skep.operator.errors import TerminalError
from skep.operator.sources.fleet import Absent, Broken, Declared, Owner

FORMAT = "1"
_PREFIX = "skep.record."
_EFFECTIVE = TypeAdapter(EffectiveTenant)

Leaving = Literal["", "deleting", "retained"]


@dataclass(frozen=True, slots=True)
class Record:
    """Empty strings stand for "not yet" (labels have no null).

    *cache*: the cache server that it was placed on, if the platform has any.
    *server* and *system_id*: where the database was placed and what that server called itself then.
    *provisioned*: the database was complete once; from then on it is never made again without a person.
    *generation* counts changes of *spec*. *attempted*: the revision of the last update that the engine took (a creation
    is told by the service itself), and *applied* the generation that it was sent for; *latched*: the revision that the
    engine rolled back. *schema*: the image digest that last brought the schema up to date; *schema_failed*: the one that
    could not, and *schema_said* what it said.
    """

    name: str
    uid: str
    created_at: datetime
    source: str
    index: int
    spec: EffectiveTenant
    generation: int = 1
    server: str = ""
    system_id: str = ""
    provisioned: bool = False
    edge_network: str = ""
    data_network: str = ""
    cache: str = ""
    secret_generation: int = 1
    key_id: str = ""
    schema: str = ""
    schema_failed: str = ""
    schema_said: str = ""
    attempted: str = ""
    applied: int = 0
    latched: str = ""
    leaving: Leaving = ""
    version: int = 0  # of the config it was read from: writes are compared against it

    @property
    def owner(self) -> Owner:
        return Owner(self.source, self.index, leaving=bool(self.leaving))


def data_of(record: Record) -> bytes:
    body = {"name": record.name, "uid": record.uid, "createdAt": record.created_at.isoformat()}
    return json.dumps(body, indent=2).encode() + b"\n"


_TEXT_FIELDS = (
    "source", "server", "system_id", "edge_network", "data_network", "cache", "key_id", "schema", "schema_failed", "schema_said",
    "attempted", "latched", "leaving",
)  # fmt: skip


def labels_of(record: Record) -> dict[str, str]:
    labels = {
        names.KIND: "record",
        names.TENANT: record.name,
        names.UID: record.uid,
        f"{_PREFIX}format": FORMAT,
        f"{_PREFIX}index": str(record.index),
        f"{_PREFIX}generation": str(record.generation),
        f"{_PREFIX}secret_generation": str(record.secret_generation),
        f"{_PREFIX}provisioned": "true" if record.provisioned else "false",
        f"{_PREFIX}spec": dump_spec(record.spec),
    }
    if record.applied:
        labels[f"{_PREFIX}applied"] = str(record.applied)
    return labels | {f"{_PREFIX}{field}": value for field in _TEXT_FIELDS if (value := getattr(record, field))}


@lru_cache(maxsize=20_000)  # specs repeat on every pass over the fleet, and validating one costs 20 us
def load_spec(text: str) -> EffectiveTenant:
    return _EFFECTIVE.validate_json(text)


@lru_cache(maxsize=20_000)
def dump_spec(spec: EffectiveTenant) -> str:
    return _EFFECTIVE.dump_json(spec).decode()


def from_config(config: Config) -> Record:
    """Raises TerminalError for a format that this operator does not know: an older one must not guess."""
    labels = dict(config.labels)

    def label(field: str) -> str:
        return labels.get(f"{_PREFIX}{field}", "")

    if label("format") != FORMAT:
        raise TerminalError(
            f"{config.name} has record format {label('format') or 'none'}, this operator knows {FORMAT}",
            reason="UnknownRecordFormat",
            remedy="run the newer operator, or restore the label skep.record.format",
        )
    try:
        data = json.loads(config.data)
        return Record(
            name=data["name"],
            uid=data["uid"],
            created_at=datetime.fromisoformat(data["createdAt"]),
            index=int(label("index")),
            spec=load_spec(label("spec")),
            generation=int(label("generation")),
            secret_generation=int(label("secret_generation")),
            provisioned=label("provisioned") == "true",
            applied=int(label("applied") or 0),
            version=config.version,
            **{field: label(field) for field in _TEXT_FIELDS},  # type: ignore[arg-type]  # `leaving` is ours
        )
    except (KeyError, ValueError, ValidationError) as error:
        raise TerminalError(
            f"{config.name} was changed by hand and is not readable: {error}",
            reason="RecordDamaged",
            remedy=f"remove it with `docker config rm {config.name}`; it is made again from what the tenant has",
        ) from error


@dataclass(frozen=True, slots=True)
class Trace:
    """What a tenant without a record left behind: enough to be itself again."""

    uid: str
    server: str = ""
    system_id: str = ""
    provisioned: bool = False
    retained: bool = False  # its database was closed by a deletion that kept it
    edge_network: str = ""
    data_network: str = ""


@dataclass(frozen=True, slots=True)
class CreateRecord:
    record: Record


@dataclass(frozen=True, slots=True)
class ChangeRecord:
    record: Record
    because: tuple[str, ...]


Action = CreateRecord | ChangeRecord


def new_uid() -> str:
    """Random from its first digit on: eight of them name the database."""
    return uuid.uuid4().hex


def desire(
    fate: Declared | Broken | Absent | None,
    record: Record | None,
    trace: Trace | None,
    *,
    name: str,
    fresh_uid: str,
    now: datetime,
) -> Record | None:
    """The record as it should be; None: there is none and none is wanted.

    A broken or silent declaration changes nothing: the tenant keeps its last good spec.
    """
    match fate, record:
        case Declared() as declared, None:
            first = Record(name, declared.uid or fresh_uid, now, declared.source, declared.index, declared.effective)
            if trace is None:
                return first
            return replace(
                first,
                uid=trace.uid,
                server=trace.server,
                system_id=trace.system_id,
                provisioned=trace.provisioned,
                leaving="retained" if trace.retained else "",
                edge_network=trace.edge_network,
                data_network=trace.data_network,
            )
        case Declared() as declared, Record() as known if not known.leaving:
            moved = declared.source != known.source
            changed = declared.effective != known.spec
            return replace(
                known,
                source=declared.source,
                index=declared.index if moved else known.index,
                spec=declared.effective,
                generation=known.generation + 1 if changed else known.generation,
            )
        case Declared(), Record(leaving="deleting") as known if known.spec.deletion_policy == "Retain":
            return replace(known, leaving="")  # taken back in time: its data was never in danger
        case Absent(held=None), Record(leaving="") as known:
            return replace(known, leaving="deleting")
        case _, known:
            return known


def plan(desired: Record | None, observed: Record | None) -> tuple[Action, ...]:
    if desired is None or desired == observed:
        return ()
    if observed is None:
        return (CreateRecord(desired),)
    before, after = labels_of(observed), labels_of(desired)
    changed = tuple(sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key)))
    return (ChangeRecord(desired, changed),) if changed else ()


def approve(record: Record, verb: str) -> Record:
    """What a person's word changes: make a lost database anew, take a retained tenant up again, or erase it."""
    match verb:
        case "approve-database":
            return replace(record, provisioned=False, system_id="", schema="", schema_failed="", schema_said="")
        case "approve-adopt" if record.leaving == "retained":
            return replace(record, leaving="")
        case "approve-purge" if record.leaving == "retained":
            return replace(record, leaving="deleting", spec=replace(record.spec, deletion_policy="Delete"))
        case _:
            return record
