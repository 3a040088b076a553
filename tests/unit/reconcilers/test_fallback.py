"""The edge's last resort: a known host without a task is a 503 with words, an unknown one stays a 404."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from skep.crds.effective import EffectiveDatabase, EffectiveTenant
from skep.operator.engine.embedded.traefik import binary
from skep.operator.engine.embedded.workshop import free_port
from skep.operator.reconcilers import closed_page
from skep.operator.reconcilers.fallback import PAGE_PATH, configuration
from skep.operator.reconcilers.record import Record

SPEC = EffectiveTenant(
    name="acme",
    display_name="Acme",
    plan="free",
    hosts=("acme.test", "tickets.acme.org"),
    image="skep:1",
    replicas=1,
    cpus=None,
    memory_bytes=None,
    settings=(),
    secrets=(),
    database=EffectiveDatabase(None, (), 20, 30.0),
    suspend=False,
    deletion_policy="Retain",
    owner=None,
    secure=False,
)
PAGES = "http://operator:9120"
RECORD = Record("acme", "0" * 32, datetime(2026, 1, 1, tzinfo=UTC), "prod", 1, SPEC, edge_network="skep-edge-1")


def test_every_tenant_has_a_router_of_the_lowest_priority_to_nothing() -> None:
    made = configuration([RECORD], pages=PAGES)["http"]
    assert made["routers"]["skep-acme-web"] == {
        "rule": "Host(`acme.test`) || Host(`tickets.acme.org`)",
        "entryPoints": ["web"],
        "priority": 1,
        "service": "skep-closed",
        "middlewares": ["skep-closed"],
    }
    assert made["services"]["skep-closed"] == {"loadBalancer": {"servers": []}}


def test_over_tls_the_router_is_on_the_tls_entry_point() -> None:
    made = configuration([replace(RECORD, spec=replace(SPEC, secure=True))], pages=PAGES)["http"]["routers"][
        "skep-acme-web"
    ]
    assert made["entryPoints"] == ["websecure"]
    assert made["tls"] == {}


def test_who_left_has_no_router() -> None:
    assert "routers" not in configuration([replace(RECORD, leaving="retained")], pages=PAGES)["http"]


def test_without_tenants_the_answer_is_still_a_configuration() -> None:
    assert configuration([], pages=PAGES)["http"]["services"]


@pytest.mark.parametrize(
    ("asked", "first", "other"),
    [
        ("en-GB,en;q=0.9,fr;q=0.5", "closed for the moment", "fermé"),
        ("fr-FR,fr;q=0.9,en;q=0.5", "fermé pour le moment", "closed"),
        ("de", "closed for the moment", ""),
        ("", "closed for the moment", ""),
    ],
)
def test_visitors_read_in_their_language_that_it_is_closed(asked: str, first: str, other: str) -> None:
    text = closed_page.page(asked)
    assert first in text
    assert not other or other not in text
    assert "<script" not in text


async def test_traefik_shows_the_page_and_keeps_the_status(tmp_path: Path) -> None:
    """A real one, with our configuration as a file."""

    async def closed(request: web.Request) -> web.Response:
        text = closed_page.page(request.headers.get("Accept-Language", ""))
        return web.Response(status=503, body=text.encode(), headers=closed_page.HEADERS)

    app = web.Application()
    app.add_routes([web.get(PAGE_PATH, closed)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    pages, edge = free_port(), free_port()
    await web.TCPSite(runner, "127.0.0.1", pages).start()
    made = configuration([RECORD], pages=f"http://127.0.0.1:{pages}")
    (tmp_path / "fallback.yml").write_text(json.dumps(made))
    traefik = await asyncio.create_subprocess_exec(
        binary(), f"--entrypoints.web.address=127.0.0.1:{edge}", f"--providers.file.directory={tmp_path}",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with aiohttp.ClientSession() as session, asyncio.timeout(20):
            while True:
                headers = {"Host": "acme.test", "Accept-Language": "fr"}
                try:
                    async with session.get(f"http://127.0.0.1:{edge}/events/x", headers=headers) as answer:
                        text, status, said = await answer.text(), answer.status, answer.headers
                    if status == 503:
                        break
                except aiohttp.ClientConnectionError:
                    pass
                await asyncio.sleep(0.05)
            async with session.get(f"http://127.0.0.1:{edge}/", headers={"Host": "nobody.test"}) as answer:
                assert answer.status == 404
    finally:
        traefik.terminate()
        await traefik.wait()
        await runner.cleanup()
    assert "Ce site est fermé pour le moment" in text
    assert said["Retry-After"] == "300"
    assert said["Content-Type"].startswith("text/html")
