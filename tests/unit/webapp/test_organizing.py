"""Figures as columns, files as CSV, invoices as lines, calendars as text: what organizers read, pure."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta

import pytest

from skep.webapp.http.agents import browser_name
from skep.webapp.i18n import Translator
from skep.webapp.ids import uuid7
from skep.webapp.organizer import plots
from skep.webapp.organizer.csv_files import Cell, Number, amount, line
from skep.webapp.organizer.event_form import changed
from skep.webapp.organizer.figures import named, said
from skep.webapp.organizer.plots import Bucket
from skep.webapp.shop.answer_words import in_words
from skep.webapp.shop.catalog import Question
from skep.webapp.shop.invoice_sheets import About, Place, Seller, document, label, lines, rates
from skep.webapp.shop.money import with_tax
from skep.webapp.store.texts import Texts

EN, FR = Translator("en"), Translator("fr")
TODAY = date(2026, 11, 22)
SELLER = Seller("Acme", "1 rue\nNantes", "", "", "", "UTC", 1)


@pytest.mark.parametrize(
    ("number", "top"),
    [(0, 1), (1, 1), (2, 2), (3, 4), (5, 5), (6, 10), (11, 20), (21, 40), (41, 50), (99, 100), (1234, 2000)],
)
def test_the_axis_ends_at_a_round_number(number: int, top: int) -> None:
    assert plots.nice_ceiling(number) == top


@pytest.mark.parametrize(
    ("days_ago", "span", "columns"),
    [
        pytest.param(0, "day", 14, id="one sale today"),
        pytest.param(44, "day", 45, id="a month and a half"),
        pytest.param(45, "week", 7, id="a little more"),
        pytest.param(300, "week", 43, id="most of a year"),
        pytest.param(2000, "month", 66, id="years"),
    ],
)
def test_time_is_cut_into_few_enough_pieces_without_a_hole(days_ago: int, span: str, columns: int) -> None:
    found, buckets = plots.by_time({TODAY - timedelta(days=days_ago): 3, TODAY: 1}, TODAY)
    assert found == span
    assert len(buckets) == columns
    assert sum(bucket.value for bucket in buckets) == (4 if days_ago else 1)
    starts = [bucket.start for bucket in buckets]
    assert starts == sorted(set(starts))


def test_columns_stand_on_the_ground_and_the_smallest_is_seen() -> None:
    drawn = plots.plot([Bucket(TODAY, 500), Bucket(TODAY, 0), Bucket(TODAY, 1)])
    assert drawn.top == 500
    tall, none, small = drawn.columns
    assert (tall.y, tall.height) == (0, plots.HEIGHT)
    assert none.height == 0
    assert small.height >= 4
    for column in drawn.columns:
        assert column.y + column.height == plots.HEIGHT
        assert 0 <= column.x < column.x + column.width <= plots.WIDTH


def test_nothing_is_drawn_of_nothing() -> None:
    assert plots.plot([]).columns == ()
    assert plots.by_clock([]) == []


@pytest.mark.parametrize(
    ("hours", "minutes"), [(1, 15), (10, 15), (20, 30), (40, 60), (100, 180), (400, 720), (1000, 1440), (9000, 10_080)]
)
def test_arrivals_are_counted_by_steps_that_suit_their_span(hours: int, minutes: int) -> None:
    begin = datetime(2026, 5, 1, 18, 7, tzinfo=UTC)
    moments = [begin, begin, begin + timedelta(hours=hours)]
    buckets = plots.by_clock(moments)
    assert sum(bucket.value for bucket in buckets) == 3
    assert len(buckets) <= plots.MOST_COLUMNS + 10
    first, second = buckets[0].start, buckets[1].start
    assert isinstance(first, datetime)
    assert isinstance(second, datetime)
    assert second - first == timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("ago", "english", "french"),
    [
        pytest.param({0: 5, 8: 2}, "5 sold in the last seven days. That is 3 more", "C’est 3 de plus", id="more"),
        pytest.param({6: 1, 7: 2}, "1 sold in the last seven days. That is 1 fewer", "C’est 1 de moins", id="fewer"),
        pytest.param({1: 2, 13: 2}, "As many as in the seven before.", "Autant que", id="the same"),
        pytest.param({14: 9}, "0 sold in the last seven days.", "0 vendu", id="long ago"),
    ],
)
def test_a_plot_says_what_it_found(ago: dict[int, int], english: str, french: str) -> None:
    days = {TODAY - timedelta(days=count): value for count, value in ago.items()}
    assert english in said(days, TODAY, EN)
    assert french in said(days, TODAY, FR)


def test_buckets_have_names() -> None:
    assert named(TODAY, "day", EN) == "22\u00a0Nov 2026"
    assert named(TODAY, "week", FR) == "semaine du 22\u00a0nov. 2026"
    assert named(TODAY, "month", EN) == "November 2026"
    assert named(datetime(2026, 5, 1, 18, 15, tzinfo=UTC), None, EN) == "1\u00a0May 2026, 18:15"


@pytest.mark.parametrize(
    "evil", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "＝1", '=HYPERLINK("http://x";"y")', "\n=1"]
)
@pytest.mark.parametrize("t", [EN, FR], ids=["en", "fr"])
def test_no_cell_runs_as_a_formula(evil: str, t: Translator) -> None:
    (row,) = csv.reader(io.StringIO(line([evil, "plain"], t), newline=""), delimiter=";" if t is FR else ",")
    assert row == [f"'{evil}", "plain"]


@pytest.mark.parametrize(
    ("value", "written"),
    [(None, ""), (7, "7"), (-7, "-7"), ("a;b,c", '"a;b,c"'), ('say "hi"', '"say ""hi"""'), (Number("-1.50"), "-1.50")],
)
def test_cells_are_quoted_as_spreadsheets_read_them(value: Cell, written: str) -> None:
    assert line(["x", value], EN) == f"x,{written}\r\n"


