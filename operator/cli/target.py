"""Which engine a command talks to, and how to reach it."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from skep.operator.engine.port import Engine
from skep.operator.errors import UsageError

DEFAULT_DOCKER_HOST = "unix:///var/run/docker.sock"


def embedded_home(home: Path | None) -> Path:
    """`--home`, SKEP_HOME, or the usual place for state: /var/lib/skep for root, ~/.local/state/skep for others."""
    if home is not None:
        return home.absolute()
    if said := os.environ.get("SKEP_HOME"):
        return Path(said).absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/skep")
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "skep"


def docker_host(context: str | None) -> str:
    """The daemon's address as the Docker CLI finds it: --context, DOCKER_HOST, DOCKER_CONTEXT, the current context."""
    directory = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    if context is None:
        if host := os.environ.get("DOCKER_HOST"):
            return host
        context = os.environ.get("DOCKER_CONTEXT")
        if context is None:
            try:
                context = json.loads((directory / "config.json").read_text()).get("currentContext")
            except (OSError, ValueError, AttributeError):  # not there, not JSON, not an object
                context = None
    if context in (None, "", "default"):
        return os.environ.get("DOCKER_HOST") or DEFAULT_DOCKER_HOST
    for meta in sorted((directory / "contexts" / "meta").glob("*/meta.json")):
        try:
            found = json.loads(meta.read_text())
        except (OSError, ValueError):
            continue
        if found.get("Name") == context:
            return str(found.get("Endpoints", {}).get("docker", {}).get("Host") or DEFAULT_DOCKER_HOST)
    raise UsageError(f"there is no Docker context {context}", remedy="`docker context ls` lists them")


@dataclass(frozen=True, slots=True)
class Target:
    engine: str | None = None
    context: str | None = None
    home: Path | None = None

    @property
    def home_path(self) -> Path:
        return embedded_home(self.home)

    @property
    def socket(self) -> Path:
        return self.home_path / "engine.sock"

    @property
    def is_embedded(self) -> bool:
        """As said; else embedded if `skep up` left its socket here and nobody named a Docker daemon."""
        if self.engine is not None:
            return self.engine == "embedded"
        if self.context is not None:
            return False
        try:
            return stat.S_ISSOCK(self.socket.stat().st_mode)
        except OSError:
            return False

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator[Engine]:
        """The engine, closed at the end of the block."""
        engine = open_engine(f"embedded:{self.socket}" if self.is_embedded else docker_host(self.context))
        try:
            yield engine
        finally:
            await engine.close()


def open_engine(address: str) -> Engine:
    """*address* is `embedded:<socket>` or a Docker host (`unix://...`, `tcp://...`)."""
    if address.startswith("embedded:"):
        from skep.operator.engine.embedded.client import EmbeddedClient

        return EmbeddedClient(Path(address.removeprefix("embedded:")))
    from skep.operator.engine.swarm import SwarmEngine

    return SwarmEngine(address)
