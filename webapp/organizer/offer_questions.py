"""What buyers are asked for each ticket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from skep.webapp.http.forms import Form, read_form
from skep.webapp.http.keys import DATABASE, VISIT
from skep.webapp.http.sessions import for_members
from skep.webapp.organizer import offer_forms, stale
from skep.webapp.organizer.manage import managed_event
from skep.webapp.organizer.offer_frame import ID, OFFER_PATH, audited, done, page, row_id, version_of
from skep.webapp.shop import catalog
from skep.webapp.shop.catalog import Question
from skep.webapp.store import offers
from skep.webapp.store.events import Event
from skep.webapp.store.members import SignedIn
from skep.webapp.store.offers import InUse, StaleVersion

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

routes = web.RouteTableDef()


@routes.get(OFFER_PATH + "/questions/new")
@for_members
async def new_question(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].connection() as connection:
        event = await managed_event(request, connection)
    return page(request, event, "question", Form(request[VISIT].t, {"kind": "line"}))


@routes.post(OFFER_PATH + "/questions/new")
@for_members
async def create_question(request: web.Request, member: SignedIn) -> web.StreamResponse:
    form = await read_form(request, request[VISIT].t)
    async with request.app[DATABASE].transaction() as connection:
        event = await managed_event(request, connection)
        draft = offer_forms.question(form, event)
        if draft is None:
            return page(request, event, "question", form, status=422)
        question_id = await offers.create_question(connection, event.id, draft)
        await audited(connection, member, "question created", "question", question_id)
    return done(event, "saved")


@routes.get(OFFER_PATH + f"/questions/{{question_id:{ID}}}")
@for_members
async def edit_question(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].connection() as connection:
        event = await managed_event(request, connection)
        known = await _known(request, connection, event)
    form = Form(request[VISIT].t, offer_forms.question_values(known, event))
    return page(request, event, "question", form, is_new=False)


@routes.post(OFFER_PATH + f"/questions/{{question_id:{ID}}}")
@for_members
async def save_question(request: web.Request, member: SignedIn) -> web.StreamResponse:
    """Other words. Once somebody answered, its kind stays, and no choice goes: answers name them by their place."""
    form = await read_form(request, request[VISIT].t)
    try:
        async with request.app[DATABASE].transaction() as connection:
            event = await managed_event(request, connection)
            known = await _known(request, connection, event)
            draft = offer_forms.question(form, event)
            if draft is not None and await offers.is_answered(connection, known.id):
                if draft.kind != known.kind:
                    form.refuse("kind", form.t("wrong.question.kind"))
                if len(draft.choices) < len(known.choices):
                    form.refuse("choices", form.t("wrong.question.choices"))
            if draft is None or form.errors:
                return page(request, event, "question", form, is_new=False, status=422)
            await offers.save_question(connection, event.id, known.id, draft, version=version_of(form))
            await audited(connection, member, "question saved", "question", known.id)
    except StaleVersion:
        saved = offer_forms.question_values(known, event)
        both = stale.differences(stale.QUESTION, saved, form.values, form.t)
        form.values["version"] = saved["version"]
        return page(request, event, "question", form, is_new=False, stale=both, status=409)
    return done(event, "saved")


@routes.post(OFFER_PATH + f"/questions/{{question_id:{ID}}}/delete")
@for_members
async def delete_question(request: web.Request, member: SignedIn) -> web.StreamResponse:
    question_id = row_id(request, "question_id")
    try:
        async with request.app[DATABASE].transaction() as connection:
            event = await managed_event(request, connection)
            await offers.delete_question(connection, event.id, question_id)
            await audited(connection, member, "question deleted", "question", question_id)
    except InUse:
        return done(event, "in-use")
    return done(event, "removed")


async def _known(request: web.Request, connection: Connection, event: Event) -> Question:
    """Raises HTTPNotFound."""
    identity = row_id(request, "question_id")
    questions = await catalog.questions(connection, event.id, event.language)
    found = next((question for question in questions if question.id == identity), None)
    if found is None:
        raise web.HTTPNotFound
    return found
