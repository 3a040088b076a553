"""A tenant's login tries every way out of its database, and every drift by hand is repaired."""

from __future__ import annotations

import asyncpg
import pytest

from tests.hive.conftest import ADMIN, PLAN, PLATFORM, Rig, tenant


async def two_tenants(rig: Rig) -> tuple[str, str]:
    """Their databases."""
    async with rig.operator():
        await rig.publish(PLATFORM, PLAN, tenant("acme"), tenant("birch"))
        await rig.phase("acme", "Ready")
        await rig.phase("birch", "Ready")
    return rig.database("acme"), rig.database("birch")


async def shape(rig: Rig) -> dict[str, list[tuple[object, ...]]]:
    """Databases, roles, memberships and settings as PostgreSQL tells them to an outsider."""
    queries = {
        "databases": "select datname, pg_get_userbyid(datdba), datacl::text, datconnlimit, datallowconn, "
        r"shobj_description(oid, 'pg_database') from pg_database where datname like 't\_%' order by 1",
        "roles": "select rolname, rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls, "
        "rolinherit, rolconnlimit, coalesce(rolvaliduntil, 'infinity')::text, rolpassword from pg_authid "
        r"where rolname like 't\_%' order by 1",
        "members": "select roleid::regrole::text, member::regrole::text, admin_option from pg_auth_members "
        r"where member::regrole::text like 't\_%' order by 1, 2",
        "settings": "select setdatabase, setrole::regrole::text, setconfig from pg_db_role_setting order by 1, 2",
    }
    return {name: [tuple(row) for row in await rig.sql(query)] for name, query in queries.items()}


async def test_a_database_has_the_verified_shape(rig: Rig) -> None:
    acme, _ = await two_tenants(rig)
    (database,) = await rig.sql(
        "select pg_get_userbyid(datdba) as owner, datacl::text[] as acl, datconnlimit as limit from pg_database "
        "where datname = $1", acme
    )  # fmt: skip
    assert database["owner"] == ADMIN
    assert sorted(database["acl"]) == [f"{ADMIN}=CTc/{ADMIN}", f"{acme}=Tc/{ADMIN}"]
    assert database["limit"] == 6
    owners = await rig.sql(
        "select distinct relowner::regrole::text as owner from pg_class c join pg_namespace n on n.oid = relnamespace "
        "where nspname = 'public'", database=acme
    )  # fmt: skip
    assert {row["owner"] for row in owners} == {acme}
    roles = {
        row["rolname"]: row
        for row in await rig.sql("select * from pg_authid where rolname like $1", acme.replace("_", "\\_") + "%")
    }
    assert {name for name, row in roles.items() if row["rolcanlogin"]} == {f"{acme}_a"}
    assert set(roles) == {acme, f"{acme}_a", f"{acme}_b"}
    assert roles[f"{acme}_a"]["rolpassword"].startswith("SCRAM-SHA-256$4096:")


async def test_the_verifier_is_the_one_that_postgresql_would_compute(rig: Rig) -> None:
    """PostgreSQL draws its own salt, so the comparison goes through a real login with the derived password."""
    await two_tenants(rig)
    connection = await rig.login("acme")
    assert await connection.fetchval("select session_user::text") == f"{rig.database('acme')}_a"
    await connection.close()


async def test_a_login_enters_no_other_database(rig: Rig) -> None:
    acme, birch = await two_tenants(rig)
    templates = [row[0] for row in await rig.sql(r"select datname from pg_database where datname like 'skep\_%'")]
    assert templates
    known = rig.records()["acme"]
    password = rig.keys.password(known.uid, "db-a", 1)
    for other in (birch, "postgres", "template1", "template0", *templates):
        with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.ObjectNotInPrerequisiteStateError)):
            await asyncpg.connect(rig.postgres.dsn(other, user=f"{acme}_a", password=password))


async def test_the_resting_login_and_the_content_role_cannot_log_in(rig: Rig) -> None:
    acme, _ = await two_tenants(rig)
    for role in (acme, f"{acme}_b"):
        with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)):
            await asyncpg.connect(rig.postgres.dsn(acme, user=role, password="guess"))


