"""The door's page in a real browser, with a camera that sees tickets and a network that is cut.

Typing a code is not scanning: but for the test that says so, every ticket here is held before the camera.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from skep.webapp.ids import new_token
from skep.webapp.shop import doors
from tests.rig.api import Program, asking, make_token
from tests.rig.camera import Camera
from tests.rig.chromium import Browser, Page, find_chromium, running_chromium
from tests.rig.edge import Edge, edge_of
from tests.rig.rows import Sample, make_event
from tests.rig.tenant import Tenant, Web
from tests.rig.visitor import Visitor
from tests.webapp.test_accessibility import Looker

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="no chromium: apt-get install chromium")

SCREENSHOTS = os.environ.get("SKEP_SCREENSHOTS")
OFFLINE = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}


@pytest.fixture
def camera(tmp_path: Path) -> Camera:
    return Camera(tmp_path / "camera.y4m")


@pytest.fixture
async def browser(camera: Camera) -> AsyncIterator[Browser]:
    async with running_chromium(*camera.arguments, "--host-resolver-rules=MAP door.example 127.0.0.1") as chromium:
        yield chromium


@pytest.fixture
async def edge(tenant: Tenant) -> AsyncIterator[Edge]:
    async with edge_of(tenant) as made:
        yield made


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = Path(SCREENSHOTS) if SCREENSHOTS else tmp_path / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
async def sample(web: Web, eyes: Connection) -> Sample:
    made = await make_event(eyes)
    await doors.ensure_one(eyes, made.event, "Main entrance")
    return made


@pytest.fixture
async def seller(web: Web, eyes: Connection) -> AsyncIterator[Program]:
    async with asking(web.tenant, await make_token(eyes, name="Gate B")) as program:
        yield program


async def codes_of(seller: Program, sample: Sample, *names: str) -> list[str]:
    """A ticket's code for each name."""
    found = []
    for name in names:
        body = {"name": name, "email": "a@example.com", "method": "free", "positions": [{"type_id": str(sample.type)}]}
        order = (await seller.post(f"/events/{sample.event}/orders", body)).body["order"]
        found.append(order["tickets"][0]["code"])
    return found


async def enrolment(organizer: Visitor, sample: Sample, name: str = "Gate A") -> str:
    """What the QR code on the organizer's screen holds, after the `#`."""
    await organizer.get("/organizer/access")
    page = await organizer.post("/organizer/access/devices", {"device_name": name, f"event-{sample.event}": "yes"})
    assert "works once, for 10 minutes" in page.words
    found = re.search(r'readonly value="[^"]*/checkin/(#enrol=[^"]+)"', page.text)
    assert found is not None
    return unescape(found[1])


async def until(page: Page, condition: str) -> Any:
    """Waits in the page until the expression is true; AssertionError with what the page says if it never is."""
    script = (
        "new Promise((done) => { const end = Date.now() + 15000; const look = () => { const found = (%s); "
        "if (found || Date.now() > end) done(found); else setTimeout(look, 40); }; look(); })"
    )
    found = await page.evaluate(script % condition)
    assert found, f"never: {condition}\n{await page.text()}"
    return found


async def sees(page: Page, camera: Camera, code: str, result: str, *, offline: bool = False) -> str:
    """Hold a ticket before the camera; what the page says."""
    camera.show(code)
    flag = "yes" if offline else ""
    condition = (
        "(() => { const a = document.getElementById('answer'); return !a.hidden && "
        f"a.dataset.result === '{result}' && a.dataset.offline === '{flag}'; }})()"
    )
    await until(page, condition)
    text = (await page.text("#answer")).replace("\u00a0", " ")
    camera.show(None)
    await page.evaluate("document.getElementById('answer-next').click()")
    return text


async def cut(page: Page, edge: Edge, is_cut: bool) -> None:
    edge.is_down = is_cut
    await page.call("Network.emulateNetworkConditions", offline=is_cut, **OFFLINE)


async def kept(page: Page, store: str) -> int:
    """How many rows the device keeps."""
    count: int = await page.evaluate(
        "new Promise((done) => { const open = indexedDB.open('checkin'); open.onsuccess = () => { const r = "
        f"open.result.transaction('{store}').objectStore('{store}').count(); r.onsuccess = () => done(r.result); }}; }})"
    )
    return count


