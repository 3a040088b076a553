"""The names and labels of everything skep makes, in one place, so that a newcomer can read the swarm.

Two labels prove ownership: `skep.uid` (the proof) and `skep.tenant` (for people). `skep.kind` tells our own objects
apart. Nothing that belongs to a tenant carries a stack's label, or `docker stack rm` would take tenants with it.
"""

from __future__ import annotations

from typing import Literal

KIND = "skep.kind"  # one of Kind below; every config of ours but a source's carries it
UID = "skep.uid"
TENANT = "skep.tenant"
SOURCE = "skep.source"  # on a revision: the name of its source; the only label the plain Docker way needs
PURPOSE = "skep.purpose"  # on a secret: what it is for
FINGERPRINT = "skep.fingerprint"  # on a secret: a keyed hash of its data, since an engine never gives data back
REVISION = "skep.revision"  # on a tenant's service: hash of what a task is started from

DATABASE_HOST = "skep.database"  # on a stack's service: the host name by which the Platform knows this server
NETWORK = "skep.network"  # on a network: control, edge-1, data-1 ...

Kind = Literal["record", "status", "settings", "request", "sources", "operator", "job", "lease"]


def record(tenant: str) -> str:
    return f"skep.record.{tenant}"


def status(tenant: str) -> str:
    return f"skep.status.{tenant}"


def request(request_id: str) -> str:
    return f"skep.request.{request_id}"


SOURCES = "skep.sources"
OPERATOR = "skep.operator"
LEASE = "skep.lease"  # which of several operators leads


def revision(source: str, number: int) -> str:
    return f"{source}.r{number}"


def settings(tenant: str, digest: str) -> str:
    """Named by content: an equal name is an equal body. At most 64 characters for a name of 32."""
    return f"skep.{tenant}.settings.{digest[:12]}"


def secret(tenant: str, purpose: str, generation: int, key_id: str) -> str:
    return f"skep.{tenant}.{purpose}.g{generation}.{key_id}"


Part = Literal["web", "worker"]
PARTS: tuple[Part, ...] = ("web", "worker")  # what a tenant may have as a service


def service(tenant: str, part: Part = "web") -> str:
    return f"skep-{tenant}-{part}"


def job(tenant: str, what: str, digest: str) -> str:
    """Unique for a run: the same work has the same name, so that a second leader finds it instead of doubling it."""
    return f"skep-{tenant}-{what}-{digest[:10]}"


def database(tenant: str, uid: str) -> str:
    """The database and the role that owns its contents: the uid in the name is the proof of ownership (43 bytes)."""
    return f"t_{tenant}_{uid[:8]}"


def login(tenant: str, uid: str, slot: Literal["a", "b"]) -> str:
    return f"{database(tenant, uid)}_{slot}"
