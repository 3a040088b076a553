"""docs/app-contract.md, sentence by sentence, as the platform sees the process."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import aiohttp

from tests.rig.postgres import Postgres
from tests.rig.tenant import Tenant, Web, make_tenant
from tests.rig.visitor import Visitor, make_invitation, visiting

REQUESTS_A_SECOND = 20


async def test_it_says_who_it_is(visitor: Visitor, tenant: Tenant) -> None:
    answer = await visitor.get("/.well-known/skep")
    assert answer.status == 200
    assert answer.text == f'{{"tenant": "acme", "uid": "{tenant.uid}", "revision": "r1"}}'


async def test_what_was_not_sent_to_this_tenant_gets_421(web: Web) -> None:
    foreign: tuple[dict[str, str], ...] = ({}, {"X-Skep-Tenant": "somebody-else"}, {"X-Skep-Tenant": ""})
    async with visiting(web.tenant, tenant_header=False) as stranger:
        for header in foreign:
            for path in ("/", "/.well-known/skep", "/static/nothing.css", "/nowhere"):
                answer = await stranger.get(path, headers=header)
                assert answer.status == 421, (header, path)
                assert "Wrong address" in answer.words
                assert "Acme" not in answer.text  # whose site this is, is not the stranger's business


async def test_probes_need_no_header(web: Web) -> None:
    async with visiting(web.tenant, tenant_header=False) as probe:
        assert (await probe.get("/healthz")).status == 200
        assert (await probe.get("/readyz")).status == 200


async def test_an_idle_process_holds_no_connection_and_little_memory(visitor: Visitor, web: Web) -> None:
    await visitor.get("/readyz")
    connection = await web.tenant.admin()
    held = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1"
    assert await connection.fetchval(held, f"{web.tenant.database}_a") == 0
    await connection.close()
    status = web.proc("status")
    resident_kb = int(re.search(r"VmRSS:\s+(\d+)", status)[1])  # type: ignore[index]  # Linux says it always
    assert resident_kb < 70 * 1024


async def test_readiness_follows_the_database(postgres_of_its_own: Postgres, tmp_path: Path) -> None:
    tenant = await make_tenant(postgres_of_its_own, tmp_path)
    postgres_of_its_own.stop()
    async with tenant.running(), visiting(tenant) as probe:
        assert (await probe.get("/healthz")).status == 200
        assert (await probe.get("/readyz")).status == 503


async def test_a_database_that_goes_away_and_returns_is_survived(postgres_of_its_own: Postgres, tmp_path: Path) -> None:
    tenant = await make_tenant(postgres_of_its_own, tmp_path)
    assert (await tenant.run("schema")).returncode == 0
    async with tenant.running() as web, visiting(tenant) as visitor:
        assert (await visitor.get("/")).status == 200
        postgres_of_its_own.stop()
        down = await visitor.get("/?page=1")  # a page that is not kept
        assert down.status == 503
        assert down.headers["Retry-After"] == "5"
        assert "We will be right back" in down.words
        assert '<meta http-equiv="refresh"' in down.text  # the page recovers by itself
        assert "Content-Security-Policy" in down.headers
        sent = await visitor.post("/organizer/sign-in", {"email": "a@example.com", "password": "x"})
        assert sent.status == 503
        assert '<meta http-equiv="refresh"' not in sent.text  # a form is never sent twice behind somebody's back
        postgres_of_its_own.start()
        assert (await visitor.get("/")).status == 200
        assert "Traceback" not in web.log.read_text()


async def test_a_bug_is_a_page_with_a_reference_that_the_log_explains(visitor: Visitor, web: Web) -> None:
    connection = await web.tenant.admin()
    await connection.execute("ALTER TABLE event RENAME TO somewhere_else")
    await connection.close()
    answer = await visitor.get("/")
    assert answer.status == 500
    assert "Something went wrong on our side" in answer.words
    reference = answer.headers["X-Request-Id"]
    assert reference in answer.words
    lines = [json.loads(line) for line in web.log.read_text().splitlines()]
    explained = [line for line in lines if line.get("request") == reference]
    assert [line["route"] for line in explained] == ["GET /"]
    assert "UndefinedTableError" in explained[0]["traceback"]


async def test_bytes_that_are_no_http_are_refused_without_a_word_in_the_log(web: Web) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", web.tenant.port)
    writer.write(b"\x16\x03\x01 hello\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.0 400")
    writer.close()
    await writer.wait_closed()
    assert "hello" not in web.log.read_text()


async def test_sessions_survive_a_restart_of_the_app(tenant: Tenant) -> None:
    async with visiting(tenant) as organizer:
        async with tenant.running():
            await organizer.become_organizer()
        async with tenant.running():
            answer = await organizer.get("/organizer")
            assert answer.path == "/organizer"
            assert "No events yet" in answer.words


async def test_sigterm_under_load_gives_no_bad_answer(tenant: Tenant) -> None:
    """20 requests a second on connections that are kept alive: all answers are 200 until nobody listens any more."""
    tenant.settings["drainSeconds"] = 2
    tenant.write()
    statuses: list[int] = []
    closing: list[bool] = []
    drained = asyncio.Event()

    async def ask(session: aiohttp.ClientSession) -> None:
        try:
            async with session.get(tenant.url + "/") as answer:
                await answer.read()
                statuses.append(answer.status)
                closing.append(answer.headers.get("Connection") == "close")
        except aiohttp.ClientConnectorError:
            drained.set()  # refused: nobody listens

    async with tenant.running() as web, aiohttp.ClientSession(headers={"X-Skep-Tenant": tenant.uid}) as session:
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            asked = 0
            while not drained.is_set():
                group.create_task(ask(session))
                asked += 1
                if asked == 20:
                    web.terminate()
                await asyncio.sleep(1 / REQUESTS_A_SECOND)
        assert await web.process.wait() == 0
    assert set(statuses) == {200}
    assert not closing[0]
    assert closing[-1]
    assert sum(closing) >= 1.5 * REQUESTS_A_SECOND  # it went on serving for (nearly) two seconds


async def test_draining_says_so_to_the_probes(tenant: Tenant) -> None:
    tenant.settings["drainSeconds"] = 20
    tenant.write()
    async with tenant.running() as web, visiting(tenant) as probe:
        assert (await probe.get("/readyz")).status == 200
        web.terminate()
        async with asyncio.timeout(5):
            while (await probe.get("/readyz")).status != 503:
                pass  # each round is a request
        alive = await probe.get("/healthz")
        assert (alive.status, alive.headers["Connection"]) == (200, "close")
        web.terminate()  # a second signal: no more waiting
        async with asyncio.timeout(5):
            assert await web.process.wait() == 0


async def test_nobody_but_the_proxies_speaks_for_others(tenant: Tenant) -> None:
    """Twenty-nine failed sign-ins from one forwarded address do not touch another, if a proxy says so."""
    forged = [{"X-Forwarded-For": f"198.51.100.{number}"} for number in range(31)]

    async def try_all() -> list[int]:
        async with tenant.running(), visiting(tenant) as guesser:
            return [
                (
                    await guesser.post(
                        "/organizer/sign-in", {"email": f"{n}@example.com", "password": "x"}, headers=headers
                    )
                ).status
                for n, headers in enumerate(forged)
            ]

    assert (await try_all())[-1] == 429  # all came from 127.0.0.1, whatever they say
    tenant.settings["proxies"] = ["localhost"]
    tenant.write()
    assert set(await try_all()) == {422}


async def test_neither_password_nor_token_is_in_any_log_or_process_list(tenant: Tenant, postgres: Postgres) -> None:
    async with tenant.running() as web, visiting(tenant) as organizer:
        token = await make_invitation(tenant)
        await organizer.post(
            f"/invite/{token}", {"name": "Léa", "email": "lea@example.com", "password": "a secret password"}
        )
        await organizer.sign_in(password="a secret password")
        await organizer.get("/nowhere")
        command, environment = web.proc("cmdline"), web.proc("environ")
        cookie = organizer.cookies()["session"]
        logs = web.log.read_text()
    places = {"command": command, "environment": environment, "log": logs, "server": postgres.log.read_text()}
    for place, text in places.items():
        for secret in ("a secret password", token, cookie):
            assert secret not in text, f"a secret is in the {place}"
    for place in ("command", "environment", "log"):
        assert tenant.password not in places[place]
    assert "lea@example.com" not in logs  # logs carry ids
