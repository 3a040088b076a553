"""What a database server has, as values: one query's answer, for one tenant or for all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from sys import intern
from typing import Any, TypeVar

from skep.operator.engine.spec import Pairs

# One row of JSON. $1 are LIKE patterns. pg_authid needs a superuser; the verifier is compared as a string.
QUERY = """
select json_build_object(
  'system', (select system_identifier::text from pg_control_system()),
  'connections', (select count(*) from pg_stat_activity where backend_type = 'client backend'),
  'connections_max', current_setting('max_connections')::int,
  'databases', coalesce((select json_agg(json_build_object(
      'name', d.datname, 'owner', pg_get_userbyid(d.datdba), 'limit', d.datconnlimit, 'open', d.datallowconn,
      'comment', shobj_description(d.oid, 'pg_database'), 'acl', d.datacl::text[]))
    from pg_database d where d.datname like any($1)), '[]'),
  'roles', coalesce((select json_agg(json_build_object(
      'name', r.rolname, 'login', r.rolcanlogin, 'limit', r.rolconnlimit, 'verifier', r.rolpassword,
      'powers', array_remove(array[
          case when r.rolsuper then 'SUPERUSER' end, case when r.rolcreatedb then 'CREATEDB' end,
          case when r.rolcreaterole then 'CREATEROLE' end, case when r.rolreplication then 'REPLICATION' end,
          case when r.rolbypassrls then 'BYPASSRLS' end, case when not r.rolinherit then 'NOINHERIT' end,
          case when r.rolvaliduntil < 'infinity' then 'EXPIRES' end], null),
      'groups', (select coalesce(json_agg(distinct g.rolname order by g.rolname), '[]') from pg_auth_members m
                 join pg_roles g on g.oid = m.roleid where m.member = r.oid),
      'delegates', (select coalesce(json_agg(distinct g.rolname order by g.rolname), '[]') from pg_auth_members m
                 join pg_roles g on g.oid = m.roleid where m.member = r.oid and m.admin_option)))
    from pg_authid r where r.rolname like any($1)), '[]'),
  'settings', coalesce((select json_agg(json_build_object(
      'database', coalesce(d.datname, ''), 'role', coalesce(r.rolname, ''), 'config', s.setconfig))
    from pg_db_role_setting s left join pg_database d on d.oid = s.setdatabase left join pg_roles r on r.oid = s.setrole
    where d.datname like any($1) or r.rolname like any($1)), '[]'))::text
"""


@dataclass(frozen=True, slots=True)
class Role:
    name: str
    login: bool
    limit: int
    verifier: str | None
    powers: tuple[str, ...] = ()  # attributes that a role of ours has not, EXPIRES and NOINHERIT among them
    groups: tuple[str, ...] = ()
    delegates: tuple[str, ...] = ()  # roles it may hand on to others; always empty for ours


@dataclass(frozen=True, slots=True)
class Database:
    """*grants* is `grantee=privileges` without the grantor, sorted; `=Tc` would be PUBLIC."""

    name: str
    owner: str
    limit: int
    open: bool
    comment: Mapping[str, Any] = field(hash=False)
    grants: tuple[str, ...] | None = ()  # None: never touched, which means PUBLIC may connect


@dataclass(frozen=True, slots=True)
class Catalog:
    system_id: str
    databases: Mapping[str, Database] = field(default_factory=dict)
    roles: Mapping[str, Role] = field(default_factory=dict)
    settings: Mapping[tuple[str, str], Pairs] = field(default_factory=dict)  # (database, role), "" for all
    # Of the whole server when this was read, for people and Prometheus: no plan looks at them. 0: not asked.
    connections: int = field(default=0, compare=False)
    connections_max: int = field(default=0, compare=False)
    # Roles with settings, by database: a plan asks for one database of thousands.
    _roles_set: dict[str, list[str]] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        for database, role in self.settings:
            self._roles_set.setdefault(database, []).append(role)

    def roles_set(self, database: str) -> Sequence[str]:
        """Roles for which something is set in *database*; "" among them for what is set for all."""
        return self._roles_set.get(database, ())

    def merged(self, newer: Catalog, names: frozenset[str]) -> Catalog:
        """This catalog with everything about *names* (databases and roles) as *newer* has it."""

        def keep(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
            return {key: value for key, value in old.items() if key not in names} | dict(new)

        settings = {key: value for key, value in self.settings.items() if names.isdisjoint(key)}
        return Catalog(
            newer.system_id,
            keep(self.databases, newer.databases),
            keep(self.roles, newer.roles),
            settings | dict(newer.settings),
            newer.connections,
            newer.connections_max,
        )


def parse(text: str, known: Catalog | None = None) -> Catalog:
    """What QUERY answered. What is as in *known* is taken from there: two catalogs of a large server share memory."""
    # Each row becomes a value while the text is decoded: as dictionaries, those of 10,000 tenants weigh 100 MB.
    answer = json.loads(text, object_hook=partial(_row, known or Catalog("")))
    return Catalog(
        system_id=answer["system"],
        databases={each.name: each for each in answer["databases"]},
        roles={each.name: each for each in answer["roles"]},
        settings=dict(answer["settings"]),
        connections=answer.get("connections", 0),
        connections_max=answer.get("connections_max", 0),
    )


T = TypeVar("T")


def _same(new: T, old: T | None) -> T:
    return old if old is not None and old == new else new


def _row(known: Catalog, each: dict[str, Any]) -> Any:
    """A row of one of the three lists as its value; the answer as a whole stays as it is."""
    if "verifier" in each:
        return _same(_role(each), known.roles.get(each["name"]))
    if "acl" in each:
        return _same(_database(each), known.databases.get(each["name"]))
    if "config" in each:
        key = (intern(each["database"]), intern(each["role"]))
        return key, _same(tuple(sorted(map(_setting, each["config"]))), known.settings.get(key))
    return each


def _role(each: dict[str, Any]) -> Role:
    powers, groups, delegates = (tuple(map(intern, each[field])) for field in ("powers", "groups", "delegates"))
    return Role(intern(each["name"]), each["login"], each["limit"], each["verifier"], powers, groups, delegates)


def _setting(line: str) -> tuple[str, str]:
    key, _, value = line.partition("=")
    return intern(key), intern(value)


def _database(each: dict[str, Any]) -> Database:
    acl = each["acl"]
    grants = (
        None if acl is None else tuple(sorted(intern(str(item).rsplit("/", 1)[0].replace('"', "")) for item in acl))
    )
    return Database(
        intern(each["name"]), intern(each["owner"]), each["limit"], each["open"], read_comment(each["comment"]), grants
    )


def read_comment(text: str | None) -> Mapping[str, Any]:
    """The JSON that skep writes on its databases; {} for anything else."""
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return {intern(key): item for key, item in value.items()} if isinstance(value, dict) else {}
