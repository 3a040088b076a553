"""The pages in a real browser: the whole way without JavaScript, and every page looked at.

Screenshots land in the folder that `SKEP_SCREENSHOTS` names, or else in the test's own temporary one.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.rig.chromium import Browser, Page, find_chromium, running_chromium
from tests.rig.tenant import Tenant, Web
from tests.rig.visitor import PASSWORD, Visitor, event_fields, make_invitation

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
async def test_announcing_and_registering_in_a_browser(web: Web, browser: Browser, javascript: bool) -> None:
    tenant, header = web.tenant, {"X-Skep-Tenant": web.tenant.uid}
    async with browser.page(headers=header) as organizer:
        await organizer.go(f"{tenant.url}/invite/{await make_invitation(tenant)}")
        if not javascript:
            await organizer.call("Emulation.setScriptExecutionDisabled", value=True)
        await organizer.fill(name="Léa Martin", email="lea@example.com", password=PASSWORD)
        await organizer.submit()
        assert "Your account is ready." in await organizer.text()
        await organizer.go(f"{tenant.url}/organizer/events/new")
        fields = event_fields(capacity="1")
        del fields["language"]
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
            await guest.fill(name="Noor", email="noor")
            await guest.submit()
            assert "Indiquez une adresse e-mail" in await guest.text("#errors")
            focused: str = await guest.evaluate("document.activeElement.id")
            assert (focused == "errors") is javascript  # with it, one begins with what to correct
            await guest.fill(email="noor@example.com")
            await guest.submit()
            assert "Votre inscription est enregistrée" in await guest.text()
            await guest.go(f"{tenant.url}/events/open-studio-night")
            assert "Complet" in await guest.text()

        await organizer.go(f"{tenant.url}/organizer")
        assert "1 of 1" in await organizer.text()
        await organizer.submit("header form button")
        assert "You are signed out." in await organizer.text()


async def test_pages_fit_every_screen_and_break_no_rule_of_their_own(
    organizer: Visitor, visitor: Visitor, tenant: Tenant, browser: Browser, pictures: Path
) -> None:
    """No sideways scrolling at 360 px, no refused resource, targets of 44 px, a label on every field."""
    empty = await _look(browser, tenant, "empty", "/", pictures, None)
    studio = await organizer.create_event(capacity="3")
    await organizer.publish(studio)
    await organizer.publish(await organizer.create_event(title=LONG_TITLE, ends="2090-12-06T01:00", capacity="1"))
    confirmation = (await visitor.register("open-studio-night", name="Jean-Baptiste de la Tour")).path
    await visitor.register(LONG_TITLE.lower().replace(" ", "-")[:60])
    cookie = organizer.cookies()["session"]
    pages = {
        "list": "/",
        "event": "/events/open-studio-night",
        "long-title": "/events/" + LONG_TITLE.lower().replace(" ", "-")[:60],
        "confirmation": confirmation,
        "missing": "/nowhere",
        "sign-in": "/organizer/sign-in",
        "invitation": f"/invite/{await make_invitation(tenant)}",
    }
    private = {
        "dashboard": "/organizer",
        "manage": studio,
        "attendees": f"{studio}/attendees",
        "edit": f"{studio}/edit",
    }
    problems = empty
    for name, path in pages.items():
        problems += await _look(browser, tenant, name, path, pictures, None)
    for name, path in private.items():
        problems += await _look(browser, tenant, name, path, pictures, cookie)
    assert problems == []


async def _look(
    browser: Browser, tenant: Tenant, name: str, path: str, pictures: Path, cookie: str | None
) -> list[str]:
    problems = []
    for width, dark, language in VIEWS:
        async with browser.page(
            width=width, dark=dark, language=language, headers={"X-Skep-Tenant": tenant.uid}
        ) as page:
            if cookie:
                await page.call("Network.setCookie", name="session", value=cookie, url=tenant.url)
            await page.go(tenant.url + path)
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
          for (const e of document.querySelectorAll("button, .button, input:not([type=hidden]), select")) {
            const box = e.getBoundingClientRect();
            if (seen(e) && box.height < 44) found.push(`${e.tagName} "${e.innerText || e.id}" is ${box.height} px high`);
          }
          for (const e of document.querySelectorAll("input:not([type=hidden]), select, textarea"))
            if (!document.querySelector(`label[for="${e.id}"]`)) found.push(`${e.id} has no label`);
          if (document.querySelectorAll("h1").length !== 1) found.push("not one h1");
          for (const sheet of document.querySelectorAll("link[rel=stylesheet]"))
            if (!sheet.sheet || !sheet.sheet.cssRules.length) found.push(`${sheet.href} was not applied`);
          for (const image of document.images) if (!image.naturalWidth) found.push(`${image.src} is broken`);
          return found;
        })()
        """
    )
    return problems
