"""Tickets as PDF: a page a ticket, with its QR code, in the tenant's accent.

Drawn from a document of `shop.sheets` (a dict, because it may come through a pipe).
"""

from __future__ import annotations

import io
from typing import Any

from reportlab.graphics import renderPDF
from reportlab.graphics.barcode.qr import QrCodeWidget
from reportlab.graphics.shapes import Drawing
from reportlab.lib.colors import Color, HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from skep.webapp.bounded.paper import (
    BOLD,
    HEIGHT,
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
)  # fmt: skip

QR_SIZE = 62 * mm  # read by any phone from half a metre


def draw(document: dict[str, Any]) -> bytes:
    """The PDF file. The same document gives the same bytes."""
    register_fonts()
    output = io.BytesIO()
    canvas = Canvas(output, pagesize=A4, invariant=True, pageCompression=True)
    canvas.setTitle(document["tickets"][0]["title"] if document["tickets"] else document["site"])
    canvas.setAuthor(document["site"])
    canvas.setCreator("skep")
    canvas.setCatalogEntry("Lang", document["language"])
    for ticket in document["tickets"]:
        _Page(canvas, document, ticket).draw()
        canvas.showPage()
    canvas.save()
    return output.getvalue()


class _Page:
    def __init__(self, canvas: Canvas, document: dict[str, Any], ticket: dict[str, Any]) -> None:
        self._canvas = canvas
        self._document = document
        self._ticket = ticket
        self._y = TOP

    def draw(self) -> None:
        ticket, words = self._ticket, self._document["words"]
        self._band()
        self._text(ticket["title"], font=BOLD, size=22, lines=3)
        self._y -= 2 * mm
        self._text(ticket["kind"], size=13, colour=SOFT, lines=2)
        self._y -= 6 * mm
        below = self._y
        self._qr()
        right = RIGHT
        self._y, right = below, RIGHT - QR_SIZE - 8 * mm
        self._pair(words["holder"], [ticket["holder"]], right, font=BOLD, size=15)
        self._pair(words["when"], ticket["when"], right)
        if ticket["place"]:
            self._pair(words["where"], ticket["place"].splitlines(), right)
        self._pair(words["code"], [f"{ticket['reference']} · {ticket['number']}", ticket["price"]], right)
        self._y = min(self._y, below - QR_SIZE - 12 * mm)
        self._rule()
        self._text(words["show"], size=10)
        self._text(words["secret"], size=10, colour=SOFT)

    def _band(self) -> None:
        canvas, height = self._canvas, 18 * mm
        canvas.setFillColor(HexColor(self._document["accent"]))
        canvas.rect(0, HEIGHT - height, WIDTH, height, stroke=0, fill=1)
        canvas.setFillColor(HexColor(self._document["on_accent"]))
        canvas.setFont(BOLD, 13)
        canvas.drawString(LEFT, HEIGHT - height / 2 - 4.5, cut(self._document["site"], BOLD, 13, RIGHT - LEFT))
        self._y = HEIGHT - height - 16 * mm

    def _text(
        self, text: str, *, font: str = PLAIN, size: float = 11, colour: Color = INK, lines: int = 4,
        right: float = RIGHT,
    ) -> None:  # fmt: skip
        self._canvas.setFillColor(colour)
        self._canvas.setFont(font, size)
        for line in wrapped(text, font, size, right - LEFT, lines):
            self._canvas.drawString(LEFT, self._y, line)
            self._y -= size * 1.35

    def _pair(self, label: str, values: list[str], right: float, *, font: str = PLAIN, size: float = 11) -> None:
        self._text(label, size=9, colour=SOFT, lines=1, right=right)
        self._y -= size - 9  # the next line is set on its foot, and larger letters reach higher
        for value in values[:4]:
            self._text(value, font=font, size=size, lines=3, right=right)
        self._y -= 3.5 * mm

    def _qr(self) -> None:
        """Error correction M: a creased ticket still reads."""
        widget = QrCodeWidget(self._ticket["code"], barLevel="M", barWidth=QR_SIZE, barHeight=QR_SIZE, barBorder=4)
        drawing = Drawing(QR_SIZE, QR_SIZE)
        drawing.add(widget)
        renderPDF.draw(drawing, self._canvas, RIGHT - QR_SIZE, self._y - QR_SIZE + 8 * mm)

    def _rule(self) -> None:
        self._canvas.setStrokeColor(LINE)
        self._canvas.line(LEFT, self._y, RIGHT, self._y)
        self._y -= 8 * mm
