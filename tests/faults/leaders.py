"""Who leads a hive on the rig, seen from outside, and everything that is made in it while something is done to who leads."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import docker
from docker.models.containers import Container

from tests.e2e.hives import Hive

LEASE = "skep.lease"
LOOK_S = 0.02


@dataclass(frozen=True)
class Leader:
    """*holder* begins with the host name of its container, which is the beginning of the container's ID."""

    holder: str
    term: int

    @property
    def container_id(self) -> str:
        return self.holder.partition("/")[0]


def leader(client: docker.DockerClient) -> Leader:
    """What the lease says; an empty holder between two."""
    labels: dict[str, str] = client.configs.get(LEASE).attrs["Spec"]["Labels"]
    return Leader(labels["skep.lease.holder"], int(labels["skep.lease.term"]))


def other(client: docker.DockerClient, before: Leader, *, within_s: float) -> Leader:
    """Who leads after *before*."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            now = leader(client)
            if now.holder not in ("", before.holder):
                return now
        except docker.errors.APIError:  # the swarm may be without a leader of its own for a moment
            pass
        if time.monotonic() > deadline:
            raise AssertionError(f"nobody followed {before} within {within_s:g} s")
        time.sleep(LOOK_S)


def container_of(hive: Hive, found: Leader) -> tuple[int, Container]:
    """The leader's container and the index of its node."""
    assert hive.swarm is not None
    for index, node in enumerate(hive.swarm.nodes):
        for container in node.client.containers.list():
            if str(container.id).startswith(found.container_id):
                return index, container
    raise AssertionError(f"no container of {found}")


def operators(hive: Hive) -> int:
    """Healthy containers of the operator."""
    return sum(
        each.attrs["State"].get("Health", {}).get("Status") == "healthy" for each in hive.containers("skep_operator")
    )


@dataclass
class Witness:
    """Every creation of a config, secret or service while the block runs, and when the first came after `mark`."""

    client: docker.DockerClient
    created: Counter[tuple[str, str]] = field(default_factory=Counter)
    writes: list[tuple[float, str, str, str]] = field(default_factory=list)  # monotonic time, kind, action, name
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _events: Any = None

    def __enter__(self) -> Self:
        filters = {"type": ["config", "secret", "service"], "scope": ["swarm"]}
        self._events = self.client.events(filters=filters, decode=True)
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._events.close()
        assert self._thread is not None
        self._thread.join(timeout=10)

    def _follow(self) -> None:
        for event in self._events:
            kind, action = str(event["Type"]), str(event["Action"])
            name = str(event["Actor"].get("Attributes", {}).get("name", event["Actor"]["ID"]))
            if action == "create":
                self.created[kind, name] += 1
            self.writes.append((time.monotonic(), kind, action, name))

    def first_write(
        self, since: float, *, within_s: float = 60.0, but: Callable[[str], bool] = lambda name: False
    ) -> float:
        """When, on the monotonic clock, something of ours but the lease was written after *since*."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            for at, _, _, name in list(self.writes):
                if at > since and name.startswith("skep") and name != LEASE and not but(name):
                    return at
            time.sleep(LOOK_S)
        raise AssertionError("nothing was written")

    def lease_written(self, *, before: float) -> float:
        """When the lease was last written before that moment, at which somebody had already read it."""
        deadline = time.monotonic() + 5.0
        while time.monotonic() < deadline:
            # An event may come a little later than what it tells of.
            found = [at for at, _, _, name in list(self.writes) if name == LEASE and at <= before + 0.05]
            if found and time.monotonic() > before + 0.1:
                return found[-1]
            time.sleep(LOOK_S)
        raise AssertionError("the lease was not written")

    def twice(self) -> dict[tuple[str, str], int]:
        """What was created more than once."""
        return {key: times for key, times in self.created.items() if times > 1}
