"""axe finds nothing serious: the pages that matter, empty, full and with errors, in both languages, small and large.

What a machine can see of WCAG 2.2 AA: contrast, names, roles, order. The rest is looked at by people.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from skep.webapp.seed import seed
from skep.webapp.settings import Settings
from skep.webapp.store import quarantine
from tests.rig.chromium import Browser, Page, find_chromium, running_chromium
from tests.rig.tenant import Tenant
from tests.rig.visitor import Visitor

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="no chromium: apt-get install chromium")

AXE = Path(__file__).parents[1] / "vendored" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
VIEWS = [(360, False, "en"), (360, True, "fr"), (1280, False, "fr"), (1280, True, "en")]
RUN = """
axe.run(document, {runOnly: {type: "tag", values: TAGS}, resultTypes: ["violations"]}).then(found =>
  found.violations.filter(each => each.impact === "serious" || each.impact === "critical").map(each => ({
    rule: each.id, help: each.help, where: each.nodes.map(node => node.target.join(" ")).slice(0, 3)})))
""".replace("TAGS", json.dumps(TAGS))


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with running_chromium() as chromium:
        yield chromium


class Looker:
    """Walks through pages in every view, a browser's page a view for all of them."""

    def __init__(self, browser: Browser, tenant: Tenant) -> None:
        self._browser = browser
        self._tenant = tenant
        self._axe = AXE.read_text()

    async def walk(self, paths: dict[str, str], *, send: frozenset[str] = frozenset(), **cookies: str) -> list[str]:
        """What axe finds on each page, as sentences. *send*: these pages' forms are sent as they are first."""
        problems = []
        for width, dark, language in VIEWS:
            async with self._browser.page(
                width=width, dark=dark, language=language, headers={"X-Skep-Tenant": self._tenant.uid}
            ) as page:
                for cookie, value in cookies.items():
                    await page.call("Network.setCookie", name=cookie, value=value, url=self._tenant.url)
                for name, path in paths.items():
                    await page.go(self._tenant.url + path)
                    if name in send:
                        await page.submit()
                    for found in await self.ask(page):
                        problems.append(
                            f"{name}, {width} px, {language}: {found['rule']}: {found['help']}: {found['where']}"
                        )
        return problems

    async def ask(self, page: Page) -> list[dict[str, Any]]:
        if not await page.evaluate("typeof axe === 'object'"):
            await page.evaluate(self._axe + "; 0")
        found: list[dict[str, Any]] = await page.evaluate(RUN)
        return found


async def test_buyers_pages(visitor: Visitor, tenant: Tenant, browser: Browser, eyes: Connection) -> None:
    look = Looker(browser, tenant)
    problems = await look.walk({"empty list": "/"})
    assert await seed(Settings.read(tenant.env)) == 4
    workshop = "/events/bookbinding-weekend"
    await visitor.add("bookbinding-weekend", voucher="ATELIER", **{"Full price": 1, "Reduced": 1})
    await eyes.execute("UPDATE event SET status = 'postponed' WHERE slug = 'makers-market'")
    free = (await visitor.register("open-studio-night")).path
    buyer = visitor.cookies()["cart"]
    problems += await look.walk(
        {
            "list": "/",
            "event": workshop,
            "event with a wrong voucher": f"{workshop}?voucher=NOBODY",
            "event that is postponed": "/events/makers-market",
            "empty cart": "/events/open-studio-night/cart",
            "cart": f"{workshop}/cart",
            "checkout": f"{workshop}/checkout",
            "checkout with errors": f"{workshop}/checkout",
            "my tickets": "/tickets",
            "order": free,
            "login": "/organizer/sign-in",
            "login with errors": "/organizer/sign-in",
            "nothing here": "/nowhere",
        },
        send=frozenset({"checkout with errors", "login with errors"}),
        cart=buyer,
    )
    assert problems == []


async def test_organizers_pages(organizer: Visitor, tenant: Tenant, browser: Browser, eyes: Connection) -> None:
    look = Looker(browser, tenant)
    cookie = organizer.cookies()["session"]
    problems = await look.walk({"empty dashboard": "/organizer"}, session=cookie)
    assert await seed(Settings.read(tenant.env)) == 4
    event_id = await eyes.fetchval("SELECT id FROM event WHERE slug = 'bookbinding-weekend'")
    here = f"/organizer/events/{event_id}"
    session = await eyes.fetch("SELECT * FROM web_session")
    async with eyes.transaction():
        await quarantine.begin(eyes)
    for row in session:  # an organizer signs in again
        columns = ", ".join(row.keys())
        marks = ", ".join(f"${number}" for number in range(1, len(row) + 1))
        await eyes.execute(f"INSERT INTO web_session ({columns}) VALUES ({marks})", *row)
    await eyes.execute(
        "UPDATE job SET parked_at = NULL, dead_at = clock_timestamp(), error = 'recipient 550' "
        "WHERE id = (SELECT id FROM job LIMIT 1)"
    )
    problems += await look.walk(
        {
            "dashboard": "/organizer",
            "event": here,
            "editor": f"{here}/edit",
            "new event": "/organizer/events/new",
            "new event with errors": "/organizer/events/new",
            "offer": f"{here}/tickets",
            "orders": f"{here}/orders",
            "outbox": "/organizer/outbox",
            "site": "/organizer/site",
            "privacy": "/organizer/privacy",
            "team": "/organizer/team",
        },
        send=frozenset({"new event with errors"}),
        session=cookie,
    )
    assert problems == []


async def test_axe_sees_what_is_wrong(visitor: Visitor, tenant: Tenant, browser: Browser) -> None:
    """The control: a page that was spoilt is found."""
    look = Looker(browser, tenant)
    async with browser.page(headers={"X-Skep-Tenant": tenant.uid}) as page:
        await page.go(f"{tenant.url}/organizer/sign-in")
        await page.evaluate("document.querySelectorAll('label').forEach(each => each.remove())")
        found = await look.ask(page)
    assert re.search("label", " ".join(each["rule"] for each in found))
