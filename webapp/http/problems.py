"""What went wrong, as programs read it: `application/problem+json` (RFC 9457), with a stable word for each case.

`code` is for programs and never changes its meaning; `detail` is for the people who write them. `errors` names fields
and what is wrong with each.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

PROBLEM_TYPE = "application/problem+json"
API_PREFIX = "/api/"


@dataclass(frozen=True, slots=True)
class Kind:
    status: int
    title: str


PROBLEMS: Final[Mapping[str, Kind]] = {
    "invalid": Kind(400, "Something in the request is not as it must be"),
    "unauthorized": Kind(401, "There is no valid token"),
    "forbidden": Kind(403, "The token lacks the scope for this"),
    "not_found": Kind(404, "There is nothing here that this token may see"),
    "method_not_allowed": Kind(405, "This address does not know this method"),
    "stale": Kind(412, "It was changed since you read it"),
    "too_large": Kind(413, "The request is too large"),
    "unsupported_media_type": Kind(415, "The body must be application/json"),
    "misdirected": Kind(421, "This address belongs to somebody else"),
    "precondition_required": Kind(428, "Say which version you change, with If-Match"),
    "rate_limited": Kind(429, "Too many requests"),
    "failed": Kind(500, "A mistake of ours"),
    "unavailable": Kind(503, "The database is away for a moment"),
    "busy": Kind(409, "Many people want the same at this second"),
    "in_flight": Kind(409, "A request with this Idempotency-Key is being answered"),
    "outcome_unknown": Kind(409, "A request with this Idempotency-Key was begun and never answered"),
    "key_reused": Kind(422, "This Idempotency-Key was used for another request"),
    "refused": Kind(409, "It cannot be sold like this"),
    "sold_out": Kind(400, "There are not as many places"),
    "cart_changed": Kind(409, "The cart is not what it was"),
    "not_possible": Kind(409, "The order is in a state that does not allow it"),
    "code_gone": Kind(410, "This code was used, is too old, or never was"),
    "already_redeemed": Kind(400, "The ticket was let in before"),
    "cancelled": Kind(400, "The ticket is cancelled"),
    "unpaid": Kind(400, "The ticket is not paid"),
    "wrong_list": Kind(400, "The ticket is for another door"),
    "too_early": Kind(400, "The door is not open for this ticket yet"),
    "incomplete": Kind(400, "There is something to ask first"),
    "unknown_ticket": Kind(404, "No ticket of this event has this code"),
}

_BY_STATUS = {
    400: "invalid", 401: "unauthorized", 403: "forbidden", 404: "not_found", 405: "method_not_allowed",
    409: "busy", 413: "too_large", 415: "unsupported_media_type", 421: "misdirected", 429: "rate_limited", 503: "unavailable",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FieldError:
    """*field* like `positions.1.type_id`; *reason* one stable word."""

    field: str
    reason: str
    detail: str = ""


class Problem(Exception):
    """Nothing was changed. *code* is one of PROBLEMS; *more* are members of this kind's own."""

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        errors: Sequence[FieldError] = (),
        more: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.more = dict(more or {})
        self.headers = dict(headers or {})

    @property
    def kind(self) -> Kind:
        return PROBLEMS[self.code]


def document(problem: Problem) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": f"/api/v1/#{problem.code}",
        "title": problem.kind.title,
        "status": problem.kind.status,
        "code": problem.code,
    }
    if problem.detail:
        body["detail"] = problem.detail
    if problem.errors:
        body["errors"] = [
            {"field": error.field, "reason": error.reason} | ({"detail": error.detail} if error.detail else {})
            for error in problem.errors
        ]
    return body | problem.more


def answer(problem: Problem) -> web.Response:
    return web.Response(
        body=json.dumps(document(problem), ensure_ascii=False).encode(),
        status=problem.kind.status,
        headers={"Content-Type": PROBLEM_TYPE, "Cache-Control": "no-store", **problem.headers},
    )


def of_status(status: int, headers: Mapping[str, str]) -> web.Response:
    """For what the pages say by an error page: the same, for a program."""
    code = _BY_STATUS.get(status, "failed" if status >= 500 else "invalid")
    return answer(Problem(code, headers=headers))
