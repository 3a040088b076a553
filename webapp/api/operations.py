"""One decorator says all of an operation: method, path, scope, request, answer, errors. Nothing else registers one.

The description (`api.description`), the routes and the tests read the same `OPERATIONS`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar, cast

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from skep.webapp.http.problems import PROBLEMS, Problem
from skep.webapp.store.tokens import Scope, Token

Method = Literal["GET", "POST", "PATCH", "DELETE"]


class Model(BaseModel):
    """Read from JSON and written to JSON: unknown fields are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, regex_engine="rust-regex")


class NoParams(Model): ...


class NoBody(Model): ...


class Nothing(Model):
    """204: there is nothing to say."""


@dataclass(frozen=True, slots=True)
class File:
    """A file to keep: not JSON."""

    name: str
    content_type: str
    body: bytes


P = TypeVar("P", bound=Model)
B = TypeVar("B", bound=Model)
A = TypeVar("A", bound="Model | File")


@dataclass(frozen=True, slots=True)
class Call(Generic[P, B]):
    """One request that is allowed and in order. *token* is None only where the operation asks for none."""

    request: web.Request
    token: Token | None
    params: P
    body: B

    @property
    def bearer(self) -> Token:
        """Who asks, where a token is needed. Raises Problem."""
        if self.token is None:
            raise Problem("unauthorized")
        return self.token


Handler = Callable[[Call[Any, Any]], Awaitable["Model | File"]]


@dataclass(frozen=True, slots=True)
class Operation:
    """*scope* None: for everybody. *versioned*: its ETag begins with the answer's version, and If-Match is heeded."""

    id: str
    method: Method
    path: str  # below /api/v1
    scope: Scope | Literal["any"] | None
    params: type[Model]
    body: type[Model]
    answer: type[Model] | type[File]  # noqa: PYI055  # one of two, never a mix
    content_type: str
    status: int
    errors: tuple[str, ...]
    idempotent: bool
    versioned: bool
    needs_match: bool
    tag: str
    summary: str
    description: str
    handler: Handler

    @property
    def path_fields(self) -> tuple[str, ...]:
        return tuple(re.findall(r"{(\w+)}", self.path))


OPERATIONS: dict[str, Operation] = {}


def operation(
    method: Method,
    path: str,
    *,
    scope: Scope | Literal["any"] | None,
    answer: type[A],
    params: type[P] = NoParams,  # type: ignore[assignment]  # a default for a type variable
    body: type[B] = NoBody,  # type: ignore[assignment]
    errors: tuple[str, ...] = (),
    status: int = 200,
    content_type: str = "application/json",
    idempotent: bool = False,
    versioned: bool = False,
    needs_match: bool = False,
) -> Callable[[Callable[[Call[P, B]], Awaitable[A]]], Callable[[Call[P, B]], Awaitable[A]]]:
    """Register a handler. Its docstring's first sentence is the summary, the rest the description.

    Raises ValueError for what does not fit together: a path field without a parameter, an unknown problem, two of a kind.
    """

    def register(handler: Callable[[Call[P, B]], Awaitable[A]]) -> Callable[[Call[P, B]], Awaitable[A]]:
        first, _, rest = (inspect.getdoc(handler) or "").partition("\n")
        summary, _, more = first.partition(". ")
        codes = {*errors, "rate_limited", "unavailable", "busy"}
        if params is not NoParams or body is not NoBody:
            codes.add("invalid")
        if scope is not None:
            codes |= {"unauthorized", "forbidden"}
        else:
            codes.add("unauthorized")  # a token that is none is refused even where none is needed
        if body is not NoBody:
            codes |= {"too_large", "unsupported_media_type"}
        if idempotent:
            codes |= {"in_flight", "outcome_unknown", "key_reused"}
        if needs_match:
            codes |= {"stale", "precondition_required"}
        if "{" in path:
            codes.add("not_found")
        made = Operation(
            id=handler.__name__,
            method=method,
            path=path,
            scope=scope,
            params=params,
            body=body,
            answer=cast("type[Model | File]", answer),
            content_type=content_type,
            status=status,
            errors=tuple(sorted(codes)),
            idempotent=idempotent,
            versioned=versioned,
            needs_match=needs_match,
            tag=handler.__module__.rpartition(".")[2],
            summary=summary.rstrip("."),
            description=f"{more}\n{rest}".strip(),
            handler=handler,
        )
        _check(made)
        OPERATIONS[made.id] = made
        return handler

    return register


def _check(made: Operation) -> None:
    if unknown := set(made.errors) - PROBLEMS.keys():
        raise ValueError(f"{made.id}: no such problem: {', '.join(sorted(unknown))}")
    if missing := set(made.path_fields) - made.params.model_fields.keys():
        raise ValueError(f"{made.id}: no parameter for {', '.join(sorted(missing))}")
    if not made.summary:
        raise ValueError(f"{made.id}: says nothing about itself")
    if any(o.id == made.id or (o.method, o.path) == (made.method, made.path) for o in OPERATIONS.values()):
        raise ValueError(f"{made.id}: registered twice")
