"""Who a token is, and how a device gets its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skep.webapp.api.models import EnrolIn, EnrolledOut, MeOut
from skep.webapp.api.operations import Call, NoBody, NoParams, operation
from skep.webapp.http.keys import DATABASE
from skep.webapp.http.problems import Problem
from skep.webapp.store import tokens

if TYPE_CHECKING:
    from skep.webapp.store.tokens import Token


@operation("GET", "/me", scope="any", answer=MeOut)
async def read_me(call: Call[NoParams, NoBody]) -> MeOut:
    """What this token is and may do."""
    return _me(call.bearer)


@operation("POST", "/enrolments", scope=None, body=EnrolIn, answer=EnrolledOut, status=201, errors=("code_gone",))
async def enrol(call: Call[NoParams, EnrolIn]) -> EnrolledOut:
    """Sign in a device with the code of an enrolment's QR code.

    The code is good once and for ten minutes; the device's token is shown this once. It has the scope `checkin`, for
    the events that were chosen.
    """
    async with call.request.app[DATABASE].transaction() as connection:
        secret = await tokens.enrol(connection, call.body.code)
        token = None if secret is None else await tokens.find(connection, secret)
    if secret is None or token is None:
        raise Problem("code_gone")
    return EnrolledOut(token=secret, me=_me(token))


def _me(token: Token) -> MeOut:
    return MeOut(
        id=token.id,
        kind="device" if token.kind == "device" else "team",
        name=token.name,
        scopes=[scope for scope in tokens.SCOPES if scope in token.scopes],
        event_ids=None if token.event_ids is None else sorted(token.event_ids),
    )
