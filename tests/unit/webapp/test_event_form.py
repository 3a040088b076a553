"""What an organizer writes: every mistake has its sentence, and what is right becomes a draft."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from skep.webapp.http.forms import Form
from skep.webapp.i18n import Translator
from skep.webapp.organizer import event_form
from tests.rig.visitor import event_fields


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        pytest.param({"title": "  "}, "Give the event a title.", id="no title"),
        pytest.param({"title": "x" * 201}, "Use at most 200 characters.", id="long title"),
        pytest.param({"title": "a\x00b"}, "Remove the control characters.", id="NUL"),
        pytest.param({"starts": "tomorrow"}, "Say when the event starts.", id="no date"),
        pytest.param({"starts": "2090-02-30T10:00"}, "Say when the event starts.", id="no such day"),
        pytest.param({"starts": "9999-12-31T23:59"}, "Choose a date between 2000 and 2099.", id="far future"),
        pytest.param({"ends": "2090-12-04T18:00"}, "The end must be after the start.", id="ends before it starts"),
        pytest.param({"ends": "2092-12-04T18:00"}, "An event lasts at most 366 days.", id="endless"),
        pytest.param({"timezone": "Europe/Atlantis"}, "Choose a time zone from the list", id="no such zone"),
        pytest.param({"timezone": "../../etc/passwd"}, "Choose a time zone from the list", id="a path as zone"),
        pytest.param({"timezone": "America"}, "Choose a time zone from the list", id="a folder as zone"),
        pytest.param(
            {"starts": "2030-03-31T02:30", "ends": "2030-03-31T05:00"}, "this time does not exist", id="skipped hour"
        ),
        pytest.param({"capacity": "0"}, "Write a whole number from 1", id="no places"),
        pytest.param({"capacity": "٣"}, "Write a whole number from 1", id="other digits"),
        pytest.param({"capacity": "1e5"}, "Write a whole number from 1", id="not whole"),
        pytest.param({"language": "tlh"}, "Choose one of the languages.", id="no such language"),
        pytest.param({"description": "x" * 20_001}, "Use at most 20,000 characters.", id="long description"),
    ],
)
def test_a_mistake_is_named_beside_its_field(changes: dict[str, str], sentence: str) -> None:
    form = Form(Translator("en"), event_fields(**changes))
    assert event_form.parse(form, is_new=True) is None
    assert [message for message in form.errors.values() if sentence in message] != []
    assert set(form.errors) <= set(form.values)
    assert form.values == event_fields(**changes)  # what was typed is kept


def test_local_times_are_those_of_the_place() -> None:
    draft = event_form.parse(
        Form(Translator("fr"), event_fields(timezone="America/New_York", capacity="1\u202f200")), is_new=True
    )
    assert draft is not None
    assert draft.starts_at.astimezone(UTC) == datetime(2090, 12, 5, 0, 0, tzinfo=UTC)
    assert draft.capacity == 1200


def test_an_hour_that_comes_twice_is_the_first() -> None:
    fields = event_fields(starts="2030-10-27T02:30", ends="2030-10-27T04:00")
    draft = event_form.parse(Form(Translator("en"), fields), is_new=True)
    assert draft is not None
    assert draft.starts_at.astimezone(UTC) == datetime(2030, 10, 27, 0, 30, tzinfo=UTC)


def test_text_is_trimmed_and_line_ends_are_one_kind() -> None:
    fields = event_fields(title="  Open \t studio  ", description="\r\na\r\n\r\nb\r")
    draft = event_form.parse(Form(Translator("en"), fields), is_new=True)
    assert draft is not None
    assert (draft.title, draft.description) == ("Open studio", "a\n\nb")
