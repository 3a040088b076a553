"""The browser that buys: a cookie with a secret, set when something is put into a cart and never before."""

from __future__ import annotations

import re

from aiohttp import web

from skep.webapp.http.keys import SETTINGS
from skep.webapp.ids import new_secret, secret_text

_SHAPE = re.compile(r"[A-Za-z0-9_-]{22}")


def cookie_name(*, secure: bool) -> str:
    return "__Host-cart" if secure else "cart"


def buyer(request: web.Request) -> str | None:
    """The browser's secret; None if it never put anything into a cart."""
    token = request.cookies.get(cookie_name(secure=request.app[SETTINGS].secure), "")
    return token if _SHAPE.fullmatch(token) else None


def new_buyer() -> str:
    return secret_text(new_secret())


def remember(request: web.Request, response: web.StreamResponse, token: str) -> None:
    """Until the browser is closed: a cart lives for an hour and a half at most."""
    secure = request.app[SETTINGS].secure
    response.set_cookie(cookie_name(secure=secure), token, path="/", secure=secure, httponly=True, samesite="Lax")
