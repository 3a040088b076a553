"""A person's data, told and erased; and a database that does nothing by itself until a person says so."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from skep.webapp.ids import uuid7
from skep.webapp.shop import carts, waiting
from skep.webapp.store import tombstones
from skep.webapp.store.pool import Database
from tests.rig.rows import Sample, make_event
from tests.rig.shop import make_buyer, ordered
from tests.rig.tenant import Tenant
from tests.rig.visitor import Visitor, visiting

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

ADDRESS = "noor@example.com"


async def bought(tenant: Tenant, sample: Sample, eyes: Connection) -> None:
    """Noor buys two tickets, one of them for Sam; she and another guest answer a question."""
    question = uuid7()
    await eyes.execute(
        "INSERT INTO question (id, event_id, kind, label) VALUES ($1, $2, 'line', '{\"en\": \"Diet\"}')",
        question,
        sample.event,
    )
    for name, email in (("Noor", ADDRESS), ("Kim", "kim@example.com")):
        async with visiting(tenant) as buyer:
            assert (await buyer.post(f"/events/{sample.slug}/cart", {f"n-{sample.type}": "2"})).status == 200
            page = await buyer.get(f"/events/{sample.slug}/checkout")
            holds = sorted({part.split('"')[0] for part in page.text.split('name="holder-')[1:]})
            fields = {f"q-{hold}-{question}": f"{name}’s diet" for hold in holds}
            done = await buyer.check_out(sample.slug, name=name, email=email, **fields, **{f"holder-{holds[1]}": "Sam"})
            assert done.status == 200, done.words


async def test_a_person_is_told_and_erased_and_nobody_else(tenant: Tenant, eyes: Connection) -> None:
    sample = await make_event(eyes, capacity=10)
    async with tenant.running(), visiting(tenant) as organizer:
        await bought(tenant, sample, eyes)
        await organizer.become_organizer()
        wrong = await organizer.post("/organizer/privacy", {"email": "nobody"})
        assert wrong.status == 422
        assert "Write an e-mail address" in wrong.words
        assert "Nothing is held" in (await organizer.post("/organizer/privacy", {"email": "who@example.com"})).words
        found = await organizer.post("/organizer/privacy", {"email": " Noor@Example.com "})
        assert "1 order" in found.words
        assert "2 tickets for events to come stay valid" in found.words
        assert "noor" not in found.path

        handed = await organizer.post("/organizer/privacy/export", {"email": ADDRESS})
        document = json.loads(handed.text)
        assert handed.headers["Content-Disposition"] == 'attachment; filename="person.json"'
        assert [person["name"] for person in document["people"]] == ["Noor"]
        assert sorted(ticket["holder"] for ticket in document["tickets"]) == ["Noor", "Sam"]
        assert {answer["value"] for answer in document["answers"]} == {"Noor’s diet"}

        await organizer.post("/organizer/privacy", {"email": ADDRESS})
        unsure = await organizer.post("/organizer/privacy/erase", {"email": ADDRESS})
        assert unsure.status == 422
        assert "Confirm that this cannot be undone" in unsure.words
        done = await organizer.post("/organizer/privacy/erase", {"email": ADDRESS, "sure": "yes"})
        assert "Only amounts and dates are left" in done.words
        assert "Nothing is held" in (await organizer.post("/organizer/privacy", {"email": ADDRESS})).words
        names = {row["name"] for row in await eyes.fetch("SELECT name FROM person WHERE kind = 'guest'")}
        assert names == {"", "Kim", "Sam"}
        assert await eyes.fetchval("SELECT count(*) FROM answer WHERE value LIKE 'Kim%'") == 2
        assert await eyes.fetchval("SELECT count(*) FROM answer WHERE value LIKE 'Noor%'") == 1  # Sam's
        assert await eyes.fetchval("SELECT count(*) FROM order_position WHERE is_held") == 4
        erased = await eyes.fetchval("SELECT id::text FROM person WHERE kind = 'guest' AND name = ''")
        assert await eyes.fetchval("SELECT id FROM tombstone WHERE kind = 'person'") == erased
        told = {row["action"] for row in await eyes.fetch("SELECT action FROM audit WHERE object_kind = 'person'")}
        assert {"person exported", "person erased"} <= told


async def test_the_command_erases_by_an_id(tenant: Tenant, database: Database, eyes: Connection) -> None:
    sample = await make_event(eyes)
    await ordered(database, sample)
    await ordered(database, sample)
    one = await eyes.fetchval("SELECT id FROM person WHERE kind = 'guest' LIMIT 1")
    done = await tenant.run("erase", "--person", str(one))
    assert (done.stdout, done.returncode) == ('{"persons": 2}\n', 0)
    assert await eyes.fetchval("SELECT count(*) FROM person WHERE email = $1", ADDRESS) == 0
    assert (await tenant.run("erase", "--person", str(one))).stdout == '{"persons": 0}\n'
    assert (await tenant.run("erase", "--person", "noor")).returncode == 2


async def test_a_number_of_an_invoice_series_only_rises(tenant: Tenant, eyes: Connection) -> None:
    for number in (7, 9, 8):
        await tombstones.bury(eyes, "invoice", "2026", value=number)
    assert await eyes.fetchval("SELECT value FROM tombstone") == 9


# Quarantine


async def everything_waits(database: Database, eyes: Connection) -> None:
    """Mails for a paid and a pending order, an order past its date, a free place that somebody waits for."""
    free, paid = await make_event(eyes), await make_event(eyes, price=1500)
    scarce = await make_event(eyes, capacity=1)
    await ordered(database, free)
    await ordered(database, paid)
    await eyes.execute("UPDATE ticket_order SET due_at = clock_timestamp() - interval '1 s' WHERE state = 'pending'")
    buyer = make_buyer()
    await carts.add(database, scarce.event, buyer, {scarce.type: 1})
    async with database.transaction() as connection:
        await waiting.join(connection, scarce.type, name="Sam", email="sam@example.com", language="en")
        await carts.remove(connection, scarce.event, buyer, scarce.type, 1)


@pytest.fixture
async def folder(tenant: Tenant, tmp_path: Path) -> Path:
    tenant.given["SKEP_MAIL_DIR"] = str(tmp_path / "mail")
    return tmp_path / "mail"


def sent(folder: Path) -> int:
    return len(list(folder.glob("*.eml")))


async def work(tenant: Tenant) -> None:
    async with tenant.working() as worker:
        await worker.wait_for("worker waits")


async def test_after_quarantine_nothing_is_sent_until_a_person_says_so(
    tenant: Tenant, database: Database, eyes: Connection, folder: Path
) -> None:
    await everything_waits(database, eyes)
    done = await tenant.run("quarantine")
    assert done.returncode == 0, done.stderr
    parked = json.loads(done.stdout)["jobs"]
    assert parked == await eyes.fetchval("SELECT count(*) FROM job") > 2
    assert json.loads((await tenant.run("quarantine")).stdout) == {"jobs": 0, "sessions": 0}
    await work(tenant)
    assert sent(folder) == 0
    assert await eyes.fetchval("SELECT count(*) FROM ticket_order WHERE state = 'expired'") == 0
    assert await eyes.fetchval("SELECT count(*) FROM voucher") == 0
    assert await eyes.fetchval("SELECT count(*) FROM job") == parked

    async with tenant.running(), visiting(tenant) as organizer:
        await organizer.become_organizer()
        page = await organizer.get("/organizer/outbox")
        assert "Held back" in page.words
        assert "Tickets 1 waits" in page.words
        await press(organizer, "release", "mail.order_paid")
        await until_sent(folder, 1)
        await press(organizer, "drop", "mail.order_placed")
        await press(organizer, "drop", "mail.waiting_joined")
        assert "No mail waits for your word" in (await organizer.get("/organizer/outbox")).words
        resumed = await organizer.post("/organizer/outbox/resume")
        assert "Held back" not in resumed.words
        await until_sent(folder, 3)  # the order that expires now, and the offer of the free place
    assert await eyes.fetchval("SELECT count(*) FROM job WHERE error = 'dropped'") == parked - 1


async def press(organizer: Visitor, what: str, kind: str) -> None:
    answer = await organizer.post(f"/organizer/outbox/{what}", {"kind": kind})
    assert answer.status == 200, answer.words


async def until_sent(folder: Path, number: int) -> None:
    async with asyncio.timeout(15):
        while sent(folder) < number:  # noqa: ASYNC110 (nobody sets an event: another process sends)
            await asyncio.sleep(0.02)
    assert sent(folder) == number


async def test_quarantine_ends_every_session(tenant: Tenant, eyes: Connection) -> None:
    async with tenant.running(), visiting(tenant) as organizer:
        await organizer.become_organizer()
        assert json.loads((await tenant.run("quarantine")).stdout)["sessions"] == 1
        assert (await organizer.get("/organizer")).path.startswith("/organizer/sign-in")
        assert (await organizer.post("/organizer/outbox/release", {"kind": "mail.order_paid"})).status in (200, 403)


async def test_a_database_that_was_not_migrated_says_what_to_do(empty_tenant: Tenant) -> None:
    done = await empty_tenant.run("quarantine")
    assert done.returncode == 1
    assert "run `schema` first" in done.stderr
