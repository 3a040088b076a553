"""From the desired and the observed database to actions, and from actions to SQL. Pure.

The shape was verified by attack: the database belongs to the admin role, its contents to a NOLOGIN role of the
tenant, and two login roles (taken in turns by rotation) are that role's members and act as it. A tenant that owned
its database could grant CONNECT to PUBLIC and lift its own limit. CONNECTION LIMIT comes last: 0 means "not complete".
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from skep.operator.engine.spec import Pairs, pairs
from skep.operator.errors import TerminalError
from skep.operator.reconcilers.database.catalog import Catalog, Role

TEMPLATE_ROLE = "skep_template"  # owns what is inside templates, and no database
IDLE_IN_TRANSACTION_S = 60.0
SHARED = ("postgres", "template1")  # PostgreSQL lets PUBLIC connect to both
INVALID = -2  # the connection limit of a database whose DROP was interrupted


@dataclass(frozen=True, slots=True)
class DatabaseSpec:
    """*name* is the database's and its content role's. *verifiers*: by login role, None for one that may not log in."""

    name: str
    tenant: str
    uid: str
    admin: str
    verifiers: tuple[tuple[str, str | None], ...]
    connection_limit: int
    statement_timeout_s: float
    extensions: tuple[str, ...]

    @property
    def names(self) -> frozenset[str]:
        return frozenset({self.name, *(login for login, _ in self.verifiers)})

    @property
    def login_settings(self) -> Pairs:
        return pairs(
            {
                "role": self.name,
                "statement_timeout": f"{round(self.statement_timeout_s * 1000)}",
                "idle_in_transaction_session_timeout": f"{round(IDLE_IN_TRANSACTION_S * 1000)}",
            }
        )

    @property
    def grants(self) -> tuple[str, ...]:
        """CONNECT and TEMPORARY for the content role, everything for the admin that owns it; nothing for PUBLIC."""
        return tuple(sorted((f"{self.admin}=CTc", f"{self.name}=Tc")))


@dataclass(frozen=True, slots=True)
class CreateRole:
    name: str


@dataclass(frozen=True, slots=True)
class SetRole:
    """Attributes, membership and verifier of one role, as they should be. *drop*: memberships somebody added."""

    name: str
    login: bool
    verifier: str | None
    group: str | None
    drop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CreateDatabase:
    name: str
    template: str


@dataclass(frozen=True, slots=True)
class Furnish:
    """Inside the new database: hand its contents to the tenant's role; create extensions."""

    name: str
    extensions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grant:
    name: str
    admin: str
    revoke: tuple[str, ...]  # grantees that should not be there; "" is PUBLIC


@dataclass(frozen=True, slots=True)
class SetLogin:
    """Settings of a login role in its database, replacing what is there."""

    database: str
    login: str
    settings: Pairs


@dataclass(frozen=True, slots=True)
class Comment:
    name: str
    comment: str


@dataclass(frozen=True, slots=True)
class Limit:
    name: str
    connections: int


Action = CreateRole | SetRole | CreateDatabase | Furnish | Grant | SetLogin | Comment | Limit


def comment_of(spec: DatabaseSpec, schema: str) -> dict[str, object]:
    """Proof of ownership, and what was done inside: *schema* is the image whose migrations the template had."""
    return {"skep": 1, "tenant": spec.tenant, "uid": spec.uid, "extensions": list(spec.extensions), "schema": schema}


def check_identity(spec: DatabaseSpec, observed: Catalog, *, provisioned: bool, system_id: str) -> None:
    """Raises TerminalError where making a database would hide a loss: a person decides then, by name."""
    remedy = f"restore it, or `skep approve database {spec.tenant}` to start empty"
    if provisioned and system_id and observed.system_id != system_id:
        raise TerminalError(
            f"the server is another one (system {observed.system_id}, was {system_id}); nothing was made",
            reason="ServerReplaced",
            remedy=remedy,
        )
    known = observed.databases.get(spec.name)
    if provisioned and known is None:
        raise TerminalError(
            f"database {spec.name} is gone; nothing was made in its place", reason="DatabaseMissing", remedy=remedy
        )
    if known is not None and known.comment.get("uid", spec.uid) != spec.uid:
        raise TerminalError(
            f"database {spec.name} belongs to tenant uid {known.comment['uid']}",
            reason="NotOurs",
            remedy="look at it with `skep psql` and remove it by hand if nobody needs it",
        )


