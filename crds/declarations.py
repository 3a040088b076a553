"""The whole set of documents: what one document cannot know about itself.

Exactly one platform, each name once, plans and servers that exist, one owner a host and a secret, allowed images,
ceilings kept. A faulty tenant is left out; its neighbours stay.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from skep.crds.base import Path, shown
from skep.crds.plan import Plan
from skep.crds.platform import Platform
from skep.crds.reader import Document, Problem, Reading
from skep.crds.rules import Fault, choice, plan_faults, platform_faults, tenant_faults
from skep.crds.tenant import Tenant

Names = Collection[tuple[str, str]]  # (kind, name)


@dataclass(frozen=True, slots=True)
class Declarations:
    """The faultless documents by name. *platform* is None if there is none, or if it is faulty."""

    platform: Platform | None = None
    plans: Mapping[str, Plan] = field(default_factory=lambda: MappingProxyType({}))
    tenants: Mapping[str, Tenant] = field(default_factory=lambda: MappingProxyType({}))


def check(documents: Iterable[Document], *, broken: Names = ()) -> tuple[Problem, ...]:
    """What is wrong between the documents, in their order. *broken* ones exist but could not be read."""
    return _Judge(tuple(documents), broken).judge()[1]


def gather(reading: Reading) -> tuple[Declarations, tuple[Problem, ...]]:
    """The faultless declarations of a reading, and all its problems: its own, then those between its documents.

    Of two documents that claim one name, host or secret the first keeps it, and the second is left out.
    """
    broken = {(p.kind, p.name) for p in reading.problems if p.kind is not None and p.name is not None}
    declarations, problems = _Judge(reading.documents, broken).judge()
    return declarations, reading.problems + problems


class _Judge:
    """One pass over the documents. Faults are kept by document, so that each is told in the order of the input."""

    def __init__(self, documents: tuple[Document, ...], broken: Names) -> None:
        self._documents = documents
        self._broken = broken
        self._faults: dict[int, list[Fault]] = {}
        self._hosts: dict[str, tuple[Document, Path]] = {}
        self._secrets: dict[str, tuple[Document, Path]] = {}

    def judge(self) -> tuple[Declarations, tuple[Problem, ...]]:
        firsts = self._refuse_doubles()
        platforms = [(index, document.model) for index, document in firsts if isinstance(document.model, Platform)]
        plans = {
            document.name: (index, document.model) for index, document in firsts if isinstance(document.model, Plan)
        }
        self._refuse_more_platforms([index for index, _ in platforms])
        platform = platforms[0][1] if platforms else None
        if platform:
            self._add(platforms[0][0], platform_faults(platform))
            for index, plan in plans.values():
                self._add(index, plan_faults(platform, plan))
        good = {name: plan for name, (index, plan) in plans.items() if index not in self._faults}
        tenants: dict[str, Tenant] = {}
        for index, document in firsts:
            if isinstance(tenant := document.model, Tenant):
                self._add(index, self._plan_fault(tenant, plans, good))
                if platform:
                    self._add(index, tenant_faults(platform, good.get(tenant.spec.plan), tenant))
                self._add(index, self._claim(tenant, document))
                if index not in self._faults:
                    tenants[document.name] = tenant
        sound = platform if platform and platforms[0][0] not in self._faults else None
        declarations = Declarations(sound, MappingProxyType(good), MappingProxyType(tenants))
        return declarations, (*self._no_platform(platform), *self._problems())

    def _add(self, index: int, faults: Iterable[Fault]) -> None:
        for fault in faults:
            self._faults.setdefault(index, []).append(fault)

    def _problems(self) -> Iterator[Problem]:
        for index, faults in sorted(self._faults.items()):
            problems = (self._documents[index].problem(path, message) for path, message in faults)
            yield from sorted(problems, key=lambda problem: (problem.line, problem.column))

    def _refuse_doubles(self) -> list[tuple[int, Document]]:
        """The first document of each kind and name, with its index."""
        firsts: dict[tuple[str, str], tuple[int, Document]] = {}
        for index, document in enumerate(self._documents):
            _, first = firsts.setdefault((document.kind, document.name), (index, document))
            if first is not document:
                path: Path = ("metadata", "name")
                message = (
                    f"{document.kind} {shown(document.name)} is declared already, {_where(first, path)}; remove one"
                )
                self._add(index, [(path, message)])
        return list(firsts.values())

    def _refuse_more_platforms(self, platforms: list[int]) -> None:
        for index in platforms[1:]:
            where = _where(self._documents[platforms[0]], ("kind",))
            self._add(index, [(("kind",), f"a second Platform, and there can be only one; the first is {where}")])

    def _no_platform(self, platform: Platform | None) -> Iterator[Problem]:
        if platform is None and not any(kind == "Platform" for kind, _ in self._broken):
            file = self._documents[0].file if self._documents else "."
            yield Problem(
                file, 1, 1, "no Platform is declared; exactly one is needed, like manifests/demo/platform.yaml"
            )

    def _plan_fault(self, tenant: Tenant, plans: Collection[str], good: Collection[str]) -> Iterator[Fault]:
        name = tenant.spec.plan
        if name in good:
            return
        if name in plans or ("Plan", name) in self._broken:
            yield ("spec", "plan"), f"plan {shown(name)} has errors of its own; mend those first"
        else:
            yield ("spec", "plan"), f"there is no plan {shown(name)}; {choice(name, plans)}"

    def _claim(self, tenant: Tenant, document: Document) -> Iterator[Fault]:
        """Takes the hosts and secrets that are free; a fault for each that another tenant has."""
        for index, host in enumerate(tenant.spec.hosts):
            yield from _take(self._hosts, host, ("spec", "hosts", index), document, what="host")
        for index, reference in enumerate(tenant.spec.app.secrets):
            path: Path = ("spec", "app", "secrets", index, "secret")
            yield from _take(self._secrets, reference.secret, path, document, what="secret")


def _take(
    taken: dict[str, tuple[Document, Path]], value: str, path: Path, document: Document, *, what: str
) -> Iterator[Fault]:
    owner, place = taken.setdefault(value, (document, path))
    if owner.name != document.name:
        message = f"tenant {shown(document.name)} cannot have {what} {shown(value)}; tenant {shown(owner.name)} has it"
        yield path, f"{message}, {_where(owner, place)}"


def _where(document: Document, path: Path) -> str:
    line, column = document.place(path)
    return f"{document.file}:{line}:{column}"
