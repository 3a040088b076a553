"""A QR code for a page: the path of its dark squares, one unit each, for `<path d>` in an SVG of our own."""

from __future__ import annotations

from typing import Any

from reportlab.graphics.barcode.qrencoder import QRCode, QRErrorCorrectLevel

BORDER = 4  # squares that stay white, as scanners ask


def draw_code(text: str) -> str:
    """`<size> <path>`: the squares of a side with its border, then the path."""
    code: Any = QRCode(None, QRErrorCorrectLevel.M)
    code.addData(text)
    code.make()
    side = code.getModuleCount()
    rows = []
    for y in range(side):
        x = 0
        while x < side:
            run = 0
            while x + run < side and code.isDark(y, x + run):
                run += 1
            if run:
                rows.append(f"M{x + BORDER} {y + BORDER}h{run}v1h-{run}z")
            x += run + 1
    return f"{side + 2 * BORDER} {''.join(rows)}"
