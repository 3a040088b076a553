"""A tenant's colours from one accent: lightness is moved in OKLCH until text on it, and it on the page, can be read.

Hue and chroma stay the tenant's own; chroma is lowered only where a screen could not show the colour. Conversions and
matrices are Björn Ottosson's OKLab (2020); contrast is WCAG 2.2's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

MIN_CONTRAST = 4.5  # WCAG 2.2 AA for text
LIGHT_PAGE = "#f1efeb"  # the darkest surface of the light scheme that carries accent text: the hardest case
DARK_PAGE = "#1c1d21"  # the lightest surface of the dark scheme
# A white button on a white page, or a black one on a black page, is not seen as a button. Light pages ask for less:
# yellow has little contrast there and is seen very well.
MIN_FILL_CONTRAST = {LIGHT_PAGE: 1.2, DARK_PAGE: 1.5}
STEP = 0.005

Rgb = tuple[float, float, float]  # linear light, 0 to 1


@dataclass(frozen=True, slots=True)
class Scheme:
    """The accent in one scheme. All are `#rrggbb`."""

    accent: str  # fills of buttons, large marks
    on_accent: str  # text on `accent`
    accent_hover: str
    accent_text: str  # links and small text on the page


@dataclass(frozen=True, slots=True)
class Theme:
    light: Scheme
    dark: Scheme


def make_theme(accent: str) -> Theme:
    """*accent* is `#rrggbb`."""
    return Theme(light=_scheme(accent, page=LIGHT_PAGE), dark=_scheme(accent, page=DARK_PAGE))


def _scheme(accent: str, *, page: str) -> Scheme:
    fill, on_fill = readable_fill(_away_from(page, accent, MIN_FILL_CONTRAST[page]))
    away = -0.05 if on_fill == "#ffffff" else 0.05  # a hover moves away from its text, so contrast only grows
    return Scheme(
        accent=fill,
        on_accent=on_fill,
        accent_hover=shifted(fill, away),
        accent_text=readable_text(accent, page),
    )


def readable_fill(accent: str) -> tuple[str, str]:
    """(*accent* moved as little as needed, the black or white that reads on it at 4.5:1)."""
    white, black = "#ffffff", "#000000"
    if contrast(accent, white) >= MIN_CONTRAST:
        return accent, white
    # Between the two lies nothing unreadable: every colour has 4.5:1 with white or with black. White is preferred
    # where the colour is only a little too light for it, because that is what people expect of a strong colour.
    darker = _until(accent, -STEP, lambda colour: contrast(colour, white) >= MIN_CONTRAST)
    if to_oklch(accent)[0] - to_oklch(darker)[0] <= 0.12:
        return darker, white
    return accent, black


def readable_text(accent: str, page: str) -> str:
    """*accent* moved as little as needed to read at 4.5:1 on *page*."""
    return _away_from(page, accent, MIN_CONTRAST)


def _away_from(page: str, accent: str, ratio: float) -> str:
    """*accent*, darker on a light page or lighter on a dark one, until it has *ratio* to the page."""
    step = -STEP if luminance(page) > 0.18 else STEP
    return _until(accent, step, lambda colour: contrast(colour, page) >= ratio)


def shifted(colour: str, by: float) -> str:
    """*colour* with its OKLCH lightness moved by *by*."""
    lightness, chroma, hue = to_oklch(colour)
    return from_oklch(min(1.0, max(0.0, lightness + by)), chroma, hue)


def _until(colour: str, step: float, is_enough: Callable[[str], bool]) -> str:
    """*colour*, made darker (*step* < 0) or lighter until *is_enough*; black or white at the end of the way."""
    lightness, chroma, hue = to_oklch(colour)
    end = 0.0 if step < 0 else 1.0
    while not is_enough(colour) and lightness != end:
        lightness = min(1.0, max(0.0, lightness + step))
        colour = from_oklch(lightness, chroma, hue)
    return colour


def contrast(a: str, b: str) -> float:
    """WCAG contrast ratio, 1 to 21."""
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    red, green, blue = _linear(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def to_oklch(colour: str) -> tuple[float, float, float]:
    """(lightness 0 to 1, chroma, hue in radians)."""
    red, green, blue = _linear(colour)
    long = math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue)
    medium = math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue)
    short = math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue)
    lightness = 0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short
    a = 1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short
    b = 0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short
    return lightness, math.hypot(a, b), math.atan2(b, a)


def from_oklch(lightness: float, chroma: float, hue: float) -> str:
    """The nearest `#rrggbb` of the same lightness and hue: chroma is lowered until a screen can show it."""
    low, high = 0.0, chroma
    rgb = _to_linear(lightness, chroma, hue)
    if not _is_in_gamut(rgb):
        for _ in range(20):
            middle = (low + high) / 2
            low, high = (middle, high) if _is_in_gamut(_to_linear(lightness, middle, hue)) else (low, middle)
        rgb = _to_linear(lightness, low, hue)
    return "#" + "".join(f"{round(_encoded(min(1.0, max(0.0, part))) * 255):02x}" for part in rgb)


def _to_linear(lightness: float, chroma: float, hue: float) -> Rgb:
    a, b = chroma * math.cos(hue), chroma * math.sin(hue)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _is_in_gamut(rgb: Rgb) -> bool:
    return all(-0.0001 <= part <= 1.0001 for part in rgb)


def _linear(colour: str) -> Rgb:
    red, green, blue = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    return _decoded(red), _decoded(green), _decoded(blue)


def _decoded(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else math.pow((part + 0.055) / 1.055, 2.4)


def _encoded(part: float) -> float:
    return part * 12.92 if part <= 0.0031308 else 1.055 * math.pow(part, 1 / 2.4) - 0.055


def stylesheet(theme: Theme) -> str:
    """`/theme.css`: the tokens that `app.css` uses."""
    return f"{_rule(theme.light)}@media (prefers-color-scheme: dark) {{\n{_rule(theme.dark)}}}\n"


def _rule(scheme: Scheme) -> str:
    return (
        ":root {\n"
        f"  --accent: {scheme.accent};\n"
        f"  --on-accent: {scheme.on_accent};\n"
        f"  --accent-hover: {scheme.accent_hover};\n"
        f"  --accent-text: {scheme.accent_text};\n"
        "}\n"
    )
