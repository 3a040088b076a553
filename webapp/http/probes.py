"""The three addresses by which the platform knows this process."""

from __future__ import annotations

from aiohttp import web

from skep.webapp.http.keys import DATABASE, DRAIN, SETTINGS

PROBE_PATHS = frozenset({"/healthz", "/readyz"})
NO_STORE = {"Cache-Control": "no-store"}

routes = web.RouteTableDef()


@routes.get("/healthz")
async def healthz(request: web.Request) -> web.Response:
    return web.Response(text="ok\n", headers=NO_STORE)


@routes.get("/readyz")
async def readyz(request: web.Request) -> web.Response:
    if request.app[DRAIN].is_draining:
        return web.Response(status=503, text="draining\n", headers=NO_STORE)
    if not await request.app[DATABASE].is_ready():
        return web.Response(status=503, text="database down\n", headers=NO_STORE)
    return web.Response(text="ready\n", headers=NO_STORE)


@routes.get("/.well-known/skep")
async def well_known(request: web.Request) -> web.Response:
    settings = request.app[SETTINGS]
    identity = {"tenant": settings.tenant, "uid": settings.uid, "revision": settings.revision}
    return web.json_response(identity, headers=NO_STORE)
