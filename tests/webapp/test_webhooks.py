"""Webhooks: told in the transaction of what happened, sent by the worker, signed, tried again, and never led inside."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
import pytest
from aiohttp import web as http

from skep.webapp.http.targets import Address, is_public
from skep.webapp.ids import new_token
from skep.webapp.shop import doors
from skep.webapp.store import jobs, webhooks
from skep.webapp.store.pool import Database
from skep.webapp.store.webhooks import TOPICS
from skep.webapp.work.hooks import Hooks
from skep.webapp.work.worker import JobFailed
from tests.rig.api import asking, make_token
from tests.rig.rows import Sample, make_event, make_type
from tests.rig.tenant import Tenant, Web
from tests.rig.visitor import Visitor

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


HERE = (
    f"127.{os.getpid() % 250 + 1}.{os.getpid() // 250 % 250}.9"  # of this test process: the port is not free to choose
)


@dataclass
class Listener:
    """Somebody's server: answers with *statuses* in turn, the last one for ever."""

    statuses: list[int]
    heard: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def answer(self, request: http.Request) -> http.Response:
        self.heard.append((dict(request.headers), await request.read()))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        headers = {"Location": f"http://{HERE}:8080/elsewhere"} if 300 <= status < 400 else {}
        return http.Response(status=status, headers=headers)


@asynccontextmanager
async def listening(*statuses: int) -> AsyncIterator[Listener]:
    listener = Listener(list(statuses))
    app = http.Application()
    app.router.add_route("*", "/{path:.*}", listener.answer)
    runner = http.AppRunner(app, access_log=None)
    await runner.setup()
    await http.TCPSite(runner, HERE, 8080).start()
    try:
        yield listener
    finally:
        await runner.cleanup()


async def to_us(host: str, port: int) -> list[str]:
    """Where names lead in these tests."""
    return [HERE]


def only_ours(address: Address) -> bool:
    return address == ipaddress.ip_address(HERE)


async def hook(eyes: Connection, *topics: str, url: str = "http://hooks.example:8080/in") -> UUID:
    async with eyes.transaction():
        member = await eyes.fetchval("SELECT id FROM member LIMIT 1")
        made = await webhooks.create(eyes, url=url, topics=topics or TOPICS, member_id=member)  # type: ignore[arg-type]  # as the page does
    assert made is not None
    return made


async def work(database: Database, hooks: Hooks) -> list[str]:
    """One round of a worker: each due message once. What was not heard, by its error."""
    errors = []
    async with database.transaction() as connection:
        claimed = await jobs.claim(connection, [webhooks.KIND], limit=100)
    for job in claimed:
        try:
            await hooks.send(job)
        except JobFailed as failure:
            errors.append(str(failure))
            async with database.transaction() as connection:
                await jobs.fail(connection, job, str(failure), final=failure.final)
                await connection.execute("UPDATE job SET run_at = clock_timestamp()")  # the wait is over
        else:
            async with database.transaction() as connection:
                await jobs.finish(connection, job)
    return errors


async def test_what_happens_is_told_to_who_wants_to_hear_it(
    web: Web, tenant: Tenant, database: Database, eyes: Connection
) -> None:
    sample = await make_event(eyes)
    dear = await make_type(eyes, sample.session, sample.pool, title={"en": "Dear"}, price=900)
    await doors.ensure_one(eyes, sample.event, "Entrance")
    list_id = await eyes.fetchval("SELECT id FROM checkin_list")
    await hook(eyes)
    await hook(eyes, "event.changed")
    off = await hook(eyes)
    await eyes.execute("UPDATE webhook SET is_active = false WHERE id = $1", off)
    async with asking(tenant, await make_token(eyes)) as program:
        here = f"/events/{sample.event}"
        buyer = {"name": "Noor", "email": "noor@example.com"}
        free = {**buyer, "method": "free", "positions": [{"type_id": str(sample.type)}]}
        order = (await program.post(f"{here}/orders", free)).body["order"]
        later = {**buyer, "method": "on-site", "positions": [{"type_id": str(dear)}]}
        unpaid = (await program.post(f"{here}/orders", later)).body["order"]
        await program.post(f"{here}/orders/{unpaid['id']}/paid")
        scan = {"code": order["tickets"][0]["code"], "nonce": new_token(), "at": "2026-01-01T00:00:00Z"}
        await program.post(f"/checkin-lists/{list_id}/scans", scan)
        await program.post(f"{here}/orders/{unpaid['id']}/cancel", {})
        await eyes.execute("UPDATE refund SET state = 'done'")
        etag = (await program.get(here)).headers["ETag"]
        await program.ask("PATCH", here, {"title": {"en": "New"}}, headers={"If-Match": etag})
    async with listening(200) as listener:
        assert await work(database, Hooks(database, lookup=to_us, allows=only_ours)) == []
    told = [json.loads(body) for _, body in listener.heard]
    assert sorted(message["type"] for message in told) == [
        "checkin.made", "event.changed", "event.changed", "order.cancelled", "order.paid", "order.paid",
        "order.refunded",
    ]  # fmt: skip
    paid = next(message for message in told if message["type"] == "order.paid")
    assert paid["data"]["code"] in (order["code"], unpaid["code"])
    assert "noor" not in b"".join(body for _, body in listener.heard).lower().decode()
    assert await eyes.fetchval("SELECT count(*) FROM webhook_call WHERE status = 200") == 7


