"""Mail by a real SMTP server: what is sent when, to whom, in which language, and what happens when it cannot be."""

from __future__ import annotations

import asyncio
import io
import os
import re
import signal
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import pypdfium2  # type: ignore[import-untyped]  # it ships no types
import pytest
import zxingcpp

from skep.webapp.ids import secret_text
from skep.webapp.settings import SmtpSettings
from skep.webapp.shop import orders, payments, waiting
from skep.webapp.shop.payments import BUILT_IN
from skep.webapp.shop.states import PaymentState
from skep.webapp.store import audit, jobs
from skep.webapp.store.pool import Database
from skep.webapp.work import post
from skep.webapp.work.post import SmtpPost
from skep.webapp.work.worker import JobFailed
from tests.rig.rows import Sample, make_event
from tests.rig.shop import buy, ordered
from tests.rig.smtp import Mailbox, serving
from tests.rig.tenant import Tenant
from tests.rig.visitor import PASSWORD, visiting

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

TO = "noor@example.com"


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with serving(Mailbox()) as server:
        yield server


@pytest.fixture
async def tenant(tenant: Tenant, mailbox: Mailbox) -> Tenant:
    """One that sends its mail by that server."""
    tenant.settings["settings"] |= {
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(mailbox.port),
        "SMTP_TLS": "off",
        "MAIL_FROM": "Acme Évents <tickets@acme.example>",
        "MAIL_REPLY_TO": "hello@acme.example",
        "MAIL_BOUNCES": "bounces@acme.example",
    }
    tenant.write()
    return tenant


@pytest.fixture
async def sample(eyes: Connection) -> Sample:
    return await make_event(eyes, capacity=5)


def body(mail: EmailMessage, kind: str = "plain") -> str:
    part = mail.get_body((kind,))
    assert part is not None
    text: str = part.get_content()
    return text


def links(mail: EmailMessage) -> list[str]:
    return re.findall(r"https?://\S+", body(mail))


def pdfs(mail: EmailMessage) -> list[bytes]:
    return [part.get_content() for part in mail.iter_attachments() if part.get_content_type() == "application/pdf"]


def codes(pdf: bytes) -> list[str]:
    """What a scanner reads on each page."""
    pages = [page.render(scale=2).to_pil() for page in pypdfium2.PdfDocument(io.BytesIO(pdf))]
    return [found.text for page in pages for found in zxingcpp.read_barcodes(page)]


async def job_row(connection: Connection) -> tuple[int, bool, bool, str]:
    """(attempts, done, dead, error) of the only job."""
    row = await connection.fetchrow(
        "SELECT attempts, done_at IS NOT NULL, dead_at IS NOT NULL, coalesce(error, '') FROM job"
    )
    assert row is not None
    attempts, done, dead, error = row.values()
    return attempts, done, dead, error


# What is sent


async def test_a_registration_is_confirmed_with_its_tickets_and_a_link(
    tenant: Tenant, mailbox: Mailbox, database: Database, eyes: Connection, sample: Sample
) -> None:
    await ordered(database, sample, number=2)
    await tenant.work()
    (mail,) = mailbox.mails
    assert mail["To"] == TO
    assert str(mail["From"]) == "Acme Évents <tickets@acme.example>"
    assert mail["Reply-To"] == "hello@acme.example"
    assert mail["List-Unsubscribe"] == "<mailto:hello@acme.example?subject=unsubscribe>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Subject"] == "Your tickets: Sample"
    assert mailbox.envelopes == [("bounces@acme.example", [TO])]
    (pdf,) = pdfs(mail)
    secrets = [row["secret"] for row in await eyes.fetch("SELECT secret FROM order_position ORDER BY rank")]
    assert [len(secret) for secret in secrets] == [16, 16]
    assert codes(pdf) == [secret_text(secret) for secret in secrets]
    assert "<script" not in body(mail, "html")
    async with tenant.running(), visiting(tenant) as guest:
        page = await guest.get(links(mail)[0].removeprefix(tenant.url))
        assert "Your tickets" in page.words or "You are registered" in page.words


