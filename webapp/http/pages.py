"""Pages from templates: what every template finds, and how often a page may be kept.

Templates get `t` (the reader's words), `site` (the tenant), `asset(name)`, `member` (who is signed in, or None) and
the helpers of `i18n.dates`. Everything is escaped, but for the icons, which are constants.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
from aiohttp import web

from skep.webapp.http.assets import Assets
from skep.webapp.http.keys import VISIT
from skep.webapp.i18n import NAMES, dates
from skep.webapp.settings import Settings
from skep.webapp.store.texts import paragraphs

TEMPLATES_DIR = Path(__file__).parent.parent / "templates"
PUBLIC = "no-cache"  # keep it, but ask each time: an edited event is seen at once
MAX_PAGE = 1000
PRIVATE = "no-store"  # pages of one person leave no trace on shared machines


class Pages:
    def __init__(self, settings: Settings, assets: Assets) -> None:
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(TEMPLATES_DIR),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.policies["urlize.rel"] = "noopener nofollow ugc"
        self._environment.globals.update(
            site={"name": settings.display_name, "has_mail": settings.mail is not None, "url": settings.url or ""},
            asset=assets.url,
            dates=dates,
            language_names=NAMES,
        )
        self._environment.filters["paragraphs"] = paragraphs

    def render(
        self, request: web.Request, template: str, *, status: int = 200, caching: str = PUBLIC, **context: Any
    ) -> web.Response:
        visit = request[VISIT]
        page = self._environment.get_template(template)
        text = page.render(t=visit.t, lang=visit.t.language, visit=visit, member=visit.member, **context)
        headers = {"Cache-Control": caching, "Vary": "Accept-Language, Cookie"}
        return web.Response(text=text, status=status, content_type="text/html", headers=headers)


def redirect(path: str) -> web.Response:
    """To another page of ours, by GET. *path* is made by us or went through `safe_path`."""
    return web.Response(status=303, headers={"Location": path, "Cache-Control": PRIVATE})


def page_number(request: web.Request) -> int:
    """`?page=`, from 1. Whatever is no number is the first page."""
    text = request.query.get("page", "1")
    return min(MAX_PAGE, max(1, int(text))) if text.isascii() and text.isdigit() and len(text) < 6 else 1
