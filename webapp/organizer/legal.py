"""Writing the site's imprint, privacy and terms, in the language that the organizer reads."""

from __future__ import annotations

import logging

from aiohttp import web

from skep.webapp.http.forms import Form, read_form
from skep.webapp.http.keys import DATABASE, PAGES, SETTINGS, VISIT
from skep.webapp.http.pages import redirect
from skep.webapp.http.sessions import HOME, for_owners
from skep.webapp.store import audit, legal
from skep.webapp.store.audit import Actor
from skep.webapp.store.members import SignedIn

log = logging.getLogger(__name__)

TEXT_LIMIT = 30_000

routes = web.RouteTableDef()


@routes.get(HOME + "/legal")
@for_owners
async def legal_form(request: web.Request, member: SignedIn) -> web.StreamResponse:
    t = request[VISIT].t
    async with request.app[DATABASE].connection() as connection:
        known = await legal.current(connection, request.app[SETTINGS].language)
    values = {kind: text.body.by_language.get(t.language, "") for kind, text in known.items()}
    return _page(request, Form(t, values))


@routes.post(HOME + "/legal")
@for_owners
async def save_legal(request: web.Request, member: SignedIn) -> web.StreamResponse:
    t = request[VISIT].t
    form = await read_form(request, t)
    texts = {kind: form.long_text(kind, limit=TEXT_LIMIT) for kind in legal.KINDS}
    if form.errors:
        return _page(request, form, status=422)
    async with request.app[DATABASE].transaction() as connection:
        known = await legal.current(connection, request.app[SETTINGS].language)
        for kind, text in texts.items():
            saved = await legal.save(connection, kind, t.language, text, known, member.member_id)
            if saved is not None:
                actor = Actor("member", member.member_id)
                await audit.record(connection, actor, f"{kind} written", "legal_text", saved, ("body",))
                log.info("legal text written", extra={"kind": kind, "member_id": str(member.member_id)})
    return redirect(f"{HOME}/legal?notice=saved")


def _page(request: web.Request, form: Form, *, status: int = 200) -> web.Response:
    return request.app[PAGES].render(
        request,
        "organizer/legal.html",
        status=status,
        caching="no-store",
        form=form,
        kinds=legal.KINDS,
        notice="saved" if request.query.get("notice") == "saved" else None,
    )
