"""`/checkin/`: the page for who stands at a door. It works without network once it was opened; see static/checkin."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

from aiohttp import web

from skep.webapp.http.assets import STATIC_DIR, Asset, answer_asset, make_asset
from skep.webapp.http.keys import ASSETS, PAGES
from skep.webapp.http.pages import redirect

FOLDER = STATIC_DIR / "checkin"
WORKER = "sw.js"
PAGE = "/checkin/"
STYLES = ("pico.css", "app.css", "theme.css", "icon.svg")

# What the scripts say; templates/site/checkin.html puts them into the page.
WORDS = (
    "enrol.gone", "enrol.offline", "enrol.wrong", "signed.out", "storage", "camera.tls", "camera.none", "camera.refused",
    "queue.none", "queue.some", "offline", "doubts", "count", "when", "when.where", "undo.offline", "result.in",
    "result.already_redeemed", "result.unknown_ticket", "result.cancelled", "result.unpaid", "result.wrong_list",
    "result.too_early", "result.incomplete", "result.foreign", "result.not_found", "result.failed",
)  # fmt: skip

routes = web.RouteTableDef()


@cache
def files() -> dict[str, Asset]:
    """Every script by its path below `/checkin/`; they import each other, so their names stay."""
    return {
        str(path.relative_to(FOLDER)): make_asset(path.read_bytes(), "text/javascript")
        for path in sorted(FOLDER.rglob("*.js"))
        if path.name != WORKER
    }


@routes.get("/checkin")
async def without_slash(request: web.Request) -> web.StreamResponse:
    return redirect(PAGE)


@routes.get(PAGE)
async def page(request: web.Request) -> web.StreamResponse:
    return request.app[PAGES].render(request, "site/checkin.html", words=WORDS)


@routes.get(PAGE + WORKER)
async def worker(request: web.Request) -> web.StreamResponse:
    """The service worker, with the names of what it keeps: another file, another worker."""
    styles = [request.app[ASSETS].url(name) for name in STYLES]
    kept = [PAGE, *(f"{PAGE}{name}" for name in files()), *styles]
    digests = [asset.digest for asset in files().values()]
    page_digest = hashlib.sha256(_template().read_bytes()).hexdigest()
    version = hashlib.sha256(json.dumps([kept, digests, page_digest]).encode()).hexdigest()[:12]
    head = f"const VERSION = {json.dumps(version)};\nconst FILES = {json.dumps(kept)};\n"
    body = head.encode() + (FOLDER / WORKER).read_bytes()
    return answer_asset(request, make_asset(body, "text/javascript"), "no-cache")


@routes.get(PAGE + "{name:[a-z]+\\.js|qr/[a-z]+\\.js}")
async def script(request: web.Request) -> web.StreamResponse:
    asset = files().get(request.match_info["name"])
    if asset is None:
        raise web.HTTPNotFound
    return answer_asset(request, asset, "no-cache")


def _template() -> Path:
    return STATIC_DIR.parent / "templates" / "site" / "checkin.html"