async def test_29_a_500_is_tried_again_with_the_same_message(
    tenant: Tenant, database: Database, eyes: Connection
) -> None:
    sample = await make_event(eyes)
    webhook_id = await hook(eyes, "event.changed")
    await eyes.execute("UPDATE event SET version = version + 1 WHERE id = $1", sample.event)
    hooks = Hooks(database, lookup=to_us, allows=only_ours)
    async with listening(500, 200) as listener:
        assert await work(database, hooks) == ["hook-answer 500"]
        assert await work(database, hooks) == []
        assert await work(database, hooks) == []
    assert len(listener.heard) == 2
    (first, _), (second, body) = listener.heard
    assert first["webhook-id"] == second["webhook-id"] == json.loads(body)["id"]
    secret = await eyes.fetchval("SELECT secret FROM webhook")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{second['webhook-id']}.{second['webhook-timestamp']}.".encode() + body
    assert second["webhook-signature"] == f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"
    calls = await webhooks.calls(eyes, webhook_id, limit=10)
    assert [(call.status, call.is_done) for call in calls] == [(200, True), (500, False)]


async def test_29_a_410_switches_it_off(tenant: Tenant, database: Database, eyes: Connection) -> None:
    sample = await make_event(eyes)
    await hook(eyes, "event.changed")
    hooks = Hooks(database, lookup=to_us, allows=only_ours)
    async with listening(410) as listener:
        for _ in range(2):
            await eyes.execute("UPDATE event SET version = version + 1 WHERE id = $1", sample.event)
            assert await work(database, hooks) == []
    assert len(listener.heard) == 1
    row = await eyes.fetchrow("SELECT is_active, disabled_reason FROM webhook")
    assert row is not None
    assert tuple(row) == (False, "gone")


async def test_29_redirects_are_not_followed(tenant: Tenant, database: Database, eyes: Connection) -> None:
    sample = await make_event(eyes)
    await hook(eyes, "event.changed")
    await eyes.execute("UPDATE event SET version = version + 1 WHERE id = $1", sample.event)
    async with listening(302) as listener:
        assert await work(database, Hooks(database, lookup=to_us, allows=only_ours)) == ["hook-answer 302"]
    assert len(listener.heard) == 1


async def test_29_a_name_that_leads_inside_is_refused_when_it_is_called(
    tenant: Tenant, database: Database, eyes: Connection
) -> None:
    """Nobody listens to what the name meant when it was written: it is looked up for each call, and that is called."""
    sample = await make_event(eyes)
    webhook_id = await hook(eyes, "event.changed")
    await eyes.execute("UPDATE event SET version = version + 1 WHERE id = $1", sample.event)
    looked_up: list[str] = []

    async def lookup(host: str, port: int) -> list[str]:
        looked_up.append(host)
        return [HERE] if len(looked_up) == 1 else ["93.184.216.34"]

    async with listening(200) as listener:
        assert await work(database, Hooks(database, lookup=lookup, allows=is_public)) == ["hook-private"]
    assert listener.heard == []
    assert looked_up == ["hooks.example"]
    (call,) = await webhooks.calls(eyes, webhook_id, limit=10)
    assert (call.status, call.error) == (None, "private")
    assert await eyes.fetchval("SELECT dead_at IS NOT NULL FROM job WHERE kind = 'webhook.send'")  # never tried again


