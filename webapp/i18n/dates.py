"""Dates and times in words, always with their zone.

By hand for two languages: babel's data would cost each process more memory than the rest of the app's words.
"""

from __future__ import annotations

from datetime import date, datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

MONTHS = {
    "en": [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
    "fr": [
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ],
}
SHORT_MONTHS = {
    "en": ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
    "fr": ["janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."],
}
WEEKDAYS = {
    "en": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
    "fr": ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"],
}
NBSP = "\u00a0"


@lru_cache(maxsize=64)
def zone(name: str) -> tzinfo:
    """The zone of an IANA name. Raises ValueError if there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, OSError) as error:
        raise ValueError(f"unknown time zone {name!r}") from error


def day(moment: datetime, language: str) -> str:
    """Friday 4 December 2026; vendredi 4 décembre 2026; lundi 1er juin 2026."""
    number = "1er" if language == "fr" and moment.day == 1 else str(moment.day)
    month = MONTHS[language][moment.month - 1]
    return f"{WEEKDAYS[language][moment.weekday()]} {number}{NBSP}{month} {moment.year}"


def plain_day(day: date, language: str) -> str:
    """4 December 2026; 4 décembre 2026; 1er juin 2026."""
    number = "1er" if language == "fr" and day.day == 1 else str(day.day)
    return f"{number}{NBSP}{MONTHS[language][day.month - 1]} {day.year}"


def short_day(day: date, language: str) -> str:
    """4 Dec 2026; 4 déc. 2026."""
    return f"{day.day}{NBSP}{SHORT_MONTHS[language][day.month - 1]} {day.year}"


def short_weekday(moment: datetime, language: str) -> str:
    """Fri; ven."""
    name = WEEKDAYS[language][moment.weekday()][:3]
    return f"{name}." if language == "fr" else name


def month(moment: date, language: str) -> str:
    """December 2026; décembre 2026."""
    return f"{MONTHS[language][moment.month - 1]} {moment.year}"


def clock(moment: datetime, language: str) -> str:
    """19:30 in English, 19 h 30 in French."""
    if language == "fr":
        return f"{moment.hour}{NBSP}h{NBSP}{moment.minute:02}"
    return f"{moment.hour:02}:{moment.minute:02}"


def period(starts_at: datetime, ends_at: datetime, language: str) -> tuple[str, str]:
    """Two lines, of moments in the event's own zone: the day and its hours, or the beginning and the end.

    ("Friday 4 December 2026", "19:00 – 22:00"); ("Friday 4 December 2026, 19:00", "to Sunday 6 December 2026, 12:00").
    """
    hours = f"{clock(starts_at, language)}{NBSP}–{NBSP}{clock(ends_at, language)}"
    short = (ends_at - starts_at).total_seconds() < 18 * 3600  # a night out that ends at 3 is one evening
    if starts_at.date() == ends_at.date() or short:
        return day(starts_at, language), hours
    until = {"en": "to", "fr": "au"}[language]
    return (
        f"{day(starts_at, language)}, {clock(starts_at, language)}",
        f"{until} {day(ends_at, language)}, {clock(ends_at, language)}",
    )


def zone_words(moment: datetime, name: str, language: str) -> str:
    """Paris time (UTC+1); heure de Paris (UTC+1); UTC."""
    offset = moment.utcoffset()
    minutes = 0 if offset is None else int(offset.total_seconds() // 60)
    hours, rest = divmod(abs(minutes), 60)
    utc = "UTC" if not minutes else f"UTC{'+' if minutes > 0 else '−'}{hours}{f':{rest:02}' if rest else ''}"
    area, _, city = name.rpartition("/")
    if not area or area == "Etc":
        return utc
    city = city.replace("_", " ")
    if language == "fr":
        link = "d’" if city[0] in "AEIOUYH" else "de "
        return f"heure {link}{city} ({utc})"
    return f"{city} time ({utc})"


def stamp(moment: datetime, language: str) -> str:
    """A short date and time for tables: 4 Dec 2026, 19:30."""
    month = SHORT_MONTHS[language][moment.month - 1]
    return f"{moment.day}{NBSP}{month} {moment.year}, {clock(moment, language)}"
