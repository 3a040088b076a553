"""Calendars of events, RFC 5545: one entry a session, with an identity that stays when its time changes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from skep.webapp.shop.catalog import Session
from skep.webapp.store.events import Event

_STATUS = {"cancelled": "CANCELLED", "postponed": "TENTATIVE"}  # else it takes place


def render(
    entries: Iterable[tuple[Event, tuple[Session, ...], str]],
    language: str,
    site: str,
    now: datetime,
    *,
    name: str = "",
) -> str:
    """A file with the sessions of these events, each with the address of its page. *site* makes identities unique.

    SEQUENCE grows with every change of the event or the session, so that a calendar takes over the last word. Moments
    are in UTC, which every calendar shows in its reader's zone.
    """
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//skep//events//EN"]
    if name:
        lines += [f"NAME:{_text(name)}", f"X-WR-CALNAME:{_text(name)}", "REFRESH-INTERVAL;VALUE=DURATION:PT1H"]
    for event, sessions, address in entries:
        for session in sessions:
            lines += _entry(event, session, language, address, site, now)
    lines.append("END:VCALENDAR")
    return "".join(f"{_folded(line)}\r\n" for line in lines)


def _entry(event: Event, session: Session, language: str, address: str, site: str, now: datetime) -> list[str]:
    part = session.title.text(language)
    title = event.title.text(language)
    place = event.place.text(language)
    notice = event.notice.text(language)
    return [
        "BEGIN:VEVENT",
        f"UID:{session.id}@{site}",
        f"SEQUENCE:{event.version + session.version - 2}",
        f"DTSTAMP:{_moment(now)}",
        f"DTSTART:{_moment(session.starts_at)}",
        f"DTEND:{_moment(session.ends_at)}",
        f"SUMMARY:{_text(f'{title}: {part}' if part else title)}",
        *([f"LOCATION:{_text(place)}"] if place else []),
        *([f"DESCRIPTION:{_text(notice)}"] if notice and event.status in _STATUS else []),
        f"URL:{address}",
        f"STATUS:{'TENTATIVE' if event.status == 'draft' else _STATUS.get(event.status, 'CONFIRMED')}",
        "END:VEVENT",
    ]


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _text(text: str) -> str:
    bare = text.replace("\r\n", "\n").replace("\r", "\n")
    return bare.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def _folded(line: str) -> str:
    """At most 75 bytes a line, never inside a character."""
    parts: list[str] = []
    part = ""
    for letter in line:
        if len((part + letter).encode()) > (75 if not parts else 74):
            parts.append(part)
            part = ""
        part += letter
    return "\r\n ".join([*parts, part])
