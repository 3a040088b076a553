"""Ledger, requests and the operator's word about itself: labels and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skep.operator.engine.spec import Config, pairs
from skep.operator.errors import UsageError
from skep.operator.sources.announcement import Announcement
from skep.operator.sources.approvals import Request, Verb, from_config, new_id
from skep.operator.sources.ledger import Ledger

names = st.text("abcdefghijklmnopqrstuvwxyz0123456789-.", min_size=1, max_size=12)
indexes = st.dictionaries(names, st.integers(0, 10**9), max_size=4)


@given(indexes, indexes, st.dictionaries(names, st.text("0123456789abcdef", min_size=1), max_size=3))
def test_a_ledger_survives_its_labels(seen: dict[str, int], approved: dict[str, int], forced: dict[str, str]) -> None:
    ledger = Ledger(seen, approved, forced)
    assert Ledger.from_labels(ledger.labels()) == ledger


@given(indexes, indexes)
def test_what_was_seen_is_never_lowered(seen: dict[str, int], newest: dict[str, int]) -> None:
    after = Ledger(seen).saw(newest).seen
    assert all(after[source] >= index for source, index in {**seen}.items())
    assert all(after[source] >= index for source, index in newest.items())
    assert Ledger(after).saw(newest).seen == after


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param({}, id="none"),
        pytest.param({"skep.seen.prod": "much"}, id="no number"),
        pytest.param({"skep.seen.prod": "-3"}, id="negative"),
        pytest.param({"other": "1"}, id="another's"),
    ],
)
def test_labels_that_say_nothing_are_nothing(labels: dict[str, str]) -> None:
    assert Ledger.from_labels(labels) == Ledger()


def test_an_approval_is_for_one_source_and_one_index() -> None:
    ledger = Ledger().approve("prod", 5).approve("test", 7).approve("prod", 9)
    assert dict(ledger.approved) == {"prod": 9, "test": 7}


VERBS: tuple[Verb, ...] = ("approve-deletions", "approve-database", "approve-adopt", "approve-purge", "forced-delete")


@pytest.mark.parametrize("verb", VERBS)
def test_a_request_survives_its_labels(verb: Verb) -> None:
    request = Request(verb, "acme", "me@here")
    config = Config("i", "skep.request.1", 1, pairs(request.labels()), request.body())
    assert from_config(config) == Request(verb, "acme", "me@here", "i")


@pytest.mark.parametrize("verb", ["", "drop-everything", "APPROVE-ADOPT"])
def test_an_unknown_verb_is_refused(verb: str) -> None:
    with pytest.raises(UsageError, match="does not know"):
        from_config(Config("i", "skep.request.1", 1, pairs({"skep.verb": verb}), b"x"))


def test_requests_have_names_of_their_own() -> None:
    assert len({new_id() for _ in range(100)}) == 100


def test_an_announcement_survives_its_labels() -> None:
    word = Announcement("1.0", "k1", "abc", ("10.0.0.1", "tasks.traefik"), ("postgres=127.0.0.1:5432",), ":8080", 15.0)
    assert Announcement.from_labels(word.labels()) == word
    assert (word.settings().proxies, word.settings().refresh_s) == (word.proxies, 15.0)


def test_an_announcement_of_an_older_operator_says_less() -> None:
    assert Announcement.from_labels({}) == Announcement("", "", "", (), (), "")
