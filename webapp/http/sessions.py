"""Who is signed in: the cookie, and the door to the organizers' pages.

Anonymous visitors get no cookie at all. The cookie holds a random token; the database its hash.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from aiohttp import web

from skep.webapp.http.forms import read_form
from skep.webapp.http.keys import DATABASE, SETTINGS, VISIT
from skep.webapp.http.pages import redirect
from skep.webapp.http.security import CSRF_FIELD, is_csrf_token
from skep.webapp.store import members
from skep.webapp.store.members import SignedIn

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

SIGN_IN = "/organizer/sign-in"
HOME = "/organizer"

MemberHandler = Callable[[web.Request, SignedIn], Awaitable[web.StreamResponse]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def cookie_name(*, secure: bool) -> str:
    """`__Host-` ties the cookie to this very host, and browsers accept it over TLS only."""
    return "__Host-session" if secure else "session"


async def signed_in(request: web.Request, connection: Connection | None = None) -> SignedIn | None:
    """Who is signed in; asks the database only if there is a cookie.

    Who holds a *connection* gives it: waiting for a second one while holding the first can wait for ever.
    """
    token = request.cookies.get(cookie_name(secure=request.app[SETTINGS].secure))
    if not token:
        return None
    if connection is not None:
        member = await members.find_session(connection, token)
    else:
        async with request.app[DATABASE].connection() as borrowed:
            member = await members.find_session(borrowed, token)
    request[VISIT].member = member
    return member


def set_cookie(request: web.Request, response: web.StreamResponse, token: str) -> None:
    secure = request.app[SETTINGS].secure
    response.set_cookie(
        cookie_name(secure=secure),
        token,
        max_age=int(members.ABSOLUTE_LIMIT.total_seconds()),
        path="/",
        secure=secure,
        httponly=True,
        samesite="Lax",
    )


def clear_cookie(request: web.Request, response: web.StreamResponse) -> None:
    secure = request.app[SETTINGS].secure
    response.del_cookie(cookie_name(secure=secure), path="/", secure=secure, httponly=True, samesite="Lax")


def for_members(handler: MemberHandler) -> Handler:
    """Only for who is signed in; others go to sign in and come back. A form must carry the session's token."""

    @functools.wraps(handler)
    async def guarded(request: web.Request) -> web.StreamResponse:
        member = await signed_in(request)
        if member is None:
            back = f"?{urlencode({'next': request.path})}" if request.method in ("GET", "HEAD") else ""
            return redirect(SIGN_IN + back)
        if request.method == "POST":
            form = await read_form(request, request[VISIT].t)  # aiohttp keeps what it read: the handler reads it again
            if not is_csrf_token(form.values.get(CSRF_FIELD, ""), member.token):
                raise web.HTTPForbidden
        return await handler(request, member)

    return guarded


def for_owners(handler: MemberHandler) -> Handler:
    """Only for owners; for other members there is nothing here."""

    @functools.wraps(handler)
    async def owned(request: web.Request, member: SignedIn) -> web.StreamResponse:
        if not member.is_owner:
            raise web.HTTPNotFound
        return await handler(request, member)

    return for_members(owned)
