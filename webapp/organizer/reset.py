"""A new password for who forgot it: a link by mail."""

from __future__ import annotations

from datetime import UTC, datetime

from aiohttp import web

from skep.webapp.http.forms import Form, read_form
from skep.webapp.http.keys import DATABASE, LIMITS, PAGES, VISIT
from skep.webapp.http.pages import redirect
from skep.webapp.http.sessions import HOME
from skep.webapp.store import jobs, members

RESET = HOME + "/reset"

routes = web.RouteTableDef()


@routes.get(RESET)
async def reset_page(request: web.Request) -> web.StreamResponse:
    return _page(request, Form(request[VISIT].t), sent=request.query.get("sent") == "yes")


@routes.post(RESET)
async def ask(request: web.Request) -> web.StreamResponse:
    """The same answer whether or not the address has an account. One mail an hour for an address."""
    visit = request[VISIT]
    form = await read_form(request, visit.t)
    email = form.email()
    limit = request.app[LIMITS].invitation
    if not form.errors and (wait_s := limit.retry_after_s(visit.client.address)) is not None:
        form.refuse("email", visit.t("signin.often", minutes=-(-wait_s // 60)))
    if form.errors:
        return _page(request, form, sent=False, status=422)
    limit.count(visit.client.address)
    async with request.app[DATABASE].transaction() as connection:
        person_id = await members.person_with(connection, email)
        if person_id is not None:
            key = f"reset:{person_id}:{datetime.now(UTC):%Y-%m-%dT%H}"
            await jobs.enqueue(connection, "mail.reset", {"person": str(person_id)}, unique_key=key)
    return redirect(f"{RESET}?sent=yes")


def _page(request: web.Request, form: Form, *, sent: bool, status: int = 200) -> web.Response:
    return request.app[PAGES].render(
        request,
        "organizer/reset.html",
        status=status,
        caching="no-store",
        form=form,
        sent=sent,
    )