ESCAPES = {
    "opens its database to all": "grant connect on database {acme} to public",
    "lets a neighbour in": "grant all on database {acme} to {birch}",
    "lifts its limit": "alter database {acme} connection limit 90",
    "takes its database": "alter database {acme} owner to {acme}",
    "renames its database": "alter database {acme} rename to mine",
    "sets a search path for everybody": "alter database {acme} set search_path = evil",
    "drops a neighbour": "drop database {birch}",
    "makes a database": "create database more",
    "makes a role": "create role more login",
    "makes itself superuser": "alter role {acme}_a superuser",
    "gives itself powers": "alter role {acme}_a createdb createrole",
    "lifts its role's limit": "alter role {acme}_a connection limit 90",
    "wakes the resting login": "alter role {acme}_b login password 'x'",
    "changes a neighbour's password": "alter role {birch}_a password 'x'",
    "lets the content role log in": "alter role {acme} login",
    "shares its role": "grant {acme} to {birch}_a",
    "becomes its neighbour": "set role {birch}",
    "becomes the admin": "set role {admin}",
    "becomes the template's owner": "set role skep_template",
    "becomes its neighbour's session": "set session authorization {birch}_a",
    "becomes the admin's session": "set session authorization {admin}",
    "reads a file of the server as large object": "select lo_import('/etc/passwd')",
    "reads a file of the server": "select pg_read_file('/etc/passwd')",
    "lists the server's files": "select pg_ls_dir('/')",
    "copies a file in": "create temp table t (l text); copy t from '/etc/passwd'",
    "writes a file": "copy (select 1) to '/tmp/skep-escape'",
    "runs a program": "copy (select 1) to program 'true'",
    "reads passwords": "select rolpassword from pg_authid",
    "reads foreign passwords": "select * from pg_user_mapping",
    "ends the admin's session": "select pg_terminate_backend({pid})",
    "reloads the server": "select pg_reload_conf()",
    "switches the log": "select pg_switch_wal()",
    "holds the log for ever": "select pg_create_physical_replication_slot('x')",
    "changes the server": "alter system set log_statement = 'none'",
    "makes a schema": "create schema other",
    "makes a table in the catalog": "create table pg_catalog.evil (x int)",
    "replaces a function": "create function pg_catalog.now() returns int language sql as 'select 1'",
    "makes an extension that connects elsewhere": "create extension dblink",
    "makes a foreign data wrapper": "create extension postgres_fdw",
    "makes an untrusted language": "create language plpython3u",
    "loads a library": "create function f() returns int language c as 'x', 'y'",
    "loads a file as library": "load '/tmp/x.so'",
    "makes an event trigger": "create event trigger t on ddl_command_start execute function f()",
    "publishes all tables": "create publication p for all tables",
    "subscribes to a neighbour": "create subscription s connection 'dbname={birch}' publication p",
    "forges the proof of ownership": "comment on database {acme} is 'mine'",
    "hides from the log": "set log_statement = 'none'",
    "switches triggers off": "set session_replication_role = replica",
}


async def test_a_login_tries_every_escape_and_nothing_changes(rig: Rig) -> None:
    acme, birch = await two_tenants(rig)
    before = await shape(rig)
    witness = await asyncpg.connect(rig.postgres.dsn())
    pid = await witness.fetchval("select pg_backend_pid()")
    try:
        for role in (acme, f"{acme}_a"):  # as the app works, and after RESET ROLE
            for name, statement in ESCAPES.items():
                connection = await rig.login("acme")
                try:
                    await connection.execute(f'set role "{role}"')
                    attack = statement.format(acme=acme, birch=birch, admin=ADMIN, pid=pid)
                    try:
                        await connection.execute(attack)
                    except asyncpg.PostgresError:
                        pass
                    else:
                        # PostgreSQL only warns where a grant or revoke does nothing: then the world must be as it was.
                        assert attack.startswith("grant "), f"{name}: {attack} went through"
                    assert await shape(rig) == before, name
                finally:
                    await connection.close()
        assert await witness.fetchval("select 1") == 1
    finally:
        await witness.close()


