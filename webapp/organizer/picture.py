"""An event's picture: uploaded, looked at by a bounded child, kept as small variants."""

from __future__ import annotations

import asyncio
import json
import logging

from aiohttp import BodyPartReader, web

from skep.webapp.bounded.parent import ChildFailed, ChildRefused
from skep.webapp.http.forms import Form
from skep.webapp.http.keys import CHILDREN, DATABASE, LIMITS, MEDIA, PAGES, SETTINGS, VISIT
from skep.webapp.http.pages import redirect
from skep.webapp.http.security import CSRF_FIELD, is_csrf_token
from skep.webapp.http.sessions import SIGN_IN, for_members, signed_in
from skep.webapp.organizer.manage import EVENT_PATH, managed_event
from skep.webapp.store import audit, media
from skep.webapp.store.audit import Actor
from skep.webapp.store.events import Event
from skep.webapp.store.media import File, MediaFull
from skep.webapp.store.members import SignedIn
from skep.webapp.store.texts import texts

log = logging.getLogger(__name__)

UPLOAD_BYTES = 12 * 1024 * 1024
FIELD_BYTES = 2000
ALT_LIMIT = 300
UPLOAD_S = 60.0
PICTURE_PATH = EVENT_PATH + "/picture"

routes = web.RouteTableDef()


@routes.get(PICTURE_PATH)
@for_members
async def picture_page(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].connection() as connection:
        event = await managed_event(request, connection)
    alt = event.picture.alt.text(event.language) if event.picture else ""
    return _page(request, event, Form(request[VISIT].t, {"alt": alt}))


@routes.post(PICTURE_PATH)
async def upload(request: web.Request) -> web.StreamResponse:
    """Not `for_members`: that reads a small form whole; here a file follows the token, and is not read without it."""
    member = await signed_in(request)
    if member is None:
        return redirect(SIGN_IN)
    async with request.app[DATABASE].connection() as connection:
        event = await managed_event(request, connection)
    form = Form(request[VISIT].t)
    limit = request.app[LIMITS].files
    if (wait_s := limit.retry_after_s(str(member.member_id))) is not None:
        form.refuse("picture", form.t("signin.often", minutes=-(-wait_s // 60)))
        return _page(request, event, form, status=429)
    limit.count(str(member.member_id))
    content = await _read(request, member, form)
    alt = form.text("alt", limit=ALT_LIMIT)
    files = [] if form.errors else await _variants(request, content, form)
    if form.errors:
        return _page(request, event, form, status=422)
    settings = request.app[SETTINGS]
    try:
        async with request.app[DATABASE].transaction() as connection:
            await media.set_picture(
                connection,
                request.app[MEDIA],
                event.id,
                files,
                alt=texts(event.language, alt),
                most_bytes=settings.media_mb * 1024 * 1024,
            )
            actor = Actor("member", member.member_id)
            await audit.record(connection, actor, "picture changed", "event", event.id, ("picture",))
    except MediaFull:
        form.refuse("picture", form.t("picture.full", limit=form.t.number(settings.media_mb)))
        return _page(request, event, form, status=422)
    log.info("picture changed", extra={"event_id": str(event.id), "member_id": str(member.member_id)})
    return redirect(f"/organizer/events/{event.id}?notice=saved")


@routes.post(PICTURE_PATH + "/remove")
@for_members
async def remove(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].transaction() as connection:
        event = await managed_event(request, connection)
        await media.remove_picture(connection, request.app[MEDIA], event.id)
        actor = Actor("member", member.member_id)
        await audit.record(connection, actor, "picture removed", "event", event.id, ("picture",))
    return redirect(f"/organizer/events/{event.id}?notice=saved")


async def _read(request: web.Request, member: SignedIn, form: Form) -> bytes:
    """The file; its problems are in *form*. Raises HTTPForbidden without the session's token before it."""
    if request.content_type != "multipart/form-data":
        raise web.HTTPBadRequest
    content = b""
    is_ours = False
    try:
        async with asyncio.timeout(UPLOAD_S):
            async for part in await request.multipart():
                if not isinstance(part, BodyPartReader):
                    raise web.HTTPBadRequest
                if part.name == "picture":
                    if not is_ours:
                        raise web.HTTPForbidden
                    content = await _bytes(part, UPLOAD_BYTES)
                    if len(content) > UPLOAD_BYTES:
                        form.refuse("picture", form.t("picture.heavy", limit=UPLOAD_BYTES // 1024 // 1024))
                        break
                elif part.name in (CSRF_FIELD, "alt"):
                    value = (await _bytes(part, FIELD_BYTES)).decode(errors="replace")
                    if part.name == "alt":
                        form.values["alt"] = value
                    else:
                        is_ours = is_csrf_token(value, member.token)
    except (ValueError, TimeoutError) as error:
        raise web.HTTPBadRequest from error
    if not is_ours:
        raise web.HTTPForbidden
    if not content and not form.errors:
        form.refuse("picture", form.t("picture.missing"))
    return content


async def _bytes(part: BodyPartReader, most: int) -> bytes:
    """The part, or a little more than *most* of it."""
    content = bytearray()
    while len(content) <= most and (chunk := await part.read_chunk(64 * 1024)):
        content += chunk
    return bytes(content)


async def _variants(request: web.Request, content: bytes, form: Form) -> list[File]:
    try:
        answer = await request.app[CHILDREN].ask("picture", content)
    except ChildRefused as refused:
        form.refuse("picture", form.t(f"picture.{refused.reason}"))
        return []
    except ChildFailed as failed:
        log.warning("a picture was too much", extra={"request": request[VISIT].id, "reason": str(failed)})
        form.refuse("picture", form.t("picture.broken"))
        return []
    head, _, bodies = answer.partition(b"\n")
    files, start = [], 0
    for made in json.loads(head):
        end = start + made["size"]
        files.append(File(made["format"], made["width"], made["height"], bodies[start:end]))
        start = end
    return files


def _page(request: web.Request, event: Event, form: Form, *, status: int = 200) -> web.Response:
    return request.app[PAGES].render(
        request, "organizer/picture.html", status=status, caching="no-store", event=event, form=form
    )