@pytest.mark.parametrize(
    ("minor", "currency", "english", "french"),
    [(125050, "EUR", "1250.50", "1250,50"), (-5, "EUR", "-0.05", "-0,05"), (1500, "JPY", "1500", "1500"), (1, "TND", "0.001", "0,001")],
)  # fmt: skip
def test_amounts_are_plain_numbers(minor: int, currency: str, english: str, french: str) -> None:
    assert (amount(minor, currency, EN), amount(minor, currency, FR)) == (english, french)


def test_equal_tickets_are_one_line_and_lines_add_up() -> None:
    places = [Place("Full", with_tax(1999, 550), 550)] * 3 + [Place("Full", with_tax(999, 550), 550)]
    places += [Place("Book", with_tax(1000, 2000), 2000)]
    made = lines(places)
    assert [(one.what, one.count, one.unit) for one in made] == [("Full", 3, 1999), ("Full", 1, 999), ("Book", 1, 1000)]
    whole = sum(place.amount.gross for place in places)
    assert sum(one.amount.gross for one in made) == whole
    by_rate = rates(made)
    assert list(by_rate) == [550, 2000]
    assert sum(one.gross for one in by_rate.values()) == whole
    assert all(one.gross == one.net + one.tax for one in by_rate.values())


@pytest.mark.parametrize(
    ("prefix", "series", "number", "text"),
    [("", "invoice", 1, "2026-0001"), ("ACME-", "credit", 12, "ACME-C2026-0012"), ("", "invoice", 12345, "2026-12345")],
)
def test_numbers_as_they_are_printed(prefix: str, series: str, number: int, text: str) -> None:
    seller = Seller("Acme", "x", "", "", prefix, "UTC", 1)
    assert label(seller, "credit" if series == "credit" else "invoice", 2026, number) == text


@pytest.mark.parametrize("t", [EN, FR], ids=["en", "fr"])
def test_a_credit_note_is_negative_and_names_what_it_takes_back(t: Translator) -> None:
    about = About("Night", "ABC379", TODAY, "EUR", "transfer", corrects="2026-0007")
    made = document(SELLER, "credit", "C2026-0001", TODAY, about, [Place("Full", with_tax(1000, 2000), 2000)], t)
    assert made["totals"][-1][1].startswith("−")
    assert [value for name, value in made["facts"] if name == t("invoice.corrects")] == ["2026-0007"]
    assert made["language"] == t.language


@pytest.mark.parametrize(
    ("kind", "stored", "english", "french"),
    [
        ("yes", "yes", "yes", "oui"),
        ("choice", "1", "Carrot", "Carotte"),
        ("choice", "9", "9", "9"),
        ("number", "1.5", "1.5", "1,5"),
        ("date", "2026-12-04", "4\u00a0December 2026", "4\u00a0décembre 2026"),
        ("time", "19:30", "19:30", "19\u00a0h\u00a030"),
        ("moment", "2026-12-04T19:30:00+00:00", "4\u00a0Dec 2026, 19:30", "4\u00a0déc. 2026, 19\u00a0h\u00a030"),
        ("date", "nonsense", "nonsense", "nonsense"),
        ("line", "=x", "=x", "=x"),
    ],
)
def test_answers_in_words(kind: str, stored: str, english: str, french: str) -> None:
    choices = (Texts({"en": "Leek"}, "en"), Texts({"en": "Carrot", "fr": "Carotte"}, "en"))
    question = Question(
        id=uuid7(), kind=kind, label=choices[0], hint=choices[0], choices=choices, is_required=False,
        type_ids=frozenset(),
    )  # fmt: skip
    assert in_words(question, stored, UTC, EN) == english
    assert in_words(question, stored, UTC, FR) == french


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox, Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge, Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0) AppleWebKit/605 Version/18.0 Safari/604.1", "Safari, iPhone"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36", "Chrome, Android"),
        ("curl/8", ""),
        ("", ""),
    ],
)
def test_browsers_are_told_apart(agent: str, name: str) -> None:
    assert browser_name(agent) == name


def test_the_log_names_the_fields_that_changed_and_no_others() -> None:
    before = {"title": "A", "description": "x\ny", "version": "1", "pays_on_site": "yes"}
    typed = {"title": "B", "description": "x\r\ny ", "version": "1", "csrf": "z", "pays_on_site": "yes"}
    assert changed(before, typed) == ["title"]
    assert changed(before, {**typed, "title": "A"}) == []
