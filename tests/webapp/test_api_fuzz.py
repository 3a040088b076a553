"""Everything that the description allows, and much that it does not, asked of a seeded tenant, scope by scope.

An operation that never answers 2xx was not tested, whatever else it answers: that is a failure too.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg
import hypothesis
import pytest
import pytest_asyncio
import requests
import schemathesis
from hypothesis import HealthCheck
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from skep.webapp.api.routes import description
from skep.webapp.schema import migrate
from skep.webapp.settings import Settings
from skep.webapp.shop import doors
from skep.webapp.store import tokens
from skep.webapp.store.tokens import SCOPES, Scope
from tests.rig.api import Program, asking, make_token
from tests.rig.postgres import Postgres
from tests.rig.rows import Sample, make_event
from tests.rig.tenant import Web, make_tenant

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
NONCE = "0123456789abcdef"
BUYER = {"name": "Noor", "email": "noor@example.com", "method": "free"}
GROUPS: list[Scope | None] = [None, *SCOPES]


@dataclass
class Seeded:
    """A tenant with something behind every address."""

    web: Web
    eyes: Connection
    program: Program  # may do everything
    sample: Sample
    list_id: str

    async def order(self) -> dict[str, Any]:
        body = {**BUYER, "positions": [{"type_id": str(self.sample.type)}]}
        made: dict[str, Any] = (await self.program.post(f"/events/{self.sample.event}/orders", body)).body["order"]
        return made

    async def path(self, names: set[str]) -> dict[str, str]:
        """Values that exist for the fields of a path."""
        given = {"event_id": str(self.sample.event), "type_id": str(self.sample.type), "list_id": self.list_id}
        if "cart" in names:
            items = {"items": [{"type_id": str(self.sample.type), "quantity": 1}]}
            given["cart"] = (await self.program.post(f"/events/{self.sample.event}/carts", items)).body["cart"]
        if "order_id" in names:
            given["order_id"] = (await self.order())["id"]
        if "scan_id" in names:
            code = (await self.order())["tickets"][0]["code"]
            said = await self.program.post(f"/checkin-lists/{self.list_id}/scans", scan(code))
            given["scan_id"] = said.body["id"]
        return {name: given[name] for name in names}

    async def body(self, operation: str) -> Any:
        """A body that is right; None where there is none."""
        match operation:
            case "open_cart" | "add_items":
                return {"items": [{"type_id": str(self.sample.type), "quantity": 1}]}
            case "order_cart":
                return BUYER
            case "create_order":
                return {**BUYER, "positions": [{"type_id": str(self.sample.type)}]}
            case "cancel_tickets":
                return {}
            case "change_event":
                return {"title": {"en": "Another title"}}
            case "scan_ticket":
                return scan((await self.order())["tickets"][0]["code"])
            case "upload_scans":
                return {"scans": [scan((await self.order())["tickets"][0]["code"])]}
            case "enrol":
                member = await self.eyes.fetchval("SELECT id FROM member LIMIT 1")
                async with self.eyes.transaction():
                    code = await tokens.offer_enrolment(
                        self.eyes, name="Gate", event_ids=[self.sample.event], member_id=member
                    )
                return {"code": code}
        return None

    async def headers(self, operation: str, token: str | None) -> dict[str, str]:
        headers = {"X-Skep-Tenant": self.web.tenant.uid} | ({"Authorization": f"Bearer {token}"} if token else {})
        if operation == "change_event":
            headers["If-Match"] = (await self.program.get(f"/events/{self.sample.event}")).headers["ETag"]
        return headers


def scan(code: str) -> dict[str, str]:
    return {"code": code, "nonce": NONCE, "at": "2026-01-01T12:00:00Z"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seeded(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Seeded]:
    tenant = await make_tenant(postgres, tmp_path_factory.mktemp("fuzz"), proxies=["127.0.0.1"])
    await migrate(Settings.read(tenant.env).database)
    eyes = await tenant.admin()
    sample = await make_event(eyes)
    await doors.ensure_one(eyes, sample.event, "Entrance")
    list_id = str(await eyes.fetchval("SELECT id FROM checkin_list"))
    async with tenant.running() as web, asking(tenant, await make_token(eyes)) as program:
        yield Seeded(web, eyes, program, sample, list_id)
        assert "Traceback" not in web.log.read_text()
    await eyes.close()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("scope", GROUPS, ids=lambda scope: scope or "everybody")
async def test_what_the_description_allows_and_what_not(seeded: Seeded, scope: Scope | None) -> None:
    await _ask_all(seeded, scope, examples=4)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("scope", GROUPS, ids=lambda scope: scope or "everybody")
async def test_what_the_description_allows_and_what_not_at_length(seeded: Seeded, scope: Scope | None) -> None:
    await _ask_all(seeded, scope, examples=150)


async def _ask_all(seeded: Seeded, scope: Scope | None, *, examples: int) -> None:
    schema = schemathesis.openapi.from_dict(description()[1])
    wanted = {None, "any"} if scope == "events:read" else {scope}  # what is public shows more to who has it
    answered: dict[str, Counter[int]] = {}
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        raw = operation.definition.raw
        if raw["x-scope"] not in wanted:
            continue
        name: str = raw["operationId"]
        token = await make_token(seeded.eyes, scope) if scope else None  # its own: none asks too often
        fields = {each["name"] for each in raw.get("parameters", []) if each["in"] == "path"}
        path = await seeded.path(fields)
        headers = await seeded.headers(name, token)
        known = operation.Case(path_parameters=path, body=await seeded.body(name), media_type="application/json")
        if known.body is None:
            known = operation.Case(path_parameters=path)
        statuses = await asyncio.to_thread(_ask, seeded, operation, known, path, headers, examples)
        answered[name] = statuses
    assert answered
    assert {name for name, statuses in answered.items() if not any(200 <= s < 300 for s in statuses)} == set(), answered


def _ask(
    seeded: Seeded, operation: Any, known: Any, path: dict[str, str], headers: dict[str, str], examples: int
) -> Counter[int]:
    """How often each status was answered. AssertionError (a group of them) for an answer that breaks the description."""
    statuses: Counter[int] = Counter()
    base = f"{seeded.web.tenant.url}/api/v1"
    settings = hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    with requests.Session() as session:
        session.trust_env = False

        def ask(case: Any, *more: Any) -> None:
            asked = statuses.total()  # another address every so often: nobody asks too often
            address = {"X-Forwarded-For": f"198.18.{len(case.operation.label)}.{asked // 100}"}
            answer = case.call(base_url=base, session=session, headers=headers | address)
            statuses[answer.status_code] += 1
            case.validate_response(answer, checks=[*CHECKS, *more])

        ask(known)
        right = operation.as_strategy(schemathesis.GenerationMode.POSITIVE, path_parameters=path)
        settings(hypothesis.given(case=right)(lambda case: ask(case)))()
        wrong = operation.as_strategy(schemathesis.GenerationMode.NEGATIVE, path_parameters=path)
        raw = operation.definition.raw
        if "requestBody" in raw or any(each["in"] != "path" for each in raw.get("parameters", [])):
            settings(hypothesis.given(case=wrong)(lambda case: ask(case, negative_data_rejection)))()
    return statuses
