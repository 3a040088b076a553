"""What all forms of an event's offer have in common: their address, their page, and how they end."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from aiohttp import web

from skep.webapp.http.forms import Form
from skep.webapp.http.keys import PAGES
from skep.webapp.http.pages import redirect
from skep.webapp.organizer.manage import EVENT_PATH
from skep.webapp.organizer.stale import Difference
from skep.webapp.shop.catalog import Catalog
from skep.webapp.store import audit
from skep.webapp.store.audit import Actor
from skep.webapp.store.events import Event
from skep.webapp.store.members import SignedIn

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

log = logging.getLogger(__name__)

OFFER_PATH = EVENT_PATH + "/tickets"
ID = "[0-9a-f-]{36}"


async def audited(
    connection: Connection, member: SignedIn, action: str, kind: str, identity: UUID, fields: tuple[str, ...] = ()
) -> None:
    await audit.record(connection, Actor("member", member.member_id), action, kind, identity, fields)
    log.info(action, extra={"object_id": str(identity), "member_id": str(member.member_id)})


def version_of(form: Form) -> int:
    """Which version the form was made of; -1, which no row has, for rubbish."""
    version = form.values.get("version", "")
    return int(version) if version.isascii() and version.isdigit() and len(version) < 10 else -1


def row_id(request: web.Request, name: str) -> UUID:
    """Raises HTTPNotFound for what only looks like an id."""
    try:
        return UUID(request.match_info[name])
    except ValueError as error:
        raise web.HTTPNotFound from error


def done(event: Event, notice: str) -> web.StreamResponse:
    return redirect(f"/organizer/events/{event.id}/tickets?notice={notice}")


def page(
    request: web.Request,
    event: Event,
    kind: str,
    form: Form,
    *,
    offered: Catalog | None = None,
    is_new: bool = True,
    stale: Sequence[Difference] | None = None,
    status: int = 200,
) -> web.Response:
    """The form of one *kind* of thing. *stale*: somebody else saved it meanwhile, and this is where both differ."""
    return request.app[PAGES].render(
        request,
        "organizer/offer_form.html",
        status=status,
        caching="no-store",
        event=event,
        kind=kind,
        form=form,
        offered=offered,
        is_new=is_new,
        stale=stale,
    )
