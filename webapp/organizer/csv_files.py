"""CSV as spreadsheets read it: UTF-8 with its mark, the reader's separator, and nothing that runs as a formula.

Sent a piece at a time: an export of a hundred thousand lines needs the memory of a few hundred.
"""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import AsyncIterator, Sequence
from typing import TypeAlias

from aiohttp import web

from skep.webapp.errors import DatabaseDown
from skep.webapp.i18n import Translator, money

log = logging.getLogger(__name__)

Cell: TypeAlias = str | int | None
MARK = "\ufeff"  # without it Excel takes UTF-8 for something else
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


class Number(str):
    """Digits of ours, with a sign perhaps: what no spreadsheet takes for more."""


def cell(value: Cell) -> str:
    """A text that a spreadsheet might run gets an apostrophe before it; numbers are numbers."""
    if value is None:
        return ""
    if isinstance(value, int | Number):
        return str(value)
    return f"'{value}" if value.lstrip(" ").startswith(_FORMULA) else value


def amount(minor: int, currency: str, t: Translator) -> Number:
    """A plain number: 1250.00; 1250,00 for French spreadsheets."""
    digits = money.DIGITS.get(currency, 2)
    whole, rest = divmod(abs(minor), 10**digits)
    text = f"{whole}.{rest:0{digits}}" if digits else str(whole)
    return Number(("-" if minor < 0 else "") + (text.replace(".", ",") if t.language == "fr" else text))


def line(cells: Sequence[Cell], t: Translator) -> str:
    output = io.StringIO()
    # French spreadsheets split at semicolons: their comma is in numbers.
    csv.writer(output, delimiter=";" if t.language == "fr" else ",", lineterminator="\r\n").writerow(map(cell, cells))
    return output.getvalue()


async def stream(
    request: web.Request, name: str, t: Translator, head: Sequence[str], pieces: AsyncIterator[Sequence[Sequence[Cell]]]
) -> web.StreamResponse:
    """Answer with *head* and the rows of all *pieces*. A database that goes away meanwhile ends the answer unfinished."""
    first = await anext(pieces, ())  # before anything is said: it may still become another answer
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/csv; charset=utf-8",
            "Content-Disposition": f'attachment; filename="{name}.csv"',
            "Cache-Control": "no-store",
        }
    )
    await response.prepare(request)
    await response.write((MARK + line(head, t) + "".join(line(row, t) for row in first)).encode(errors="replace"))
    try:
        async for rows in pieces:
            await response.write("".join(line(row, t) for row in rows).encode(errors="replace"))
    except DatabaseDown as error:
        log.warning("export broken off", extra={"reason": str(error)})
        if request.transport is not None:
            request.transport.abort()
        return response
    await response.write_eof()
    return response
