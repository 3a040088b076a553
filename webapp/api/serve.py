"""The way of a request: whose token, how often, may it, is it in order, was it answered before; then the answer.

Only tokens count here: no cookie is ever read. Every problem that leaves is one that the operation declares.
"""

from __future__ import annotations

import hashlib
import logging
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from skep.webapp.api import accounts, attendees, carts, checkin, events, orders  # noqa: F401  # each registers its operations
from skep.webapp.api import idempotency as once
from skep.webapp.api.asking import field_errors, matches
from skep.webapp.api.operations import OPERATIONS, Call, File, Model, NoBody, NoParams, Nothing, Operation
from skep.webapp.http import problems
from skep.webapp.http.api_state import API_STATE
from skep.webapp.http.keys import DATABASE, VISIT
from skep.webapp.http.problems import FieldError, Problem
from skep.webapp.http.ratelimit import RateLimiter
from skep.webapp.store import tokens
from skep.webapp.store.tokens import Token

log = logging.getLogger(__name__)

JSON = "application/json"


async def serve(request: web.Request, operation_id: str) -> web.StreamResponse:
    operation = OPERATIONS[operation_id]
    try:
        return await _serve(request, operation)
    except Problem as problem:
        if problem.code not in operation.errors:
            log.error("undeclared problem", extra={"operation": operation.id, "code": problem.code})
            return problems.answer(Problem("failed"))
        return problems.answer(problem)


async def _serve(request: web.Request, operation: Operation) -> web.StreamResponse:
    token, secret = await _token(request)
    if operation.scope is not None:
        if token is None:
            raise _unauthorized()
        if operation.scope != "any" and operation.scope not in token.scopes:
            raise Problem("forbidden", f"It needs the scope {operation.scope}.")
    params = _params(request, operation)
    raw = await _raw(request, operation)
    body = _body(raw, operation)
    call = Call(request, token, params, body)
    if operation.idempotent and token is not None and (key := request.headers.get("Idempotency-Key")) is not None:
        sealed = once.seal_of(secret, key)
        fingerprint = once.fingerprint(operation.id, request.rel_url.raw_path_qs, raw)
        return await once.answered(request, token, sealed, fingerprint, lambda: _answer(call, operation))
    return await _answer(call, operation)


async def _token(request: web.Request) -> tuple[Token | None, str]:
    """Whose request this is, counted. Raises Problem for a token that is none, and for too many requests."""
    state, address = request.app[API_STATE], request[VISIT].client.address
    header = request.headers.get("Authorization")
    if header is None:
        _count(state.by_address, address)
        return None, ""
    scheme, _, secret = header.partition(" ")
    secret = secret.strip()
    token = state.trusted.find(secret)
    if token is None:
        if scheme.lower() == "bearer" and tokens.is_token(secret):
            async with request.app[DATABASE].connection() as connection:
                token = await tokens.find(connection, secret)
        if token is None:  # whoever has one is never held up by a neighbour's wrong ones behind the same address
            _count(state.wrong_tokens, address)
            raise _unauthorized()
        state.trusted.add(secret, token)
    _count(state.by_token, str(token.id))
    return token, secret


def _count(limit: RateLimiter, key: str) -> None:
    if (wait_s := limit.retry_after_s(key)) is not None:
        raise Problem("rate_limited", headers={"Retry-After": str(wait_s)})
    limit.count(key)


def _unauthorized() -> Problem:
    return Problem("unauthorized", headers={"WWW-Authenticate": 'Bearer realm="api"'})


def _params(request: web.Request, operation: Operation) -> Model:
    """Of the path and the query. What does not fit into the path is not there; elsewhere the field is named."""
    given: dict[str, Any] = dict(request.match_info)
    for name in request.query:
        values = request.query.getall(name)
        if len(values) > 1 or name in operation.path_fields:
            raise Problem("invalid", errors=[FieldError(name, "repeated")])
        given[name] = values[0]
    if operation.params is NoParams and not given:
        return NoParams()
    try:
        return operation.params.model_validate_strings(given)
    except ValidationError as error:
        found = field_errors(error)
        if any(each.field in operation.path_fields for each in found):
            raise Problem("not_found") from error
        raise Problem("invalid", errors=found) from error


async def _raw(request: web.Request, operation: Operation) -> bytes:
    if operation.body is NoBody:
        return b""
    if request.content_type != JSON:
        raise Problem("unsupported_media_type")
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise Problem("too_large") from error


def _body(raw: bytes, operation: Operation) -> Model:
    if operation.body is NoBody:
        return NoBody()
    try:
        return operation.body.model_validate_json(raw)
    except ValidationError as error:
        raise Problem("invalid", errors=field_errors(error)) from error


async def _answer(call: Call[Any, Any], operation: Operation) -> web.Response:
    said = await operation.handler(call)
    if isinstance(said, File):
        return web.Response(
            body=said.body,
            headers={
                "Content-Type": said.content_type,
                "Content-Disposition": f'attachment; filename="{said.name}"',
                "Cache-Control": "no-store",
            },
        )
    if isinstance(said, Nothing):
        return web.Response(status=204, headers={"Cache-Control": "no-store"})
    body = said.model_dump_json().encode()
    headers = {"Content-Type": JSON, "Cache-Control": "no-store" if operation.scope else "no-cache"}
    if operation.method == "GET" or operation.versioned:
        digest = hashlib.sha256(body).hexdigest()[:16]
        version = f"{getattr(said, 'version', '')}-" if operation.versioned else ""
        headers["ETag"] = f'"{version}{digest}"'
        if operation.scope:
            headers["Cache-Control"] = "private, no-cache"
        if operation.method == "GET" and matches(call.request.headers.get("If-None-Match", ""), headers["ETag"]):
            del headers["Content-Type"]
            return web.Response(status=304, headers=headers)
    if operation.scope is None:
        headers["Vary"] = "Authorization"
    response = web.Response(body=body, status=operation.status, headers=headers)
    if len(body) > 4096:
        response.enable_compression()
    return response
