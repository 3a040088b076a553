"""What a database server has, as values: one query's answer, for one tenant or for all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from skep.operator.engine.spec import Pairs

# One row of JSON. $1 are LIKE patterns. pg_authid needs a superuser; the verifier is compared as a string.
QUERY = """
select json_build_object(
  'system', (select system_identifier::text from pg_control_system()),
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
        )


def parse(text: str) -> Catalog:
    answer = json.loads(text)
    return Catalog(
        system_id=answer["system"],
        databases={each["name"]: _database(each) for each in answer["databases"]},
        roles={
            each["name"]: Role(
                each["name"],
                each["login"],
                each["limit"],
                each["verifier"],
                tuple(each["powers"]),
                tuple(each["groups"]),
                tuple(each["delegates"]),
            )
            for each in answer["roles"]
        },
        settings={
            (each["database"], each["role"]): tuple(sorted(_setting(line) for line in each["config"]))
            for each in answer["settings"]
        },
    )


def _setting(line: str) -> tuple[str, str]:
    key, _, value = line.partition("=")
    return key, value


def _database(each: dict[str, Any]) -> Database:
    acl = each["acl"]
    grants = None if acl is None else tuple(sorted(str(item).rsplit("/", 1)[0].replace('"', "") for item in acl))
    return Database(each["name"], each["owner"], each["limit"], each["open"], read_comment(each["comment"]), grants)


def read_comment(text: str | None) -> Mapping[str, Any]:
    """The JSON that skep writes on its databases; {} for anything else."""
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
