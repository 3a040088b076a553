"""What all sources together declare: one pure function from their revisions to each tenant's fate.

Absence is not deletion. A tenant is absent only if a newer revision of its own source, read to its last document,
leaves it out. A source that vanished, or whose newest revision cannot be read, makes nobody absent. If one revision
drops too many at once, the brake holds the deletions, not the edits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from skep.crds.declarations import gather
from skep.crds.effective import EffectiveTenant, effective
from skep.crds.platform import Brake, Platform
from skep.crds.reader import Document, Problem, Reading, read_text
from skep.crds.tenant import Tenant
from skep.operator import formats
from skep.operator.errors import TerminalError, UsageError
from skep.operator.sources.ledger import Ledger
from skep.operator.sources.revision import Revision, by_source, decode


@dataclass(frozen=True, slots=True)
class Declared:
    """A tenant as its source wants it. *index* is the revision's, *document* what the source says in its own words."""

    source: str
    index: int
    effective: EffectiveTenant
    document: Tenant

    @property
    def uid(self) -> str | None:
        """Said by the document: take over what carries this uid."""
        return self.document.metadata.uid


@dataclass(frozen=True, slots=True)
class Broken:
    """Declared, but unusable: it keeps its last good spec. *problems* say why, with file, line and column."""

    source: str
    index: int
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Absent:
    """Left out by a newer revision of its own source. *held*: the brake's sentence, None if it may be deleted."""

    source: str
    index: int
    held: str | None = None


Fate = Declared | Broken | Absent | None  # None: no source says anything of it


@dataclass(frozen=True, slots=True)
class Owner:
    """What a record knows about where its tenant came from; *leaving*: its deletion has begun."""

    source: str
    index: int
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class SourceState:
    """*problem* is None when the newest revision counts; else one sentence (vanished, damaged ...)."""

    name: str
    newest: Revision | None
    tenants: int
    problems: tuple[Problem, ...] = ()
    problem: str | None = None
    held: int = 0


@dataclass(frozen=True, slots=True)
class Fleet:
    platform: Platform | None
    tenants: Mapping[str, Declared | Broken]
    absent: Mapping[str, Absent]
    sources: tuple[SourceState, ...]
    problems: tuple[Problem, ...] = ()  # those of no single tenant

    def fate(self, tenant: str) -> Fate:
        """None: no source says anything about it, so it stays as it is."""
        return self.tenants.get(tenant) or self.absent.get(tenant)


def digest_of(document: Tenant) -> str:
    """Tells two declarations of one tenant apart; a change of its plan or of the platform is not one of the tenant."""
    return hashlib.sha256(repr(document).encode()).hexdigest()[:16]


EMPTY = Fleet(None, MappingProxyType({}), MappingProxyType({}), ())
Reader = Callable[[Revision], Reading]


def read_revision(revision: Revision) -> Reading:
    """A damaged body is one problem and an incomplete reading, so nobody concludes an absence from it.

    So is a body that a newer skep wrote in a format of its own.
    """
    try:
        formats.check(revision.config_name, {formats.LABEL: revision.format})
        return read_text(decode(revision.body), file=revision.label)
    except (UsageError, TerminalError) as error:
        return Reading((), (Problem(revision.label, 1, 1, str(error), None, None),), complete=False)


def survey(
    revisions: Iterable[Revision],
    ledger: Ledger,
    owners: Mapping[str, Owner],
    *,
    read: Reader = read_revision,
) -> Fleet:
    """Join the newest revision of every source. *read* may remember: a revision never changes."""
    held = by_source(revisions)
    live = {name: found[0] for name, found in held.items() if found[0].index >= ledger.seen.get(name, 0)}
    readings = {name: read(revision) for name, revision in live.items()}

    unread = _kept_by_unread(readings, owners)
    chosen, twice = _choose(readings, owners, unread)
    chosen = _with_last_good(chosen, held, live, read)
    problems = tuple(problem for reading in readings.values() for problem in reading.problems) + twice
    declarations, cross = gather(Reading(tuple(document for _, document in chosen), problems))
    problems += tuple(problem for problem in cross if problem not in problems)

    of_tenant: dict[str, list[Problem]] = {}
    for problem in problems:
        if problem.kind == "Tenant" and problem.name and problem not in twice:
            of_tenant.setdefault(problem.name, []).append(problem)
    source_of = {document.name: source for source, document in chosen if document.kind == "Tenant"}
    for source, reading in readings.items():
        for name in _tenants_named(reading):
            if name in owners and owners[name].source == source:
                source_of.setdefault(name, source)
    for source, reading in readings.items():
        for name in _tenants_named(reading) - unread:
            source_of.setdefault(name, source)

    platform = declarations.platform
    tenants: dict[str, Declared | Broken] = {}
    for name, source in sorted(source_of.items()):
        index = live[source].index
        tenant = declarations.tenants.get(name)
        if platform is not None and tenant is not None:
            if name not in ledger.forced or ledger.forced[name] != digest_of(tenant):
                spec = effective(platform, declarations.plans[tenant.spec.plan], tenant)
                tenants[name] = Declared(source, index, spec, tenant)
        else:
            tenants[name] = Broken(source, index, tuple(of_tenant.get(name, ())) or problems[:1])

    brake = platform.spec.brake if platform is not None else Brake()
    absent = _absent(live, readings, source_of, owners, ledger, brake)
    for name in source_of.keys() - tenants.keys():  # a person deleted it by force; its own document is overruled
        absent[name] = Absent(source_of[name], live[source_of[name]].index)
    states = tuple(
        _state(name, live.get(name), held.get(name, ()), readings.get(name), absent, problems)
        for name in sorted({*held, *ledger.seen})
    )
    general = tuple(problem for problem in problems if problem.kind != "Tenant" or not problem.name or problem in twice)
    return Fleet(platform, tenants, absent, states, general)