async def test_a_name_that_changes_between_the_look_and_the_call_changes_nothing(
    tenant: Tenant, database: Database, eyes: Connection
) -> None:
    sample = await make_event(eyes)
    await hook(eyes, "event.changed", url="http://localhost:8080/")  # the system's resolver knows it well
    await eyes.execute("UPDATE event SET version = version + 1 WHERE id = $1", sample.event)
    looked_up: list[str] = []

    async def lookup(host: str, port: int) -> list[str]:
        looked_up.append(host)
        return [HERE]

    async with listening(200) as listener:  # not where the system's resolver leads
        said = await work(database, Hooks(database, lookup=lookup, allows=lambda address: True))
    assert (said, looked_up, len(listener.heard)) == ([], ["localhost"], 1)
    assert listener.heard[0][0]["Host"] == "localhost:8080"


async def test_the_real_worker_calls_nothing_on_this_machine(tenant: Tenant, eyes: Connection) -> None:
    sample = await make_event(eyes)
    for url in ("http://localhost:8080/", "http://127.1:8080/", "http://2130706433:8080/"):
        await hook(eyes, "event.changed", url=url)
    await eyes.execute("UPDATE event SET version = version + 1 WHERE id = $1", sample.event)
    async with listening(200) as listener:
        await tenant.work()
    assert listener.heard == []
    rows = await eyes.fetch("SELECT error FROM webhook_call")
    assert [row["error"] for row in rows] == ["private"] * 3


async def test_organizers_make_one_test_it_and_tell_again(
    organizer: Visitor, tenant: Tenant, database: Database, eyes: Connection
) -> None:
    page = await organizer.get("/organizer/webhooks")
    assert "Nobody is told yet." in page.words
    refused = {
        "http://127.0.0.1/": "leads into a private network",
        "http://[::ffff:10.0.0.1]/": "leads into a private network",
        "ftp://example.com/": "Write an address that begins with",
        "https://example.com:6379/": "Write an address that begins with",
    }
    for url, sentence in refused.items():
        answer = await organizer.post("/organizer/webhooks", {"url": url, "topic-order.paid": "yes"})
        assert answer.status == 422
        assert sentence in answer.words
        assert url in answer.text  # what was typed stays
    nothing = await organizer.post("/organizer/webhooks", {"url": "https://example.com/"})
    assert "Tick at least one thing" in nothing.words
    url = "http://hooks.example:8080/"
    made = await organizer.post("/organizer/webhooks", {"url": url, "topic-order.paid": "yes"})
    assert "It is told from now on." in made.words
    here = made.path.partition("?")[0]
    assert re.search(r"whsec_[A-Za-z0-9+/]{32}", made.text)
    assert "on its way" in (await organizer.post(f"{here}/test")).words
    hooks = Hooks(database, lookup=to_us, allows=only_ours)
    async with listening(503, 200) as listener:
        await work(database, hooks)
        log = await organizer.get(here)
        assert "503" in log.words
        again = re.search(r'action="([^"]*/again/[^"]*)"', log.text)
        assert again is not None
        await organizer.post(again[1])
        await work(database, hooks)
    assert [json.loads(body)["type"] for _, body in listener.heard] == ["test", "test"]
    assert "200" in (await organizer.get(here)).words
    assert "It is told nothing any more." in (await organizer.post(f"{here}/off")).words
    assert "It was switched off." in (await organizer.get(here)).words
    assert "It is told again." in (await organizer.post(f"{here}/on")).words
    assert "It is removed." in (await organizer.post(f"{here}/remove")).words
    assert (await organizer.get(here)).status == 404
    assert await eyes.fetchval("SELECT count(*) FROM audit WHERE object_kind = 'webhook'") == 5


@pytest.mark.parametrize("path", ["test", "again/00000000-0000-0000-0000-000000000000", "again/x"])
async def test_a_webhook_that_is_gone_is_a_page_that_says_so(organizer: Visitor, path: str) -> None:
    await organizer.get("/organizer/webhooks")
    answer = await organizer.post(f"/organizer/webhooks/00000000-0000-0000-0000-000000000000/{path}")
    assert answer.status == 404


def data(listener: Listener) -> list[Any]:
    return [json.loads(body)["data"] for _, body in listener.heard]


async def test_what_is_told_later_is_told_as_it_is_then(tenant: Tenant, database: Database, eyes: Connection) -> None:
    sample: Sample = await make_event(eyes)
    await hook(eyes, "event.changed")
    await eyes.execute("UPDATE event SET version = version + 1 WHERE id = $1", sample.event)
    await eyes.execute("UPDATE event SET status = 'cancelled' WHERE id = $1", sample.event)
    async with listening(200) as listener:
        await work(database, Hooks(database, lookup=to_us, allows=only_ours))
    assert [each["status"] for each in data(listener)] == ["cancelled"]
