"""Secrets: what skep generates for a tenant, and what the tenant brings.

Generated ones derive from the root key, so a lost secret is made again with the same value. What a tenant brings must
already be a secret of the engine and carry its label; nothing else is mounted, whatever a declaration says.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from skep.operator import names
from skep.operator.engine.spec import Mount, Secret
from skep.operator.errors import NameTaken, TerminalError
from skep.operator.keys import RootKey
from skep.operator.loop.registry import DONE, Result
from skep.operator.reconcilers import drift
from skep.operator.reconcilers.record import Record
from skep.operator.reconcilers.subject import Subject, tenants
from skep.operator.reconcilers.world import World

DATABASE_FILE = "database-password"
CACHE = "cache"  # the purpose
CACHE_FILE = "cache-password"


def slot(generation: int) -> str:
    """Two login roles take turns: odd generations are `a`, even ones `b`."""
    return "a" if generation % 2 else "b"


def database_purpose(generation: int) -> str:
    return f"db-{slot(generation)}"


@dataclass(frozen=True, slots=True)
class SecretWant:
    """A generated secret. *fingerprint* is None where no root key is at hand (`skep diff`): names are compared then."""

    name: str
    purpose: str
    fingerprint: str | None
    file: str  # as which a task finds it


@dataclass(frozen=True, slots=True)
class CreateSecret:
    want: SecretWant


@dataclass(frozen=True, slots=True)
class ReplaceSecret:
    """Somebody made a secret of our name with other data; it goes, unless a service uses it (then it is reported)."""

    want: SecretWant
    secret_id: str


Action = CreateSecret | ReplaceSecret


def desire(record: Record, keys: RootKey | None) -> tuple[SecretWant, ...]:
    generation = record.secret_generation
    purposes = [(database_purpose(generation), DATABASE_FILE)]
    if record.cache:
        purposes.append((CACHE, CACHE_FILE))
    key_id = record.key_id or (keys.id if keys is not None else "")
    return tuple(
        SecretWant(
            names.secret(record.name, purpose, generation, key_id),
            purpose,
            _fingerprint(keys, record.uid, purpose, generation) if keys is not None else None,
            file,
        )
        for purpose, file in purposes
    )


@lru_cache(maxsize=20_000)  # four derivations each, and a fleet's are compared at every resync
def _fingerprint(keys: RootKey, uid: str, purpose: str, generation: int) -> str:
    return keys.fingerprint(keys.password(uid, purpose, generation).encode())


def mounts(record: Record) -> tuple[Mount, ...]:
    """All secrets of the tenant's tasks, ours first."""
    own = tuple(Mount(want.name, want.file) for want in desire(record, None))
    return own + tuple(Mount(secret, file) for file, secret in record.spec.secrets)


def plan(desired: Iterable[SecretWant], observed: Iterable[Secret]) -> tuple[Action, ...]:
    have = {secret.name: secret for secret in observed}
    actions: list[Action] = []
    for want in desired:
        if (secret := have.get(want.name)) is None:
            actions.append(CreateSecret(want))
        elif want.fingerprint is not None and dict(secret.labels).get(names.FINGERPRINT) != want.fingerprint:
            actions.append(ReplaceSecret(want, secret.id))
    return tuple(actions)


def missing(record: Record, observed: Iterable[Secret]) -> str | None:
    """The sentence about the first secret that the tenant should have brought, with the command that makes it."""
    labelled = {secret.name for secret in observed if names.UID not in dict(secret.labels)}
    for file, name in record.spec.secrets:
        if name not in labelled:
            return (
                f"secret {name} (for {file}) is not there or does not carry this tenant's label: "
                f"`docker secret create --label {names.TENANT}={record.name} {name} FILE` "
                f"(embedded: a file brought/{record.name}/{name} in its home)"
            )
    return None


async def apply(actions: Iterable[Action], record: Record, keys: RootKey, world: World) -> None:
    for action in actions:
        want = action.want
        if isinstance(action, ReplaceSecret):
            await world.remove_secret(action.secret_id)
        labels = {
            names.TENANT: record.name,
            names.UID: record.uid,
            names.PURPOSE: want.purpose,
            names.FINGERPRINT: want.fingerprint or "",
        }
        try:
            password = keys.password(record.uid, want.purpose, record.secret_generation)
            await world.create_secret(want.name, password.encode(), labels)
        except NameTaken:
            found = await world.find_secret(want.name)
            if found is not None and plan((want,), (found,)):  # not the one that we would have made
                raise TerminalError(
                    f"secret {want.name} belongs to somebody else",
                    reason="NotOurs",
                    remedy=f"remove it: `docker secret rm {want.name}`; it is made again",
                ) from None


@tenants.reconciler("secrets", after=("record",))
async def reconcile(subject: Subject) -> Result:
    record, ports = subject.known, subject.ports
    observed = ports.world.secrets_of(subject.name)
    if actions := plan(desire(record, ports.keys), observed):
        drifted = drift.is_settled(subject, mounts(record))
        await apply(actions, record, ports.keys, ports.world)
        if drifted:
            drift.repaired("secrets", ("secret" for _ in actions))
    if (sentence := missing(record, observed)) is not None:
        raise TerminalError(sentence, reason="SecretMissing")
    return DONE
