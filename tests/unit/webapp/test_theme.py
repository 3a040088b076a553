"""Any accent becomes a theme that can be read."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from skep.webapp.theme import (
    DARK_PAGE,
    LIGHT_PAGE,
    MIN_CONTRAST,
    contrast,
    from_oklch,
    make_theme,
    stylesheet,
    to_oklch,
)

COLOURS = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


@given(COLOURS)
@example("#000000")
@example("#ffffff")
@example("#ffff00")
@example("#777777")
def test_text_on_the_accent_and_the_accent_as_text_can_be_read(accent: str) -> None:
    theme = make_theme(accent)
    for scheme, page in ((theme.light, LIGHT_PAGE), (theme.dark, DARK_PAGE)):
        assert contrast(scheme.accent, scheme.on_accent) >= MIN_CONTRAST
        assert contrast(scheme.accent_hover, scheme.on_accent) >= MIN_CONTRAST
        assert contrast(scheme.accent_text, page) >= MIN_CONTRAST
        assert contrast(scheme.accent, page) >= 1.2  # a button is seen as one


@given(COLOURS)
def test_a_colour_survives_the_way_through_oklch(colour: str) -> None:
    back = from_oklch(*to_oklch(colour))
    for start in (1, 3, 5):
        assert abs(int(back[start : start + 2], 16) - int(colour[start : start + 2], 16)) <= 1


@pytest.mark.parametrize(
    ("accent", "fill", "on"),
    [
        pytest.param("#0a7d5a", "#0a7d5a", "#ffffff", id="dark enough: untouched"),
        pytest.param("#ffd400", "#ffd400", "#000000", id="yellow keeps its colour under black"),
    ],
)
def test_an_accent_that_can_be_read_stays_what_the_tenant_chose(accent: str, fill: str, on: str) -> None:
    light = make_theme(accent).light
    assert (light.accent, light.on_accent) == (fill, on)


def test_white_is_known_to_have_21_to_1_on_black() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)


def test_the_stylesheet_has_both_schemes_and_nothing_else_to_fetch() -> None:
    text = stylesheet(make_theme("#0a7d5a"))
    assert text.count("--accent:") == 2
    assert "prefers-color-scheme: dark" in text
    assert "url(" not in text