async def test_tickets_are_scanned_with_the_camera_with_and_without_network(
    web: Web, organizer: Visitor, seller: Program, sample: Sample, edge: Edge, camera: Camera, browser: Browser,
    eyes: Connection, pictures: Path,
) -> None:  # fmt: skip
    lea, noor, aya, ida, spare = await codes_of(seller, sample, "Léa Martin", "Noor Haddad", "Aya", "Ida Bo", "Zoé")
    async with browser.page(width=360, height=720) as page:
        await page.go(f"{edge.url}/checkin/{await enrolment(organizer, sample)}")
        await until(page, "document.body.dataset.state === 'door'")
        assert await page.evaluate("location.hash") == ""
        assert await page.overflow_px() == 0
        said = await sees(page, camera, lea, "in")
        assert "Come in, Léa M." in said
        assert "Come in, Noor H." in await sees(page, camera, noor, "in")
        said = await sees(page, camera, lea, "already_redeemed")
        assert "Already in" in said
        assert "Gate A" in said
        assert "Not a ticket of ours" in await sees(page, camera, "https://example.com/menu", "foreign")
        assert "Unknown ticket" in await sees(page, camera, "A" * 22, "unknown_ticket")
        assert await eyes.fetchval("SELECT count(*) FROM checkin") == 2
        await until(page, "navigator.serviceWorker.controller !== null")

        await cut(page, edge, True)
        assert "Come in, Aya" in await sees(page, camera, aya, "in", offline=True)
        assert "Already in" in await sees(page, camera, noor, "already_redeemed", offline=True)
        await page.go(f"{edge.url}/checkin/")  # a phone that was switched off in between
        await until(page, "document.body.dataset.state === 'door'")
        assert "Come in, Ida B." in await sees(page, camera, ida, "in", offline=True)
        assert "Already in" in await sees(page, camera, aya, "already_redeemed", offline=True)
        await until(page, "document.getElementById('queue').dataset.waiting === '2'")
        await page.screenshot(pictures / "gate-offline-360-light-en.png")
        assert await Looker(browser, web.tenant).ask(page) == []
        assert await eyes.fetchval("SELECT count(*) FROM checkin") == 2
        list_id = await eyes.fetchval("SELECT id FROM checkin_list")
        scan = {"code": aya, "nonce": new_token(), "at": "2026-01-01T00:00:00Z"}
        assert (await seller.post(f"/checkin-lists/{list_id}/scans", scan)).status == 201  # another gate, meanwhile

        await cut(page, edge, False)
        await until(page, "document.getElementById('queue').dataset.waiting === '0'")
        rows = await eyes.fetch("SELECT gate, mark FROM checkin")
        assert Counter((row["gate"], row["mark"]) for row in rows) == {
            ("Gate A", None): 3, ("Gate B", None): 1, ("Gate A", "already_redeemed"): 1,
        }  # fmt: skip
        camera.show(spare)
        await until(page, "!document.getElementById('answer').hidden")
        await page.screenshot(pictures / "gate-in-360-light-en.png")
        assert await Looker(browser, web.tenant).ask(page) == []
        await page.evaluate("document.getElementById('answer-undo').click()")
        await until(page, "document.getElementById('answer').hidden")
        assert await eyes.fetchval("SELECT count(*) FROM checkin WHERE undone_at IS NOT NULL") == 1


async def test_a_revoked_device_forgets_the_guests_and_keeps_what_it_did(
    web: Web, organizer: Visitor, seller: Program, sample: Sample, edge: Edge, camera: Camera, browser: Browser,
    eyes: Connection, pictures: Path,
) -> None:  # fmt: skip
    (lea,) = await codes_of(seller, sample, "Léa Martin")
    async with browser.page(width=360, height=720) as page:
        await page.go(f"{edge.url}/checkin/{await enrolment(organizer, sample)}")
        await until(page, "document.body.dataset.state === 'door'")
        await until(page, "navigator.serviceWorker.controller !== null")
        await cut(page, edge, True)
        await sees(page, camera, lea, "in", offline=True)
        assert (await kept(page, "lists"), await kept(page, "queue")) == (1, 1)
        device = await eyes.fetchval("SELECT id FROM api_token WHERE kind = 'device'")
        await organizer.get("/organizer/access")
        assert "It is revoked." in (await organizer.post(f"/organizer/access/{device}/revoke")).words
        await cut(page, edge, False)
        await until(page, "document.body.dataset.state === 'signin'")
        assert "scans that wait stay here" in await page.text()
        assert (await kept(page, "lists"), await kept(page, "queue")) == (0, 1)
        await page.screenshot(pictures / "gate-signed-out-360-light-en.png")
        address = f"{edge.url}/checkin/{await enrolment(organizer, sample, 'Gate C')}"
        await page.fill(**{"signin-code": address})
        await page.evaluate("document.querySelector('#signin-form button').click()")
        await until(page, "document.getElementById('queue').dataset.waiting === '0'")
        assert await eyes.fetchval("SELECT gate FROM checkin") == "Gate C"


