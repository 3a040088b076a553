"""`schema` and `invite`, as the operator runs them: exit code, one line of JSON, one line on stderr."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from skep.webapp.errors import DatabaseDown, SchemaRefused
from skep.webapp.ids import CODE_LETTERS, new_token, token_hash, uuid7
from skep.webapp.schema import Migration, load_migrations, migrate, migrations_hash
from skep.webapp.settings import Settings
from tests.rig.postgres import Postgres
from tests.rig.tenant import Tenant
from tests.rig.visitor import PASSWORD, visiting

FILES = [migration.id for migration in load_migrations()]


def make_migration(name: str, sql: str) -> Migration:
    return Migration(name, sql, hashlib.sha256(sql.encode()).hexdigest())


async def test_schema_reports_what_it_applied_and_twice_is_a_success(empty_tenant: Tenant) -> None:
    first = await empty_tenant.run("schema")
    second = await empty_tenant.run("schema")
    assert (first.returncode, first.stderr) == (0, "")
    assert json.loads(first.stdout) == {"migrations": migrations_hash(), "applied": FILES}
    assert json.loads(second.stdout) == {"migrations": migrations_hash(), "applied": []}


async def test_samples_are_made_once(tenant: Tenant) -> None:
    first, second = await tenant.run("samples"), await tenant.run("samples")
    assert [(done.returncode, json.loads(done.stdout)) for done in (first, second)] == [
        (0, {"events": 4}),
        (0, {"events": 0}),
    ]
    connection = await tenant.admin()
    days = await connection.fetchval("SELECT extract(day FROM max(created_at) - min(created_at)) FROM ticket_order")
    await connection.close()
    assert days >= 14, "sold over weeks, as a plot of sales should show"


async def test_what_is_made_belongs_to_the_tenants_role(tenant: Tenant) -> None:
    connection = await tenant.admin()
    owners = await connection.fetch("SELECT tableowner FROM pg_tables WHERE schemaname = 'public'")
    recorded = await connection.fetch("SELECT id, checksum, applied_at FROM migration ORDER BY id")
    await connection.close()
    assert {row["tableowner"] for row in owners} == {tenant.database}
    assert [(row["id"], row["checksum"]) for row in recorded] == [(m.id, m.checksum) for m in load_migrations()]
    assert all(row["applied_at"] is not None for row in recorded)


async def test_many_at_once_apply_each_migration_once(empty_tenant: Tenant) -> None:
    database = Settings.read(empty_tenant.env).database
    reports = await asyncio.gather(*(migrate(database) for _ in range(6)))
    assert sorted(len(report.applied) for report in reports) == [0] * 5 + [len(FILES)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(
            "INSERT INTO migration VALUES ('9999_future.sql', 'abc')", "9999_future.sql, which this image", id="unknown"
        ),
        pytest.param(
            f"UPDATE migration SET checksum = 'abc' WHERE id = '{FILES[0]}'", "must never change", id="changed"
        ),
        pytest.param(f"DELETE FROM migration WHERE id = '{FILES[0]}'", "is missing below", id="skipped"),
    ],
)
async def test_a_database_of_another_image_is_refused_in_one_line(tenant: Tenant, change: str, said: str) -> None:
    connection = await tenant.admin()
    await connection.execute(change)
    await connection.close()
    done = await tenant.run("schema")
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


async def test_a_migration_that_fails_leaves_nothing_of_itself(tenant: Tenant) -> None:
    broken = make_migration("9000_broken.sql", "CREATE TABLE half (id int); SELECT 1/0;")
    with pytest.raises(SchemaRefused, match=r"9000_broken\.sql failed and was undone: division by zero"):
        await migrate(Settings.read(tenant.env).database, (*load_migrations(), broken))
    connection = await tenant.admin()
    assert await connection.fetchval("SELECT to_regclass('public.half')") is None
    assert await connection.fetchval("SELECT count(*) FROM migration") == len(FILES)
    await connection.close()


async def test_a_new_migration_over_old_rows_keeps_them(tenant: Tenant) -> None:
    connection = await tenant.admin()
    await connection.execute("INSERT INTO person VALUES (gen_random_uuid(), 'guest', 'Noor', 'n@example.com', 'en')")
    more = make_migration("9000_more.sql", "ALTER TABLE person ADD COLUMN phone text")
    report = await migrate(Settings.read(tenant.env).database, (*load_migrations(), more))
    assert report.applied == ("9000_more.sql",)
    assert report.migrations != migrations_hash()
    assert await connection.fetchval("SELECT name FROM person WHERE phone IS NULL") == "Noor"
    await connection.close()


async def test_what_the_first_app_sold_is_carried_over(empty_tenant: Tenant) -> None:
    """Events, registrations and the links that guests have on paper, from the first three migrations to all."""
    database = Settings.read(empty_tenant.env).database
    await migrate(database, load_migrations()[:3])
    connection = await empty_tenant.admin()
    person, member, event, session = (uuid7() for _ in range(4))
    await connection.execute("INSERT INTO person VALUES ($1, 'member', 'Léa', 'lea@example.com', 'en')", person)
    await connection.execute("INSERT INTO member VALUES ($1, $2, 'x')", member, person)
    await connection.execute(
        "INSERT INTO event (id, slug, status, language, timezone, title, description, place, created_by) "
        "VALUES ($1, 'old', 'published', 'en', 'Europe/Paris', '{\"en\": \"Old\"}', '{}', '{}', $2)",
        event,
        member,
    )
    await connection.execute(
        "INSERT INTO event_session VALUES ($1, $2, '2090-01-01Z', '2090-01-02Z', 150)", session, event
    )
    tokens = [new_token() for _ in range(120)]
    for number, token in enumerate(tokens):
        guest = uuid7()
        name, email = f"Guest {number}", f"guest{number}@example.com"
        await connection.execute("INSERT INTO person VALUES ($1, 'guest', $2, $3, 'fr')", guest, name, email)
        await connection.execute(
            "INSERT INTO registration VALUES ($1, $2, $3, $4)", uuid7(), session, guest, token_hash(token)
        )
    await migrate(database)
    codes = [row["code"] for row in await connection.fetch("SELECT code FROM ticket_order")]
    assert len(set(codes)) == 120
    assert set("".join(codes)) <= set(CODE_LETTERS)
    assert await connection.fetchval("SELECT count(DISTINCT secret) FROM order_position WHERE is_held") == 120
    await connection.close()
    async with empty_tenant.running(), visiting(empty_tenant) as guest_of_old:
        answer = await guest_of_old.get(f"/registrations/{tokens[7]}")
        assert answer.path == f"/orders/{tokens[7]}"
        assert "Guest 7" in answer.words
        page = await guest_of_old.get("/events/old")
        assert "30 places left" not in page.words  # said only when it is little
        assert (await guest_of_old.register("old")).path.startswith("/orders/")
    connection = await empty_tenant.admin()
    assert await connection.fetchval("SELECT size FROM stock_pool") == 150
    assert await connection.fetchval("SELECT count(*) FROM order_position WHERE is_held") == 121
    await connection.close()


async def test_a_database_that_cannot_be_reached_is_said_in_one_line(tenant: Tenant) -> None:
    tenant.settings["database"]["name"] = "t_nowhere"
    tenant.write()
    done = await tenant.run("schema")
    assert done.returncode == 1
    assert "cannot connect to database t_nowhere" in done.stderr
    assert tenant.password not in done.stderr
    assert done.stderr.count("\n") == 1


async def test_a_login_is_kept_out_of_a_wrong_password_politely(tenant: Tenant) -> None:
    (tenant.home / "secrets" / "database-password").write_text("wrong")
    done = await tenant.run("schema")
    assert done.returncode == 1
    assert "password authentication failed" in done.stderr


async def test_settings_that_are_wrong_are_said_in_one_line(tenant: Tenant) -> None:
    tenant.settings["settings"]["accent"] = "green"
    tenant.write()
    for command in ("schema", "web"):
        done = await tenant.run(command)
        assert done.returncode == 1
        assert 'settings.json: settings: accent: must be a colour like "#0a7d5a", not "green"' in done.stderr
        assert done.stderr.count("\n") == 1


async def test_an_invitation_leaves_the_process_only_sealed(tenant: Tenant, postgres: Postgres, tmp_path: Path) -> None:
    key = X25519PrivateKey.generate()
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    done = await tenant.run("invitation", "--to", public, "--email", "Lea@Example.com")
    assert (done.returncode, done.stderr) == (0, "")
    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
    opened = suite.decrypt(base64.b64decode(json.loads(done.stdout)["sealed"]), key, info=b"skep invite")
    token = json.loads(opened)["token"]
    assert token not in done.stdout
    assert token not in postgres.log.read_text()

    async with tenant.running(), visiting(tenant) as somebody:
        assert 'value="lea@example.com"' in (await somebody.get(f"/invite/{token}")).text
        fields = {"name": "Léa", "email": "lea@example.com", "password": PASSWORD}
        assert (await somebody.post(f"/invite/{token}", fields)).path == "/organizer?notice=welcome"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["--to", "not base64!"], "--to: is not base64", id="no base64"),
        pytest.param(["--to", "AAAA"], "has 32 bytes, this has 3", id="short key"),
        pytest.param(["--to", base64.b64encode(bytes(32)).decode()], "not a usable X25519", id="low order"),
        pytest.param(
            ["--to", base64.b64encode(b"\x09" + bytes(31)).decode(), "--email", "lea"], "--email: is not", id="address"
        ),
    ],
)
async def test_an_invitation_to_nobody_is_refused(tenant: Tenant, arguments: list[str], said: str) -> None:
    done = await tenant.run("invitation", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    connection = await tenant.admin()
    assert await connection.fetchval("SELECT count(*) FROM invitation") == 0
    await connection.close()


async def test_an_invitation_into_an_empty_database_says_what_to_do_first(empty_tenant: Tenant) -> None:
    key = base64.b64encode(X25519PrivateKey.generate().public_key().public_bytes_raw()).decode()
    done = await empty_tenant.run("invitation", "--to", key)
    assert (done.returncode, done.stdout) == (1, "")
    assert "run `schema` first" in done.stderr
    assert done.stderr.count("\n") == 1


async def test_a_database_that_is_not_the_tenants_to_change_is_refused(empty_tenant: Tenant) -> None:
    connection = await empty_tenant.admin()
    await connection.execute("ALTER SCHEMA public OWNER TO postgres")
    await connection.close()
    done = await empty_tenant.run("schema")
    assert done.returncode == 1
    assert "the database cannot be migrated: permission denied for schema public" in done.stderr
    assert done.stderr.count("\n") == 1


async def test_a_database_that_goes_away_during_a_migration_is_said_so(tenant: Tenant) -> None:
    endless = make_migration("9000_endless.sql", "SELECT pg_sleep(60)")
    migrating = asyncio.create_task(migrate(Settings.read(tenant.env).database, (*load_migrations(), endless)))
    connection = await tenant.admin()
    async with asyncio.timeout(10):
        while not await connection.fetchval(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE query = $1 AND state = 'active' AND datname = current_database()",
            endless.sql,
        ):
            pass  # each round is a query
    await connection.close()
    with pytest.raises(DatabaseDown, match="went away while it was migrated"):
        await migrating
