"""An organizer's evening in a real browser, in both languages; and every page of theirs looked at."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from skep.webapp.seed import seed
from skep.webapp.settings import Settings
from tests.rig.chromium import Browser, Page, find_chromium, running_chromium
from tests.rig.tenant import Tenant, Web
from tests.rig.visitor import PASSWORD, Visitor, event_fields, make_invitation
from tests.webapp.test_browser import SCREENSHOTS, _problems

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="no chromium: apt-get install chromium")

VIEWS = [(360, False, "fr"), (1280, True, "en")]

# What is read at each step, in the organizer's language.
STEPS = {
    "en": {
        "created": "Draft saved.", "saved": "Saved.", "public": "The page is public now.", "sold": "Sold and paid.",
        "back": "The tickets are cancelled", "refunded": "the money went back", "what": "What will happen",
        "cancelled": "The event is cancelled.", "owed": "is owed back for 1 order",
    },
    "fr": {
        "created": "Brouillon enregistré.", "saved": "Enregistré", "public": "la page est publique",
        "sold": "Vendu et payé.", "back": "Les billets sont annulés", "refunded": "la somme est remboursée",
        "what": "Ce qui va se passer", "cancelled": "L’événement est annulé.", "owed": "sont à rembourser pour 1 commande",
    },
}  # fmt: skip


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with running_chromium() as chromium:
        yield chromium


async def tick(page: Page, selector: str) -> None:
    await page.evaluate(f"document.querySelector({selector!r}).checked = true")


@pytest.mark.parametrize(("language", "javascript"), [("en", True), ("fr", False)], ids=["en", "fr, no JavaScript"])
async def test_from_a_draft_to_a_cancelled_event(
    web: Web, browser: Browser, eyes: Connection, language: str, javascript: bool
) -> None:
    """Create, offer, publish, sell at the door, take one ticket back, pay back, cancel."""
    tenant, said = web.tenant, STEPS[language]
    async with browser.page(language=language, width=360, headers={"X-Skep-Tenant": tenant.uid}) as page:
        await page.go(f"{tenant.url}/invite/{await make_invitation(tenant)}")
        if not javascript:
            await page.call("Emulation.setScriptExecutionDisabled", value=True)
        await page.fill(name="Léa Martin", email="lea@example.com", password=PASSWORD)
        await page.submit()
        await page.submit("main a[href='/organizer/events/new']")
        fields = event_fields(capacity="5", price="12.50", tax="5.5")
        for chosen in ("language", "currency", "pays_on_site"):
            del fields[chosen]
        await page.fill(**fields)
        await page.submit("main form button[type=submit]")
        assert said["created"] in await page.text()
        event = await page.path()

        await page.submit(f"a[href='{event}/tickets']")
        await page.submit(f"a[href^='{event}/tickets/types/new?like=']")
        await page.fill(title="Student", price="8")
        await page.submit("main form button[type=submit]")
        assert "Student" in await page.text("table")
        await page.go(f"{tenant.url}{event}")
        await page.submit(f"form[action='{event}/publish'] button")
        assert said["public"] in await page.text()

        await page.submit(f"a[href='{event}/orders']")
        await page.submit(f"a[href='{event}/door']")
        rows = await eyes.fetch("SELECT id FROM ticket_type ORDER BY rank, id")
        await page.fill(**{f"n-{row['id']}": "1" for row in rows})
        await page.submit("main form button[type=submit]")
        assert said["sold"] in await page.text()
        await page.evaluate("document.querySelector('.give-back').open = true")
        await tick(page, ".give-back input[type=checkbox]")
        await page.submit(".give-back form button")
        assert said["back"] in await page.text()
        await page.submit("form[action*='/refunds/'] button")
        assert said["refunded"] in await page.text()

        await page.go(f"{tenant.url}{event}/figures")
        assert await page.evaluate("document.querySelectorAll('.plot rect').length") >= 1
        await page.go(f"{tenant.url}{event}")
        await page.submit(f"a[href='{event}/cancel']")
        words = await page.text()
        assert said["what"] in words
        assert said["owed"] in words
        assert await page.overflow_px() == 0
        await page.fill(notice="The roof leaks.")
        await page.submit("main form button[type=submit]")
        assert said["cancelled"] in await page.text()
        await page.go(f"{tenant.url}/events/open-studio-night")
        assert "The roof leaks." in await page.text()
    states = [row["state"] for row in await eyes.fetch("SELECT state FROM refund ORDER BY id")]
    assert states == ["done", "owed"]
    assert await eyes.fetchval("SELECT count(*) FROM order_position WHERE is_held") == 0


async def test_the_organizers_pages_fit_every_screen(
    organizer: Visitor, tenant: Tenant, browser: Browser, eyes: Connection, tmp_path: Path
) -> None:
    pictures = Path(SCREENSHOTS) if SCREENSHOTS else tmp_path / "screenshots"
    pictures.mkdir(parents=True, exist_ok=True)
    assert await seed(Settings.read(tenant.env)) == 4
    await eyes.execute(
        "UPDATE ticket_order SET created_at = created_at - make_interval(days => (get_byte(uuid_send(id), 15) % 20))"
    )
    seller = {"version": "0", "legal_name": "Atelier Nord", "address": "12 rue des Tanneurs\n59000 Lille"}
    await organizer.get("/organizer/invoices/seller")
    await organizer.post("/organizer/invoices/seller", seller)
    event = await eyes.fetchval("SELECT id FROM event WHERE slug = 'bookbinding-weekend'")
    here = f"/organizer/events/{event}"
    order = await eyes.fetchval("SELECT id FROM ticket_order WHERE event_id = $1 ORDER BY id LIMIT 1", event)
    await organizer.post(f"{here}/orders/{order}/paid")
    await organizer.post(f"{here}/orders/{order}/notes", {"note": "Wants a window seat."})
    ticket = await eyes.fetchval("SELECT id FROM order_position WHERE order_id = $1 ORDER BY rank LIMIT 1", order)
    await organizer.post(f"{here}/orders/{order}/give-back", {f"ticket-{ticket}": "yes"})
    await organizer.post("/organizer/team", {"email": "a.rather.long.address@subdomain.example.com"})
    person = await eyes.fetchval("SELECT person_id FROM invited")
    cookie = organizer.cookies()["session"]
    paths = {
        "dashboard-sales": "/organizer",
        "manage-live": here,
        "figures": f"{here}/figures",
        "orders-search": f"{here}/orders?q=camille",
        "orders-none": f"{here}/orders?q=nobody",
        "order": f"{here}/orders/{order}",
        "door": f"{here}/door",
        "attendees-filter": f"{here}/attendees",
        "cancel": f"{here}/cancel",
        "postpone": f"{here}/postpone",
        "clone": f"{here}/clone",
        "team-invited": "/organizer/team",
        "colleague": f"/organizer/team/{person}",
        "account": "/organizer/account",
        "invoices": "/organizer/invoices",
        "seller": "/organizer/invoices/seller",
        "audit": "/organizer/audit",
    }
    problems = []
    for width, dark, language in VIEWS:
        view = f"{width}-{'dark' if dark else 'light'}-{language}"
        async with browser.page(
            width=width, dark=dark, language=language, headers={"X-Skep-Tenant": tenant.uid}
        ) as page:
            await page.call("Network.setCookie", name="session", value=cookie, url=tenant.url)
            for name, path in paths.items():
                await page.go(tenant.url + path)
                await page.screenshot(pictures / f"{name}-{view}.png")
                problems += [f"{name}-{view}: {problem}" for problem in await _problems(page)]
    assert problems == []
