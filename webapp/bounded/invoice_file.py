"""Invoices and credit notes as PDF, drawn from nothing but the texts that were stored when they were issued.

No theme, no settings, no clock: the same document gives the same file, years later too. A change of the looks is a new
layout beside the old one (`document["layout"]`).
"""

from __future__ import annotations

import io
from typing import Any

from reportlab.lib.colors import Color
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfgen.canvas import Canvas

from skep.webapp.bounded.paper import (
    BOLD,
    INK,
    LEFT,
    LINE,
    PLAIN,
    RIGHT,
    SOFT,
    TOP,
    WIDTH,
    cut,
    register_fonts,
    wrapped,
)

BOTTOM = 34 * mm
COLUMNS = (LEFT, 118 * mm, 142 * mm, 160 * mm, RIGHT)  # the first begins there, the others end there


def draw(document: dict[str, Any]) -> bytes:
    """The PDF file. The same document gives the same bytes."""
    register_fonts()
    output = io.BytesIO()
    canvas = Canvas(output, pagesize=A4, invariant=True, pageCompression=True)
    number = document["facts"][0][1]
    canvas.setTitle(f"{document['title']} {number}")
    canvas.setAuthor(document["seller"][0])
    canvas.setCreator("skep")
    canvas.setCatalogEntry("Lang", document["language"])
    _Paper(canvas, document).draw()
    canvas.save()
    return output.getvalue()


class _Paper:
    def __init__(self, canvas: Canvas, document: dict[str, Any]) -> None:
        self._canvas = canvas
        self._document = document
        self._y = TOP

    def draw(self) -> None:
        document = self._document
        for place, text in enumerate(document["seller"][:8]):
            self._text(text, font=PLAIN if place else BOLD, size=10)
        self._y -= 10 * mm
        top = self._y
        self._text(document["buyer"], size=9, colour=SOFT)
        self._text(document["name"], font=BOLD, size=11, right=LEFT + 80 * mm, lines=3)
        below, self._y = self._y, top
        for label, value in document["facts"]:
            self._right(label, 150 * mm, colour=SOFT)
            self._right(cut(value, PLAIN, 9, RIGHT - 152 * mm), RIGHT)
            self._y -= 13
        self._y = min(self._y, below) - 12 * mm
        self._text(document["title"], font=BOLD, size=20)
        self._y -= 2 * mm
        self._text(document["event"], size=11, colour=SOFT, lines=2)
        self._y -= 6 * mm
        self._head()
        for cells in document["lines"]:
            self._line(cells)
        self._totals()
        self._foot()

    def _head(self) -> None:
        for place, (text, x) in enumerate(zip(self._document["head"], COLUMNS, strict=True)):
            if place:
                self._right(text, x, colour=SOFT)
            else:
                self._left(text, x, colour=SOFT)
        self._rule()

    def _line(self, cells: list[str]) -> None:
        parts = wrapped(cells[0], PLAIN, 10, 82 * mm, 3)
        self._room((len(parts) * 14 + 8), again=True)
        for text, x in zip(cells[1:], COLUMNS[1:], strict=True):
            self._right(text, x, size=10, colour=INK)
        for part in parts:
            self._left(part, LEFT, size=10)
            self._y -= 14
        self._y += 5
        self._rule()

    def _totals(self) -> None:
        document = self._document
        self._room((len(document["rates"]) + len(document["totals"]) + 2) * 15)
        self._y -= 2 * mm
        for cells in document["rates"]:
            for text, x in zip(cells, (100 * mm, 142 * mm, RIGHT), strict=True):
                self._right(text, x, colour=SOFT)
            self._y -= 13
        self._y -= 3 * mm
        *rest, (label, amount) = document["totals"]
        for name, value in rest:
            self._right(name, 150 * mm, size=10, colour=SOFT)
            self._right(value, RIGHT, size=10, colour=INK)
            self._y -= 15
        self._right(label, 150 * mm, size=12, font=BOLD, colour=INK)
        self._right(amount, RIGHT, size=12, font=BOLD, colour=INK)

    def _foot(self) -> None:
        y = BOTTOM - 8 * mm
        self._canvas.setStrokeColor(LINE)
        self._canvas.line(LEFT, y + 12, RIGHT, y + 12)
        self._canvas.setFillColor(SOFT)
        self._canvas.setFont(PLAIN, 8)
        for text in self._document["footer"][:5]:
            self._canvas.drawString(LEFT, y, cut(text, PLAIN, 8, RIGHT - LEFT))
            y -= 11
        self._canvas.drawRightString(WIDTH - 22 * mm, 10 * mm, str(self._canvas.getPageNumber()))
        self._canvas.showPage()

    def _room(self, height: float, *, again: bool = False) -> None:
        """A new page if there is none left, with the columns' names if the lines go on."""
        if self._y - height > BOTTOM:
            return
        self._foot()
        self._y = TOP
        if again:
            self._head()

    def _rule(self) -> None:
        self._y -= 5
        self._canvas.setStrokeColor(LINE)
        self._canvas.line(LEFT, self._y, RIGHT, self._y)
        self._y -= 14

    def _text(
        self,
        text: str,
        *,
        font: str = PLAIN,
        size: float = 11,
        colour: Color = INK,
        right: float = RIGHT,
        lines: int = 1,
    ) -> None:
        self._canvas.setFillColor(colour)
        self._canvas.setFont(font, size)
        for part in wrapped(text, font, size, right - LEFT, lines):
            self._canvas.drawString(LEFT, self._y, part)
            self._y -= size * 1.35

    def _left(self, text: str, x: float, *, size: float = 9, colour: Color = INK) -> None:
        self._canvas.setFillColor(colour)
        self._canvas.setFont(PLAIN, size)
        self._canvas.drawString(x, self._y, text)

    def _right(self, text: str, x: float, *, size: float = 9, font: str = PLAIN, colour: Color = INK) -> None:
        self._canvas.setFillColor(colour)
        self._canvas.setFont(font, size)
        self._canvas.drawString(x - pdfmetrics.stringWidth(text, font, size), self._y, text)
