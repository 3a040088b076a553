"""A stored answer as people read it. Pure."""

from __future__ import annotations

from datetime import date, datetime, time, tzinfo

from skep.webapp.i18n import Translator, dates
from skep.webapp.shop.catalog import Question


def in_words(question: Question, stored: str, zone: tzinfo, t: Translator) -> str:
    """In the reader's language; what no longer fits its question is shown as it is."""
    try:
        match question.kind:
            case "yes":
                return t("answer.yes") if stored == "yes" else t("answer.no")
            case "choice":
                return question.choices[int(stored)].text(t.language)
            case "date":
                return dates.plain_day(date.fromisoformat(stored), t.language)
            case "time":
                return dates.clock(datetime.combine(date.min, time.fromisoformat(stored)), t.language)
            case "moment":
                return dates.stamp(datetime.fromisoformat(stored).astimezone(zone), t.language)
            case "number":
                return stored.replace(".", ",") if t.language == "fr" else stored
    except (ValueError, IndexError):
        return stored
    return stored
