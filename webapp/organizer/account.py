"""Becoming an organizer, signing in, signing out."""

from __future__ import annotations

import logging
from uuid import UUID

from aiohttp import web

from skep.webapp.addresses import normal_email
from skep.webapp.errors import QuotaReached
from skep.webapp.http.agents import browser_name
from skep.webapp.http.forms import Form, read_form
from skep.webapp.http.keys import DATABASE, LIMITS, PAGES, PASSWORDS, SETTINGS, VISIT
from skep.webapp.http.pages import redirect
from skep.webapp.http.security import safe_path
from skep.webapp.http.sessions import HOME, SIGN_IN, clear_cookie, for_members, set_cookie, signed_in
from skep.webapp.passwords import MAX_LENGTH, MIN_LENGTH
from skep.webapp.store import invitations, members, quotas
from skep.webapp.store.invitations import Invitation
from skep.webapp.store.members import EmailTaken, SignedIn

log = logging.getLogger(__name__)

routes = web.RouteTableDef()


@routes.get(SIGN_IN)
async def sign_in_page(request: web.Request) -> web.StreamResponse:
    if await signed_in(request):
        return redirect(HOME)
    return _sign_in(request, Form(request[VISIT].t))


@routes.post(SIGN_IN)
async def sign_in(request: web.Request) -> web.StreamResponse:
    """The same answer in the same time, whether or not the address has an account."""
    visit = request[VISIT]
    form = await read_form(request, visit.t)
    typed, password = form.values.get("email", ""), form.values.pop("password", "")
    email = normal_email(typed) or ""
    limits = request.app[LIMITS]
    waits = (limits.sign_in_address.retry_after_s(visit.client.address), limits.sign_in_account.retry_after_s(email))
    if wait_s := max(wait or 0 for wait in waits):
        form.refuse("email", visit.t("signin.often", minutes=-(-wait_s // 60)))
        response = _sign_in(request, form, status=429)
        response.headers["Retry-After"] = str(wait_s)
        return response
    limits.sign_in_address.count(visit.client.address)
    limits.sign_in_account.count(email)  # counted before it is checked: a hundred tries at once are a hundred

    async with request.app[DATABASE].connection() as connection:
        account = await members.find_account(connection, email)
    known = None if account is None else account.password_hash
    if not await request.app[PASSWORDS].verify(known, password[: MAX_LENGTH + 1]) or account is None:
        form.refuse("email", visit.t("signin.wrong"))
        return _sign_in(request, form, status=422)
    limits.sign_in_account.forget(email)
    return await _start(request, account.id, safe_path(request.query.get("next", ""), HOME))


@routes.post("/organizer/sign-out")
@for_members
async def sign_out(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].connection() as connection:
        await members.end_session(connection, member.session_id)
    response = redirect(f"{SIGN_IN}?notice=signed-out")
    clear_cookie(request, response)
    return response


@routes.get("/invite/{token:[A-Za-z0-9_-]{43}}")
async def invitation_page(request: web.Request) -> web.StreamResponse:
    """Looking does not use it up."""
    async with request.app[DATABASE].connection() as connection:
        invitation = await invitations.find_open(connection, request.match_info["token"])
    if invitation is None:
        return _gone(request)
    return _invitation(request, invitation, Form(request[VISIT].t, {"email": invitation.email}))


@routes.post("/invite/{token:[A-Za-z0-9_-]{43}}")
async def accept_invitation(request: web.Request) -> web.StreamResponse:
    visit = request[VISIT]
    form = await read_form(request, visit.t)
    token, database = request.match_info["token"], request.app[DATABASE]
    async with database.connection() as connection:
        invitation = await invitations.find_open(connection, token)
    if invitation is None:
        return _gone(request)
    name = "" if invitation.member_id else form.name()
    email = invitation.email if invitation.member_id else form.email()
    password = form.values.pop("password", "")
    if len(password) < MIN_LENGTH:
        form.refuse("password", visit.t("wrong.password.short", limit=MIN_LENGTH))
    elif len(password) > MAX_LENGTH:
        form.refuse("password", visit.t("wrong.password.long", limit=MAX_LENGTH))
    elif password.strip().lower() == email:
        form.refuse("password", visit.t("wrong.password.same"))
    limit = request.app[LIMITS].invitation
    if (wait_s := limit.retry_after_s(visit.client.address)) is not None:
        form.refuse("name", visit.t("invite.often", minutes=-(-wait_s // 60)))
    if form.errors:
        return _invitation(request, invitation, form, status=422)
    limit.count(visit.client.address)

    password_hash = await request.app[PASSWORDS].hash(password)
    try:
        async with database.transaction() as connection:
            if await invitations.use(connection, token) is None:
                return _gone(request)
            member_id = invitation.member_id
            if member_id is not None:
                await members.set_password(connection, member_id, password_hash)
            else:
                await quotas.require_member(connection, request.app[SETTINGS].quotas)
                member_id = await members.create(
                    connection,
                    person_id=invitation.person_id,
                    name=name,
                    email=email,
                    language=visit.t.language,
                    password_hash=password_hash,
                )
    except QuotaReached as reached:
        form.refuse("name", visit.t.n("quota.members", reached.limit))
        return _invitation(request, invitation, form, status=422)
    except EmailTaken:
        form.refuse("email", visit.t("wrong.email.taken"))
        return _invitation(request, invitation, form, status=422)
    log.info("invitation accepted", extra={"request": visit.id, "member_id": str(member_id)})
    return await _start(request, member_id, f"{HOME}?notice=welcome")


async def _start(request: web.Request, member_id: UUID, to: str) -> web.StreamResponse:
    """Signed in under a new session; the one that this browser had ends."""
    old = await signed_in(request)
    async with request.app[DATABASE].transaction() as connection:
        if old is not None:
            await members.end_session(connection, old.session_id)
        agent = browser_name(request.headers.get("User-Agent", ""))
        token = await members.start_session(connection, member_id, agent=agent)
    log.info("signed in", extra={"request": request[VISIT].id, "member_id": str(member_id)})
    response = redirect(to)
    set_cookie(request, response, token)
    return response


def _sign_in(request: web.Request, form: Form, *, status: int = 200) -> web.Response:
    notice = "signed-out" if request.query.get("notice") == "signed-out" else None
    return request.app[PAGES].render(
        request, "organizer/sign_in.html", status=status, caching="no-store", form=form, notice=notice
    )


def _invitation(request: web.Request, invitation: Invitation, form: Form, *, status: int = 200) -> web.Response:
    return request.app[PAGES].render(
        request, "organizer/invitation.html", status=status, caching="no-store", form=form, invitation=invitation
    )


def _gone(request: web.Request) -> web.Response:
    return request.app[PAGES].render(request, "organizer/invitation_gone.html", status=410, caching="no-store")