async def test_a_mail_speaks_the_buyers_language(
    tenant: Tenant, mailbox: Mailbox, database: Database, eyes: Connection, sample: Sample
) -> None:
    await ordered(database, sample)
    await eyes.execute("UPDATE ticket_order SET language = 'fr'")
    await eyes.execute("UPDATE person SET name = 'Zoë <Müller> & Søn' WHERE kind = 'guest'")
    await tenant.work()
    (mail,) = mailbox.mails
    assert mail["Subject"] == "Vos billets\u00a0: Sample"
    assert mail["Content-Language"] == "fr"
    assert "Zoë <Müller> & Søn, merci pour votre commande" in body(mail)
    assert "Zoë &lt;Müller&gt; &amp; Søn" in body(mail, "html")
    text = pypdfium2.PdfDocument(io.BytesIO(pdfs(mail)[0]))[0].get_textpage().get_text_bounded()
    assert "Zoë <Müller> & Søn" in text
    assert "Montrez ce code à l’entrée" in text


async def test_a_transfer_gets_its_account_and_the_tickets_when_it_has_arrived(
    tenant: Tenant, mailbox: Mailbox, database: Database, eyes: Connection
) -> None:
    sample = await make_event(eyes, capacity=5, price=1500)
    await eyes.execute("UPDATE event SET transfer_details = 'Acme, FR76 3000'")
    placed = await ordered(database, sample, method="transfer", providers=BUILT_IN)
    await tenant.work()
    (first,) = mailbox.mails
    assert "FR76 3000" in body(first)
    assert "€15.00" in body(first)
    assert pdfs(first) == []
    assert placed.payment is not None
    await payments.record(database, placed.payment.id, PaymentState.CONFIRMED, audit.PROVIDER)
    await payments.record(database, placed.payment.id, PaymentState.CONFIRMED, audit.PROVIDER)
    await tenant.work()
    assert [str(mail["Subject"]) for mail in mailbox.mails] == ["Almost done: Sample", "Your tickets: Sample"]
    assert len(pdfs(mailbox.mails[1])) == 1


async def test_a_ticket_given_back_and_one_that_changed_its_name_are_told(
    tenant: Tenant, mailbox: Mailbox, database: Database, eyes: Connection, sample: Sample
) -> None:
    placed = await ordered(database, sample, number=2)
    await eyes.execute("UPDATE job SET done_at = clock_timestamp()")
    first, second = [row["id"] for row in await eyes.fetch("SELECT id FROM order_position ORDER BY rank")]
    async with database.transaction() as connection:
        await orders.cancel(connection, placed.order_id, [first], audit.BUYER)
        await orders.set_holder(connection, placed.order_id, second, "Ada", audit.BUYER)
    await tenant.work()
    by_subject = {str(mail["Subject"]): mail for mail in mailbox.mails}
    assert "1 ticket of your order" in body(by_subject["Cancelled: Sample"])
    (pdf,) = pdfs(by_subject["Your ticket has a new name: Sample"])
    assert len(codes(pdf)) == 1


async def test_a_cancelled_order_gets_no_tickets_though_their_mail_was_queued(
    tenant: Tenant, mailbox: Mailbox, database: Database, eyes: Connection, sample: Sample
) -> None:
    placed = await ordered(database, sample)
    ids = [row["id"] for row in await eyes.fetch("SELECT id FROM order_position")]
    async with database.transaction() as connection:
        await orders.cancel(connection, placed.order_id, ids, audit.BUYER)
    await tenant.work()
    assert [str(mail["Subject"]) for mail in mailbox.mails] == ["Cancelled: Sample"]


async def test_32_my_tickets_are_sent_again_once_a_day(
    tenant: Tenant, mailbox: Mailbox, database: Database, eyes: Connection, sample: Sample
) -> None:
    await ordered(database, sample)
    await eyes.execute("UPDATE job SET done_at = clock_timestamp()")
    async with tenant.running(), visiting(tenant) as guest:
        known = await guest.post("/tickets", {"email": TO})
        unknown = await guest.post("/tickets", {"email": "nobody@example.com"})
        await guest.post("/tickets", {"email": TO})
        assert (known.status, known.words) == (unknown.status, unknown.words)
        await asyncio.wait_for(mailbox.arrived.wait(), 15)
    await tenant.work()
    (mail,) = mailbox.mails
    assert mail["Subject"] == "Your tickets again: Sample"
    assert len(pdfs(mail)) == 1


