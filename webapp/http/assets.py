"""Static files by names that contain their hash: kept by browsers for ever, never stale.

All are small, so they are read and compressed once at the start and answered from memory.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from skep.webapp.http.keys import ASSETS
from skep.webapp.settings import Settings
from skep.webapp.theme import Theme, make_theme, stylesheet

STATIC_DIR = Path(__file__).parent.parent / "static"
IMMUTABLE = "public, max-age=31536000, immutable"
SHORT = "public, max-age=300"
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".txt": "text/plain"}

routes = web.RouteTableDef()


@dataclass(frozen=True, slots=True)
class Asset:
    content_type: str
    plain: bytes
    compressed: bytes
    digest: str


def make_asset(content: bytes, content_type: str) -> Asset:
    digest = hashlib.sha256(content).hexdigest()[:12]
    return Asset(content_type, content, gzip.compress(content, 9, mtime=0), digest)


class Assets:
    """The files of `static/`, the tenant's `/theme.css` and its icon."""

    def __init__(self, settings: Settings, directory: Path = STATIC_DIR) -> None:
        self._by_url: dict[str, Asset] = {}
        self._urls: dict[str, str] = {}
        for path in sorted(directory.iterdir()):
            if path.suffix in TYPES:
                asset = make_asset(path.read_bytes(), TYPES[path.suffix])
                url = f"/static/{path.stem}.{asset.digest}{path.suffix}"
                self._by_url[url] = asset
                self._urls[path.name] = url
        theme = make_theme(settings.accent)
        self.theme = make_asset(stylesheet(theme).encode(), "text/css")
        self.icon = make_asset(icon(settings.display_name, theme).encode(), "image/svg+xml")
        self._urls["theme.css"] = f"/theme.css?v={self.theme.digest}"
        self._urls["icon.svg"] = f"/icon.svg?v={self.icon.digest}"

    def url(self, name: str) -> str:
        """Raises KeyError for a file that does not exist."""
        return self._urls[name]

    def find(self, url: str) -> Asset | None:
        return self._by_url.get(url)


def icon(display_name: str, theme: Theme) -> str:
    """The tenant's initial on its accent, as SVG."""
    initial = next((letter for letter in display_name if letter.isalnum()), "·").upper()
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
        f'<rect width="32" height="32" rx="8" fill="{theme.light.accent}"/>'
        '<text x="16" y="22.5" text-anchor="middle" font-family="system-ui,sans-serif" font-weight="700" '
        f'font-size="18" fill="{theme.light.on_accent}">{initial}</text></svg>'
    )


@routes.get("/static/{name}")
async def static_file(request: web.Request) -> web.Response:
    asset = request.app[ASSETS].find(request.path)
    if asset is None:
        raise web.HTTPNotFound
    return answer_asset(request, asset, IMMUTABLE)


@routes.get("/theme.css")
async def theme_css(request: web.Request) -> web.Response:
    return _versioned(request, request.app[ASSETS].theme)


@routes.get("/icon.svg")
async def icon_svg(request: web.Request) -> web.Response:
    return _versioned(request, request.app[ASSETS].icon)


def _versioned(request: web.Request, asset: Asset) -> web.Response:
    """Immutable under its own version; during an update another version may be asked for, and is not kept."""
    return answer_asset(request, asset, IMMUTABLE if request.query.get("v") == asset.digest else SHORT)


def answer_asset(request: web.Request, asset: Asset, caching: str) -> web.Response:
    etag = f'"{asset.digest}"'
    headers = {"Cache-Control": caching, "ETag": etag, "Vary": "Accept-Encoding"}
    if request.headers.get("If-None-Match") == etag:
        return web.Response(status=304, headers=headers)
    body = asset.plain
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        body = asset.compressed
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=body, headers=headers, content_type=asset.content_type, charset="utf-8")
