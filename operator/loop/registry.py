"""Reconcilers, registered by decorators as in kopf, run in the order of what they stand on.

    tenants: Registry[Tenant] = Registry("tenant")

    @tenants.reconciler("database", after=("secrets",))
    async def reconcile(tenant: Tenant) -> Result: ...

A reconciler returns `DONE`, or a `Wait` that stops the chain and says for people what it waits for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Generic, TypeVar

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Done:
    """This part of the world is as declared."""


@dataclass(frozen=True, slots=True)
class Wait:
    """It is not yet, and no error: *reason* is one CamelCase word, *message* a sentence. None: a change will wake it."""

    reason: str
    message: str
    requeue_after_s: float | None = None


DONE = Done()
Result = Done | Wait
Handler = Callable[[C], Awaitable[Result]]


@dataclass(frozen=True, slots=True)
class Reconciler(Generic[C]):
    name: str
    after: tuple[str, ...]
    handle: Handler[C]


class Registry(Generic[C]):
    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._reconcilers: dict[str, Reconciler[C]] = {}

    def reconciler(self, name: str, *, after: tuple[str, ...] = ()) -> Callable[[Handler[C]], Handler[C]]:
        def register(handle: Handler[C]) -> Handler[C]:
            if name in self._reconcilers:
                raise ValueError(f"two reconcilers of {self.kind} are called {name}")
            self._reconcilers[name] = Reconciler(name, after, handle)
            return handle

        return register

    def in_order(self) -> tuple[Reconciler[C], ...]:
        """Each after what it stands on; ties in order of registration. Raises ValueError for a gap or a circle."""
        for reconciler in self._reconcilers.values():
            for needed in reconciler.after:
                if needed not in self._reconcilers:
                    raise ValueError(f"reconciler {reconciler.name} stands on {needed}, which nobody registered")
        graph = {name: reconciler.after for name, reconciler in self._reconcilers.items()}
        try:
            return tuple(self._reconcilers[name] for name in TopologicalSorter(graph).static_order())
        except CycleError as error:
            raise ValueError(f"reconcilers of {self.kind} stand on each other: {error.args[1]}") from error
