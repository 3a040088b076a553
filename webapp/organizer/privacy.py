"""What is held of a person, for who asks: told, handed out as a file, erased.

The address stands in no link: it would stay in histories and logs.
"""

from __future__ import annotations

import json
import logging

from aiohttp import web

from skep.webapp.http.forms import Form, read_form
from skep.webapp.http.keys import DATABASE, PAGES, VISIT
from skep.webapp.http.pages import PRIVATE
from skep.webapp.http.sessions import HOME, for_owners
from skep.webapp.store import audit, privacy
from skep.webapp.store.audit import Actor
from skep.webapp.store.members import SignedIn
from skep.webapp.store.privacy import Held

log = logging.getLogger(__name__)

PRIVACY = HOME + "/privacy"

routes = web.RouteTableDef()


@routes.get(PRIVACY)
@for_owners
async def privacy_page(request: web.Request, member: SignedIn) -> web.StreamResponse:
    return _page(request, Form(request[VISIT].t), None)


@routes.post(PRIVACY)
@for_owners
async def look_up(request: web.Request, member: SignedIn) -> web.StreamResponse:
    form, held = await _held(request)
    return _page(request, form, held, status=422 if held is None else 200)


@routes.post(PRIVACY + "/export")
@for_owners
async def hand_out(request: web.Request, member: SignedIn) -> web.StreamResponse:
    form, held = await _held(request)
    if held is None or held.is_nothing:
        return _page(request, form, held, status=422 if held is None else 200)
    async with request.app[DATABASE].transaction() as connection:
        document = await privacy.export(connection, held.persons)
        for person_id in held.persons:
            await audit.record(connection, Actor("member", member.member_id), "person exported", "person", person_id)
    log.info("person exported", extra={"member_id": str(member.member_id)})
    return web.Response(
        text=json.dumps(document, ensure_ascii=False, indent=2, default=str) + "\n",
        content_type="application/json",
        headers={"Content-Disposition": 'attachment; filename="person.json"', "Cache-Control": PRIVATE},
    )


@routes.post(PRIVACY + "/erase")
@for_owners
async def erase(request: web.Request, member: SignedIn) -> web.StreamResponse:
    form, held = await _held(request)
    if held is None or held.is_nothing:
        return _page(request, form, held, status=422 if held is None else 200)
    if form.values.get("sure") != "yes":
        form.refuse("sure", form.t("privacy.sure.missing"))
        return _page(request, form, held, status=422)
    async with request.app[DATABASE].transaction() as connection:
        await privacy.erase(connection, held.persons, Actor("member", member.member_id))
    log.info("person erased", extra={"persons": len(held.persons), "member_id": str(member.member_id)})
    return _page(request, Form(form.t), None, notice="erased")


async def _held(request: web.Request) -> tuple[Form, Held | None]:
    """None: the address is none, and the form says so."""
    form = await read_form(request, request[VISIT].t)
    email = form.email()
    if form.errors:
        return form, None
    async with request.app[DATABASE].connection() as connection:
        return form, await privacy.held(connection, email)


def _page(
    request: web.Request, form: Form, held: Held | None, *, status: int = 200, notice: str | None = None
) -> web.Response:
    return request.app[PAGES].render(
        request,
        "organizer/privacy.html",
        status=status,
        caching="no-store",
        form=form,
        held=held,
        notice=notice,
    )
