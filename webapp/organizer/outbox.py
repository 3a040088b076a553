"""What the worker could not do, in words, with a way to try again; and how much waits."""

from __future__ import annotations

import logging
from uuid import UUID

from aiohttp import web

from skep.webapp.http.forms import read_form
from skep.webapp.http.keys import DATABASE, PAGES, SETTINGS, VISIT
from skep.webapp.http.pages import redirect
from skep.webapp.http.sessions import HOME, for_owners
from skep.webapp.i18n import Translator
from skep.webapp.store import jobs, quarantine, quotas
from skep.webapp.store.members import SignedIn

log = logging.getLogger(__name__)

SHOWN = 100
WHYS = frozenset({
    "auth", "recipient", "sender", "text", "answer", "silent", "away", "tls", "lacks", "secret", "folder", "slow",
    "memory", "mistake", "lost", "hook-answer", "hook-url", "hook-name", "hook-private", "hook-silent", "hook-tls",
    "hook-away",
})  # fmt: skip
OUTBOX = HOME + "/outbox"

routes = web.RouteTableDef()


@routes.get(OUTBOX)
@for_owners
async def outbox(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].connection() as connection:
        dead = await jobs.dead(connection, limit=SHOWN)
        backlog = await jobs.backlog(connection)
        held_since = await quarantine.since(connection)
        parked = await quarantine.parked(connection)
        again_at = await quotas.mails_again_at(connection, request.app[SETTINGS].quotas)
    return request.app[PAGES].render(
        request,
        "organizer/outbox.html",
        caching="no-store",
        dead=[(job, _why(job.error, request[VISIT].t)) for job in dead],
        backlog=backlog,
        held_since=held_since,
        parked=parked,
        full=again_at if backlog.mails else None,
        mails_per_day=request.app[SETTINGS].quotas.mails_per_day,
        notice="again" if request.query.get("notice") == "again" else None,
    )


@routes.post(OUTBOX + "/again")
@for_owners
async def again(request: web.Request, member: SignedIn) -> web.StreamResponse:
    """One job by its id, or all."""
    form = await read_form(request, request[VISIT].t)
    text = form.values.get("job", "")
    try:
        job_id = UUID(text) if text else None
    except ValueError as error:
        raise web.HTTPBadRequest from error
    async with request.app[DATABASE].transaction() as connection:
        count = await jobs.revive(connection, job_id)
    log.info("jobs tried again", extra={"count": count, "member_id": str(member.member_id)})
    return redirect(f"{OUTBOX}?notice=again" if count else OUTBOX)


def _why(error: str, t: Translator) -> str:
    """What a job's error says, in the reader's words: `recipient 550`."""
    word, _, code = error.partition(" ")
    return t(f"outbox.why.{word}", code=code) if word in WHYS else error
