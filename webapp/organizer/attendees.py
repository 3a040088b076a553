"""Who comes to an event: by name, by ticket and date, with what they answered."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from uuid import UUID

from aiohttp import web

from skep.webapp.http.keys import DATABASE, PAGES, VISIT
from skep.webapp.http.sessions import for_members
from skep.webapp.i18n import Translator, dates
from skep.webapp.organizer.manage import EVENT_PATH, managed_event
from skep.webapp.organizer.orders import asked_words
from skep.webapp.shop import catalog
from skep.webapp.shop.answer_words import in_words
from skep.webapp.shop.catalog import Question
from skep.webapp.store import attendees, order_book
from skep.webapp.store.attendees import Asked
from skep.webapp.store.events import Event
from skep.webapp.store.members import SignedIn

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

routes = web.RouteTableDef()


def asked(request: web.Request) -> Asked:
    """`?q=`, `?type=`, `?session=`; whatever is no id asks for nothing."""
    return Asked(asked_words(request), _id(request, "type"), _id(request, "session"))


@routes.get(EVENT_PATH + "/attendees")
@for_members
async def attendee_list(request: web.Request, member: SignedIn) -> web.StreamResponse:
    t = request[VISIT].t
    wanted = asked(request)
    async with request.app[DATABASE].connection() as connection:
        event = await managed_event(request, connection, "orders")
        offered = await catalog.load_one(connection, event.id, counted=False)
        people = await attendees.of_event(connection, event.id, wanted)
        questions = await catalog.questions(connection, event.id, event.language)
        answered = await answers_of(connection, event, questions, [who.position_id for who in people], t)
    query = {"q": wanted.words, "type": wanted.type_id, "session": wanted.session_id}
    return request.app[PAGES].render(
        request,
        "organizer/attendees.html",
        caching="no-store",
        event=event,
        offered=offered,
        people=people,
        questions=questions,
        answers=answered,
        wanted=wanted,
        query=urlencode({name: value for name, value in query.items() if value}),
    )


async def answers_of(
    connection: Connection, event: Event, questions: Collection[Question], position_ids: list[UUID], t: Translator
) -> dict[UUID, dict[UUID, str]]:
    """In words, by ticket and question."""
    zone = dates.zone(event.timezone)
    stored = await order_book.answers(connection, position_ids)
    return {
        position_id: {
            question.id: in_words(question, values[question.id], zone, t)
            for question in questions
            if question.id in values
        }
        for position_id, values in stored.items()
    }


def _id(request: web.Request, name: str) -> UUID | None:
    try:
        return UUID(request.query.get(name, ""))
    except ValueError:
        return None
