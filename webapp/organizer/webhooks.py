"""Webhooks: who is told what happens here, what they were told, and telling it again."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from uuid import UUID

from aiohttp import web

from skep.webapp.http.forms import Form, read_form
from skep.webapp.http.keys import DATABASE, PAGES, VISIT
from skep.webapp.http.pages import redirect
from skep.webapp.http.sessions import HOME, for_owners
from skep.webapp.http.targets import TargetRefused, host_and_port
from skep.webapp.ids import uuid7
from skep.webapp.store import audit, webhooks
from skep.webapp.store.audit import Actor
from skep.webapp.store.members import SignedIn

log = logging.getLogger(__name__)

HOOKS = HOME + "/webhooks"
HOOK = HOOKS + "/{webhook_id:[0-9a-f-]{36}}"
SHOWN = 50
NOTICES = frozenset({"made", "sent", "on", "off", "removed"})

routes = web.RouteTableDef()


@routes.get(HOOKS)
@for_owners
async def everything(request: web.Request, member: SignedIn) -> web.StreamResponse:
    return await _page(request, Form(request[VISIT].t))


@routes.post(HOOKS)
@for_owners
async def make(request: web.Request, member: SignedIn) -> web.StreamResponse:
    visit = request[VISIT]
    form = await read_form(request, visit.t)
    url = form.values.get("url", "").strip()
    try:
        host_and_port(url)
    except TargetRefused as refused:
        form.refuse("url", visit.t(f"wrong.webhook.{refused.reason}", https="https://", http="http://"))
    topics = [topic for topic in webhooks.TOPICS if form.values.get(f"topic-{topic}") == "yes"]
    if not topics:
        form.refuse("topics", visit.t("wrong.webhook.topics"))
    made = None
    if not form.errors:
        async with request.app[DATABASE].transaction() as connection:
            made = await webhooks.create(connection, url=url, topics=topics, member_id=member.member_id)
        if made is None:
            form.refuse("url", visit.t("wrong.webhook.many", limit=webhooks.MOST))
    if made is None:
        return await _page(request, form, status=422)
    log.info("webhook made", extra={"member_id": str(member.member_id), "webhook": str(made)})
    return redirect(f"{HOOKS}/{made}?notice=made")


@routes.get(HOOK)
@for_owners
async def one(request: web.Request, member: SignedIn) -> web.StreamResponse:
    """With its log, and the secret by which its messages are known."""
    webhook_id = _id(request, "webhook_id")
    async with request.app[DATABASE].connection() as connection:
        webhook = await webhooks.by_id(connection, webhook_id)
        calls = await webhooks.calls(connection, webhook_id, limit=SHOWN)
    if webhook is None:
        raise web.HTTPNotFound
    notice = request.query.get("notice")
    return request.app[PAGES].render(
        request,
        "organizer/webhook.html",
        caching="no-store",
        webhook=webhook,
        calls=calls,
        kept_days=webhooks.KEPT.days,
        notice=notice if notice in NOTICES else None,
    )


@routes.post(HOOK + "/test")
@for_owners
async def test(request: web.Request, member: SignedIn) -> web.StreamResponse:
    webhook_id = _id(request, "webhook_id")
    async with request.app[DATABASE].transaction() as connection:
        if await webhooks.by_id(connection, webhook_id) is None:
            raise web.HTTPNotFound
        now = datetime.now(UTC)
        await webhooks.send(connection, webhook_id, webhooks.TEST, webhook_id, now, message_id=uuid7())
    return redirect(f"{HOOKS}/{webhook_id}?notice=sent")


@routes.post(HOOK + "/again/{call_id:[0-9a-f-]{36}}")
@for_owners
async def again(request: web.Request, member: SignedIn) -> web.StreamResponse:
    webhook_id, call_id = _id(request, "webhook_id"), _id(request, "call_id")
    async with request.app[DATABASE].transaction() as connection:
        if not await webhooks.again(connection, webhook_id, call_id):
            raise web.HTTPNotFound
        actor = Actor("member", member.member_id)
        await audit.record(connection, actor, "webhook told again", "webhook", webhook_id)
    return redirect(f"{HOOKS}/{webhook_id}?notice=sent")


@routes.post(HOOK + "/{switch:on|off}")
@for_owners
async def switch(request: web.Request, member: SignedIn) -> web.StreamResponse:
    webhook_id, said = _id(request, "webhook_id"), request.match_info["switch"]
    async with request.app[DATABASE].transaction() as connection:
        await webhooks.set_active(connection, webhook_id, member.member_id, active=said == "on")
    return redirect(f"{HOOKS}/{webhook_id}?notice={said}")


@routes.post(HOOK + "/remove")
@for_owners
async def remove(request: web.Request, member: SignedIn) -> web.StreamResponse:
    webhook_id = _id(request, "webhook_id")
    async with request.app[DATABASE].transaction() as connection:
        await webhooks.remove(connection, webhook_id, member.member_id)
    log.info("webhook removed", extra={"member_id": str(member.member_id), "webhook": str(webhook_id)})
    return redirect(f"{HOOKS}?notice=removed")


def _id(request: web.Request, name: str) -> UUID:
    try:
        return UUID(request.match_info[name])
    except ValueError as error:
        raise web.HTTPNotFound from error


async def _page(request: web.Request, form: Form, *, status: int = 200) -> web.Response:
    async with request.app[DATABASE].connection() as connection:
        found = await webhooks.everything(connection)
    notice = request.query.get("notice")
    return request.app[PAGES].render(
        request,
        "organizer/webhooks.html",
        status=status,
        caching="no-store",
        form=form,
        webhooks=found,
        topics=webhooks.TOPICS,
        notice=notice if notice in NOTICES else None,
    )