async def test_tickets_are_downloaded_from_the_orders_page(
    tenant: Tenant, database: Database, eyes: Connection, sample: Sample
) -> None:
    priced = await make_event(eyes, capacity=5, price=1500)
    placed, unpaid = await ordered(database, sample, number=2), await ordered(database, priced)
    secrets = await eyes.fetch("SELECT secret FROM order_position WHERE order_id = $1 ORDER BY rank", placed.order_id)
    async with tenant.running() as web, visiting(tenant) as guest:
        assert f"/orders/{placed.link}/tickets.pdf" in (await guest.get(f"/orders/{placed.link}")).text
        async with guest.session.get(f"{tenant.url}/orders/{placed.link}/tickets.pdf") as answer:
            assert (answer.status, answer.content_type) == (200, "application/pdf")
            assert answer.headers["Cache-Control"] == "no-store"
            assert re.fullmatch(r'attachment; filename="tickets-\w{6}\.pdf"', answer.headers["Content-Disposition"])
            assert codes(await answer.read()) == [secret_text(row["secret"]) for row in secrets]
        assert (await guest.get(f"/orders/{unpaid.link}/tickets.pdf")).status == 404
        assert (await guest.get(f"/orders/{'A' * 22}/tickets.pdf")).status == 404
        assert "_imaging" not in web.proc("maps")  # Pillow's library, which reportlab loads too


# The waiting list


async def test_a_freed_place_is_offered_to_the_first_who_waits(
    tenant: Tenant, mailbox: Mailbox, database: Database, eyes: Connection
) -> None:
    sample = await make_event(eyes, capacity=1)
    placed = await ordered(database, sample)
    await eyes.execute("UPDATE job SET done_at = clock_timestamp()")
    async with database.transaction() as connection:
        for name in ("first", "second"):
            await waiting.join(connection, sample.type, name=name, email=f"{name}@example.com", language="en")
    await tenant.work()
    assert sorted(str(mail["To"]) for mail in mailbox.mails) == ["first@example.com", "second@example.com"]
    ids = [row["id"] for row in await eyes.fetch("SELECT id FROM order_position")]
    async with database.transaction() as connection:
        await orders.cancel(connection, placed.order_id, ids, audit.BUYER)
    mailbox.mails.clear()
    await tenant.work()
    offer = next(mail for mail in mailbox.mails if mail["Subject"] == "A ticket is free for you: Sample")
    assert offer["To"] == "first@example.com"
    async with tenant.running(), visiting(tenant) as stranger, visiting(tenant) as first:
        assert "Sold out" in (await stranger.get(f"/events/{sample.slug}")).words
        address = links(offer)[0].removeprefix(tenant.url)
        page = await first.get(address)
        code = re.search(r"voucher=([A-Z0-9]+)", address)
        assert code is not None
        assert f"Code {code[1]} counts" in page.words
        assert (await first.add(sample.slug, voucher=code[1], Ticket=1)).status == 200
        assert "/orders/" in (await first.check_out(sample.slug)).path
    assert await eyes.fetchval("SELECT count(*) FROM order_position WHERE is_held") == 1


async def test_an_offer_that_nobody_takes_goes_to_the_next_and_a_taken_one_is_taken(
    tenant: Tenant, database: Database, eyes: Connection
) -> None:
    sample = await make_event(eyes, capacity=2)
    async with database.transaction() as connection:
        for name in ("a", "b", "c"):
            await waiting.join(connection, sample.type, name=name, email=f"{name}@example.com", language="en")
        assert await waiting.pass_on(connection) == 2
    states = "SELECT w.state FROM waiting_entry w ORDER BY w.created_at"
    assert [row["state"] for row in await eyes.fetch(states)] == ["offered", "offered", "waiting"]
    async with database.transaction() as connection:
        assert await waiting.pass_on(connection) == 0
    await eyes.execute(
        "UPDATE voucher SET expires_at = clock_timestamp() - interval '1 s' WHERE id = "
        "(SELECT voucher_id FROM waiting_entry WHERE voucher_id IS NOT NULL ORDER BY created_at LIMIT 1)"
    )
    due = await waiting.next_due(eyes)
    assert due is not None
    assert due <= await eyes.fetchval("SELECT clock_timestamp()")
    async with database.transaction() as connection:
        assert await waiting.pass_on(connection) == 1
    assert [row["state"] for row in await eyes.fetch(states)] == ["gone", "offered", "offered"]


