"""Figures as columns: which bucket of time, how high, what the axis says. Pure; the templates draw it as SVG.

The drawing is stretched to its place and holds no text: numbers and dates stand beside it as text of the page, so that
they are as large on a phone as on a wall.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

WIDTH, HEIGHT = 1000, 300
LEAST_DAYS = 14  # one sale yesterday is not a wall
MOST_COLUMNS = 45

Span = Literal["day", "week", "month"]


@dataclass(frozen=True, slots=True)
class Bucket:
    """What happened from *start* on, for as long as its kind of bucket."""

    start: datetime | date
    value: int


@dataclass(frozen=True, slots=True)
class Column:
    """One bucket as a rectangle, in the units of WIDTH and HEIGHT."""

    bucket: Bucket
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Plot:
    """*top* is the number at the upper edge, at least 1."""

    columns: tuple[Column, ...]
    top: int

    @property
    def total(self) -> int:
        return sum(column.bucket.value for column in self.columns)


def plot(buckets: Sequence[Bucket]) -> Plot:
    top = nice_ceiling(max((bucket.value for bucket in buckets), default=0))
    step = WIDTH / max(1, len(buckets))
    columns = []
    for place, bucket in enumerate(buckets):
        height = round(bucket.value * HEIGHT / top)
        if bucket.value:
            height = max(4, height)  # one of five hundred is seen too
        left, right = round(place * step + step * 0.12), round((place + 1) * step - step * 0.12)
        columns.append(Column(bucket, left, HEIGHT - height, max(1, right - left), height))
    return Plot(tuple(columns), top)


def nice_ceiling(number: int) -> int:
    """The least of 1, 2, 4, 5, 10, 20, 40, 50, 100 ... that is not less: an axis whose half is whole, but for 1 and 5."""
    scale = 1
    while True:
        for digit in (1, 2, 4, 5):
            if number <= digit * scale:
                return digit * scale
        scale *= 10


def span_of(first: date, last: date) -> Span:
    days = (last - first).days + 1
    if days <= MOST_COLUMNS:
        return "day"
    return "week" if days <= MOST_COLUMNS * 7 else "month"


def by_time(days: Mapping[date, int], until: date, *, least_days: int = LEAST_DAYS) -> tuple[Span, list[Bucket]]:
    """Days as buckets without a hole, from the first (or *least_days* ago) to *until*, in few enough columns."""
    first = min([*days, until - timedelta(days=least_days - 1)])
    last = max([*days, until])
    span = span_of(first, last)
    counts: dict[date, int] = {}
    start = _start(first, span)
    while start <= last:
        counts[start] = 0
        start = _next(start, span)
    for day, value in days.items():
        counts[_start(day, span)] += value
    return span, [Bucket(start, value) for start, value in counts.items()]


def by_clock(moments: Sequence[datetime]) -> list[Bucket]:
    """Moments of one zone in steps of a quarter of an hour, or longer ones where there would be too many."""
    if not moments:
        return []
    first, last = min(moments), max(moments)
    minutes = next(
        (step for step in (15, 30, 60, 180, 720, 1440) if (last - first) / timedelta(minutes=step) < MOST_COLUMNS),
        10_080,
    )
    begin = first.replace(hour=0, minute=0, second=0, microsecond=0)
    step = timedelta(minutes=minutes)
    counts: dict[int, int] = {}
    for moment in moments:
        place = (moment - begin) // step
        counts[place] = counts.get(place, 0) + 1
    return [Bucket(begin + place * step, counts.get(place, 0)) for place in range(min(counts), max(counts) + 1)]


def week_compared(days: Mapping[date, int], today: date) -> tuple[int, int]:
    """(in the seven days until today, in the seven before)."""
    this = sum(value for day, value in days.items() if 0 <= (today - day).days < 7)
    before = sum(value for day, value in days.items() if 7 <= (today - day).days < 14)
    return this, before


def _start(day: date, span: Span) -> date:
    match span:
        case "day":
            return day
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)


def _next(start: date, span: Span) -> date:
    match span:
        case "day":
            return start + timedelta(days=1)
        case "week":
            return start + timedelta(days=7)
        case "month":
            return (start + timedelta(days=32)).replace(day=1)