def plan(spec: DatabaseSpec, observed: Catalog, *, template: str | None, schema: str = "") -> tuple[Action, ...]:
    """() when converged. *template* is needed only for a database that does not exist yet.

    *schema* is what the comment shall say if it says nothing yet, or no more.
    """
    actions: list[Action] = [*_roles(spec, observed)]
    database = observed.databases.get(spec.name)
    complete = database is not None and database.limit != 0
    if database is None:
        if template is None:
            raise ValueError("a new database needs a template")
        actions.append(CreateDatabase(spec.name, template))
    grants = database.grants if database is not None else None
    if grants != spec.grants or (database is not None and database.owner != spec.admin):
        expected = {grant.split("=")[0] for grant in spec.grants}
        strangers = tuple(sorted({grant.split("=")[0] for grant in grants or ("=",)} - expected))
        actions.append(Grant(spec.name, spec.admin, strangers))
    have = set(database.comment.get("extensions", ())) if database is not None else set()
    if not complete or not have.issuperset(spec.extensions):
        if database is not None and not database.open:  # closed by a retained deletion: for the admin alone, at first
            actions.append(Limit(spec.name, 0))
        actions.append(Furnish(spec.name, spec.extensions))
    for login, _ in spec.verifiers:
        if observed.settings.get((spec.name, login), ()) != spec.login_settings:
            actions.append(SetLogin(spec.name, login, spec.login_settings))
    logins = {login for login, _ in spec.verifiers}
    actions += [
        SetLogin(scope, role, ())  # somebody set something for a role everywhere, or for the whole database
        for scope, role in (
            *(("", role) for role in sorted(spec.names) if ("", role) in observed.settings),
            *((spec.name, role) for role in sorted(observed.roles_set(spec.name)) if role not in logins),
        )
    ]
    known_schema = str(database.comment.get("schema", schema)) if database is not None else schema
    comment = comment_of(spec, known_schema)
    if database is None or database.comment != comment:
        actions.append(Comment(spec.name, json.dumps(comment, sort_keys=True)))
    if database is None or database.limit != spec.connection_limit or not database.open:
        actions.append(Limit(spec.name, spec.connection_limit))
    return tuple(actions)


def _roles(spec: DatabaseSpec, observed: Catalog) -> list[Action]:
    actions: list[Action] = []
    wanted = [Role(spec.name, False, -1, None)]
    wanted += [
        Role(login, verifier is not None, -1, verifier, groups=(spec.name,)) for login, verifier in spec.verifiers
    ]
    for role in wanted:
        have = observed.roles.get(role.name)
        if have is None:
            actions.append(CreateRole(role.name))
        if have != role:
            group = role.groups[0] if role.groups else None
            strangers = {*have.groups, *have.delegates} - set(role.groups) if have is not None else set()
            regrant = have is not None and bool(have.delegates)
            drop = tuple(sorted(strangers | (set(role.groups) if regrant else set())))
            actions.append(SetRole(role.name, role.login, role.verifier, group, drop))
    return actions


def close_shared(observed: Catalog) -> tuple[str, ...]:
    """Statements that keep tenants out of the databases of a fresh server; () once done.

    A tenant inside `postgres` sees others' activity there, and one inside `template1` blocks every CREATE DATABASE.
    """
    return tuple(
        f"revoke connect, temporary on database {ident(name)} from public"
        for name in SHARED
        if (known := observed.databases.get(name)) is not None
        and (known.grants is None or any(grant.startswith("=") for grant in known.grants))
    )


def ident(name: str) -> str:
    """A quoted identifier. Names are made by skep from checked parts; this is the second lock."""
    if not name or "\0" in name or len(name.encode()) > 63:
        raise ValueError(f"not an identifier: {name!r}")
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    if "\0" in text:
        raise ValueError("a NUL has no place in SQL")
    escaped = text.replace("'", "''")
    return f" E'{escaped.replace(chr(92), chr(92) * 2)}'" if "\\" in text else f"'{escaped}'"


def sql(action: Action) -> tuple[str, ...]:
    """The statements of *action*, each to be run on its own: CREATE DATABASE allows no transaction."""
    match action:
        case CreateRole(name=name):
            return (f"create role {ident(name)} nologin",)
        case SetRole(name=name, login=login, verifier=verifier, group=group, drop=drop):
            password = f"password {literal(verifier)}" if verifier is not None else "password null"
            plain = (
                "nosuperuser nocreatedb nocreaterole noreplication nobypassrls inherit "
                "connection limit -1 valid until 'infinity'"
            )
            change = f"alter role {ident(name)} {'login' if login else 'nologin'} {plain} {password}"
            revoke = tuple(f"revoke {ident(stranger)} from {ident(name)}" for stranger in drop)
            return (change, *revoke, *((f"grant {ident(group)} to {ident(name)}",) if group else ()))
        case CreateDatabase(name=name, template=template):
            return (f"create database {ident(name)} template {ident(template)} connection limit 0",)
        case Furnish(name=name, extensions=extensions):
            return (
                f"reassign owned by {ident(TEMPLATE_ROLE)} to {ident(name)}",
                "revoke all on schema public from public",
                f"alter schema public owner to {ident(name)}",
                *(f"create extension if not exists {ident(each)} schema public" for each in extensions),
            )
        case Grant(name=name, admin=admin, revoke=strangers):
            revoke = tuple(
                f"revoke all on database {ident(name)} from {ident(each) if each else 'public'} cascade"
                for each in strangers
            )
            return (
                f"alter database {ident(name)} owner to {ident(admin)}",
                *revoke,
                f"revoke all on database {ident(name)} from public cascade",
                f"revoke all on database {ident(name)} from {ident(name)} cascade",
                f"grant all on database {ident(name)} to {ident(admin)}",
                f"grant connect, temporary on database {ident(name)} to {ident(name)}",
            )
        case SetLogin(database=database, login=login, settings=settings):
            scope = f" in database {ident(database)}" if database else ""
            head = f"alter role {ident(login)}{scope}" if login else f"alter database {ident(database)}"
            return (f"{head} reset all", *(f"{head} set {key} = {literal(value)}" for key, value in settings))
        case Comment(name=name, comment=comment):
            return (f"comment on database {ident(name)} is {literal(comment)}",)
        case Limit(name=name, connections=connections):
            return (f"alter database {ident(name)} with allow_connections true connection limit {connections:d}",)