async def test_a_device_forgets_the_guests_a_day_after_the_event(
    web: Web, organizer: Visitor, seller: Program, sample: Sample, edge: Edge, browser: Browser, eyes: Connection
) -> None:
    await codes_of(seller, sample, "Léa Martin")
    async with browser.page(width=360) as page:
        await page.go(f"{edge.url}/checkin/{await enrolment(organizer, sample)}")
        await until(page, "document.body.dataset.state === 'door'")
        assert await kept(page, "lists") == 1
        await eyes.execute(
            "UPDATE event_session SET starts_at = clock_timestamp() - interval '3 days', "
            "ends_at = clock_timestamp() - interval '25 hours'"
        )
        await page.evaluate("window.dispatchEvent(new Event('online'))")  # what happens every 20 s
        await until(page, "document.body.dataset.state === 'lists' && !document.getElementById('lists-none').hidden")
        assert "There is no list for this device" in await page.text()
        assert await kept(page, "lists") == 0


async def test_without_tls_the_page_says_why_the_camera_is_off_and_codes_are_typed(
    web: Web, organizer: Visitor, seller: Program, sample: Sample, edge: Edge, browser: Browser, pictures: Path
) -> None:
    (lea,) = await codes_of(seller, sample, "Léa Martin")
    async with browser.page(width=360, language="fr") as page:
        fragment = await enrolment(organizer, sample)
        await page.go(f"http://door.example:{edge.port}/checkin/{fragment}")
        await until(page, "document.body.dataset.state === 'door'")
        assert "ne marche qu’en https" in await page.text("#camera-off")
        await page.fill(code=lea)
        await page.evaluate("document.querySelector('#type-form button').click()")
        await until(page, "document.getElementById('answer').dataset.result === 'in'")
        assert "Entrez, Léa\u00a0M." in await page.text("#answer")
        await page.screenshot(pictures / "gate-typed-360-light-fr.png")


async def test_a_door_question_is_asked_on_the_page(
    web: Web, organizer: Visitor, seller: Program, sample: Sample, edge: Edge, camera: Camera, browser: Browser,
    eyes: Connection, pictures: Path,
) -> None:  # fmt: skip
    await eyes.execute(
        "INSERT INTO question (id, event_id, kind, label, is_required, at_door) "
        "VALUES (gen_random_uuid(), $1, 'line', '{\"en\": \"Licence plate\"}', true, true)",
        sample.event,
    )
    lea, noor = await codes_of(seller, sample, "Léa Martin", "Noor")
    async with browser.page(width=360, height=720) as page:
        await page.go(f"{edge.url}/checkin/{await enrolment(organizer, sample)}")
        await until(page, "document.body.dataset.state === 'door'")
        for code, is_cut in ((lea, False), (noor, True)):
            await cut(page, edge, is_cut)
            camera.show(code)
            await until(page, "document.getElementById('answer').dataset.result === 'incomplete'")
            assert "Licence plate" in await page.text("#answer")
            await page.screenshot(pictures / f"gate-question-{is_cut}-360-light-en.png")
            assert await Looker(browser, web.tenant).ask(page) == []
            camera.show(None)
            await page.evaluate("document.querySelector('#answer-fields input').value = 'AB-123-CD'")
            await page.evaluate("document.querySelector('#answer-questions button').click()")
            await until(page, "document.getElementById('answer').dataset.result === 'in'")
            await page.evaluate("document.getElementById('answer-next').click()")
        await cut(page, edge, False)
        await until(page, "document.getElementById('queue').dataset.waiting === '0'")
        assert [row["value"] for row in await eyes.fetch("SELECT value FROM answer")] == ["AB-123-CD", "AB-123-CD"]


async def test_only_the_doors_page_may_use_the_camera(web: Web, organizer: Visitor) -> None:
    door = await organizer.get("/checkin/")
    assert "camera=(self)" in door.headers["Permissions-Policy"]
    assert "worker-src 'self'" in door.headers["Content-Security-Policy"]
    assert "camera=()" in (await organizer.get("/")).headers["Permissions-Policy"]
    assert (await organizer.get("/checkin")).path == "/checkin/"
    worker = await organizer.get("/checkin/sw.js")
    assert worker.headers["Content-Type"].startswith("text/javascript")
    for path in re.findall(r'"(/[^"]*)"', worker.text.splitlines()[1]):
        assert (await organizer.get(path)).status == 200, path
    for path in ("../app.js", "qr/LICENSE", "nothing.js", "qr/app.js"):
        assert (await organizer.get(f"/checkin/{path}")).status == 404, path