async def test_what_a_login_may_change_about_itself_is_repaired(rig: Rig) -> None:
    """PostgreSQL lets every role change its own password and settings; no privilege can keep it from that."""
    await two_tenants(rig)
    before = await shape(rig)
    connection = await rig.login("acme")
    await connection.execute("reset role")
    await connection.execute("set role none")
    login = await connection.fetchval("select current_user::text")
    await connection.execute(f"alter role {login} password 'mine'")
    await connection.execute(f"alter role {login} set statement_timeout = 0")
    await connection.close()
    assert await shape(rig) != before
    async with rig.operator() as hive:
        await rig.resync(hive)
    assert await shape(rig) == before


DRIFTS = {
    "public may connect": "grant connect on database {acme} to public",
    "a neighbour may connect": "grant connect on database {acme} to {birch}",
    "grant option": "grant connect on database {acme} to {acme} with grant option",
    "connect revoked": "revoke connect on database {acme} from {acme}",
    "the admin's own grants revoked": "revoke all on database {acme} from {admin}",
    "may make schemas": "grant create on database {acme} to {acme}",
    "owned by the tenant": "alter database {acme} owner to {acme}",
    "limit lifted": "alter database {acme} connection limit 90",
    "limit 0": "alter database {acme} connection limit 0",
    "closed": "alter database {acme} allow_connections false",
    "comment gone": "comment on database {acme} is null",
    "comment overwritten": "comment on database {acme} is 'not json'",
    "superuser": "alter role {acme}_a superuser",
    "createdb": "alter role {acme} createdb",
    "createrole": "alter role {acme}_a createrole",
    "replication": "alter role {acme}_a replication",
    "bypassrls": "alter role {acme} bypassrls",
    "noinherit": "alter role {acme}_a noinherit",
    "expired": "alter role {acme}_a valid until '2020-01-01'",
    "role limit": "alter role {acme}_a connection limit 1",
    "nologin": "alter role {acme}_a nologin",
    "the resting login awake": "alter role {acme}_b login password 'x'",
    "the content role logs in": "alter role {acme} login password 'x'",
    "another password": "alter role {acme}_a password 'x'",
    "no password": "alter role {acme}_a password null",
    "member of a neighbour": "grant {birch} to {acme}_a",
    "reads all data": "grant pg_read_all_data to {acme}",
    "no member of its own role": "revoke {acme} from {acme}_a",
    "may hand its role on": "grant {acme} to {acme}_a with admin option",
    "settings gone": "alter role {acme}_a in database {acme} reset all",
    "timeout off": "alter role {acme}_a in database {acme} set statement_timeout = 0",
    "a setting added": "alter role {acme}_a in database {acme} set work_mem = '1GB'",
    "a setting of the role everywhere": "alter role {acme}_a set search_path = evil",
    "a setting of the database": "alter database {acme} set search_path = evil",
    "a trap for the admin": "alter role {admin} in database {acme} set search_path = evil",
}


@pytest.mark.fault(20)
async def test_every_drift_by_hand_is_repaired_at_the_next_resync(rig: Rig) -> None:
    acme, birch = await two_tenants(rig)
    before = await shape(rig)
    async with rig.operator() as hive:
        await rig.resync(hive)
        for name, statement in DRIFTS.items():
            drift = statement.format(acme=acme, birch=birch, admin=ADMIN)
            await rig.sql(drift)
            assert await shape(rig) != before, f"the fault did not fire: {name}"
            await rig.resync(hive)
            assert await shape(rig) == before, f"not repaired: {name}"


async def test_a_shared_database_that_was_opened_again_is_closed(rig: Rig) -> None:
    await two_tenants(rig)
    await rig.sql("grant connect on database postgres to public")
    async with rig.operator() as hive:
        await rig.resync(hive)
    (row,) = await rig.sql("select has_database_privilege('public', 'postgres', 'connect')")
    assert row[0] is False
