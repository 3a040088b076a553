"""What a plan has room for, and what is said when it has no more."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from tests.rig.rows import make_event
from tests.rig.tenant import Tenant
from tests.rig.visitor import PASSWORD, event_fields, make_invitation, visiting

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


async def test_a_plan_is_kept_and_says_what_to_do(tenant: Tenant, eyes: Connection) -> None:
    tenant.settings["quotas"] = {"members": 2, "events": 1}
    tenant.write()
    async with tenant.running(), visiting(tenant) as organizer, visiting(tenant, language="fr") as second:
        await organizer.become_organizer()
        invited = [await make_invitation(tenant, email=f"{name}@example.com") for name in ("noor", "sam")]
        form = {"name": "Noor", "email": "noor@example.com", "password": PASSWORD}
        assert (await second.post(f"/invite/{invited[0]}", form)).status == 200
        full = await second.post(f"/invite/{invited[1]}", form | {"email": "sam@example.com"})
        assert full.status == 422
        assert "prévoit 2 personnes" in full.words
        refused = await organizer.post("/organizer/team", {"email": "kim@example.com"})
        assert refused.status == 422
        assert "room for 2 organizers" in refused.words
        assert 'value="kim@example.com"' in refused.text  # what was typed is still there

        member = await eyes.fetchval("SELECT person_id FROM member ORDER BY id DESC LIMIT 1")
        await organizer.post(f"/organizer/team/{member}/disable")
        asked = await organizer.post("/organizer/team", {"email": "kim@example.com"})
        assert asked.status == 200, asked.words  # who is gone takes no place
        async with visiting(tenant) as third:
            token = await make_invitation(tenant, email="kim@example.com")
            assert (await third.post(f"/invite/{token}", form | {"email": "kim@example.com"})).status == 200
        back = await organizer.post(f"/organizer/team/{member}/enable")
        assert back.status == 422
        assert "room for 2 organizers" in back.words

        await organizer.create_event()
        more = await organizer.post("/organizer/events/new", event_fields(title="One more"))
        assert more.status == 422
        assert "room for one event" in more.words
        assert 'value="One more"' in more.text
        await eyes.execute("UPDATE event SET status = 'cancelled'")
        assert (await organizer.post("/organizer/events/new", event_fields(title="One more"))).status == 200


async def test_mails_beyond_a_days_wait_and_nothing_is_lost(tenant: Tenant, eyes: Connection, tmp_path: Path) -> None:
    tenant.settings |= {"quotas": {"mailsPerDay": 2}, "worker": "service"}  # the test is the worker
    tenant.given["SKEP_MAIL_DIR"] = str(tmp_path / "mail")
    tenant.write()
    sample = await make_event(eyes)
    async with tenant.running():
        for _ in range(3):
            async with visiting(tenant) as buyer:
                await buyer.register(sample.slug)
        async with visiting(tenant) as organizer:
            await organizer.become_organizer()
            async with tenant.working() as work:
                await work.wait_for("worker waits")
            assert len(list((tmp_path / "mail").glob("*.eml"))) == 2
            outbox = await organizer.get("/organizer/outbox")
            assert "plan sends 2 mails a day" in outbox.words
            assert "1 mail is waiting" in outbox.words
            await eyes.execute("UPDATE job SET done_at = done_at - interval '1 day' WHERE done_at IS NOT NULL")
            async with tenant.working() as work:
                await work.wait_for("job done")
            assert len(list((tmp_path / "mail").glob("*.eml"))) == 3
            assert "plan sends" not in (await organizer.get("/organizer/outbox")).words
