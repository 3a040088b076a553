"""The same Idempotency-Key, the same answer, and no second effect.

The answer is stored sealed with the token and the key: it holds names and secrets, and the database has neither of the
two. A request that was begun and never answered (the process died) is not done again: nobody knows what it did.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from skep.webapp.errors import Busy
from skep.webapp.http import problems
from skep.webapp.http.keys import DATABASE
from skep.webapp.http.problems import FieldError, Problem
from skep.webapp.store import onces

if TYPE_CHECKING:
    from skep.webapp.store.tokens import Token

_SHAPE = re.compile(r"[\x21-\x7e]{8,100}")
NONCE_BYTES = 12
KEPT_HEADERS = ("Content-Type", "ETag", "Cache-Control")


@dataclass(frozen=True, slots=True)
class Seal:
    """*name* finds the row; *key* opens it."""

    name: bytes
    key: bytes


def seal_of(secret: str, key: str) -> Seal:
    """Raises Problem for a key that is too short to be unique, or not printable."""
    if not _SHAPE.fullmatch(key):
        raise Problem("invalid", errors=[FieldError("Idempotency-Key", "format", "8 to 100 printable characters")])
    return Seal(
        name=hmac.digest(secret.encode(), b"idempotency name " + key.encode(), hashlib.sha256),
        key=hmac.digest(secret.encode(), b"idempotency seal " + key.encode(), hashlib.sha256),
    )


def fingerprint(operation: str, path: str, body: bytes) -> bytes:
    return hashlib.sha256(b"\0".join((operation.encode(), path.encode(), body))).digest()


async def answered(
    request: web.Request, token: Token, seal: Seal, asked: bytes, do: Callable[[], Awaitable[web.Response]]
) -> web.Response:
    """The stored answer, or that of *do*, which is stored. Raises Problem."""
    database = request.app[DATABASE]
    async with database.transaction() as connection:
        found = await onces.begin(connection, token.id, seal.name, asked)
    if found is not None:
        if found.request_sha256 != asked:
            raise Problem("key_reused")
        if found.answer is None:
            if found.is_lost:
                raise Problem("outcome_unknown", "Look what it did, then use another key.")
            raise Problem("in_flight", headers={"Retry-After": "1"})
        return _opened(seal, found.status or 200, found.answer)
    return await _done(request, token, seal, do)


async def _done(
    request: web.Request, token: Token, seal: Seal, do: Callable[[], Awaitable[web.Response]]
) -> web.Response:
    """Busy did nothing, so its key is free again. Any other error leaves the key taken: it may have done something."""
    database = request.app[DATABASE]
    try:
        response = await do()
    except Busy:
        async with database.transaction() as connection:
            await onces.forget(connection, token.id, seal.name)
        raise
    except Problem as problem:
        response = problems.answer(problem)
    async with database.transaction() as connection:
        await onces.finish(connection, token.id, seal.name, response.status, _sealed(seal, response))
    return response


def _sealed(seal: Seal, response: web.Response) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # loaded where somebody sends a key

    body = response.body
    assert isinstance(body, bytes | None)  # noqa: S101 (all of ours are)
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(seal.key).encrypt(nonce, json.dumps(headers).encode() + b"\n" + (body or b""), None)


def _opened(seal: Seal, status: int, answer: bytes) -> web.Response:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    text = AESGCM(seal.key).decrypt(answer[:NONCE_BYTES], answer[NONCE_BYTES:], None)
    head, _, body = text.partition(b"\n")
    return web.Response(body=body, status=status, headers={**json.loads(head), "Idempotent-Replayed": "true"})
