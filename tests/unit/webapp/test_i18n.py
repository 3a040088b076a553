"""Both languages say everything, and French is set as French printers set it."""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from skep.webapp.http.pages import TEMPLATES_DIR
from skep.webapp.i18n import CATALOGS, Translator, dates, negotiate, text_in

WEBAPP = TEMPLATES_DIR.parent
PARIS = ZoneInfo("Europe/Paris")


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def test_both_catalogs_have_the_same_keys() -> None:
    assert set(CATALOGS["en"]) == set(CATALOGS["fr"])


@pytest.mark.parametrize("key", sorted(CATALOGS["en"]))
def test_both_languages_use_the_same_values(key: str) -> None:
    english, french = placeholders(CATALOGS["en"][key]), placeholders(CATALOGS["fr"][key])
    if key.endswith(".one"):  # English may say "1 place", French counts 0 as one too and must say the number
        assert english | {"count"} == french | {"count"}
    else:
        assert english == french


@pytest.mark.parametrize(("key", "text"), sorted(CATALOGS["fr"].items()))
def test_french_punctuation_never_stands_alone_on_a_line(key: str, text: str) -> None:
    assert not re.search(r"[^\u202f][;!?]", text), "a narrow no-break space goes before ; ! ?"
    assert not re.search(r"[^\u00a0:]:", text), "a no-break space goes before :"
    assert not re.search("«[^\u00a0]|[^\u00a0]»", text)
    assert "'" not in text, "the typographic apostrophe"


def test_english_uses_typographic_apostrophes_too() -> None:
    assert not [key for key, text in CATALOGS["en"].items() if "'" in text]


def test_every_key_is_used_and_every_used_key_exists() -> None:
    sources = [*TEMPLATES_DIR.rglob("*.html"), *(p for p in WEBAPP.rglob("*.py") if "i18n" not in p.parts)]
    text = "\n".join(path.read_text() for path in sources)
    used = set(re.findall(r"\bt(?:\.n)?\(\s*\"([a-z.-]+)\"", text)) | set(
        re.findall(r"\"((?:wrong|invite)\.[a-z.]+)\"", text)
    )
    # `"error." ~ key` in a template; `f"refused.{reason}"` in a module
    made_of_parts = {key for key in used if key.endswith((".", "-"))} | {
        "refused.",
        "note.",
        "wrong.",
        "mail.",
        "ticket.",
        "outbox.kind.",
        "outbox.why.",
        "picture.",
        "invoice.title.",
        "invoice.head.",
        "method.",
        "csv.",
        "audit.",
    }
    keys = set(CATALOGS["en"])
    bare = keys | {re.sub(r"\.(one|other)$", "", key) for key in keys}
    assert {key for key in used if key not in bare and key not in made_of_parts} == set()
    unused = {
        key
        for key in keys
        if key not in used
        and re.sub(r"\.(one|other)$", "", key) not in used
        and not any(key.startswith(part) for part in made_of_parts)
    }
    assert unused == set()


@pytest.mark.parametrize(
    ("header", "language"),
    [
        pytest.param("fr", "fr", id="plain"),
        pytest.param("fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", "fr", id="a browser's"),
        pytest.param("de, en;q=0.3, fr;q=0.7", "fr", id="by quality"),
        pytest.param("en;q=0, fr;q=0.1", "fr", id="refused"),
        pytest.param("EN-gb", "en", id="case"),
        pytest.param("de", None, id="neither"),
        pytest.param("", None, id="none"),
        pytest.param("fr;q=high, ;;;,,,", None, id="rubbish"),
        pytest.param("fr;q=nan", None, id="not a number"),
    ],
)
def test_the_best_language_is_chosen(header: str, language: str | None) -> None:
    assert negotiate(header) == language


def test_texts_fall_back_to_the_events_own_language() -> None:
    texts = {"fr": "Soirée", "en": ""}
    assert text_in(texts, "en", "fr") == ("Soirée", "fr")
    assert text_in({"de": "Abend"}, "en", "fr") == ("Abend", "de")
    assert text_in({}, "en", "fr") == ("", "fr")


@pytest.mark.parametrize(
    ("count", "english", "french"),
    [
        (0, "0 places left", "0 place restante"),
        (1, "1 place left", "1 place restante"),
        (1200, "1,200 places left", "1\u202f200 places restantes"),
    ],
)
def test_plurals_follow_each_language(count: int, english: str, french: str) -> None:
    assert Translator("en").n("event.left", count) == english
    assert Translator("fr").n("event.left", count) == french


@pytest.mark.parametrize(
    ("ends", "english", "french"),
    [
        pytest.param(
            datetime(2026, 6, 1, 22, 30, tzinfo=PARIS),
            ("Monday 1\u00a0June 2026", "19:00\u00a0–\u00a022:30"),
            ("lundi 1er\u00a0juin 2026", "19\u00a0h\u00a000\u00a0–\u00a022\u00a0h\u00a030"),
            id="an evening",
        ),
        pytest.param(
            datetime(2026, 6, 2, 3, 0, tzinfo=PARIS),
            ("Monday 1\u00a0June 2026", "19:00\u00a0–\u00a003:00"),
            ("lundi 1er\u00a0juin 2026", "19\u00a0h\u00a000\u00a0–\u00a03\u00a0h\u00a000"),
            id="a night is one day",
        ),
        pytest.param(
            datetime(2026, 6, 3, 12, 0, tzinfo=PARIS),
            ("Monday 1\u00a0June 2026, 19:00", "to Wednesday 3\u00a0June 2026, 12:00"),
            ("lundi 1er\u00a0juin 2026, 19\u00a0h\u00a000", "au mercredi 3\u00a0juin 2026, 12\u00a0h\u00a000"),
            id="several days",
        ),
    ],
)
def test_periods_in_words(ends: datetime, english: tuple[str, str], french: tuple[str, str]) -> None:
    starts = datetime(2026, 6, 1, 19, 0, tzinfo=PARIS)
    assert dates.period(starts, ends, "en") == english
    assert dates.period(starts, ends, "fr") == french


@pytest.mark.parametrize(
    ("zone", "english", "french"),
    [
        ("Europe/Paris", "Paris time (UTC+1)", "heure de Paris (UTC+1)"),
        ("America/New_York", "New York time (UTC−5)", "heure de New York (UTC−5)"),
        ("Asia/Kolkata", "Kolkata time (UTC+5:30)", "heure de Kolkata (UTC+5:30)"),
        ("Europe/Athens", "Athens time (UTC+2)", "heure d’Athens (UTC+2)"),
        ("America/Argentina/Buenos_Aires", "Buenos Aires time (UTC−3)", "heure de Buenos Aires (UTC−3)"),
        ("UTC", "UTC", "UTC"),
    ],
)
def test_zones_in_words(zone: str, english: str, french: str) -> None:
    moment = datetime(2026, 1, 15, 12, 0, tzinfo=ZoneInfo(zone))
    assert dates.zone_words(moment, zone, "en") == english
    assert dates.zone_words(moment, zone, "fr") == french


def test_no_template_holds_words_of_its_own() -> None:
    """Words belong into the catalogs: outside of tags, attributes and expressions a template has no letters."""
    found: list[tuple[str, str]] = []
    for path in sorted(TEMPLATES_DIR.rglob("*.html")):
        text = re.sub(r"\{% block body_class %\}\w+|(?s:\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\})", "", path.read_text())
        text = re.sub(r"<[^>]*>|[\w-]+=\"[^\"]*\"", "", text)
        found += [(path.name, word) for word in re.findall(r"[A-Za-zÀ-ÿ]{2,}", text)]
    assert found == []
