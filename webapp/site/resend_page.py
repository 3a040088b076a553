"""My tickets: the links to somebody's orders, sent again to the address that bought them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aiohttp import web

from skep.webapp.http.forms import Form, read_form
from skep.webapp.http.keys import DATABASE, LIMITS, PAGES, VISIT
from skep.webapp.http.pages import redirect
from skep.webapp.site.checkout import TRAP
from skep.webapp.store import jobs

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

routes = web.RouteTableDef()


@routes.get("/tickets")
async def resend_page(request: web.Request) -> web.Response:
    return _page(request, Form(request[VISIT].t), sent=request.query.get("sent") == "yes")


@routes.post("/tickets")
async def resend(request: web.Request) -> web.StreamResponse:
    """The same answer whether or not the address bought anything: nobody learns who comes."""
    visit = request[VISIT]
    form = await read_form(request, visit.t)
    email = form.email()
    limit = request.app[LIMITS].registration
    if form.values.get(TRAP):
        form.refuse("email", visit.t("refused.robot"))
    if not form.errors and (wait_s := limit.retry_after_s(visit.client.address)) is not None:
        form.refuse("email", visit.t("wrong.often", minutes=-(-wait_s // 60)))
    if form.errors:
        return _page(request, form, sent=False, status=422)
    limit.count(visit.client.address)
    async with request.app[DATABASE].transaction() as connection:
        await _queue(connection, email)
    return redirect("/tickets?sent=yes")


async def _queue(connection: Connection, email: str) -> None:
    """A mail for each event that *email* has orders for: at most one a day."""
    rows = await connection.fetch(
        "SELECT o.event_id, array_agg(o.id::text ORDER BY o.id) AS orders FROM ticket_order o "
        "JOIN person p ON p.id = o.person_id WHERE p.email = $1 AND o.state IN ('pending', 'paid') GROUP BY 1",
        email,
    )
    whose = hashlib.sha256(email.encode()).hexdigest()[:32]
    for row in rows:
        key = f"resend:{row['event_id']}:{whose}:{datetime.now(UTC):%Y-%m-%d}"
        await jobs.enqueue(connection, "mail.tickets_again", {"orders": row["orders"]}, unique_key=key)


def _page(request: web.Request, form: Form, *, sent: bool, status: int = 200) -> web.Response:
    return request.app[PAGES].render(
        request, "site/resend.html", status=status, caching="no-store", form=form, sent=sent, trap=TRAP
    )
