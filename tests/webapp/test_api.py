"""The REST API over HTTP: what is read and sold, who may, and what is said twice."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
import pytest_asyncio

from skep.webapp.ids import new_token, uuid7
from skep.webapp.schema import migrate
from skep.webapp.settings import Settings
from skep.webapp.store import offers, tokens
from skep.webapp.store.offers import QuestionDraft, VoucherDraft
from tests.rig.api import Program, asking, make_token
from tests.rig.postgres import Postgres
from tests.rig.rows import Sample, make_event, make_type
from tests.rig.tenant import Web, make_tenant
from tests.rig.visitor import visiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    Connection = asyncpg.Connection[asyncpg.Record]

NOOR = {"name": "Noor Haddad", "email": "noor@example.com", "method": "free"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Web]:
    """One running app for this module: each test makes events of its own."""
    tenant = await make_tenant(postgres, tmp_path_factory.mktemp("api"))
    await migrate(Settings.read(tenant.env).database)
    async with tenant.running() as web:
        yield web


@pytest.fixture
async def eyes(shared: Web) -> AsyncIterator[Connection]:
    connection = await shared.tenant.admin()
    yield connection
    await connection.close()


@pytest.fixture
async def program(shared: Web, eyes: Connection) -> AsyncIterator[Program]:
    """May do everything."""
    async with asking(shared.tenant, await make_token(eyes)) as somebody:
        yield somebody


@pytest.fixture
async def anybody(shared: Web) -> AsyncIterator[Program]:
    """Without a token."""
    async with asking(shared.tenant, None) as somebody:
        yield somebody


async def test_public_events_are_read_without_a_token_and_page_by_page(anybody: Program, eyes: Connection) -> None:
    samples = [await make_event(eyes, capacity=5, price=1250) for _ in range(3)]
    draft = await make_event(eyes)
    await eyes.execute("UPDATE event SET status = 'draft' WHERE id = $1", draft.event)
    found: list[str] = []
    query = {"limit": "2"}
    while True:
        page = (await anybody.get("/events", **query)).body
        found += [event["id"] for event in page["items"]]
        assert len(page["items"]) <= 2
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert {str(sample.event) for sample in samples} <= set(found)
    assert len(found) == len(set(found))
    assert str(draft.event) not in found
    sample = samples[0]
    offer = (await anybody.get(f"/events/{sample.event}/types")).body
    assert [(kind["title"], kind["price"]) for kind in offer["types"]] == [({"en": "Ticket"}, 1250)]
    left = (await anybody.get(f"/events/{sample.event}/availability")).body
    assert left == {"types": [{"type_id": str(sample.type), "sale": "open", "left": 5}]}


async def test_31_a_draft_is_there_for_tokens_that_may_read_it_only(
    shared: Web, anybody: Program, program: Program, eyes: Connection
) -> None:
    draft, other = await make_event(eyes), await make_event(eyes)
    await eyes.execute("UPDATE event SET status = 'draft' WHERE id = $1", draft.event)
    assert (await anybody.get(f"/events/{draft.event}")).code == "not_found"
    assert (await program.get(f"/events/{draft.event}")).body["status"] == "draft"
    async with asking(shared.tenant, await make_token(eyes, events=[other.event])) as elsewhere:
        assert (await elsewhere.get(f"/events/{draft.event}")).code == "not_found"
        for path in ("orders", "attendees", "checkin-lists", "exports/orders.csv"):
            assert (await elsewhere.get(f"/events/{draft.event}/{path}")).code == "not_found"
            assert (await elsewhere.get(f"/events/{uuid7()}/{path}")).code == "not_found"


async def test_each_scope_opens_its_operations_and_no_others(shared: Web, eyes: Connection) -> None:
    sample = await make_event(eyes)
    reads = {
        "orders:read": f"/events/{sample.event}/orders",
        "attendees:read": f"/events/{sample.event}/attendees",
        "exports": f"/events/{sample.event}/exports/attendees.csv",
        "checkin": "/checkin-lists",
    }
    for scope in tokens.SCOPES:
        async with asking(shared.tenant, await make_token(eyes, scope)) as somebody:
            assert (await somebody.get("/me")).body["scopes"] == [scope]
            for needed, path in reads.items():
                said = await somebody.get(path)
                assert said.status == (200 if needed == scope else 403), (scope, path)


async def test_no_token_a_wrong_one_and_a_revoked_one_are_refused_alike(
    shared: Web, anybody: Program, program: Program, eyes: Connection
) -> None:
    for header in (None, "Bearer nonsense", f"Bearer skt_{new_token()}", "Basic bm9vcjpub29y", "Bearer", ""):
        headers = {} if header is None else {"Authorization": header}
        said = await anybody.ask("GET", "/me", headers=headers)
        assert (said.status, said.code) == (401, "unauthorized")
        assert said.headers["WWW-Authenticate"] == 'Bearer realm="api"'
    token_id = (await program.get("/me")).body["id"]
    await eyes.execute("UPDATE api_token SET revoked_at = clock_timestamp() WHERE id = $1", token_id)
    await eyes.fetchval("SELECT pg_sleep(1.1)")  # a process trusts a token that it saw a second ago
    assert (await program.get("/me")).body == (await anybody.ask("GET", "/me")).body


async def test_28_a_token_of_one_tenant_is_nobodys_at_another(
    shared: Web, postgres: Postgres, tmp_path: Path, eyes: Connection
) -> None:
    other = await make_tenant(postgres, tmp_path, name="rival")
    await migrate(Settings.read(other.env).database)
    sample, secret = await make_event(eyes), await make_token(eyes)
    async with other.running(), asking(other, secret) as stranger, asking(other, f"skt_{new_token()}") as nobody:
        for path in ("/me", f"/events/{sample.event}", f"/events/{sample.event}/orders", "/checkin-lists"):
            here, there = await stranger.get(path), await nobody.get(path)
            assert here.status == there.status == 401
            assert here.raw == there.raw


async def test_cookies_count_for_nothing(shared: Web, eyes: Connection) -> None:
    sample = await make_event(eyes)
    async with visiting(shared.tenant) as organizer:
        await organizer.become_organizer(email="cookie@example.com")
        for path in ("/me", f"/events/{sample.event}/orders"):
            assert (await organizer.get(f"/api/v1{path}")).status == 401
        answer = await organizer.get(f"/api/v1/events/{sample.event}")
        assert "Set-Cookie" not in answer.headers


async def test_a_cart_holds_and_becomes_one_order(program: Program, eyes: Connection) -> None:
    sample = await make_event(eyes, capacity=3, price=1000, tax_bp=1000)
    opened = await program.post(f"/events/{sample.event}/carts", {"items": [item(sample, 2)]})
    cart = opened.body["cart"]
    here = f"/events/{sample.event}/carts/{cart}"
    assert (opened.body["total"], opened.body["tax"], len(opened.body["places"])) == (2000, 182, 2)
    more = await program.post(f"{here}/items", {"items": [item(sample, 2)]})
    assert [(note["kind"], note["number"]) for note in more.body["notes"]] == [("fewer", 1)]
    assert (await program.get(f"/events/{sample.event}/availability")).body["types"][0]["left"] == 0
    order = {**NOOR, "method": "on-site", "holders": [{"place_id": opened.body["places"][1]["id"], "name": "Aya"}]}
    first, second = await asyncio.gather(program.post(f"{here}/order", order), program.post(f"{here}/order", order))
    made = next(said for said in (first, second) if said.status == 201)
    assert made.body["order"]["state"] == "pending"
    assert sorted(ticket["holder"] for ticket in made.body["order"]["tickets"]) == ["Aya", "Noor Haddad", "Noor Haddad"]
    assert await eyes.fetchval("SELECT count(*) FROM ticket_order WHERE event_id = $1", sample.event) == 1
    assert (await program.get(here)).code == "not_found"
    async with visiting(program.tenant) as buyer:
        page = await buyer.get(made.body["url"].removeprefix(program.tenant.url))
        assert made.body["order"]["code"] in page.words
    paid = await program.post(f"/events/{sample.event}/orders/{made.body['order']['id']}/paid")
    assert paid.body["state"] == "paid"
    assert (await program.post(f"/events/{sample.event}/orders/{made.body['order']['id']}/paid")).status == 200


async def test_19_two_positions_for_one_place_name_the_second_and_keep_nothing(
    program: Program, eyes: Connection
) -> None:
    sample = await make_event(eyes, capacity=1)
    kind = str(sample.type)
    said = await program.post(
        f"/events/{sample.event}/orders", {**NOOR, "positions": [{"type_id": kind}, {"type_id": kind}]}
    )
    assert (said.status, said.code) == (400, "sold_out")
    assert said.fields == {"positions.1.type_id": "sold_out"}
    assert await eyes.fetchval("SELECT count(*) FROM cart_hold WHERE type_id = $1", sample.type) == 0
    assert await eyes.fetchval("SELECT count(*) FROM ticket_order WHERE event_id = $1", sample.event) == 0
    assert (
        await program.post(f"/events/{sample.event}/orders", {**NOOR, "positions": [{"type_id": kind}]})
    ).status == 201


async def test_what_is_wrong_with_an_order_is_said_field_by_field(program: Program, eyes: Connection) -> None:
    sample = await make_event(eyes)
    draft = QuestionDraft("number", {"en": "Shoe size"}, is_required=True)
    question = str(await offers.create_question(eyes, sample.event, draft))
    hidden = await make_type(eyes, sample.session, sample.pool, title={"en": "Backstage"}, needs_voucher=True)
    kind = str(sample.type)

    async def order(**changes: Any) -> dict[str, str]:
        said = await program.post(
            f"/events/{sample.event}/orders", {**NOOR, "positions": [{"type_id": kind}], **changes}
        )
        return said.fields if said.status >= 400 else {}

    answered = [{"type_id": kind, "answers": [{"question_id": question, "value": "38"}]}]
    assert await order() == {"positions.0.answers": "missing"}
    wrong = [{"type_id": kind, "answers": [{"question_id": question, "value": "small"}]}]
    assert await order(positions=wrong) == {"positions.0.answers.0.value": "number"}
    assert await order(positions=answered, email="noor@nowhere") == {"email": "format"}
    assert await order(positions=answered, terms_id=str(uuid7())) == {"terms_id": "unknown"}
    assert await order(positions=answered, method="transfer") == {"method": "method"}
    assert await order(positions=answered, voucher="NOBODY") == {"voucher": "voucher-unknown"}
    backstage = [*answered, {**answered[0], "type_id": str(hidden)}]
    assert await order(positions=backstage) == {"positions.1.type_id": "voucher-needed"}
    await offers.create_voucher(eyes, sample.event, VoucherDraft("FRIEND", None, 5, "none", 0))
    assert await order(positions=backstage, voucher="friend") == {}
    assert await eyes.fetchval("SELECT count(*) FROM cart WHERE event_id = $1", sample.event) == 0


async def test_27_the_same_key_is_the_same_answer_and_one_effect(
    shared: Web, program: Program, eyes: Connection
) -> None:
    sample = await make_event(eyes, capacity=9)
    path, order = f"/events/{sample.event}/orders", {**NOOR, "positions": [{"type_id": str(sample.type)}]}
    many = await asyncio.gather(*(program.post(path, order, Idempotency_Key="one-order-only") for _ in range(5)))
    assert {said.status for said in many} <= {201, 409}
    assert all(said.headers["Retry-After"] == "1" for said in many if said.status == 409)
    first = next(said for said in many if said.status == 201)
    again = await program.post(path, order, Idempotency_Key="one-order-only")
    assert (again.status, again.raw) == (201, first.raw)
    assert again.headers["Idempotent-Replayed"] == "true"
    other = await program.post(path, {**order, "name": "Aya"}, Idempotency_Key="one-order-only")
    assert other.code == "key_reused"
    async with asking(shared.tenant, await make_token(eyes)) as another:
        assert (await another.post(path, order, Idempotency_Key="one-order-only")).raw != first.raw
    assert await eyes.fetchval("SELECT count(*) FROM ticket_order WHERE event_id = $1", sample.event) == 2
    stored = b"".join(row["answer"] for row in await eyes.fetch("SELECT answer FROM idempotency"))
    assert b"Noor" not in stored  # a reader of the database learns nothing


async def test_a_request_that_was_never_answered_is_not_done_again(program: Program, eyes: Connection) -> None:
    sample = await make_event(eyes)
    path, order = f"/events/{sample.event}/orders", {**NOOR, "positions": [{"type_id": str(sample.type)}]}
    assert (await program.post(path, order, Idempotency_Key="died-halfway")).status == 201
    await eyes.execute("UPDATE idempotency SET status = NULL, answer = NULL")
    assert (await program.post(path, order, Idempotency_Key="died-halfway")).code == "in_flight"
    await eyes.execute("UPDATE idempotency SET created_at = created_at - interval '3 minutes'")
    assert (await program.post(path, order, Idempotency_Key="died-halfway")).code == "outcome_unknown"
    assert await eyes.fetchval("SELECT count(*) FROM ticket_order WHERE event_id = $1", sample.event) == 1


async def test_a_change_needs_the_version_that_was_read(program: Program, eyes: Connection) -> None:
    sample = await make_event(eyes)
    path = f"/events/{sample.event}"
    etag = (await program.get(path)).headers["ETag"]
    assert (await program.ask("GET", path, headers={"If-None-Match": etag})).status == 304
    assert (await program.ask("PATCH", path, {"title": {"en": "New"}})).code == "precondition_required"
    changed = await program.ask(
        "PATCH", path, {"title": {"en": "New", "fr": "Neuf"}, "place": {"en": "Hall"}}, headers={"If-Match": etag}
    )
    assert changed.body["title"] == {"en": "New", "fr": "Neuf"}
    assert changed.headers["ETag"] != etag
    late = await program.ask("PATCH", path, {"title": {"en": "Mine"}}, headers={"If-Match": etag})
    assert (late.status, late.code) == (412, "stale")
    assert (await program.ask("GET", path, headers={"If-None-Match": etag})).body["title"]["en"] == "New"
    fresh = {"If-Match": changed.headers["ETag"]}
    empty = await program.ask("PATCH", path, {"title": {"en": " "}}, headers=fresh)
    assert empty.fields == {"title.en": "missing"}
    assert (await program.ask("PATCH", path, {"title": {"fr": ""}}, headers=fresh)).body["title"] == {"en": "New"}


async def test_orders_and_attendees_page_by_page_and_as_csv(program: Program, eyes: Connection) -> None:
    sample = await make_event(eyes)
    for name in ("Ada", "=SUM(A1:A9)", "Ida"):
        order = {**NOOR, "name": name, "positions": [{"type_id": str(sample.type)}]}
        assert (await program.post(f"/events/{sample.event}/orders", order)).status == 201
    first = (await program.get(f"/events/{sample.event}/orders", limit="2")).body
    rest = (await program.get(f"/events/{sample.event}/orders", limit="2", cursor=first["next_cursor"])).body
    assert [order["name"] for order in (*first["items"], *rest["items"])] == ["Ida", "=SUM(A1:A9)", "Ada"]
    assert rest["next_cursor"] is None
    people = (await program.get(f"/events/{sample.event}/attendees", limit="2")).body
    assert [who["name"] for who in people["items"]] == ["Ada", "=SUM(A1:A9)"]
    table = (await program.get(f"/events/{sample.event}/exports/attendees.csv")).raw.decode("utf-8-sig")
    assert "'=SUM(A1:A9)" in table
    assert len(table.splitlines()) == 4
    assert "Ida" in (await program.get(f"/events/{sample.event}/exports/orders.csv")).raw.decode()
    cancelled = await program.post(f"/events/{sample.event}/orders/{first['items'][0]['id']}/cancel", {})
    assert cancelled.body["state"] == "cancelled"
    assert len((await program.get(f"/events/{sample.event}/attendees")).body["items"]) == 2


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        pytest.param("GET", "/events?limit=101", None, {}, 400, id="too many at once"),
        pytest.param("GET", "/events?limit=1&limit=2", None, {}, 400, id="twice"),
        pytest.param("GET", "/events?page=2", None, {}, 400, id="unknown parameter"),
        pytest.param("GET", "/events?cursor=W10", None, {}, 400, id="a cursor of nobody"),
        pytest.param("GET", "/events?q=%00", None, {}, 400, id="a NUL"),
        pytest.param("GET", "/events?after=0001-01-01T00:00:00Z", None, {}, 400, id="a year out of reach"),
        pytest.param("GET", "/events/nonsense", None, {}, 404, id="no id"),
        pytest.param("GET", "/nowhere", None, {}, 404, id="no such address"),
        pytest.param("PUT", "/events", None, {}, 405, id="no such method"),
        pytest.param("POST", "/enrolments", b"{", {}, 400, id="broken JSON"),
        pytest.param("POST", "/enrolments", b'{"code": "x"}', {}, 400, id="a code of another form"),
        pytest.param("POST", "/enrolments", b'{"code": "\\ud800"}', {}, 400, id="half a character"),
        pytest.param("POST", "/enrolments", b"code=x", {"Content-Type": "text/plain"}, 415, id="no JSON"),
        pytest.param("POST", "/enrolments", b'{"code": "%s"}' % (b"a" * 200_000), {}, 413, id="too much"),
        pytest.param("POST", "/enrolments", b'{"code": "%s"}' % (b"a" * 43), {}, 410, id="a code of nobody"),
    ],
)
async def test_bad_requests_are_problems_that_programs_can_read(
    anybody: Program, method: str, path: str, body: bytes | None, headers: dict[str, str], status: int
) -> None:
    sent = {"X-Skep-Tenant": anybody.tenant.uid, "Content-Type": "application/json", **headers}
    async with anybody.session.request(method, f"{anybody.tenant.url}/api/v1{path}", data=body, headers=sent) as answer:
        said = await answer.json(content_type="application/problem+json")
    assert (answer.status, said["status"]) == (status, status)
    assert said["title"]


async def test_somebody_who_asks_too_often_is_told_when_to_come_back(shared: Web, eyes: Connection) -> None:
    async with asking(shared.tenant, f"skt_{new_token()}") as guesser:
        statuses = [(await guesser.get("/me")).status for _ in range(70)]
        last = await guesser.get("/me")
    assert statuses[0] == 401
    assert (last.status, last.code) == (429, "rate_limited")
    assert 0 < int(last.headers["Retry-After"]) <= 900
    async with asking(shared.tenant, await make_token(eyes)) as neighbour:  # behind the same address
        assert (await neighbour.get("/me")).status == 200


def item(sample: Sample, quantity: int) -> dict[str, Any]:
    return {"type_id": str(sample.type), "quantity": quantity}
