"""What a tenant's cache user may do, compared with what the server says. Pure.

A user sees keys under its tenant's uid only, no channel, and the commands on the list: no scripts, no scans, nothing
that tells of neighbours. The server keeps a SHA-256 of the password, never the password.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from skep.operator import names

# What docs/app-contract.md promises to an app: exactly what the event app was recorded to use (tests/webapp/test_cache.py).
# Each names its keys, so that the pattern holds; none blocks the server.
COMMANDS = ("auth", "blpop", "get", "incrby", "lpush", "ltrim", "pexpire", "unlink")

# Said by servers of one version and not of another, and without meaning for what a user may do.
_NOISE = frozenset({"sanitize-payload", "skip-sanitize-payload", "resetchannels", "resetkeys", "alldbs", "-@all"})


@dataclass(frozen=True, slots=True)
class User:
    """*rules* are a set: the order in which a server lists them says nothing, since each command is named on its own."""

    name: str
    rules: frozenset[str]


@dataclass(frozen=True, slots=True)
class SetUser:
    """Make the user, or make it as it should be: whatever it had is reset."""

    user: User
    is_new: bool


def user_name(tenant: str, uid: str) -> str:
    """As the tenant's database is called: the uid in it is the proof of whose it is."""
    return names.database(tenant, uid)


def prefix(uid: str) -> str:
    """What each of the tenant's keys begins with."""
    return f"{uid}:"


def desire(name: str, uid: str, password: str) -> User:
    hashed = hashlib.sha256(password.encode()).hexdigest()
    return User(name, frozenset({"on", f"#{hashed}", f"~{prefix(uid)}*", *(f"+{command}" for command in COMMANDS)}))


def parse(line: str) -> User:
    """One line of `ACL LIST`: `user <name> <rule> ...`."""
    words = line.split()
    return User(words[1], frozenset(word for word in words[2:] if word not in _NOISE))


def plan(desired: User, observed: User | None) -> tuple[SetUser, ...]:
    """() when the server has it just so."""
    return () if desired == observed else (SetUser(desired, observed is None),)


def arguments(user: User) -> list[str]:
    """For `ACL SETUSER`: everything is taken away first."""
    given = sorted(user.rules - {"on"})
    return [user.name, "reset", "on", "resetchannels", "-@all", *given]
