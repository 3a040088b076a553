"""The way of a request: who asks, is it meant for us, did one of our forms send it; and what went wrong, in words."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable

from aiohttp import web

from skep.webapp.errors import Busy, DatabaseDown
from skep.webapp.http import problems
from skep.webapp.http.keys import DRAIN, PAGES, PROXIES, SETTINGS, VISIT, Visit
from skep.webapp.http.metrics import PATH as METRICS_PATH
from skep.webapp.http.probes import PROBE_PATHS
from skep.webapp.http.security import is_own_form, security_headers
from skep.webapp.i18n import Translator, negotiate

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CHECKIN_PAGE = "/checkin/"  # the one page that may ask for the camera
TENANT_HEADER = "X-Skep-Tenant"
RETRY_AFTER_S = 5
FOR_THE_PLATFORM = PROBE_PATHS | {METRICS_PATH}  # asked at our own address; each says who may
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@web.middleware
async def visit(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Outermost: every request gets an id, a client and a language; every error becomes a page."""
    settings = request.app[SETTINGS]
    client = await request.app[PROXIES].client(
        request.remote or "", request.headers, scheme="https" if settings.secure else "http"
    )
    language = negotiate(request.headers.get("Accept-Language", ""))
    request[VISIT] = Visit(
        id=secrets.token_hex(8),
        client=client,
        t=Translator(language or settings.language),
        asked_language=language is not None,
    )
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return error_page(request, error.status, headers={k: v for k, v in error.headers.items() if k == "Allow"})
    except DatabaseDown as error:
        log.warning("database down", extra={"request": request[VISIT].id, "reason": str(error)})
        return error_page(request, 503, key="database", headers={"Retry-After": str(RETRY_AFTER_S)})
    except Busy:
        return error_page(request, 503, key="busy", headers={"Retry-After": "2"})
    except Exception:
        log.exception("request failed", extra={"request": request[VISIT].id, "route": _route(request)})
        return error_page(request, 500)


@web.middleware
async def edge(request: web.Request, handler: Handler) -> web.StreamResponse:
    """421 for what was not sent to this tenant: our address may have been a neighbour's a second ago."""
    settings = request.app[SETTINGS]
    if request.path not in FOR_THE_PLATFORM and request.headers.get(TENANT_HEADER) != settings.uid:
        raise web.HTTPMisdirectedRequest
    return await handler(request)


@web.middleware
async def own_forms(request: web.Request, handler: Handler) -> web.StreamResponse:
    """403 for a change of state that no page of ours asked for. Signed-in forms carry a token besides."""
    if request.method not in SAFE_METHODS and not request.path.startswith(
        problems.API_PREFIX
    ):  # no cookie counts there
        secure = request.app[SETTINGS].secure
        if not is_own_form(request.headers, request[VISIT].client, secure=secure):
            log.info("foreign form refused", extra={"request": request[VISIT].id, "route": _route(request)})
            return error_page(request, 403)
    return await handler(request)


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """On every answer, errors too: signal `on_response_prepare`."""
    response.headers.update(security_headers(secure=request.app[SETTINGS].secure, camera=request.path == CHECKIN_PAGE))
    response.headers["Server"] = "skep"  # not which versions of what
    if (visit := request.get(VISIT)) is not None:
        response.headers["X-Request-Id"] = visit.id
    if request.app[DRAIN].is_draining:
        response.force_close()
        response.headers["Connection"] = "close"


_ERROR_KEYS = {
    400: "bad",
    403: "foreign",
    404: "missing",
    405: "method",
    413: "large",
    421: "misdirected",
    429: "often",
}


def error_page(
    request: web.Request, status: int, *, key: str | None = None, headers: dict[str, str] | None = None
) -> web.Response:
    """A page that says what happened and what to do. *key* chooses the words where the status alone does not."""
    if request.path.startswith(problems.API_PREFIX):
        return problems.of_status(409 if key == "busy" else status, headers or {})
    key = key or _ERROR_KEYS.get(status, "failed" if status >= 500 else "bad")
    response = request.app[PAGES].render(
        request,
        "misdirected.html" if status == 421 else "error.html",
        status=status,
        key=key,
        retries=request.method in SAFE_METHODS and status == 503,
        retry_after_s=RETRY_AFTER_S,
    )
    response.headers["Cache-Control"] = "no-store"
    response.headers.update(headers or {})
    return response


def _route(request: web.Request) -> str:
    """The pattern of the path, never the path itself: it may hold a secret."""
    resource = request.match_info.route.resource
    return f"{request.method} {resource.canonical if resource else '?'}"