async def test_offers_and_buyers_together_never_exceed_the_places(database: Database, eyes: Connection) -> None:
    sample = await make_event(eyes, capacity=3)
    async with database.transaction() as connection:
        for number in range(5):
            await waiting.join(connection, sample.type, name="x", email=f"{number}@example.com", language="en")

    async def offer() -> None:
        async with database.transaction() as connection:
            await waiting.pass_on(connection)

    await asyncio.gather(*(offer() for _ in range(3)), *(buy(database, sample) for _ in range(3)))
    taken = await eyes.fetchval(
        "SELECT (SELECT count(*) FROM order_position WHERE is_held) "
        "+ (SELECT count(*) FROM waiting_entry WHERE state = 'offered')"
    )
    assert taken == 3


# When it cannot be sent


async def test_a_greylisted_mail_is_sent_later(
    tenant: Tenant, mailbox: Mailbox, database: Database, eyes: Connection, sample: Sample
) -> None:
    await ordered(database, sample)
    mailbox.refused[TO] = "451 4.7.1 come back later, noor@example.com"
    await tenant.work()
    assert await job_row(eyes) == (1, False, False, "recipient 451")
    mailbox.refused.clear()
    await eyes.execute("UPDATE job SET run_at = clock_timestamp()")
    await tenant.work()
    assert len(mailbox.mails) == 1
    assert (await job_row(eyes))[1]


@pytest.mark.parametrize(
    ("recipient", "text", "said"),
    [
        pytest.param("550 5.1.1 no such user", "", "recipient 550", id="recipient"),
        pytest.param("", "554 5.7.1 looks like spam", "text 554", id="text"),
    ],
)
async def test_a_refused_mail_is_given_up_at_once_and_says_why_without_an_address(
    tenant: Tenant, mailbox: Mailbox, database: Database, eyes: Connection, sample: Sample,
    recipient: str, text: str, said: str,
) -> None:  # fmt: skip
    await ordered(database, sample)
    if recipient:
        mailbox.refused[TO] = recipient
    if text:
        mailbox.replies = [text]
    log = await tenant.work()
    assert await job_row(eyes) == (1, False, True, said)
    assert TO not in log


async def test_a_server_that_is_away_loses_nothing(
    tenant: Tenant, database: Database, eyes: Connection, sample: Sample, mailbox: Mailbox
) -> None:
    await ordered(database, sample)
    there = tenant.settings["settings"]["SMTP_PORT"]
    tenant.settings["settings"]["SMTP_PORT"] = "1"
    tenant.write()
    await tenant.work()
    assert await job_row(eyes) == (1, False, False, "away")
    tenant.settings["settings"]["SMTP_PORT"] = there
    tenant.write()
    await eyes.execute("UPDATE job SET run_at = clock_timestamp()")
    await tenant.work()
    assert len(mailbox.mails) == 1


async def test_the_password_is_a_secret_file_and_a_wrong_one_can_be_put_right(
    tenant: Tenant, mailbox: Mailbox, database: Database, eyes: Connection, sample: Sample
) -> None:
    mailbox.user = ("acme", "canary-smtp")
    tenant.settings["settings"]["SMTP_USER"] = "acme"
    tenant.write()
    done = await tenant.run("schema")
    assert (done.returncode, "smtp-password: cannot be read" in done.stderr) == (1, True)
    secret = tenant.home / "secrets" / "smtp-password"
    secret.write_text("canary-wrong")
    await ordered(database, sample)
    log = await tenant.work()
    attempts, done_, dead, error = await job_row(eyes)
    assert (attempts, done_, dead) == (1, False, False)
    assert error == "auth 535"
    secret.write_text("canary-smtp")
    await eyes.execute("UPDATE job SET run_at = clock_timestamp()")
    log += await tenant.work()
    assert len(mailbox.mails) == 1
    assert "canary" not in log


