"""What the embedded engine remembers: each object one file, written before anybody is told.

One version index over all objects, as raft's. It is reserved in blocks, so that it never goes back, whatever crashes.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from skep.operator.engine.embedded.codec import Codec
from skep.operator.engine.embedded.files import write_atomically
from skep.operator.engine.spec import Config, Network, NetworkSpec, Secret, Service
from skep.operator.errors import NotFound, SkepError

Kind = Literal["config", "secret", "network", "service"]
T = TypeVar("T")
BLOCK = 1000  # numbers reserved at a time; a crash skips what is left of them


@dataclass(frozen=True, slots=True)
class StoredSecret:
    secret: Secret
    data: bytes

    @property
    def id(self) -> str:
        return self.secret.id

    @property
    def name(self) -> str:
        return self.secret.name


@dataclass(frozen=True, slots=True)
class StoredNetwork:
    network: Network
    spec: NetworkSpec

    @property
    def id(self) -> str:
        return self.network.id

    @property
    def name(self) -> str:
        return self.network.name


class Shelf(Generic[T]):
    """Objects of one kind, by ID and by name."""

    def __init__(self, kind: Kind, form: type[T], directory: Path) -> None:
        self.kind = kind
        self._codec: Codec[T] = Codec(form)
        self._directory = directory / kind
        self._by_id: dict[str, T] = {}
        self._ids: dict[str, str] = {}

    def load(self) -> None:
        """Raises SkepError for a file that cannot be read: guessing would lose somebody's tenant."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        for path in sorted(self._directory.glob("*.json")):
            try:
                self._hold(self._codec.load(path.read_bytes()))
            except (OSError, ValueError) as error:
                raise SkepError(
                    f"cannot read {path}: {error}", remedy="put it back from a copy, or remove it"
                ) from error

    def _hold(self, item: Any) -> None:
        self._by_id[item.id] = item
        self._ids[item.name] = item.id

    def __iter__(self) -> Any:
        return iter(tuple(self._by_id.values()))

    def has(self, name: str) -> bool:
        return name in self._ids

    def find(self, ref: str) -> T:
        """By ID or name. Raises NotFound."""
        found = self._by_id.get(ref) or self._by_id.get(self._ids.get(ref, ""))
        if found is None:
            raise NotFound(f"{self.kind} {ref} is not there")
        return found

    def put(self, item: Any) -> None:
        write_atomically(self._directory / f"{item.id}.json", self._codec.dump(item))
        self._hold(item)

    def drop(self, item: Any) -> None:
        (self._directory / f"{item.id}.json").unlink(missing_ok=True)
        del self._by_id[item.id]
        del self._ids[item.name]


class Store:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.configs: Shelf[Config] = Shelf("config", Config, directory)
        self.secrets: Shelf[StoredSecret] = Shelf("secret", StoredSecret, directory)
        self.networks: Shelf[StoredNetwork] = Shelf("network", StoredNetwork, directory)
        self.services: Shelf[Service] = Shelf("service", Service, directory)
        for shelf in (self.configs, self.secrets, self.networks, self.services):
            shelf.load()
        self._index = self._reserved = int(self._read("index") or 0)
        self.id = self._read("id") or new_id()
        self._write("id", self.id)

    def of(self, kind: Kind) -> Shelf[Any]:
        shelves: Mapping[Kind, Shelf[Any]] = {
            "config": self.configs,
            "secret": self.secrets,
            "network": self.networks,
            "service": self.services,
        }
        return shelves[kind]

    def tick(self) -> int:
        """The next version."""
        if self._index >= self._reserved:
            self._reserved = self._index + BLOCK
            self._write("index", str(self._reserved))
        self._index += 1
        return self._index

    def _read(self, name: str) -> str:
        try:
            return (self._directory / name).read_text().strip()
        except FileNotFoundError:
            return ""

    def _write(self, name: str, text: str) -> None:
        write_atomically(self._directory / name, text.encode())


def new_id() -> str:
    """25 lower-case letters and digits, as Swarm's."""
    return "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(25))
