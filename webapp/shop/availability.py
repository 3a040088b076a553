"""How many of what can be had: arithmetic over pools and ticket types. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

Sale = Literal["open", "soon", "over", "sold out", "voucher", "closed"]


@dataclass(frozen=True, slots=True)
class Pool:
    """*size* None is unlimited. *used*: sold, in live carts, or kept by vouchers; it may exceed a lowered size."""

    id: UUID
    session_id: UUID
    size: int | None
    used: int

    @property
    def left(self) -> int | None:
        return None if self.size is None else max(0, self.size - self.used)


@dataclass(frozen=True, slots=True)
class Window:
    """When a type is sold; None is open-ended."""

    starts_at: datetime | None
    ends_at: datetime | None

    def at(self, now: datetime) -> Sale:
        if self.starts_at is not None and now < self.starts_at:
            return "soon"
        if self.ends_at is not None and now >= self.ends_at:
            return "over"
        return "open"


def least(numbers: Iterable[int | None]) -> int | None:
    """The smallest, where None is unlimited; None if all are."""
    limits = [number for number in numbers if number is not None]
    return min(limits) if limits else None


def left_of(pool_ids: Iterable[UUID], pools: Mapping[UUID, Pool]) -> int | None:
    """A type's stock: the least of its pools. None: unlimited."""
    return least(pools[pool_id].left for pool_id in pool_ids)


def grant(
    wanted: Iterable[tuple[UUID, int]], drawn_on: Mapping[UUID, tuple[UUID, ...]], pools: Mapping[UUID, Pool]
) -> dict[UUID, int]:
    """How many of each wanted type can be given, first come first served over pools that types share.

    *wanted*: (type, how many) in order; *drawn_on*: the pools of each type. The sum over a pool never exceeds what is
    left in it, and no more is given than was wanted.
    """
    left = {pool_id: pool.left for pool_id, pool in pools.items()}
    given: dict[UUID, int] = {}
    for type_id, number in wanted:
        limit = least(left[pool_id] for pool_id in drawn_on[type_id])
        granted = number if limit is None else min(number, limit)
        given[type_id] = given.get(type_id, 0) + granted
        for pool_id in drawn_on[type_id]:
            rest = left[pool_id]
            if rest is not None:
                left[pool_id] = rest - granted
    return given
