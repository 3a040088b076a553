"""What every engine holds to alike: names, sizes, labels, and which change restarts a task.

The numbers are Swarm's (measured), so that what works on one engine works on all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from skep.operator.engine.spec import Mount, Pairs, Route, ServiceSpec
from skep.operator.errors import EngineRefused

CONFIG_BYTES = 1_023_999
SECRET_BYTES = 511_999
_OBJECT_NAME = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9-_.]*[a-zA-Z0-9])?")
_ROUTE_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*")
_HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_NETWORK = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}")
_SERVICE_NAME = re.compile(r"[a-zA-Z0-9](?:[-_]*[a-zA-Z0-9]+)*")


def check_config(name: str, data: bytes) -> None:
    """Raises EngineRefused for a name or size that no engine takes."""
    _check_object("config", name, data, CONFIG_BYTES)


def check_secret(name: str, data: bytes) -> None:
    """Raises EngineRefused for a name or size that no engine takes."""
    _check_object("secret", name, data, SECRET_BYTES)


def _check_object(kind: str, name: str, data: bytes, most: int) -> None:
    if len(name) > 64 or not _OBJECT_NAME.fullmatch(name):
        raise EngineRefused(f"{kind} name {name!r} is not up to 64 of letters, digits, '-', '_' and '.'")
    if not 1 <= len(data) <= most:
        raise EngineRefused(f"{kind} {name} has {len(data)} bytes, not 1 to {most}")


def check_service_name(name: str) -> None:
    """Raises EngineRefused: services become DNS names, so dots are out."""
    if len(name) > 63 or not _SERVICE_NAME.fullmatch(name):
        raise EngineRefused(f"service name {name!r} is not up to 63 of letters, digits, '-' and '_'")


def check_label(label: str) -> None:
    """Raises EngineRefused for a filter that would let everything through: bodies travel with a list."""
    if not label.partition("=")[0]:
        raise EngineRefused("a list needs a label to filter by")


def check_route(route: Route) -> None:
    """Raises EngineRefused for a name, host or header that could mean something else in an edge's configuration."""
    if not _ROUTE_NAME.fullmatch(route.name):
        raise EngineRefused(f"route name {route.name!r} is not a DNS label")
    if not route.hosts:
        raise EngineRefused(f"route {route.name} has no host")
    for host in route.hosts:
        if not _HOST.fullmatch(host):
            raise EngineRefused(f"host {host!r} of route {route.name} is not a lower-case DNS name")
    if not 1 <= route.port <= 65535:
        raise EngineRefused(f"port {route.port} of route {route.name} is not 1 to 65535")
    if route.network is not None and not _NETWORK.fullmatch(route.network):
        raise EngineRefused(f"network {route.network!r} of route {route.name} is not a network's name")
    for header, value in route.headers:
        if not _HEADER.fullmatch(header) or not _VALUE.fullmatch(value):
            raise EngineRefused(f"header {header!r} of route {route.name} has a name or value that HTTP does not allow")


def carries(labels: Pairs, label: str) -> bool:
    """Whether *labels* match a filter as the Engine API words it: `key` or `key=value`."""
    key, equals, value = label.partition("=")
    return any(k == key and (not equals or v == value) for k, v in labels)


def files(mounts: Iterable[Mount]) -> tuple[str, ...]:
    return tuple(mount.name for mount in mounts)


def task_part(spec: ServiceSpec) -> tuple[object, ...]:
    """What of *spec* a running task was made from: two specs with equal parts restart nothing.

    Labels, hosts and headers of a route, the number of replicas and the update policy are the service's own.
    """
    return (
        spec.image,
        spec.args,
        spec.env,
        spec.configs,
        spec.secrets,
        spec.networks,
        spec.constraints,
        spec.resources,
        spec.health,
        spec.stop_grace_s,
        spec.route.port if spec.route else None,
        spec.unmanaged,
    )
