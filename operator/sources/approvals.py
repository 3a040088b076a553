"""Requests: what a person asks of the operator, as an object that the leader consumes once and removes.

The command line needs nothing but the engine: it writes revisions and requests, and no third kind of thing.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Literal, get_args

from skep.operator import names
from skep.operator.engine.spec import Config
from skep.operator.errors import UsageError

VERB = "skep.verb"
TARGET = "skep.target"
AUTHOR = "skep.author"
INDEX = "skep.index"

Verb = Literal["approve-deletions", "approve-database", "approve-adopt", "approve-purge", "forced-delete"]


@dataclass(frozen=True, slots=True)
class Request:
    """*target* is a source for `approve-deletions`, a tenant for the others.

    *index* is the revision's that the person saw, so that a yes to one revision is none to the next; None: the newest.
    """

    verb: Verb
    target: str
    author: str
    config_id: str = ""
    index: int | None = None

    def labels(self) -> dict[str, str]:
        seen = {INDEX: str(self.index)} if self.index is not None else {}
        return {names.KIND: "request", VERB: self.verb, TARGET: self.target, AUTHOR: self.author, **seen}

    def body(self) -> bytes:
        return f"{self.verb} {self.target}\nby {self.author}\n".encode()


def new_id() -> str:
    return secrets.token_hex(8)


def from_config(config: Config) -> Request:
    """Raises UsageError for a verb that this operator does not know."""
    labels = dict(config.labels)
    verb = labels.get(VERB, "")
    if verb not in get_args(Verb):
        raise UsageError(f"request {config.name} asks for {verb!r}, which this operator does not know")
    index = labels.get(INDEX, "")
    return Request(
        verb,  # type: ignore[arg-type]  # checked
        labels.get(TARGET, ""),
        labels.get(AUTHOR, ""),
        config.id,
        int(index) if index.isdecimal() else None,
    )
