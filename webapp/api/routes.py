"""The routes that the committed description lists, and the page that shows it. Loads neither models nor pydantic."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any

from aiohttp import web

from skep.webapp.http.keys import PAGES
from skep.webapp.http.problems import PROBLEMS

BASE = "/api/v1"
DESCRIPTION = Path(__file__).parent / "openapi.json"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@cache
def description() -> tuple[bytes, dict[str, Any]]:
    """The file as it is, and what it says."""
    content = DESCRIPTION.read_bytes()
    document: dict[str, Any] = json.loads(content)
    return content, document


def routes() -> list[web.RouteDef]:
    found = [
        web.route(method.upper(), BASE + path, _served(operation["operationId"]))
        for path, item in description()[1]["paths"].items()
        for method, operation in item.items()
    ]
    return [web.get(f"{BASE}/openapi.json", openapi), web.get(f"{BASE}/", reference), *found]


def _served(operation_id: str) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        from skep.webapp.api.serve import serve  # with the first request, docs/adr/0020

        return await serve(request, operation_id)

    return handler


async def openapi(request: web.Request) -> web.Response:
    content = description()[0]
    etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if request.headers.get("If-None-Match") == etag:
        return web.Response(status=304, headers=headers)
    response = web.Response(body=content, headers={**headers, "Content-Type": "application/json"})
    response.enable_compression()
    return response


async def reference(request: web.Request) -> web.Response:
    """The description for people, drawn here: no script, nothing from elsewhere."""
    document = description()[1]
    operations = [
        {**operation, "method": method.upper(), "path": path}
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]
    tags = list(dict.fromkeys(operation["tags"][0] for operation in operations))
    return request.app[PAGES].render(
        request,
        "api/reference.html",
        document=document,
        groups=[(tag, [each for each in operations if each["tags"][0] == tag]) for tag in tags],
        schemas=document["components"]["schemas"],
        problems=PROBLEMS,
        type_of=type_of,
    )


def type_of(schema: dict[str, Any]) -> str:
    """A schema in a word or two."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " | ".join(type_of(each) for each in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(json.dumps(each) for each in schema["enum"])
    if "const" in schema:
        return json.dumps(schema["const"])
    kind = str(schema.get("type", "any"))
    if kind == "array":
        return f"[{type_of(schema.get('items', {}))}]"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"{{…: {type_of(schema['additionalProperties'])}}}"
    return f"{kind} ({schema['format']})" if "format" in schema else kind
