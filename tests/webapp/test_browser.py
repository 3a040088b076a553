"""The pages in a real browser: the whole way without JavaScript, and every page looked at.

Screenshots land in the folder that `SKEP_SCREENSHOTS` names, or else in the test's own temporary one.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest
from PIL import Image, ImageDraw, ImageOps

from skep.webapp.seed import seed
from skep.webapp.settings import Settings
from tests.rig.chromium import Browser, Page, find_chromium, running_chromium
from tests.rig.tenant import Tenant, Web
from tests.rig.uploads import send
from tests.rig.visitor import PASSWORD, Answer, Visitor, event_fields, make_invitation

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="no chromium: apt-get install chromium")

SCREENSHOTS = os.environ.get("SKEP_SCREENSHOTS")  # read before the environment is cleaned for the tests
LONG_TITLE = "An evening with everyone who ever wanted to say something about the history of small rooms"
VIEWS = [(360, False, "en"), (360, True, "fr"), (1280, False, "fr"), (1280, True, "en")]


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with running_chromium() as chromium:
        yield chromium


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = Path(SCREENSHOTS) if SCREENSHOTS else tmp_path / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without JavaScript"])
async def test_announcing_and_buying_in_a_browser(web: Web, browser: Browser, javascript: bool) -> None:
    tenant, header = web.tenant, {"X-Skep-Tenant": web.tenant.uid}
    async with browser.page(headers=header) as organizer:
        await organizer.go(f"{tenant.url}/invite/{await make_invitation(tenant)}")
        if not javascript:
            await organizer.call("Emulation.setScriptExecutionDisabled", value=True)
        await organizer.fill(name="Léa Martin", email="lea@example.com", password=PASSWORD)
        await organizer.submit()
        assert "Your account is ready." in await organizer.text()
        await organizer.go(f"{tenant.url}/organizer/events/new")
        fields = event_fields(capacity="1", price="12.50", tax="5.5")
        for chosen in ("language", "currency", "pays_on_site"):
            del fields[chosen]
        await organizer.fill(**fields)
        await organizer.submit("main form button[type=submit]")
        assert "Draft saved." in await organizer.text()
        await organizer.submit(".card form button")
        assert "The page is public now." in await organizer.text()

        async with browser.page(language="fr", headers=header) as guest:
            await guest.go(f"{tenant.url}/")
            if not javascript:
                await guest.call("Emulation.setScriptExecutionDisabled", value=True)
            await guest.submit(".events a")
            assert await guest.path() == "/events/open-studio-night"
            await guest.submit("#buy button")
            assert await guest.path() == "/events/open-studio-night/cart"
            counting = re.search(r"(29|30):\d\d", await guest.text(".held"))
            assert bool(counting) is javascript  # second by second only with it
            await guest.submit(".actions a:last-child")
            await guest.fill(name="Noor", email="noor")
            await guest.submit()
            assert "Indiquez une adresse e-mail" in await guest.text("#errors")
            focused: str = await guest.evaluate("document.activeElement.id")
            assert (focused == "errors") is javascript  # with it, one begins with what to correct
            await guest.fill(email="noor@example.com")
            await guest.submit()
            assert "C’est réservé" in await guest.text()
            assert "12,50\u00a0€" in await guest.text()
            order = await guest.path()
            await guest.go(f"{tenant.url}/events/open-studio-night")
            assert "Complet" in await guest.text()
            await guest.go(f"{tenant.url}{order}")
            await guest.submit(".give-back button")
            assert "Cette commande est annulée" in await guest.text()

        await organizer.go(f"{tenant.url}/organizer")
        assert "0 of 1" in await organizer.text()
        await organizer.submit("header form button")
        assert "You are signed out." in await organizer.text()


async def test_pages_fit_every_screen_and_break_no_rule_of_their_own(
    organizer: Visitor, visitor: Visitor, tenant: Tenant, browser: Browser, pictures: Path
) -> None:
    """No sideways scrolling at 360 px, no refused resource, targets of 44 px, a label on every field."""
    problems = await _look(browser, tenant, {"empty": "/"}, pictures)
    assert await seed(Settings.read(tenant.env)) == 4
    studio = await organizer.create_event(title=LONG_TITLE, ends="2090-12-06T01:00", capacity="1")
    await organizer.publish(studio)
    workshop = "/events/bookbinding-weekend"
    await visitor.add("bookbinding-weekend", voucher="ATELIER", **{"Full price": 1, "Reduced": 1})
    refused = await visitor.check_out("bookbinding-weekend", email="noor", method="transfer")
    assert refused.status == 422
    buyer = visitor.cookies()["cart"]
    full = re.search(r'href="(/events/[^"]*/waiting/[^"]*)"', (await _filled(visitor)).text)
    assert full is not None
    cookie = organizer.cookies()["session"]
    public = {
        "list": "/",
        "search-nothing": "/?q=opera",
        "event": workshop,
        "event-voucher": f"{workshop}?voucher=ATELIER",
        "event-voucher-wrong": f"{workshop}?voucher=NOBODY",
        "event-dates": "/events/repair-cafe",
        "event-free": "/events/open-studio-night",
        "event-full": full[1].partition("/waiting/")[0],
        "waiting": full[1],
        "waiting-joined": f"{full[1]}?joined=yes",
        "long-title": "/events/" + LONG_TITLE.lower().replace(" ", "-")[:60],
        "cart-empty": f"{workshop}/cart",
        "legal": "/legal",
        "resend": "/tickets",
        "resend-sent": "/tickets?sent=yes",
        "missing": "/nowhere",
        "sign-in": "/organizer/sign-in",
        "invitation": f"/invite/{await make_invitation(tenant)}",
    }
    problems += await _look(browser, tenant, public, pictures)
    buying = {"cart": f"{workshop}/cart", "checkout": f"{workshop}/checkout"}
    problems += await _look(browser, tenant, buying, pictures, cart=buyer)
    problems += await _look(
        browser, tenant, {"checkout-wrong": f"{workshop}/checkout"}, pictures, cart=buyer, send=True
    )
    order = await _ordered(visitor)
    free = (await visitor.register("open-studio-night")).path
    problems += await _look(browser, tenant, {"order-transfer": order, "order-free": free}, pictures)
    connection = await tenant.admin()
    event_id = await connection.fetchval("SELECT id FROM event WHERE slug = 'bookbinding-weekend'")
    type_id = await connection.fetchval(
        "SELECT t.id FROM ticket_type t JOIN event_session s ON s.id = t.session_id WHERE s.event_id = $1", event_id
    )
    await connection.execute("UPDATE event SET status = 'postponed' WHERE slug = 'makers-market'")
    await connection.close()
    problems += await _look(browser, tenant, {"event-postponed": "/events/makers-market"}, pictures)
    here = f"/organizer/events/{event_id}"
    organizing = {
        "dashboard": "/organizer",
        "legal-edit": "/organizer/legal",
        "manage": here,
        "attendees": f"{here}/attendees",
        "orders": f"{here}/orders",
        "edit": f"{here}/edit",
        "new": "/organizer/events/new",
        "offer": f"{here}/tickets",
        "offer-type": f"{here}/tickets/types/{type_id}",
        "offer-voucher": f"{here}/tickets/vouchers/new",
        "offer-question": f"{here}/tickets/questions/new",
        "offer-session": f"{here}/tickets/sessions/new",
    }
    problems += await _look(browser, tenant, organizing, pictures, session=cookie)
    assert problems == []


async def test_pages_of_mail_and_pictures_fit_too(
    organizer: Visitor, visitor: Visitor, tenant: Tenant, browser: Browser, pictures: Path, eyes: Connection
) -> None:
    problems = await _look(browser, tenant, {"reset": "/organizer/reset"}, pictures)
    cookie = organizer.cookies()["session"]
    problems += await _look(browser, tenant, {"outbox-empty": "/organizer/outbox"}, pictures, session=cookie)
    assert await seed(Settings.read(tenant.env)) == 4
    event_id = await eyes.fetchval("SELECT id FROM event WHERE slug = 'open-studio-night'")
    here = f"/organizer/events/{event_id}"
    problems += await _look(browser, tenant, {"picture-none": f"{here}/picture"}, pictures, session=cookie)
    await organizer.get(f"{here}/picture")
    answer = await send(organizer, here, poster(), alt="Evening light over workbenches")
    assert answer.status == 200
    order = (await visitor.register("open-studio-night")).path
    await eyes.execute(
        "UPDATE job SET dead_at = clock_timestamp(), attempts = 1, "
        "error = 'recipient 550' WHERE id IN (SELECT id FROM job LIMIT 3)"
    )
    pictured = {"event-picture": "/events/open-studio-night", "list-picture": "/", "order-tickets": order}
    problems += await _look(browser, tenant, pictured, pictures)
    organizing = {
        "picture": f"{here}/picture",
        "outbox": "/organizer/outbox",
        "team": "/organizer/team",
        "dashboard-dead": "/organizer",
        "manage-picture": here,
        "orders-resend": f"{here}/orders",
    }
    problems += await _look(browser, tenant, organizing, pictures, session=cookie)
    assert problems == []


def poster() -> bytes:
    """Something like a photograph."""
    ground = Image.linear_gradient("L").resize((1600, 900))
    image = ImageOps.colorize(ground, black="#10243f", white="#f3b37a").convert("RGB")
    pen = ImageDraw.Draw(image)
    pen.ellipse((1150, 480, 1390, 720), fill="#ffe9c9")
    for left in range(0, 1600, 160):
        pen.rectangle((left, 740 - left % 480 // 4, left + 120, 900), fill="#0b1a2e")
    output = io.BytesIO()
    image.save(output, "JPEG", quality=90)
    return output.getvalue()


async def _filled(visitor: Visitor) -> Answer:
    """A page whose only ticket was taken."""
    slug = LONG_TITLE.lower().replace(" ", "-")[:60]
    await visitor.register(slug)
    return await visitor.get(f"/events/{slug}")


async def _ordered(visitor: Visitor) -> str:
    page = await visitor.get("/events/bookbinding-weekend/checkout")
    papers = dict.fromkeys(re.findall(r'<select id="(q-[^"]+)"', page.text), "1")
    order = await visitor.check_out("bookbinding-weekend", name="Noor Haddad", method="transfer", **papers)
    assert order.path.startswith("/orders/"), order.words
    return order.path


async def _look(
    browser: Browser,
    tenant: Tenant,
    paths: Mapping[str, str],
    pictures: Path,
    *,
    send: bool = False,
    **cookies: str,
) -> list[str]:
    """What is wrong with pages, by name, in each view, which is kept as a picture. *send*: their forms are sent first."""
    problems = []
    for width, dark, language in VIEWS:
        async with browser.page(
            width=width, dark=dark, language=language, headers={"X-Skep-Tenant": tenant.uid}
        ) as page:
            for cookie, value in cookies.items():
                await page.call("Network.setCookie", name=cookie, value=value, url=tenant.url)
            for name, path in paths.items():
                await page.go(tenant.url + path)
                if send:
                    await page.submit()
                view = f"{name}-{width}-{'dark' if dark else 'light'}-{language}"
                await page.screenshot(pictures / f"{view}.png")
                problems += [f"{view}: {problem}" for problem in await _problems(page)]
    return problems


async def _problems(page: Page) -> list[str]:
    problems = []
    if overflow := await page.overflow_px():
        problems.append(f"scrolls sideways by {overflow} px")
    problems += await page.evaluate(
        """
        (() => {
          const seen = (e) => e.getClientRects().length && getComputedStyle(e).clipPath === "none";
          const found = [];
          for (const e of document.querySelectorAll("button, .button, input:not([type=hidden]):not([type=checkbox]):not([type=radio]), select")) {
            const box = e.getBoundingClientRect();
            if (seen(e) && !e.closest(".trap") && box.height < 44) found.push(`${e.tagName} "${e.innerText || e.id}" is ${box.height} px high`);
          }
          for (const e of document.querySelectorAll("input:not([type=hidden]), select, textarea"))
            if (!document.querySelector(`label[for="${e.id}"]`)) found.push(`${e.id} has no label`);
          if (document.querySelectorAll("h1").length !== 1) found.push("not one h1");
          for (const sheet of document.querySelectorAll("link[rel=stylesheet]"))
            if (!sheet.sheet || !sheet.sheet.cssRules.length) found.push(`${sheet.href} was not applied`);
          for (const image of document.images) if (!image.naturalWidth && image.loading !== "lazy") found.push(`${image.src} is broken`);
          return found;
        })()
        """
    )
    return problems
