"""What an operator does with objects of a format that it does not know, and with those of before there were formats."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from skep.operator import formats, names
from skep.operator.cli.operator import _alone
from skep.operator.cli.view import view_of
from skep.operator.engine.spec import Config, pairs
from skep.operator.errors import TerminalError
from skep.operator.leadership import grant_of
from skep.operator.reconcilers import status
from skep.operator.reconcilers.status import Status
from skep.operator.sources.announcement import Announcement
from skep.operator.sources.fleet import read_revision
from skep.operator.sources.ledger import Ledger
from skep.operator.sources.revision import from_config

NEWER = {formats.LABEL: "2"}
REPORT = Status("Ready", 1)


def config(name: str, labels: dict[str, str], data: bytes = b"x") -> Config:
    return Config("c1", name, 7, pairs(labels), data)


READERS: dict[str, Callable[[dict[str, str]], object]] = {
    "skep.sources": lambda labels: Ledger.from_labels({"skep.seen.prod": "7"} | labels),
    "skep.operator": lambda labels: Announcement.from_labels({"skep.operator.version": "1"} | labels),
    "skep.status.acme": lambda labels: status.from_config(
        config("skep.status.acme", status.labels_of("acme", "u", REPORT) | labels)
    ),
    "skep.lease": lambda labels: grant_of(config("skep.lease", {"skep.lease.holder": "a"} | labels)),
}


@pytest.mark.parametrize("name", READERS)
def test_a_newer_format_is_refused_with_place_value_and_remedy(name: str) -> None:
    with pytest.raises(TerminalError) as refused:
        READERS[name](NEWER)
    assert refused.value.reason == "UnknownFormat"
    assert str(refused.value) == (
        f"{name} has format '2' in label skep.format, this skep knows 1: it is left alone "
        "(run the skep that wrote it, or a newer one)"
    )


@pytest.mark.parametrize("name", READERS)
def test_an_object_without_a_format_is_of_the_first(name: str) -> None:
    assert READERS[name]({}) == READERS[name]({formats.LABEL: formats.FIRST})


def test_what_is_written_carries_no_format_yet_so_that_taking_over_writes_nothing() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    for labels in (
        Ledger({"prod": 7}).labels(),
        Announcement("1", "k1", "f", (), (), "").labels(),
        status.labels_of("acme", "u", Status("Ready", 1, events=(status.Event(moment, "Ready", "x"),))),
    ):
        assert formats.LABEL not in labels


def test_a_revision_of_a_newer_format_is_a_problem_and_no_absence() -> None:
    revision = from_config(config("prod.r2", {names.SOURCE: "prod"} | NEWER))
    assert revision is not None
    reading = read_revision(revision)
    assert not reading.complete
    (problem,) = reading.problems
    assert problem.message.startswith(
        "prod.r2 has format '2' in label skep.format, this skep knows 1: it is left alone"
    )


def test_a_newer_status_hides_no_other_from_a_command() -> None:
    labels = status.labels_of("birch", "u", REPORT)
    seen = view_of(
        (config("skep.status.acme", {names.KIND: "status"} | NEWER), config("skep.status.birch", labels)), (), (), ()
    )
    assert dict(seen.statuses) == {"birch": REPORT}


def test_a_damaged_lease_counts_as_let_go() -> None:
    assert grant_of(config("skep.lease", {"skep.lease.term": "many"})).term == 0


def test_only_one_operator_of_an_embedded_home_is_alone(tmp_path: Path) -> None:
    engine = f"embedded:{tmp_path / 'engine.sock'}"
    assert _alone("unix:///var/run/docker.sock") is None
    first = _alone(engine)
    assert first is not None
    assert _alone(engine) is None
    first.close()  # as the system does for a process that dies
    second = _alone(engine)
    assert second is not None
    second.close()