async def test_a_server_that_says_nothing_is_given_up_for_now(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(post, "COMMAND_S", 0.3)
    mailbox.stall = "RCPT"
    smtp = SmtpSettings("127.0.0.1", mailbox.port, None, "off", tmp_path / "none")
    message = EmailMessage()
    message["From"], message["To"] = "tickets@acme.example", TO
    with pytest.raises(JobFailed, match="silent") as failed:
        await SmtpPost(smtp).send(message, sender="bounces@acme.example", to=TO, key="1")
    assert not failed.value.final


# Killed at every step


@pytest.mark.parametrize(
    ("step", "mails"),
    [
        pytest.param("MAIL", 1, id="before anything was said"),
        pytest.param("RCPT", 1, id="before the recipient was taken"),
        pytest.param("DATA", 1, id="after the text was sent, before it was taken"),
        pytest.param("TEXT", 2, id="after it was taken, before its answer came"),
    ],
)
async def test_a_worker_killed_while_it_sends_loses_nothing(
    tenant: Tenant, mailbox: Mailbox, database: Database, eyes: Connection, sample: Sample, step: str, mails: int
) -> None:
    """Twice only where the protocol leaves no choice: nobody knows whether a text without an answer was taken."""
    await ordered(database, sample)
    mailbox.stall = step
    async with tenant.working() as work:
        async with asyncio.timeout(20):
            await mailbox.stalled.wait()
        assert (await job_row(eyes))[:2] == (1, False)
        os.kill(work.process.pid, signal.SIGKILL)
        assert await work.process.wait() == -signal.SIGKILL
    mailbox.stall = ""
    assert (await job_row(eyes))[:3] == (1, False, False)
    await tenant.work()
    assert (await job_row(eyes))[:2] == (1, False)  # its claim has not lapsed: a worker may still be at it
    await eyes.execute("UPDATE job SET claimed_at = claimed_at - interval '1 hour'")
    await tenant.work()
    assert (await job_row(eyes))[:2] == (2, True)
    assert len(mailbox.mails) == mails
    assert len({str(mail["Message-ID"]) for mail in mailbox.mails}) == 1


@pytest.mark.parametrize(
    ("table", "mails"),
    [
        pytest.param("order_link", 1, id="after the claim, before the letter was written"),
        pytest.param("job", 2, id="after it was sent, before that was noted"),
    ],
)
async def test_a_worker_killed_between_claim_and_note_loses_nothing(
    tenant: Tenant, mailbox: Mailbox, database: Database, eyes: Connection, sample: Sample, table: str, mails: int
) -> None:
    await ordered(database, sample)
    other = await tenant.admin()
    lock = other.transaction()

    async def hold() -> None:
        await lock.start()
        await other.execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")

    if table == "job":
        mailbox.before_taken = hold
    else:
        await hold()
    waits = (
        "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'skep worker' AND wait_event_type = 'Lock'"
    )
    async with tenant.working() as work:
        async with asyncio.timeout(20):
            while not await eyes.fetchval(waits):
                pass  # each round is a query
        os.kill(work.process.pid, signal.SIGKILL)
        await work.process.wait()
    mailbox.before_taken = None
    await lock.rollback()
    await other.close()
    assert (await job_row(eyes))[:2] == (1, False)
    await eyes.execute("UPDATE job SET claimed_at = claimed_at - interval '1 hour'")
    await tenant.work()
    assert (await job_row(eyes))[:2] == (2, True)
    assert len(mailbox.mails) == mails


# Without a server


async def test_mails_land_in_the_folder_that_the_engine_names(
    tenant: Tenant, database: Database, eyes: Connection, sample: Sample
) -> None:
    for name in [name for name in tenant.settings["settings"] if name.startswith(("SMTP_", "MAIL_"))]:
        del tenant.settings["settings"][name]
    tenant.write()
    await ordered(database, sample)
    await tenant.work()
    assert (await job_row(eyes))[:2] == (0, False)  # no way to send: it waits
    tenant.given["SKEP_MAIL_DIR"] = str(tenant.home / "mail" / "acme")
    await tenant.work()
    (path,) = (tenant.home / "mail" / "acme").iterdir()
    assert path.suffix == ".eml"
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"Your tickets: Sample" in path.read_bytes()


async def test_a_reset_and_an_invitation_are_links_that_only_the_mail_knows(
    tenant: Tenant, mailbox: Mailbox, eyes: Connection
) -> None:
    async with tenant.running(), visiting(tenant) as organizer, visiting(tenant) as locked_out:
        await organizer.become_organizer()
        known = await locked_out.post("/organizer/reset", {"email": "lea@example.com"})
        unknown = await locked_out.post("/organizer/reset", {"email": "nobody@example.com"})
        assert (known.status, known.words) == (unknown.status, unknown.words)
        await locked_out.post("/organizer/reset", {"email": "lea@example.com"})
        await asyncio.wait_for(mailbox.arrived.wait(), 15)
        (mail,) = mailbox.mails
        assert mail["To"] == "lea@example.com"
        path = links(mail)[0].removeprefix(tenant.url)
        fresh = PASSWORD + "!"
        assert (await locked_out.post(path, {"password": fresh})).path == "/organizer?notice=welcome"
        async with visiting(tenant) as again:
            assert (await again.sign_in(password=fresh)).path == "/organizer"
        assert path.rpartition("/")[2] not in tenant.postgres.log.read_text()


async def test_an_organizer_invites_another_by_mail(tenant: Tenant, mailbox: Mailbox) -> None:
    async with tenant.running(), visiting(tenant) as organizer, visiting(tenant) as another:
        await organizer.become_organizer()
        await organizer.get("/organizer/team")
        taken = await organizer.post("/organizer/team", {"email": "lea@example.com", "role": "owner"})
        assert (taken.status, "already an account" in taken.words) == (422, True)
        sent = await organizer.post("/organizer/team", {"email": "ada@example.com", "role": "organizer"})
        assert "The invitation is on its way." in sent.words
        await asyncio.wait_for(mailbox.arrived.wait(), 15)
        (mail,) = mailbox.mails
        assert (mail["To"], mail["Subject"]) == ("ada@example.com", "Organize with Acme Events")
        fields = {"name": "Ada", "email": "ada@example.com", "password": PASSWORD}
        joined = await another.post(links(mail)[0].removeprefix(tenant.url), fields)
        assert joined.path == "/organizer?notice=welcome"


async def test_a_dead_mail_is_shown_to_organizers_and_tried_again(
    tenant: Tenant, mailbox: Mailbox, database: Database, eyes: Connection, sample: Sample
) -> None:
    await ordered(database, sample)
    mailbox.refused[TO] = "550 no such user"
    await tenant.work()
    mailbox.refused.clear()
    async with tenant.running(), visiting(tenant) as organizer:
        home = await organizer.become_organizer()
        assert "1 mail could not be sent" in home.words
        page = await organizer.get("/organizer/outbox")
        assert "The mail server refuses this recipient (550)." in page.words
        job = await eyes.fetchval("SELECT id FROM job WHERE dead_at IS NOT NULL")
        done = await organizer.post("/organizer/outbox/again", {"job": str(job)})
        assert done.status == 200
        await asyncio.wait_for(mailbox.arrived.wait(), 15)
        other = await organizer.post("/organizer/outbox/again", {"job": str(UUID(int=7))})
        assert other.status == 200


async def test_an_organizer_sends_tickets_again(
    tenant: Tenant, mailbox: Mailbox, database: Database, eyes: Connection, sample: Sample
) -> None:
    placed = await ordered(database, sample)
    await eyes.execute("UPDATE job SET done_at = clock_timestamp()")
    async with tenant.running(), visiting(tenant) as organizer:
        await organizer.become_organizer()
        path = f"/organizer/events/{sample.event}/orders"
        await organizer.get(path)
        page = await organizer.post(f"{path}/{placed.order_id}/resend")
        assert "will be sent again" in page.words
        await asyncio.wait_for(mailbox.arrived.wait(), 15)
    assert mailbox.mails[0]["Subject"] == "Your tickets again: Sample"
    assert await eyes.fetchval("SELECT count(*) FROM audit WHERE action = 'tickets sent again'") == 1


async def test_jobs_hold_no_names_and_no_addresses(database: Database, eyes: Connection, sample: Sample) -> None:
    await ordered(database, sample)
    async with database.transaction() as connection:
        await waiting.join(connection, sample.type, name="Ada", email="ada@example.com", language="en")
    for row in await eyes.fetch("SELECT payload::text AS text, coalesce(unique_key, '') AS key FROM job"):
        assert "@" not in row["text"] + row["key"]
        assert "Noor" not in row["text"]
    assert (await jobs.backlog(eyes)).mails == 2
