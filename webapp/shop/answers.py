"""Answers to an event's questions: from what was typed to what is stored. Pure.

A date or a time is what it is, wherever it is read: it is stored as typed. A moment is stored in UTC.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, tzinfo
from typing import Literal

from skep.webapp.shop.catalog import Question

Problem = Literal["missing", "long", "choice", "number", "date", "time", "moment"]

LINE_LIMIT = 200
TEXT_LIMIT = 2000


class AnswerRefused(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem


def parse(question: Question, typed: str, zone: tzinfo) -> str | None:
    """What is stored; None if nothing was answered and nothing needs to be. Raises AnswerRefused."""
    text = typed.strip()
    if question.kind == "yes":
        if text == "yes":
            return "yes"
        if question.is_required:
            raise AnswerRefused("missing")
        return "no"
    if not text:
        if question.is_required:
            raise AnswerRefused("missing")
        return None
    match question.kind:
        case "line" | "text":
            if len(text) > (LINE_LIMIT if question.kind == "line" else TEXT_LIMIT):
                raise AnswerRefused("long")
            return text
        case "choice":
            if not text.isascii() or not text.isdigit() or len(text) > 3 or int(text) >= len(question.choices):
                raise AnswerRefused("choice")
            return str(int(text))
        case "number":
            bare = text.replace(",", ".").replace("\u00a0", "").replace("\u202f", "").replace(" ", "")
            if len(bare) > 20 or not bare.lstrip("-").replace(".", "", 1).isdecimal() or not bare.isascii():
                raise AnswerRefused("number")
            return bare
        case "date":
            try:
                return date.fromisoformat(text).isoformat()
            except ValueError as error:
                raise AnswerRefused("date") from error
        case "time":
            try:
                return time.fromisoformat(text).isoformat("minutes")
            except ValueError as error:
                raise AnswerRefused("time") from error
        case "moment":
            try:
                local = datetime.fromisoformat(text)
            except ValueError as error:
                raise AnswerRefused("moment") from error
            return local.replace(tzinfo=zone).astimezone(UTC).isoformat()
    raise ValueError(f"unknown kind of question {question.kind!r}")


def shown(question: Question, stored: str, zone: tzinfo) -> str:
    """A stored answer as a form shows it, in the event's zone: the inverse of `parse`."""
    if question.kind == "moment":
        return datetime.fromisoformat(stored).astimezone(zone).strftime("%Y-%m-%dT%H:%M")
    return stored
