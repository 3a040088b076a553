"""At the door: lists for devices, scans, and scans that were made without network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from skep.webapp.api.asking import after, allowed, cursor_of
from skep.webapp.api.events import by_language
from skep.webapp.api.models import (
    DoorOut,
    DoorQuestion,
    DoorsOut,
    EventParams,
    KnownOut,
    ListParams,
    LoggedOut,
    OfflineList,
    Page,
    ScanIn,
    ScanOut,
    ScanParams,
    ScansParams,
    ToldOut,
    ToldsOut,
    TypeName,
    UploadIn,
)
from skep.webapp.api.operations import Call, NoBody, NoParams, Nothing, operation
from skep.webapp.http.keys import DATABASE
from skep.webapp.http.problems import FieldError, Problem
from skep.webapp.shop import catalog, doors, entry
from skep.webapp.shop.entry import Scan
from skep.webapp.store.audit import Actor

if TYPE_CHECKING:
    from skep.webapp.shop.doors import Door
    from skep.webapp.shop.entry import Entered
    from skep.webapp.store.pool import Connection

REFUSALS = ("already_redeemed", "cancelled", "unpaid", "wrong_list", "too_early", "incomplete", "unknown_ticket")


@operation("GET", "/checkin-lists", scope="checkin", answer=DoorsOut)
async def list_doors(call: Call[NoParams, NoBody]) -> DoorsOut:
    """The check-in lists of all events that this token is for and that are not long over."""
    token = call.bearer
    async with call.request.app[DATABASE].connection() as connection:
        rows = await connection.fetch(
            "SELECT event_id FROM event_session GROUP BY 1 HAVING max(ends_at) > clock_timestamp() - $1::interval",
            doors.FORGET_AFTER,
        )
        found = await doors.of_events(connection, [row["event_id"] for row in rows if token.may(row["event_id"])])
    return DoorsOut(lists=[_door(door) for door in found])


@operation("GET", "/events/{event_id}/checkin-lists", scope="checkin", params=EventParams, answer=DoorsOut)
async def list_event_doors(call: Call[EventParams, NoBody]) -> DoorsOut:
    """The check-in lists of one event."""
    async with call.request.app[DATABASE].connection() as connection:
        found = await doors.of_events(connection, [allowed(call, call.params.event_id)])
    if not found:
        raise Problem("not_found")
    return DoorsOut(lists=[_door(door) for door in found])


@operation("GET", "/checkin-lists/{list_id}", scope="checkin", params=ListParams, answer=OfflineList)
async def read_list(call: Call[ListParams, NoBody]) -> OfflineList:
    """All that a device needs to let people in without network.

    It has no code and no full name. Forget it at `forget_at`, and when the token is refused.
    """
    async with call.request.app[DATABASE].connection() as connection:
        door = await _own(connection, call, call.params.list_id)
        offered = await catalog.load_one(connection, door.event_id, counted=False)
        tickets = await doors.known(connection, door.id)
        questions = await doors.questions(connection, door.event_id, door.event_title.own)
    place = {kind.id: number for number, kind in enumerate(offered.types)}
    return OfflineList(
        door=_door(door),
        version=doors.list_version(tickets),
        types=[TypeName(id=kind.id, title=by_language(kind.title)) for kind in offered.types],
        questions=[_question(question) for question in questions],
        tickets=[
            KnownOut(
                h=each.code_sha256,
                n=each.name,
                t=place[each.type_id],
                p=each.is_paid,
                o=each.opens_at,
                q=not each.answered,
                c=each.came_at,
                g=each.gate,
            )
            for each in tickets
        ],
    )


@operation(
    "POST",
    "/checkin-lists/{list_id}/scans",
    scope="checkin",
    params=ListParams,
    body=ScanIn,
    answer=ScanOut,
    status=201,
    errors=REFUSALS,
)
async def scan_ticket(call: Call[ListParams, ScanIn]) -> ScanOut:
    """Let somebody in.

    The first scan of a ticket is answered 201, a second one `already_redeemed` with the time and place of the first.
    The same nonce again is the same scan, and gets the same answer.
    """
    scan = _scan(call, call.body, "", is_past=False)
    done = await _let_in(call, call.params.list_id, scan)
    if done.id is None or done.mark is not None:
        raise _refusal(done)
    return ScanOut(
        id=done.id,
        nonce=scan.nonce,
        name=doors.short_name(done.name),
        type=by_language(done.type_title) if done.type_title else {},
        order_code=done.order_code,
        at=done.came_at or scan.at,
        gate=done.came_by,
    )


@operation(
    "POST", "/checkin-lists/{list_id}/uploads", scope="checkin", params=ListParams, body=UploadIn, answer=ToldsOut
)
async def upload_scans(call: Call[ListParams, UploadIn]) -> ToldsOut:
    """Tell of people who were let in without network.

    It happened, so it is kept whatever is known by now; what it contradicts is its `mark`. Telling it twice changes
    nothing the second time.
    """
    told = []
    scans = [_scan(call, each, f"scans.{number}.", is_past=True) for number, each in enumerate(call.body.scans)]
    for scan in scans:  # each in a transaction of its own: one that fails does not take back the others
        done = await _let_in(call, call.params.list_id, scan)
        told.append(ToldOut(nonce=scan.nonce, id=done.id, mark=done.mark, at=done.came_at, gate=done.came_by))
    return ToldsOut(scans=told)


@operation("GET", "/checkin-lists/{list_id}/scans", scope="checkin", params=ScansParams, answer=Page[LoggedOut])
async def list_scans(call: Call[ScansParams, NoBody]) -> Page[LoggedOut]:
    """Who was let in by this list, the newest first; what is marked or was undone too."""
    wanted = call.params
    async with call.request.app[DATABASE].connection() as connection:
        door = await _own(connection, call, wanted.list_id)
        found = await entry.log_of(connection, door.id, limit=wanted.limit + 1, before=after(wanted.cursor))
    items = [
        LoggedOut(
            id=each.id,
            name=doors.short_name(each.name),
            type=by_language(each.type_title) if each.type_title else {},
            order_code=each.order_code,
            at=each.at,
            gate=each.gate,
            mark=each.mark,
            undone_at=each.undone_at,
        )
        for each in found[: wanted.limit]
    ]
    more = len(found) > wanted.limit
    return Page(items=items, next_cursor=cursor_of(str(items[-1].id)) if more else None)


@operation(
    "POST",
    "/checkin-lists/{list_id}/scans/{scan_id}/undo",
    scope="checkin",
    params=ScanParams,
    answer=Nothing,
    status=204,
)
async def undo_scan(call: Call[ScanParams, NoBody]) -> Nothing:
    """Take a scan back: the ticket may come again. Doing it twice changes nothing the second time."""
    wanted = call.params
    async with call.request.app[DATABASE].transaction() as connection:
        await _may(connection, call, wanted.list_id)
        known = await connection.fetchval(
            "SELECT true FROM checkin WHERE list_id = $1 AND id = $2", wanted.list_id, wanted.scan_id
        )
        if not known:
            raise Problem("not_found")
        await entry.undo(connection, wanted.list_id, wanted.scan_id, Actor("token", call.bearer.id))
    return Nothing()


async def _let_in(call: Call[Any, Any], list_id: UUID, scan: Scan) -> Entered:
    """The usual case in one statement; everything else looked at in turn. Raises Problem where there is no such list."""
    database = call.request.app[DATABASE]
    async with database.connection() as connection:
        at_once = await entry.let_in_at_once(connection, list_id, scan, call.bearer.event_ids)
    if at_once is not None:
        done, is_told = at_once
        if is_told and database.on_commit is not None:
            database.on_commit()
        return done
    async with database.transaction() as connection:
        await _may(connection, call, list_id)
        found = await entry.let_in(connection, list_id, scan)
    if found is None:
        raise Problem("not_found")
    return found


def _scan(call: Call[Any, Any], said: ScanIn, field: str, *, is_past: bool) -> Scan:
    """Raises Problem where not exactly one of code and hash is given."""
    if (said.code is None) == (said.code_sha256 is None):
        raise Problem("invalid", errors=[FieldError(f"{field}code", "one_of", "Give code or code_sha256.")])
    if said.code is not None:
        digest = entry.code_hash(said.code) or entry.foreign_hash(said.code)
    else:
        digest = bytes.fromhex(said.code_sha256 or "")
    return Scan(
        code_sha256=digest,
        nonce=said.nonce,
        at=said.at,
        gate=call.bearer.name,
        token_id=call.bearer.id,
        answers={answer.question_id: answer.value for answer in said.answers},
        is_past=is_past,
    )


def _refusal(done: Entered) -> Problem:
    more: dict[str, Any] = {}
    if done.name:
        more["name"] = doors.short_name(done.name)
    if done.mark == "already_redeemed":
        more["redeemed_at"] = done.came_at.isoformat() if done.came_at else None
        more["gate"] = done.came_by
    if done.opens_at is not None:
        more["opens_at"] = done.opens_at.isoformat()
    errors = []
    if done.mark == "incomplete":
        more["questions"] = [_question(question).model_dump(mode="json") for question in done.asked]
        errors = [
            FieldError(f"answers.{question.id}", "wrong" if question.id in done.wrong_answers else "missing")
            for question in done.asked
        ]
    return Problem("unknown_ticket" if done.mark == "unknown" else str(done.mark), errors=errors, more=more)


def _question(question: catalog.Question) -> DoorQuestion:
    return DoorQuestion.model_validate({
        "id": question.id,
        "kind": question.kind,
        "label": by_language(question.label),
        "is_required": question.is_required,
        "type_ids": sorted(question.type_ids),
    })  # fmt: skip


def _door(door: Door) -> DoorOut:
    return DoorOut(
        id=door.id,
        event_id=door.event_id,
        event_title=by_language(door.event_title),
        name=door.name,
        expected=door.expected,
        inside=door.inside,
        ends_at=door.ends_at,
        forget_at=door.forget_at,
    )


async def _own(connection: Connection, call: Call[Any, Any], list_id: UUID) -> Door:
    door = await doors.by_id(connection, list_id)
    if door is None or not call.bearer.may(door.event_id):
        raise Problem("not_found")
    return door


async def _may(connection: Connection, call: Call[Any, Any], list_id: UUID) -> None:
    """Is the list of an event that the token is for? Raises Problem."""
    if call.bearer.event_ids is None:
        return
    event_id = await connection.fetchval("SELECT event_id FROM checkin_list WHERE id = $1", list_id)
    if event_id is None or event_id not in call.bearer.event_ids:
        raise Problem("not_found")
