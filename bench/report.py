"""What a bench found: rows of numbers, each next to its floor and its aim, as a table or as JSON. Pure.

Machines differ and are shared, so a number alone says little: the floor is the same work done bare, in the same run.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rich.table import Table

Of = Literal["value", "ratio"]


@dataclass(frozen=True, slots=True)
class Aim:
    """At most *limit*: of the number itself, or of its ratio to the floor."""

    limit: float
    of: Of = "value"

    def __str__(self) -> str:
        return f"at most {number(self.limit)}{' x floor' if self.of == 'ratio' else ''}"


@dataclass(frozen=True, slots=True)
class Row:
    """One finding; *floor* is in the same *unit*. *spread*: the lowest and highest of what *value* is the median of."""

    what: str
    value: float
    unit: str
    floor: float | None = None
    aim: Aim | None = None
    spread: tuple[float, float] | None = None

    @property
    def ratio(self) -> float | None:
        return self.value / self.floor if self.floor else None

    @property
    def met(self) -> bool | None:
        """None where there is no aim, or nothing to hold against it."""
        if self.aim is None:
            return None
        held = self.value if self.aim.of == "value" else self.ratio
        return None if held is None else held <= self.aim.limit


@dataclass(frozen=True, slots=True)
class Report:
    """*notes* say how it was measured: what was real, and what stood for what."""

    name: str
    title: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "title": self.title,
            "notes": list(self.notes),
            "rows": [
                {
                    "what": row.what,
                    "value": row.value,
                    "unit": row.unit,
                    "floor": row.floor,
                    "ratio": row.ratio,
                    "spread": list(row.spread) if row.spread else None,
                    "aim": str(row.aim) if row.aim else None,
                    "met": row.met,
                }
                for row in self.rows
            ],
        }

    def as_table(self) -> Table:
        table = Table(title=self.title, title_justify="left", box=None, pad_edge=False)
        table.add_column("")
        for heading in ("measured", "of", "floor", "ratio"):
            table.add_column(heading, justify="right")
        table.add_column("aim")
        table.add_column("met")
        for row in self.rows:
            met = {None: "", True: "[green]yes[/]", False: "[red]NO[/]"}[row.met]
            spread = f"{number(row.spread[0])}..{number(row.spread[1])}" if row.spread else ""
            table.add_row(
                row.what,
                f"{number(row.value)} {row.unit}".rstrip(),
                spread,
                number(row.floor),
                number(row.ratio),
                str(row.aim) if row.aim else "",
                met,
            )
        return table


def number(value: float | None) -> str:
    """Three digits that mean something; "" for none."""
    if value is None:
        return ""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def spread(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)


def row(what: str, values: Sequence[float], unit: str, *, floor: Sequence[float] = (), aim: Aim | None = None) -> Row:
    """The median of *values* next to that of *floor*."""
    return Row(
        what,
        median(values),
        unit,
        median(floor) if floor else None,
        aim,
        spread(values) if len(values) > 1 else None,
    )
