"""The operator's settings: read once from the environment, nothing else reads it.

Each field is `SKEP_<NAME>` in upper case; the default and its reason stand beside it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import get_origin, get_type_hints

from skep.operator.errors import UsageError

REFRESH_MAX_S = 60.0
_ADDRESS = re.compile(r"[^\s=]+=[^\s=]+:[0-9]{1,5}")


def _check(variable: str, text: str, value: object) -> None:
    """A number that would make a loop spin or stand still, or an address that would fail at its first use."""
    if isinstance(value, int | float) and not 0 < value < float("inf"):
        raise UsageError(f"{variable}={text!r} must be above 0")
    if variable == "SKEP_REFRESH_S" and isinstance(value, float) and value > REFRESH_MAX_S:
        raise UsageError(
            f"{variable}={text!r} is more than {REFRESH_MAX_S:g} s: every ending task would serve that long"
        )
    if variable == "SKEP_HTTP_PORT" and isinstance(value, int) and value > 65535:
        raise UsageError(f"{variable}={text!r} is not a port")
    if variable == "SKEP_ADDRESSES" and isinstance(value, tuple):
        for entry in value:
            if not _ADDRESS.fullmatch(entry):
                raise UsageError(f"{variable}: {entry!r} is not like host=real-host:port")


@dataclass(frozen=True, slots=True)
class Settings:
    """Read with `Settings.from_env()`; a wrong value raises UsageError that names the variable."""

    engine: str = "unix:///var/run/docker.sock"  # a Docker host, or `embedded:<socket>`
    secrets_dir: Path = Path("/run/secrets")  # where Swarm mounts secrets
    edge_url: str = "http://tasks.traefik:80"  # every task behind this name is asked by the judge
    refresh_s: float = 2.0  # how often the edge looks at the swarm; an ending task serves that long and a bit more
    edge_suffix: str = ""  # `:8080` where people reach the edge on another port than the scheme's own
    http_host: str = "0.0.0.0"  # noqa: S104 - inside a container; the stack publishes no port of it
    http_port: int = 9120  # /healthz, /readyz, /metrics
    workers: int = 8  # tenants reconciled at once: PostgreSQL gains little beyond 8 clones at a time
    call_deadline_s: float = 5.0  # one engine call; the daemon itself gives up after 20
    lease_s: float = 15.0  # how long a leader that says nothing is waited for; renewed at a third of it
    job_deadline_s: float = 300.0  # one migration of one tenant
    resync_s: float = 60.0  # a full list even if no event came
    rota_s: float = 600.0  # slow checks that need a connection into each tenant, spread over this period
    history: int = 10  # revisions kept a source
    proxies: tuple[str, ...] = ("tasks.traefik",)  # whose X-Forwarded-* an app may believe; space-separated
    addresses: tuple[str, ...] = ()  # `host=real-host:port`, for an engine without name service (the embedded one)

    def address(self, host: str, port: int) -> tuple[str, int]:
        """Where *host* really answers: as declared, unless `addresses` moves it."""
        for entry in self.addresses:
            name, _, target = entry.partition("=")
            if name == host:
                real, _, real_port = target.rpartition(":")
                return real, int(real_port)
        return host, port

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        env = os.environ if env is None else env
        types = get_type_hints(cls)
        values: dict[str, object] = {}
        for field in fields(cls):
            variable = f"SKEP_{field.name.upper()}"
            if (text := env.get(variable)) is not None:
                kind = types[field.name]
                try:
                    values[field.name] = tuple(text.split()) if get_origin(kind) is tuple else kind(text)
                except ValueError as error:
                    wanted = "whole number" if kind is int else "number"
                    raise UsageError(f"{variable}={text!r} is not a {wanted}") from error
                _check(variable, text, values[field.name])
        return cls(**values)  # type: ignore[arg-type]  # each value went through its field's own type