Chosen = list[tuple[str, Document]]


def _choose(
    readings: Mapping[str, Reading], owners: Mapping[str, Owner], unread: frozenset[str]
) -> tuple[Chosen, tuple[Problem, ...]]:
    """One document a kind and name: a tenant's owner keeps it, else the first source by name; the others are told.

    An owner keeps its tenant even if its own document is broken now, or may lie in what could not be read: a typing
    error must not hand the tenant to another source.
    """
    claims: dict[tuple[str, str], list[tuple[str, Document]]] = {}
    for source, reading in readings.items():
        for document in reading.documents:
            claims.setdefault((document.kind, document.name), []).append((source, document))
    chosen: Chosen = []
    twice: list[Problem] = []
    for (kind, name), found in claims.items():
        owner = owners.get(name) if kind == "Tenant" else None
        keeper = found[0][0]
        if owner is not None and (name in unread or owner.source in {source for source, _ in found}):
            keeper = owner.source
        for source, document in found:
            if source == keeper:
                chosen.append((source, document))
            else:
                message = f"{kind} {name} is declared by source {keeper} already; this one is left out"
                twice.append(Problem(document.file, document.line, 1, message, kind, name))
    return chosen, tuple(twice)


def _kept_by_unread(readings: Mapping[str, Reading], owners: Mapping[str, Owner]) -> frozenset[str]:
    """Tenants whose own source names them only in a broken document, or could not be read to its end."""
    kept: set[str] = set()
    for source, reading in readings.items():
        if reading.problems or not reading.complete:
            owned = {name for name, owner in owners.items() if owner.source == source}
            good = {document.name for document in reading.documents if isinstance(document.model, Tenant)}
            kept |= (owned - good) & (owned if not reading.complete else _tenants_named(reading))
    return frozenset(kept)


def _with_last_good(
    chosen: Chosen, held: Mapping[str, tuple[Revision, ...]], live: Mapping[str, Revision], read: Reader
) -> Chosen:
    """A Platform or Plan that the newest revision broke counts as an older revision last had it.

    Without this, a typing error in one plan would stop every tenant of it, and one in the platform all of them.
    """
    have = {(document.kind, document.name) for _, document in chosen}
    filled = list(chosen)
    for source, newest in live.items():
        broken = {
            (problem.kind, problem.name)
            for problem in read(newest).problems
            if problem.kind in ("Platform", "Plan") and problem.name
        } - have
        for revision in held[source][1:]:
            if not broken:
                break
            for document in read(revision).documents:
                if (key := (document.kind, document.name)) in broken:
                    filled.append((source, document))
                    broken.discard(key)
    return filled


def _tenants_named(reading: Reading) -> set[str]:
    return {document.name for document in reading.documents if isinstance(document.model, Tenant)} | {
        problem.name for problem in reading.problems if problem.kind == "Tenant" and problem.name
    }


def _absent(
    live: Mapping[str, Revision],
    readings: Mapping[str, Reading],
    source_of: Mapping[str, str],
    owners: Mapping[str, Owner],
    ledger: Ledger,
    brake: Brake,
) -> dict[str, Absent]:
    absent: dict[str, Absent] = {}
    for source, revision in live.items():
        if not readings[source].complete:
            continue
        owned = {name: owner for name, owner in owners.items() if owner.source == source}
        gone = {name for name, owner in owned.items() if name not in source_of and owner.index < revision.index}
        fresh = {name for name in gone if not owned[name].leaving}
        held = None
        too_many = len(fresh) > brake.count or len(fresh) * 100 > len(owned) * brake.percent
        if len(fresh) > 1 and too_many and ledger.approved.get(source) != revision.index:
            held = (
                f"{revision.label} would delete {len(fresh)} of {len(owned)} tenants; "
                f"`skep approve deletions {source}` lets it"
            )
        for name in gone:
            absent[name] = Absent(source, revision.index, held if name in fresh else None)
    return absent


def _state(
    name: str,
    newest: Revision | None,
    held: tuple[Revision, ...],
    reading: Reading | None,
    absent: Mapping[str, Absent],
    problems: tuple[Problem, ...],
) -> SourceState:
    if newest is None or reading is None:
        said = f"its newest revision is gone ({held[0].label} is older)" if held else "all its revisions are gone"
        return SourceState(name, None, 0, problem=f"vanished: {said}; nothing is deleted, publish again to go on")
    return SourceState(
        name,
        newest,
        len(_tenants_named(reading)),
        problems=tuple(problem for problem in problems if problem.file == newest.label),
        held=sum(1 for one in absent.values() if one.source == name and one.held),
    )
