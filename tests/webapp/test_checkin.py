"""At the door, over HTTP: behaviours 23 to 26, several gates at once, and what was done without network."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from skep.webapp.ids import new_token, uuid7
from skep.webapp.schema import migrate
from skep.webapp.settings import Settings
from skep.webapp.shop import doors
from skep.webapp.store import tokens
from skep.webapp.store.audit import Actor
from tests.rig.api import Program, Said, asking, make_token
from tests.rig.postgres import Postgres
from tests.rig.rows import Sample, make_event, make_type
from tests.rig.tenant import Web, make_tenant

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Web]:
    tenant = await make_tenant(postgres, tmp_path_factory.mktemp("door"))
    await migrate(Settings.read(tenant.env).database)
    async with tenant.running() as web:
        yield web


@pytest.fixture
async def eyes(shared: Web) -> AsyncIterator[Connection]:
    connection = await shared.tenant.admin()
    yield connection
    await connection.close()


@pytest.fixture
async def seller(shared: Web, eyes: Connection) -> AsyncIterator[Program]:
    async with asking(shared.tenant, await make_token(eyes, "sell", "orders:write")) as program:
        yield program


@pytest.fixture
async def gate(shared: Web, eyes: Connection, sample: Sample) -> AsyncIterator[Gate]:
    async with asking(shared.tenant, await device(eyes, sample, "Gate A")) as program:
        yield Gate(program, await first_list(eyes, sample))


@pytest.fixture
async def sample(eyes: Connection) -> Sample:
    made = await make_event(eyes)
    await doors.ensure_one(eyes, made.event, "Entrance")
    return made


@dataclass
class Gate:
    program: Program
    list_id: UUID

    async def scan(self, code: str, nonce: str | None = None, **more: Any) -> Said:
        body = {"code": code, "nonce": nonce or new_token(), "at": now(), **more}
        return await self.program.post(f"/checkin-lists/{self.list_id}/scans", body)

    async def upload(self, *scans: dict[str, Any]) -> list[dict[str, Any]]:
        said = await self.program.post(f"/checkin-lists/{self.list_id}/uploads", {"scans": scans})
        assert said.status == 200, said.body
        found: list[dict[str, Any]] = said.body["scans"]
        return found


def now(**ago: float) -> str:
    return (datetime.now(UTC) - timedelta(**ago)).isoformat()


def hashed(code: str) -> str:
    return hashlib.sha256(base64.urlsafe_b64decode(code + "==")).hexdigest()


def past(code: str, **ago: float) -> dict[str, Any]:
    """A scan that a device tells later."""
    return {"code_sha256": hashed(code), "nonce": new_token(), "at": now(**ago)}


async def device(eyes: Connection, sample: Sample, name: str) -> str:
    async with eyes.transaction():
        _, secret = await tokens.create(
            eyes, kind="device", name=name, scopes=tokens.DEVICE_SCOPES, event_ids=[sample.event], member_id=None
        )
    return secret


async def first_list(eyes: Connection, sample: Sample) -> UUID:
    found: UUID = await eyes.fetchval("SELECT id FROM checkin_list WHERE event_id = $1", sample.event)
    return found


async def sold(
    seller: Program, sample: Sample, *, name: str = "Léa Martin", kind: UUID | None = None, **more: str
) -> Any:
    """An order of one ticket."""
    body = {
        "name": name,
        "email": "lea@example.com",
        "method": "free",
        "positions": [{"type_id": str(kind or sample.type)}],
    }
    said = await seller.post(f"/events/{sample.event}/orders", {**body, **more})
    assert said.status == 201, said.body
    return said.body["order"]


async def ticket(seller: Program, sample: Sample, **more: Any) -> str:
    """The code of one that was sold just now."""
    return str((await sold(seller, sample, **more))["tickets"][0]["code"])


async def test_23_the_first_scan_lets_in_and_the_second_says_when_and_where(
    gate: Gate, seller: Program, sample: Sample, shared: Web, eyes: Connection
) -> None:
    code = await ticket(seller, sample)
    first = await gate.scan(code)
    assert (first.status, first.body["name"], first.body["type"]) == (201, "Léa M.", {"en": "Ticket"})
    async with asking(shared.tenant, await device(eyes, sample, "Gate B")) as program:
        second = await Gate(program, gate.list_id).scan(code)
    assert (second.status, second.code) == (400, "already_redeemed")
    assert second.body["gate"] == "Gate A"
    assert datetime.fromisoformat(second.body["redeemed_at"]) == datetime.fromisoformat(first.body["at"])


async def test_a_scan_told_twice_is_one_scan_with_one_answer(gate: Gate, seller: Program, sample: Sample) -> None:
    code, nonce = await ticket(seller, sample), new_token()
    first, second = await asyncio.gather(gate.scan(code, nonce), gate.scan(code, nonce))
    assert first.body == second.body
    assert (first.status, second.status) == (201, 201)


async def test_24_every_refusal_has_its_own_reason(
    gate: Gate, seller: Program, sample: Sample, eyes: Connection
) -> None:
    assert ((await gate.scan("A" * 22)).status, (await gate.scan("A" * 22)).code) == (404, "unknown_ticket")
    assert (await gate.scan("https://example.com/some-other-code")).code == "unknown_ticket"
    order = await sold(seller, sample)
    await seller.post(f"/events/{sample.event}/orders/{order['id']}/cancel", {})
    assert (await gate.scan(order["tickets"][0]["code"])).code == "cancelled"
    dear = await make_type(eyes, sample.session, sample.pool, title={"en": "Dear"}, price=900)
    unpaid = await sold(seller, sample, kind=dear, method="on-site")
    assert (await gate.scan(unpaid["tickets"][0]["code"])).code == "unpaid"
    await seller.post(f"/events/{sample.event}/orders/{unpaid['id']}/paid")
    assert (await gate.scan(unpaid["tickets"][0]["code"])).status == 201
    other = await make_event(eyes)
    assert (await gate.scan(await ticket(seller, other))).code == "unknown_ticket"
    code = await ticket(seller, sample)
    actor = Actor("clock")
    async with eyes.transaction():
        backstage = await doors.create(eyes, sample.event, actor, name="Backstage", type_ids=[dear])
        early = await doors.create(eyes, sample.event, actor, name="Early", opens_minutes=30)
    assert (await Gate(gate.program, backstage).scan(code)).code == "wrong_list"
    too_early = await Gate(gate.program, early).scan(code)
    assert too_early.code == "too_early"
    assert too_early.body["opens_at"] == "2089-12-31T23:30:00+00:00"
    assert await eyes.fetchval("SELECT count(*) FROM checkin WHERE list_id = ANY($1)", [backstage, early]) == 0


async def test_25_a_required_door_question_is_asked_first(
    gate: Gate, seller: Program, sample: Sample, eyes: Connection
) -> None:
    question = uuid7()
    await eyes.execute(
        "INSERT INTO question (id, event_id, kind, label, is_required, at_door) VALUES ($1, $2, 'number', $3, true, true)",
        question,
        sample.event,
        '{"en": "Weight of the boat, in kg"}',
    )
    code = await ticket(seller, sample)  # the checkout asks nothing
    asked = await gate.scan(code)
    assert (asked.status, asked.code) == (400, "incomplete")
    assert [each["label"] for each in asked.body["questions"]] == [{"en": "Weight of the boat, in kg"}]
    wrong = await gate.scan(code, answers=[{"question_id": str(question), "value": "heavy"}])
    assert wrong.fields == {f"answers.{question}": "wrong"}
    right = await gate.scan(code, answers=[{"question_id": str(question), "value": "140"}])
    assert right.status == 201
    assert await eyes.fetchval("SELECT value FROM answer WHERE question_id = $1", question) == "140"


async def test_26_used_on_one_list_it_is_still_good_on_another(
    gate: Gate, seller: Program, sample: Sample, eyes: Connection
) -> None:
    code = await ticket(seller, sample)
    async with eyes.transaction():
        lunch = await doors.create(eyes, sample.event, Actor("clock"), name="Lunch")
    assert (await gate.scan(code)).status == 201
    assert (await Gate(gate.program, lunch).scan(code)).status == 201
    assert (await Gate(gate.program, lunch).scan(code)).code == "already_redeemed"


async def test_an_undone_scan_may_be_made_again(gate: Gate, seller: Program, sample: Sample, eyes: Connection) -> None:
    code = await ticket(seller, sample)
    scan_id = (await gate.scan(code)).body["id"]
    undo = f"/checkin-lists/{gate.list_id}/scans/{scan_id}/undo"
    assert [(await gate.program.post(undo)).status for _ in range(2)] == [204, 204]
    assert (await gate.scan(code)).status == 201
    log = (await gate.program.get(f"/checkin-lists/{gate.list_id}/scans")).body["items"]
    assert [each["undone_at"] is None for each in log] == [True, False]
    assert (
        await eyes.fetchval(
            "SELECT count(*) FROM audit WHERE action = 'check-in undone' AND object_id = $1", UUID(scan_id)
        )
        == 1
    )
    assert (await gate.program.post(f"/checkin-lists/{gate.list_id}/scans/{uuid7()}/undo")).code == "not_found"


async def test_ten_gates_scan_the_same_tickets_at_once_and_each_counts_once(
    gate: Gate, seller: Program, sample: Sample, shared: Web, eyes: Connection
) -> None:
    codes = [await ticket(seller, sample) for _ in range(5)]
    outcomes: Counter[str] = Counter()

    async def one(number: int) -> None:
        async with asking(shared.tenant, await device(eyes_of[number], sample, f"Gate {number}")) as program:
            for said in await asyncio.gather(*(Gate(program, gate.list_id).scan(code) for code in codes)):
                outcomes[said.code or "in"] += 1

    eyes_of = [await shared.tenant.admin() for _ in range(10)]
    await asyncio.gather(*(one(number) for number in range(10)))
    for connection in eyes_of:
        await connection.close()
    assert outcomes == {"in": 5, "already_redeemed": 45}
    counted = "SELECT count(*) FROM checkin WHERE list_id = $1 AND mark IS NULL AND undone_at IS NULL"
    assert await eyes.fetchval(counted, gate.list_id) == 5


async def test_what_a_door_did_without_network_is_kept_and_marked(
    gate: Gate, seller: Program, sample: Sample, eyes: Connection
) -> None:
    twice, gone, fine = await ticket(seller, sample), await sold(seller, sample), await ticket(seller, sample)
    gone_code = gone["tickets"][0]["code"]
    await gate.scan(twice)
    await seller.post(f"/events/{sample.event}/orders/{gone['id']}/cancel", {})
    scans = [past(twice, minutes=5), past(gone_code, minutes=4), past("A" * 22, minutes=3), past(fine, minutes=2)]
    told = await gate.upload(*scans)
    assert [each["mark"] for each in told] == ["already_redeemed", "cancelled", "unknown", None]
    assert told[0]["gate"] == "Gate A"
    assert [each["id"] for each in await gate.upload(*scans)] == [each["id"] for each in told]  # told twice, kept once
    assert await eyes.fetchval("SELECT count(*) FROM checkin WHERE list_id = $1", gate.list_id) == 5
    log = (await gate.program.get(f"/checkin-lists/{gate.list_id}/scans", limit="3")).body
    rest = (await gate.program.get(f"/checkin-lists/{gate.list_id}/scans", cursor=log["next_cursor"])).body
    marks = Counter(each["mark"] for each in (*log["items"], *rest["items"]))
    assert marks == {None: 2, "already_redeemed": 1, "cancelled": 1, "unknown": 1}
    assert (await gate.scan(fine)).code == "already_redeemed"


async def test_a_devices_clock_that_is_ahead_changes_no_order_of_things(
    gate: Gate, seller: Program, sample: Sample
) -> None:
    (told,) = await gate.upload({**past(await ticket(seller, sample)), "at": now(days=-3)})
    assert datetime.fromisoformat(told["at"]) <= datetime.now(UTC)


async def test_a_devices_list_has_no_code_and_no_full_name(gate: Gate, seller: Program, sample: Sample) -> None:
    code = await ticket(seller, sample, name="Marie-Claire de la Tour")
    path = f"/checkin-lists/{gate.list_id}"
    said = await gate.program.get(path)
    assert code.encode() not in said.raw
    assert "Tour" not in said.raw.decode()
    (known,) = said.body["tickets"]
    assert (known["h"], known["n"], known["c"]) == (hashed(code), "Marie-Claire T.", None)
    assert said.body["types"][known["t"]] == {"id": str(sample.type), "title": {"en": "Ticket"}}
    assert said.body["door"]["forget_at"] == "2090-01-03T00:00:00Z"
    again = await gate.program.ask("GET", path, headers={"If-None-Match": said.headers["ETag"]})
    assert again.status == 304
    await gate.scan(code)
    changed = (await gate.program.get(path)).body
    assert changed["version"] != said.body["version"]
    assert changed["tickets"][0]["g"] == "Gate A"
    assert (changed["door"]["inside"], changed["door"]["expected"]) == (1, 1)


async def test_a_device_sees_its_own_events_only(gate: Gate, seller: Program, sample: Sample, eyes: Connection) -> None:
    other = await make_event(eyes)
    await doors.ensure_one(eyes, other.event, "Entrance")
    there = Gate(gate.program, await first_list(eyes, other))
    code = await ticket(seller, other)
    assert (await there.scan(code)).code == "not_found"
    assert (
        await gate.program.post(f"/checkin-lists/{there.list_id}/uploads", {"scans": [past(code)]})
    ).code == "not_found"
    for path in ("", "/scans"):
        assert (await gate.program.get(f"/checkin-lists/{there.list_id}{path}")).code == "not_found"
    assert (await gate.program.get(f"/events/{other.event}/checkin-lists")).code == "not_found"
    mine = (await gate.program.get("/checkin-lists")).body["lists"]
    assert [door["id"] for door in mine] == [str(gate.list_id)]
    assert (await gate.program.get(f"/events/{sample.event}/orders")).code == "forbidden"


async def test_a_device_is_enrolled_once_and_soon(shared: Web, sample: Sample, eyes: Connection) -> None:
    member = await eyes.fetchval("SELECT created_by FROM event WHERE id = $1", sample.event)
    async with eyes.transaction():
        code, old = [
            await tokens.offer_enrolment(eyes, name="Gate C", event_ids=[sample.event], member_id=member)
            for _ in range(2)
        ]
        await eyes.execute(
            "UPDATE enrolment SET expires_at = clock_timestamp() WHERE id = (SELECT max(id::text)::uuid FROM enrolment)"
        )
    async with asking(shared.tenant, None) as phone:
        answers = await asyncio.gather(*(phone.post("/enrolments", {"code": code}) for _ in range(3)))
        assert sorted(said.status for said in answers) == [201, 410, 410]
        assert (await phone.post("/enrolments", {"code": old})).code == "code_gone"
        (made,) = [said.body for said in answers if said.status == 201]
    assert (made["me"]["name"], made["me"]["scopes"], made["me"]["event_ids"]) == (
        "Gate C", ["checkin"], [str(sample.event)],
    )  # fmt: skip
    async with asking(shared.tenant, made["token"]) as enrolled:
        assert (await enrolled.get("/me")).body == made["me"]
    stored = await eyes.fetch("SELECT token_sha256 FROM api_token")
    assert hashlib.sha256(made["token"].encode()).digest() in {row["token_sha256"] for row in stored}
