"""`/media/<sha256>.<ext>`: never changes, so it is kept for ever."""

from __future__ import annotations

from aiohttp import web

from skep.webapp.http.assets import IMMUTABLE
from skep.webapp.http.keys import DATABASE, MEDIA
from skep.webapp.store.media import CONTENT_TYPES

routes = web.RouteTableDef()


@routes.get("/media/{sha256:[0-9a-f]{64}}.{format:webp|jpg}")
async def file(request: web.Request) -> web.Response:
    digest, format_ = request.match_info["sha256"], request.match_info["format"]
    etag = f'"{digest[:32]}"'
    headers = {"Cache-Control": IMMUTABLE, "ETag": etag}
    if request.headers.get("If-None-Match") == etag:
        return web.Response(status=304, headers=headers)
    async with request.app[DATABASE].connection() as connection:
        body = await request.app[MEDIA].find(connection, bytes.fromhex(digest), format_)
    if body is None:
        raise web.HTTPNotFound
    return web.Response(body=body, headers=headers, content_type=CONTENT_TYPES[format_])
