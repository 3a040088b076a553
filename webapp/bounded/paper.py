"""What every printed page has in common: the fonts, the margins, the colours, and lines that fit.

The fonts are part of the file, so that names look right everywhere; they know Latin, Greek and Cyrillic letters and
more, and no Chinese or Japanese.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.lib.utils import simpleSplit
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

FONTS_DIR = Path(__file__).parent.parent / "fonts"
PLAIN, BOLD = "DejaVuSans", "DejaVuSans-Bold"
WIDTH, HEIGHT = A4
LEFT, RIGHT, TOP = 22 * mm, WIDTH - 22 * mm, HEIGHT - 22 * mm
INK, SOFT, LINE = HexColor("#1b1b1f"), HexColor("#5b5b64"), HexColor("#d9d7d2")


@cache
def register_fonts() -> None:
    for name in (PLAIN, BOLD):
        pdfmetrics.registerFont(TTFont(name, FONTS_DIR / f"{name}.ttf"))


def wrapped(text: str, font: str, size: float, width: float, most: int) -> list[str]:
    """Lines that fit; a word longer than the line is cut, and what is too much ends in an ellipsis."""
    lines = simpleSplit(text, font, size, width) or [""]
    if len(lines) > most:
        lines = [*lines[: most - 1], f"{lines[most - 1]} …"]
    return [cut(line, font, size, width) for line in lines]


def cut(text: str, font: str, size: float, width: float) -> str:
    if pdfmetrics.stringWidth(text, font, size) <= width:
        return text
    while text and pdfmetrics.stringWidth(f"{text}…", font, size) > width:
        text = text[:-1]
    return f"{text}…"
