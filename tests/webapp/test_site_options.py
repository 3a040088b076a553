"""What organizers choose for the whole site: words around mails, and free places that are confirmed by mail."""

from __future__ import annotations

import email
import email.policy
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from tests.rig.rows import make_event
from tests.rig.tenant import Tenant
from tests.rig.visitor import Answer, Visitor, visiting

if TYPE_CHECKING:
    from email.message import EmailMessage

    Connection = asyncpg.Connection[asyncpg.Record]


async def choose(organizer: Visitor, **fields: str) -> Answer:
    page = await organizer.get("/organizer/site")
    version = re.search(r'name="version" value="(\d+)"', page.text)
    assert version is not None
    return await organizer.post("/organizer/site", {"version": version[1], **fields})


async def mails(tenant: Tenant, folder: Path) -> list[EmailMessage]:
    await tenant.work()
    return read(folder)


def read(folder: Path) -> list[EmailMessage]:
    paths = sorted(folder.glob("*.eml"))
    return [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in paths]


async def test_a_free_place_counts_once_its_buyer_has_answered_a_mail(
    tenant: Tenant, eyes: Connection, tmp_path: Path
) -> None:
    tenant.settings["worker"] = "service"  # the test is the worker
    tenant.given["SKEP_MAIL_DIR"] = str(tmp_path / "mail")
    tenant.write()
    sample = await make_event(eyes, capacity=2)
    async with tenant.running(), visiting(tenant) as organizer, visiting(tenant) as guest, visiting(tenant) as reader:
        await organizer.become_organizer()
        saved = await choose(
            organizer, confirms_free="yes", mail_intro="Bonjour & hello,\n\nwelcome.", mail_footer="Acme, Rue 1",
            reply_to="Hello@Acme.Example",
        )  # fmt: skip
        assert saved.path == "/organizer/site?notice=saved"
        done = await guest.register(sample.slug)
        assert "look into your mailbox" in done.words
        assert "Confirm my tickets" not in done.words  # its address proves nothing
        await guest.post(f"{done.path}/confirm")
        assert await eyes.fetchval("SELECT state FROM ticket_order") == "pending"
        assert (await guest.get(f"{done.path}/tickets.pdf")).status == 404

        orders = await organizer.get(f"/organizer/events/{sample.event}/orders")
        assert "To be confirmed by mail" in orders.words

        (letter,) = await mails(tenant, tmp_path / "mail")
        assert letter["Reply-To"] == "hello@acme.example"
        text = letter.get_body(("plain",))
        html = letter.get_body(("html",))
        assert text is not None
        assert html is not None
        words = text.get_content()
        assert "Bonjour & hello,\n\nwelcome." in words.replace("\r", "")
        assert "Acme, Rue 1" in words
        assert "Bonjour &amp; hello," in html.get_content()
        link = re.search(rf"{re.escape(tenant.url)}(/orders/\S+)", words)
        assert link is not None
        page = await reader.get(link[1])
        assert "Almost there" in page.words
        assert await eyes.fetchval("SELECT state FROM ticket_order") == "pending"  # looking changes nothing
        confirmed = await reader.post(f"{link[1]}/confirm")
        assert "Almost there" not in confirmed.words
        assert await eyes.fetchval("SELECT state FROM ticket_order") == "paid"
        again = await reader.post(f"{link[1]}/confirm")
        assert again.status == 200
        assert len(await mails(tenant, tmp_path / "mail")) == 2  # the tickets

        late = await guest.register(sample.slug)
        assert len(await mails(tenant, tmp_path / "mail")) == 3
        await eyes.execute("UPDATE ticket_order SET due_at = clock_timestamp() WHERE state = 'pending'")
        assert len(await mails(tenant, tmp_path / "mail")) == 3  # asked once, and no more mail to who may be nobody
        assert "was not confirmed" in (await guest.get(late.path)).words
        assert await eyes.fetchval("SELECT count(*) FROM order_position WHERE is_held") == 1


async def test_bad_input_keeps_what_was_typed_and_two_organizers_do_not_overwrite_each_other(tenant: Tenant) -> None:
    async with tenant.running(), visiting(tenant) as organizer:
        await organizer.become_organizer()
        wrong = await choose(organizer, reply_to="nobody", confirms_free="yes", mail_intro="Kept")
        assert wrong.status == 422
        assert "Write an e-mail address" in wrong.words
        assert "cannot send mail yet" in wrong.words  # this tenant names no server
        assert ">\nKept</textarea>" in wrong.text
        stale = await organizer.post("/organizer/site", {"version": "99", "mail_intro": "Mine"})
        assert stale.status == 409
        assert ">\nMine</textarea>" in stale.text
        assert (await organizer.post("/organizer/site", {"version": "x" * 30})).status == 409


async def test_programs_read_the_event_from_its_page(tenant: Tenant, eyes: Connection) -> None:
    sample = await make_event(eyes, capacity=2, price=1250)
    title = json.dumps({"en": "</script><script>alert(1)</script> & co"})
    await eyes.execute("UPDATE event SET title = $1", title)
    async with tenant.running(), visiting(tenant) as visitor:
        page = await visitor.get(f"/events/{sample.slug}")
    found = re.findall(r'<script type="application/ld\+json">(.*?)</script>', page.text)
    (said,) = [json.loads(text) for text in found]
    assert said["name"] == "</script><script>alert(1)</script> & co"
    assert said["offers"][0]["price"] == "12.50"
    assert page.text.count("alert(1)") == page.text.count("&lt;script&gt;alert(1)") + page.text.count("u003ealert(1)")
    assert f'<meta property="og:url" content="{tenant.url}/events/{sample.slug}">' in page.text
