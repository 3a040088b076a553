"""Texts in several languages, as they stand in JSONB columns."""

from __future__ import annotations

import json
from dataclasses import dataclass

from skep.webapp.i18n import text_in


@dataclass(frozen=True, slots=True)
class Texts:
    """A text in several languages, with fallback to the event's own."""

    by_language: dict[str, str]
    own: str

    def __bool__(self) -> bool:
        return any(self.by_language.values())

    def text(self, language: str) -> str:
        return text_in(self.by_language, language, self.own)[0]

    def lang(self, language: str) -> str:
        """The language that `text` answers in: the page marks it for screen readers."""
        return text_in(self.by_language, language, self.own)[1]


def texts(language: str, text: str) -> str:
    """*text* for a JSONB column."""
    return json.dumps({language: text}, ensure_ascii=False)


def paragraphs(text: str) -> list[list[str]]:
    """Lines grouped into paragraphs: a blank line starts a new one."""
    groups: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.strip():
            groups[-1].append(line.rstrip())
        elif groups[-1]:
            groups.append([])
    return [group for group in groups if group]
