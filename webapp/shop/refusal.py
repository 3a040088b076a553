"""Why something cannot be bought, as data: the pages and the API have the words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from skep.webapp.store.texts import Texts

Reason = Literal[
    "nothing", "unknown", "soon", "over", "closed", "order-limit", "type-limit", "type-minimum",
    "voucher-needed", "voucher-unknown", "voucher-expired", "voucher-used", "voucher-locked", "voucher-other",
    "method", "state", "sold-out",
]  # fmt: skip


class Refused(Exception):
    """Nothing was changed. *what* is the ticket type, where one is meant; *number* the limit."""

    def __init__(self, reason: Reason, *, what: Texts | None = None, number: int = 0) -> None:
        super().__init__(reason)
        self.reason: Reason = reason
        self.what = what
        self.number = number


@dataclass(frozen=True, slots=True)
class Note:
    """Something was done, but less than was asked: *number* of *what* could not be had, or were lost by waiting."""

    kind: Literal["fewer", "none", "lost"]
    what: Texts
    number: int
