"""Organizers' pages of doors and programs: tokens, devices, check-in lists; and how they look."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from skep.webapp.seed import seed
from skep.webapp.settings import Settings
from skep.webapp.store import tokens, webhooks
from tests.rig.api import asking, make_token
from tests.rig.chromium import find_chromium, running_chromium
from tests.rig.rows import make_event, make_type
from tests.rig.tenant import Tenant, Web
from tests.rig.visitor import Visitor, visiting

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

SCREENSHOTS = os.environ.get("SKEP_SCREENSHOTS")
VIEWS = [(360, False, "en"), (1280, True, "fr")]


async def test_a_token_is_shown_once_used_and_revoked(organizer: Visitor, tenant: Tenant, eyes: Connection) -> None:
    sample, other = await make_event(eyes), await make_event(eyes)
    page = await organizer.get("/organizer/access")
    assert "No device and no token yet." in page.words
    refused = await organizer.post("/organizer/access/tokens", {"token_name": "Newsletter"})
    assert refused.status == 422
    assert "Tick at least one thing that it may do." in refused.words
    assert 'value="Newsletter"' in refused.text
    form = {"token_name": "Newsletter", "scope-attendees:read": "yes", f"event-{sample.event}": "yes"}
    made = await organizer.post("/organizer/access/tokens", form)
    found = re.search(r"skt_[A-Za-z0-9_-]{43}", made.text)
    assert found is not None
    assert made.headers["Cache-Control"] == "no-store"
    async with asking(tenant, found[0]) as program:
        assert (await program.get(f"/events/{sample.event}/attendees")).status == 200
        assert (await program.get(f"/events/{other.event}/attendees")).code == "not_found"
        page = await organizer.get("/organizer/access")
        assert found[0] not in page.text
        assert "Read who comes" in page.words
        token_id = await eyes.fetchval("SELECT id FROM api_token")
        assert "It is revoked." in (await organizer.post(f"/organizer/access/{token_id}/revoke")).words
        assert (await program.get(f"/events/{sample.event}/attendees")).status == 401  # here at once
    assert await eyes.fetchval("SELECT kind FROM tombstone WHERE id = $1", str(token_id)) == "token"
    actions = await eyes.fetch("SELECT action FROM audit WHERE object_id = $1 ORDER BY id", token_id)
    assert [row["action"] for row in actions] == ["team token made", "token revoked"]


async def test_a_device_needs_an_event_and_gets_a_list(organizer: Visitor, eyes: Connection) -> None:
    sample = await make_event(eyes)
    await organizer.get("/organizer/access")
    refused = await organizer.post("/organizer/access/devices", {"device_name": "Gate A"})
    assert "Tick at least one event." in refused.words
    form = {"device_name": "Gate A", f"event-{sample.event}": "yes"}
    shown = await organizer.post("/organizer/access/devices", form)
    assert "Sign in Gate A" in shown.words
    assert "<svg" in shown.text
    assert await eyes.fetchval("SELECT label FROM checkin_list WHERE event_id = $1", sample.event) == "Entrance"
    for field in ("event-x", f"event-{sample.event}x"):
        assert (await organizer.post("/organizer/access/devices", {"device_name": "A", field: "yes"})).status == 400


async def test_lists_questions_and_scans_of_a_door(organizer: Visitor, tenant: Tenant, eyes: Connection) -> None:
    sample, other = await make_event(eyes), await make_event(eyes)
    kind = await make_type(eyes, sample.session, sample.pool, title={"en": "Crew"})
    here = f"/organizer/events/{sample.event}/doors"
    assert "No check-in list yet." in (await organizer.get(here)).words
    wrong = await organizer.post(here, {"name": "", "minutes": "soon"})
    assert wrong.status == 422
    assert "Write a name by which people know the door." in wrong.words
    assert 'value="soon"' in wrong.text
    made = await organizer.post(here, {"name": "Stage door", "minutes": "90", f"type-{kind}": "yes"})
    assert "The list is there." in made.words
    assert "Crew" in made.words
    assert "90 min before" in made.words
    list_id = await eyes.fetchval("SELECT id FROM checkin_list")
    await eyes.execute("UPDATE checkin_list SET opens_minutes = NULL")
    assert "Write a name" in (await organizer.post(f"{here}/devices", {"device_name": " "})).words
    shown = await organizer.post(f"{here}/devices", {"device_name": "Gate A"})
    assert "Sign in Gate A" in shown.words
    assert await eyes.fetchval("SELECT event_ids FROM enrolment") == [sample.event]
    asked = await organizer.post(f"{here}/questions", {"label": "Badge number", "kind": "line"})
    assert "It is asked from now on." in asked.words
    assert "Badge number" not in (await organizer.get(f"/organizer/events/{sample.event}/tickets")).words
    async with asking(tenant, await make_token(eyes, name="Gate A")) as program:
        body = {"name": "Noor", "email": "n@example.com", "method": "free", "positions": [{"type_id": str(kind)}]}
        order = (await program.post(f"/events/{sample.event}/orders", body)).body["order"]
        scan = {"code": order["tickets"][0]["code"], "nonce": "0123456789abcdef", "at": "2026-01-01T00:00:00Z"}
        scan_id = (await program.post(f"/checkin-lists/{list_id}/scans", scan)).body["id"]
    page = await organizer.get(here)
    assert "1 of 1" in page.words
    assert "Gate A" in page.words
    assert "so it stays" in (await organizer.post(f"{here}/{list_id}/remove")).words
    there = f"/organizer/events/{other.event}/doors"
    assert (await organizer.post(f"{there}/{list_id}/remove")).status == 404
    assert (await organizer.post(f"{there}/{list_id}/scans/{scan_id}/undo")).status == 404
    assert "It is undone" in (await organizer.post(f"{here}/{list_id}/scans/{scan_id}/undo")).words
    assert "0 of 1" in (await organizer.get(here)).words
    question = await eyes.fetchval("SELECT id FROM question")
    assert (await organizer.post(f"{there}/questions/{question}/remove")).status == 404
    assert "It is removed." in (await organizer.post(f"{here}/questions/{question}/remove")).words


async def test_these_pages_are_for_organizers_only(web: Web, eyes: Connection) -> None:
    sample = await make_event(eyes)
    paths = ("access", "webhooks", f"events/{sample.event}/doors", f"webhooks/{sample.event}")
    async with visiting(web.tenant) as stranger:
        for path in paths:
            assert (await stranger.get(f"/organizer/{path}", redirects=False)).status == 303
            assert (await stranger.post(f"/organizer/{path}", {}, redirects=False)).status in (303, 405)
        for path in ("access/tokens", "access/devices", f"access/{sample.event}/revoke"):
            assert (await stranger.post(f"/organizer/{path}", {}, redirects=False)).status == 303
    assert await eyes.fetchval("SELECT count(*) FROM api_token") == 0


async def test_what_the_api_can_do_is_a_page_without_scripts_of_others(web: Web) -> None:
    async with visiting(web.tenant, language="fr") as reader:
        page = await reader.get("/api/v1/")
        assert "Ce que sait faire l’API" in page.words
        assert "/api/v1/checkin-lists/{list_id}/scans" in page.words
        assert re.findall(r'(?:src|href)="(https?:[^"]+)"', page.text) == []
        linked = set(re.findall(r'href="#([^"]+)"', page.text))
        assert linked <= set(re.findall(r'id="([^"]+)"', page.text))
        raw = await reader.get("/api/v1/openapi.json")
        assert raw.text.startswith('{\n "openapi": "3.1.0"')


@pytest.mark.skipif(find_chromium() is None, reason="no chromium: apt-get install chromium")
async def test_pages_of_doors_and_programs_fit_every_screen(
    organizer: Visitor, tenant: Tenant, eyes: Connection, tmp_path: Path
) -> None:
    pictures = Path(SCREENSHOTS) if SCREENSHOTS else tmp_path
    pictures.mkdir(parents=True, exist_ok=True)
    assert await seed(Settings.read(tenant.env)) == 4
    event_id = await eyes.fetchval("SELECT id FROM event ORDER BY id LIMIT 1")
    member = await eyes.fetchval("SELECT id FROM member LIMIT 1")
    await eyes.execute(
        "INSERT INTO checkin_list (id, event_id, label) VALUES (gen_random_uuid(), $1, 'Main door')", event_id
    )
    async with eyes.transaction():
        for name in ("Newsletter", "Gate B, the one behind the old cloakroom on the left"):
            await tokens.create(
                eyes, kind="team", name=name, scopes=tokens.SCOPES[:4], event_ids=None, member_id=member
            )
        hook = await webhooks.create(
            eyes, url="https://example.com/" + "long/" * 12, topics=webhooks.TOPICS, member_id=member
        )
    problems = []
    async with running_chromium() as browser:
        for width, dark, language in VIEWS:
            async with browser.page(
                width=width, dark=dark, language=language, headers={"X-Skep-Tenant": tenant.uid}
            ) as page:
                session = organizer.cookies()["session"]
                await page.call("Network.setCookie", name="session", value=session, url=tenant.url)
                for name, path in {
                    "access": "/organizer/access",
                    "doors": f"/organizer/events/{event_id}/doors",
                    "webhooks": "/organizer/webhooks",
                    "webhook": f"/organizer/webhooks/{hook}",
                    "api": "/api/v1/",
                }.items():
                    await page.go(tenant.url + path)
                    if (wide := await page.overflow_px()) > 0:
                        problems.append(f"{name} at {width}: {wide} px too wide")
                    view = f"{name}-{width}-{'dark' if dark else 'light'}-{language}"
                    await page.screenshot(pictures / f"{view}.png")
    assert problems == []
