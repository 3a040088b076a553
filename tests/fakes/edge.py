"""An edge for the memory engine: a real HTTP server that answers as tasks behind a proxy would.

It looks at the engine's services at each request, so it says what their tasks would say now.
"""

from __future__ import annotations

from aiohttp import web

from skep.operator.engine.memory import MemoryEngine
from skep.operator.engine.spec import Service
from tests.rig.http import serving


class FakeEdge:
    def __init__(self, engine: MemoryEngine) -> None:
        self.engine = engine
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _service(self, host: str) -> Service | None:
        for held in list(self.engine.services):
            service = self.engine.service(held)
            if service.spec.route is not None and host in service.spec.route.hosts:
                return service
        return None

    async def answer(self, request: web.Request) -> web.Response:
        service = self._service(request.host)
        if service is None:
            return web.Response(status=404)
        if service.running == 0:
            return web.Response(status=503)
        env, labels = dict(service.spec.env), dict(service.spec.labels)
        return web.json_response(
            {"tenant": labels["skep.tenant"], "uid": labels["skep.uid"], "revision": env["SKEP_REVISION"]}
        )

    def serve(self) -> serving:
        app = web.Application()
        app.router.add_get("/.well-known/skep", self.answer)
        return serving(app, self)
