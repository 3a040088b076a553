"""The shop's arithmetic and states, by properties: whatever is asked, these hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skep.webapp.i18n import Translator
from skep.webapp.i18n import money as money_words
from skep.webapp.ids import CODE_LETTERS, derived_secret, order_code, secret_text
from skep.webapp.shop import answers
from skep.webapp.shop.answers import AnswerRefused
from skep.webapp.shop.availability import Pool, Window, grant, left_of
from skep.webapp.shop.catalog import Question
from skep.webapp.shop.money import discounted, divided_half_up, total, with_tax
from skep.webapp.shop.payments import end_of_day
from skep.webapp.shop.states import OrderState, PaymentState, may_become, payment_after
from skep.webapp.store.jobs import LONGEST_DELAY_S, backoff_s
from skep.webapp.store.texts import Texts

PARIS = ZoneInfo("Europe/Paris")
prices = st.integers(0, 10**9)
rates = st.integers(0, 10_000)


@given(prices, rates)
def test_a_line_adds_up_and_its_net_is_the_nearest_whole_one(gross: int, tax_bp: int) -> None:
    amount = with_tax(gross, tax_bp)
    assert amount.gross == gross == amount.net + amount.tax
    exact = Fraction(gross * 10_000, 10_000 + tax_bp)
    assert -Fraction(1, 2) < exact - amount.net <= Fraction(1, 2) or exact - amount.net == -Fraction(1, 2)
    assert 0 <= amount.net <= gross


@pytest.mark.parametrize(
    ("gross", "tax_bp", "net"), [(1999, 550, 1895), (1, 10_000, 1), (3, 10_000, 2), (119, 1900, 100), (100, 0, 100)]
)
def test_a_half_is_rounded_up(gross: int, tax_bp: int, net: int) -> None:
    assert with_tax(gross, tax_bp).net == net


@given(st.lists(st.tuples(prices, rates), max_size=8))
def test_lines_add_up_to_the_total_without_a_word_about_rounding(lines: list[tuple[int, int]]) -> None:
    amount = total([with_tax(gross, rate) for gross, rate in lines])
    assert amount.gross == sum(gross for gross, _ in lines) == amount.net + amount.tax


@given(prices, st.sampled_from(["none", "set", "subtract", "percent"]), st.integers(0, 20_000))
def test_a_discount_is_never_below_zero_and_only_set_may_cost_more(price: int, effect: str, value: int) -> None:
    after = discounted(price, effect, value)  # type: ignore[arg-type]  # one of the effects
    assert after >= 0
    assert effect == "set" or after <= price


@given(st.integers(0, 10**12), st.integers(1, 10**6))
def test_division_rounds_to_the_nearest(number: int, by: int) -> None:
    assert abs(Fraction(number, by) - divided_half_up(number, by)) <= Fraction(1, 2)


IDS = [UUID(int=number) for number in range(1, 9)]


@st.composite
def offers(draw: st.DrawFn) -> tuple[dict[UUID, Pool], dict[UUID, tuple[UUID, ...]], list[tuple[UUID, int]]]:
    sizes = draw(st.lists(st.tuples(st.none() | st.integers(0, 30), st.integers(0, 40)), min_size=1, max_size=4))
    pools = {IDS[n]: Pool(IDS[n], IDS[0], size, used) for n, (size, used) in enumerate(sizes)}
    kinds = draw(st.lists(st.sets(st.sampled_from(list(pools))), min_size=1, max_size=4))
    drawn_on = {IDS[4 + n]: tuple(kind) for n, kind in enumerate(kinds)}
    wanted = draw(st.lists(st.tuples(st.sampled_from(list(drawn_on)), st.integers(0, 20)), max_size=6))
    return pools, drawn_on, wanted


@given(offers())
def test_no_pool_gives_more_than_it_has_and_nobody_gets_more_than_they_want(
    offer: tuple[dict[UUID, Pool], dict[UUID, tuple[UUID, ...]], list[tuple[UUID, int]]],
) -> None:
    pools, drawn_on, wanted = offer
    given_ = grant(wanted, drawn_on, pools)
    for type_id, number in given_.items():
        assert 0 <= number <= sum(count for wanted_id, count in wanted if wanted_id == type_id)
    for pool in pools.values():
        taken = sum(number for type_id, number in given_.items() if pool.id in drawn_on[type_id])
        assert pool.left is None or taken <= pool.left


@given(offers())
def test_who_is_alone_gets_all_that_is_left(
    offer: tuple[dict[UUID, Pool], dict[UUID, tuple[UUID, ...]], list[tuple[UUID, int]]],
) -> None:
    pools, drawn_on, _ = offer
    for type_id, ids in drawn_on.items():
        left = left_of(ids, pools)
        assert grant([(type_id, 50)], drawn_on, pools) == {type_id: 50 if left is None else min(50, left)}


def test_a_sales_window_is_open_from_its_beginning_until_before_its_end() -> None:
    noon = datetime(2026, 6, 1, 12, tzinfo=UTC)
    window = Window(noon, noon + timedelta(hours=1))
    moments = [noon - timedelta(seconds=1), noon, noon + timedelta(minutes=59), noon + timedelta(hours=1)]
    assert [window.at(moment) for moment in moments] == ["soon", "open", "open", "over"]
    assert Window(None, None).at(noon) == "open"


@given(st.lists(st.sampled_from(PaymentState), max_size=8))
def test_whatever_a_provider_says_money_that_arrived_stays_until_it_is_refunded(said: list[PaymentState]) -> None:
    state, confirmations = PaymentState.CREATED, 0
    for message in said:
        after = payment_after(state, message)
        if after is None:
            continue
        assert after is message
        assert state is not PaymentState.CONFIRMED or after is PaymentState.REFUNDED
        confirmations += after is PaymentState.CONFIRMED
        state = after
        assert payment_after(state, message) is None  # the same again changes nothing
    assert confirmations <= 1


def test_an_order_ends_once_and_only_an_expired_one_comes_back() -> None:
    assert [state for state in OrderState if may_become(state, OrderState.PAID)] == ["pending", "expired"]
    assert not any(may_become(OrderState.CANCELLED, state) for state in OrderState)
    assert [state for state in OrderState if state.holds_places] == ["pending", "paid"]


def test_due_dates_end_with_the_day_of_the_place() -> None:
    late = datetime(2026, 3, 25, 23, 30, tzinfo=UTC)  # already the 26th in Paris
    due = end_of_day(late, 5, "Europe/Paris")
    assert due == datetime(2026, 3, 31, 23, 59, 59, tzinfo=PARIS)
    assert due.astimezone(UTC).hour == 21  # the clocks went forward meanwhile


@pytest.mark.parametrize(
    ("amount", "currency", "english", "french"),
    [
        (0, "EUR", "€0.00", "0,00\u00a0€"),
        (1250, "EUR", "€12.50", "12,50\u00a0€"),
        (123456789, "USD", "$1,234,567.89", "1\u202f234\u202f567,89\u00a0$"),
        (1250, "CHF", "CHF\u00a012.50", "12,50\u00a0CHF"),
        (1250, "JPY", "¥1,250", "1\u202f250\u00a0¥"),
        (1250, "TND", "TND\u00a01.250", "1,250\u00a0TND"),
        (-5, "EUR", "−€0.05", "−0,05\u00a0€"),
    ],
)
def test_amounts_in_words(amount: int, currency: str, english: str, french: str) -> None:
    assert Translator("en").money(amount, currency) == english
    assert Translator("fr").money(amount, currency) == french


@given(st.integers(0, 10**8), st.sampled_from(sorted(money_words.DIGITS)))
def test_what_a_field_shows_is_read_back_as_the_same_amount(amount: int, currency: str) -> None:
    assert money_words.parse(money_words.typed(amount, currency), currency) == amount


@pytest.mark.parametrize(
    ("written", "amount"),
    [("12,5", 1250), ("€ 1 250", 125000), ("1’250.00", 125000), ("12.505", None), ("12.500", 1250), ("-1", None),
     ("1e3", None), ("１２", None), ("", None), ("9999999", None)],
)  # fmt: skip
def test_amounts_as_people_type_them(written: str, amount: int | None) -> None:
    assert money_words.parse(written, "EUR") == amount


def make_question(kind: str, **changes: object) -> Question:
    values: dict[str, object] = {
        "id": IDS[0], "kind": kind, "label": Texts({}, "en"), "hint": Texts({}, "en"),
        "choices": (Texts({"en": "a"}, "en"), Texts({"en": "b"}, "en")), "is_required": False, "type_ids": frozenset(),
    }  # fmt: skip
    return Question(**{**values, **changes})  # type: ignore[arg-type]  # a table of fields


@pytest.mark.parametrize(
    ("kind", "typed", "stored"),
    [
        ("line", "  Noor ", "Noor"),
        ("yes", "yes", "yes"),
        ("yes", "", "no"),
        ("choice", "1", "1"),
        ("number", "1 200,5", "1200.5"),
        ("date", "2026-12-24", "2026-12-24"),
        ("time", "18:30", "18:30"),
        ("moment", "2026-12-24T18:30", "2026-12-24T17:30:00+00:00"),
        ("line", "", None),
    ],
)
def test_answers_are_stored_as_what_they_are(kind: str, typed: str, stored: str | None) -> None:
    assert answers.parse(make_question(kind), typed, PARIS) == stored


def test_21_a_date_and_a_time_stay_and_a_moment_shifts_with_the_zone() -> None:
    tokyo = ZoneInfo("Asia/Tokyo")
    for kind, typed, there in (
        ("date", "2026-12-24", "2026-12-24"),
        ("time", "18:30", "18:30"),
        ("moment", "2026-12-24T18:30", "2026-12-25T02:30"),
    ):
        question = make_question(kind)
        stored = answers.parse(question, typed, PARIS)
        assert stored is not None
        assert answers.shown(question, stored, PARIS) == typed
        assert answers.shown(question, stored, tokyo) == there


@pytest.mark.parametrize(
    ("kind", "typed", "problem"),
    [
        ("line", "", "missing"),
        ("yes", "", "missing"),
        ("line", "x" * 201, "long"),
        ("choice", "2", "choice"),
        ("choice", "-1", "choice"),
        ("number", "1.2.3", "number"),
        ("number", "٣", "number"),
        ("date", "2026-02-30", "date"),
        ("time", "25:00", "time"),
        ("moment", "soon", "moment"),
    ],
)
def test_answers_that_are_none_are_named(kind: str, typed: str, problem: str) -> None:
    with pytest.raises(AnswerRefused) as refused:
        answers.parse(make_question(kind, is_required=True), typed, PARIS)
    assert refused.value.problem == problem


def test_order_codes_have_no_letters_that_look_alike() -> None:
    codes = {order_code() for _ in range(2000)}
    assert len(codes) > 1990
    assert set("".join(codes)) <= set(CODE_LETTERS)
    assert not set("IO012 4568") & set(CODE_LETTERS)


def test_a_derived_secret_needs_the_token_and_the_purpose() -> None:
    secrets = {derived_secret(token, purpose) for token in ("a", "b") for purpose in ("order 1", "order 2")}
    assert len(secrets) == 4
    assert {len(secret) for secret in secrets} == {16}
    assert len(secret_text(derived_secret("a", "x"))) == 22


def test_backoff_doubles_up_to_a_few_hours() -> None:
    assert [backoff_s(attempts) for attempts in (1, 2, 3)] == [15, 30, 60]
    assert backoff_s(1000) == LONGEST_DELAY_S
