"""The reader's language: which one, its words, and an event's texts in it.

Words are in `en/` and `fr/`, a module a room, one key a sentence; a plural has the keys `x.one` and `x.other`.
"""

from __future__ import annotations

from collections.abc import Mapping

from skep.webapp.i18n import en, fr, money

CATALOGS: Mapping[str, Mapping[str, str]] = {"en": en.MESSAGES, "fr": fr.MESSAGES}
NAMES: Mapping[str, str] = {"en": "English", "fr": "Français"}
FALLBACK = "en"


def negotiate(accept_language: str) -> str | None:
    """The best language of ours for an `Accept-Language` header; None if it asks for none of them."""
    best: tuple[float, str] | None = None
    for part in accept_language[:500].split(","):
        tag, _, parameters = part.strip().partition(";")
        language = tag.strip().lower().partition("-")[0]
        quality = _quality(parameters)
        if language in CATALOGS and quality > 0 and (best is None or quality > best[0]):
            best = (quality, language)
    return None if best is None else best[1]


def _quality(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return min(1.0, max(0.0, float(value)))
    except ValueError:
        return 0.0


def text_in(texts: Mapping[str, str], language: str, own: str) -> tuple[str, str]:
    """(text, the language it is in): the reader's, else the event's *own*, else any."""
    for candidate in (language, own, *sorted(texts)):
        if text := texts.get(candidate):
            return text, candidate
    return "", own


class Translator:
    """The words of one language. A missing key is a bug and raises KeyError; tests keep the catalogs complete."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._messages = CATALOGS[language]

    def __call__(self, key: str, **values: object) -> str:
        return self._messages[key].format(**values)

    def n(self, key: str, count: int, **values: object) -> str:
        """The plural form for *count*: French counts 0 and 1 as one, English only 1."""
        one = count in (0, 1) if self.language == "fr" else count == 1
        return self(f"{key}.{'one' if one else 'other'}", count=self.number(count), **values)

    def number(self, value: int) -> str:
        """With the language's thousands separator."""
        return f"{value:,}".replace(",", "\u202f" if self.language == "fr" else ",")

    def money(self, amount: int, currency: str) -> str:
        """*amount* in minor units: €12.50 in English, 12,50 € in French."""
        return money.text(amount, currency, self.language)

    def percent(self, basis_points: int) -> str:
        """5.5% in English, 5,5 % in French."""
        number = f"{basis_points / 100:g}"
        return f"{number.replace('.', ',')}\u202f%" if self.language == "fr" else f"{number}%"
