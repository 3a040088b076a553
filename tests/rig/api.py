"""A program that asks the REST API. Every answer is held against the model of its operation."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
import jsonschema
from multidict import CIMultiDictProxy
from pydantic import BaseModel

from skep.webapp.api import serve  # noqa: F401  # registers all operations
from skep.webapp.api.operations import OPERATIONS, File, Nothing, Operation
from skep.webapp.api.routes import description
from skep.webapp.http.problems import PROBLEMS
from skep.webapp.store import tokens
from skep.webapp.store.tokens import SCOPES, Scope
from tests.rig.tenant import Tenant


@dataclass(frozen=True)
class Said:
    status: int
    headers: CIMultiDictProxy[str]
    body: Any  # parsed, where it is JSON
    raw: bytes

    @property
    def code(self) -> str:
        """Of a problem; empty otherwise."""
        return str(self.body.get("code", "")) if isinstance(self.body, dict) and self.status >= 400 else ""

    @property
    def fields(self) -> dict[str, str]:
        """Field: reason."""
        return {error["field"]: error["reason"] for error in self.body.get("errors", [])}


class Program:
    def __init__(self, tenant: Tenant, session: aiohttp.ClientSession, token: str | None) -> None:
        self.tenant = tenant
        self.session = session
        self.token = token

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Said:
        sent = {"X-Skep-Tenant": self.tenant.uid, **(headers or {})}
        if self.token is not None:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        async with self.session.request(
            method, f"{self.tenant.url}/api/v1{path}", json=body, headers=sent, params=query
        ) as answer:
            raw = await answer.read()
            parsed = json.loads(raw) if raw and "json" in answer.content_type else None
            said = Said(answer.status, answer.headers, parsed, raw)
        hold_against_model(method, path, said)
        return said

    async def get(self, path: str, **query: str) -> Said:
        return await self.ask("GET", path, query=query)

    async def post(self, path: str, body: Any = None, **headers: str) -> Said:
        """*headers* with `_` for `-`."""
        return await self.ask("POST", path, body, headers={name.replace("_", "-"): v for name, v in headers.items()})


def operation_at(method: str, path: str) -> Operation | None:
    for each in OPERATIONS.values():
        pattern = re.sub(r"{\w+}", "[^/]+", each.path)
        if each.method == method and re.fullmatch(pattern, path.partition("?")[0]):
            return each
    return None


def hold_against_model(method: str, path: str, said: Said) -> None:
    """AssertionError for an answer that its operation does not declare, or that its model does not allow."""
    operation = operation_at(method, path)
    if operation is None:
        return
    if said.status >= 400:
        assert said.headers["Content-Type"] == "application/problem+json", said
        assert said.code in operation.errors, (operation.id, said.body)
        assert PROBLEMS[said.code].status == said.status
        jsonschema.validate(said.body, {**description()[1]["components"]["schemas"]["Problem"]})
        return
    if said.status == 304:
        assert operation.method == "GET"
        return
    assert said.status == operation.status, (operation.id, said.status, said.body)
    if issubclass(operation.answer, File):
        assert said.headers["Content-Type"] == operation.content_type
    elif operation.answer is Nothing:
        assert said.raw == b""
    else:
        assert issubclass(operation.answer, BaseModel)
        operation.answer.model_validate_json(said.raw, strict=False)


async def make_token(
    eyes: asyncpg.Connection[asyncpg.Record], *scopes: Scope, events: list[UUID] | None = None, name: str = "Program"
) -> str:
    """Without scopes: one that may do everything."""
    async with eyes.transaction():
        _, secret = await tokens.create(
            eyes, kind="team", name=name, scopes=scopes or SCOPES, event_ids=events, member_id=None
        )
    return secret


@asynccontextmanager
async def asking(tenant: Tenant, token: str | None) -> AsyncIterator[Program]:
    async with aiohttp.ClientSession() as session:
        yield Program(tenant, session, token)
