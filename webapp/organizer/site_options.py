"""What holds for the whole site: what its mails begin and end with, who gets answers, and how free tickets count."""

from __future__ import annotations

import logging

from aiohttp import web

from skep.webapp.addresses import normal_email
from skep.webapp.http.forms import Form, read_form
from skep.webapp.http.keys import DATABASE, PAGES, SETTINGS, VISIT
from skep.webapp.http.pages import redirect
from skep.webapp.http.sessions import HOME, for_owners
from skep.webapp.ids import uuid7
from skep.webapp.store import audit, options
from skep.webapp.store.audit import Actor
from skep.webapp.store.members import SignedIn
from skep.webapp.store.offers import StaleVersion
from skep.webapp.store.options import Options

log = logging.getLogger(__name__)

TEXT_LIMIT = 2000
SITE = HOME + "/site"

routes = web.RouteTableDef()


@routes.get(SITE)
@for_owners
async def show(request: web.Request, member: SignedIn) -> web.StreamResponse:
    known = await _read(request)
    return _page(request, Form(request[VISIT].t, _values(known, request[VISIT].t.language)))


@routes.post(SITE)
@for_owners
async def save(request: web.Request, member: SignedIn) -> web.StreamResponse:
    form = await read_form(request, request[VISIT].t)
    intro = form.long_text("mail_intro", limit=TEXT_LIMIT)
    footer = form.long_text("mail_footer", limit=TEXT_LIMIT)
    reply_to, typed = "", form.values.get("reply_to", "").strip()
    if typed:
        reply_to = normal_email(typed) or ""
        if not reply_to:
            form.refuse("reply_to", form.t("wrong.email"))
    confirms = form.values.get("confirms_free") == "yes"
    if confirms and request.app[SETTINGS].mail is None:
        form.refuse("confirms_free", form.t("site.confirms.nomail"))
    if form.errors:
        return _page(request, form, status=422)
    version = form.values.get("version", "")
    try:
        async with request.app[DATABASE].transaction() as connection:
            await options.save(
                connection,
                language=form.t.language,
                mail_intro=intro,
                mail_footer=footer,
                reply_to=reply_to,
                confirms_free=confirms,
                version=int(version) if version.isascii() and version.isdigit() and len(version) < 10 else -1,
            )
            actor = Actor("member", member.member_id)
            fields = ("mail_intro", "mail_footer", "reply_to", "confirms_free")
            await audit.record(connection, actor, "site options saved", "site", uuid7(), fields)
    except StaleVersion:
        form.values["version"] = str((await _read(request)).version)
        return _page(request, form, status=409, stale=True)
    log.info("site options saved", extra={"member_id": str(member.member_id)})
    return redirect(f"{SITE}?notice=saved")


async def _read(request: web.Request) -> Options:
    async with request.app[DATABASE].connection() as connection:
        return await options.read(connection, request.app[SETTINGS].language)


def _values(known: Options, language: str) -> dict[str, str]:
    return {
        "mail_intro": known.mail_intro.by_language.get(language, ""),
        "mail_footer": known.mail_footer.by_language.get(language, ""),
        "reply_to": known.reply_to,
        "confirms_free": "yes" if known.confirms_free else "",
        "version": str(known.version),
    }


def _page(request: web.Request, form: Form, *, status: int = 200, stale: bool = False) -> web.Response:
    mail = request.app[SETTINGS].mail
    return request.app[PAGES].render(
        request,
        "organizer/site.html",
        status=status,
        caching="no-store",
        form=form,
        stale=stale,
        sender=mail.sender if mail is not None else None,
        notice="saved" if request.query.get("notice") == "saved" else None,
    )
