"""Lines: what is bound stands on each of them, whoever writes it; JSON in containers, text on a terminal."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from skep.operator import logs

log = logging.getLogger("skep.test")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, ours = root.handlers[:], root.level, logging.getLogger("skep").level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("skep").setLevel(ours)
    logs.bind()


@pytest.fixture
def stream(restored: None) -> io.StringIO:
    made = io.StringIO()
    logs.configure(made)
    return made


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_in_a_container_is_one_json_object(stream: io.StringIO) -> None:
    log.info("service updated", extra={"service": "skep-acme-web"})
    (line,) = lines(stream)
    assert line.pop("at")
    assert line == {"level": "info", "logger": "test", "message": "service updated", "service": "skep-acme-web"}


def test_a_line_on_a_terminal_is_for_people(restored: None) -> None:
    terminal = Terminal()
    logs.configure(terminal)
    logs.bind(tenant="acme")
    log.info("service updated", extra={"replicas": 2})
    assert terminal.getvalue()[9:] == "info    service updated  tenant=acme replicas=2\n"


def test_what_is_bound_stands_on_every_line_until_the_next_is_bound(stream: io.StringIO) -> None:
    logs.bind(tenant="acme", generation=3)
    before = logs.bind_more(reconciler="database")
    log.info("one")
    logs.unbind(before)
    log.info("two", extra={"generation": 4})
    logs.bind(tenant="birch")
    log.info("three")
    found = [{key: line.get(key) for key in ("tenant", "generation", "reconciler")} for line in lines(stream)]
    assert found == [
        {"tenant": "acme", "generation": 3, "reconciler": "database"},
        {"tenant": "acme", "generation": 4, "reconciler": None},
        {"tenant": "birch", "generation": None, "reconciler": None},
    ]


def test_what_is_not_unbound_stands_on_the_line_that_tells_the_error(stream: io.StringIO) -> None:
    logs.bind(tenant="acme")
    logs.bind_more(reconciler="app")
    log.error("reconcile failed", exc_info=ValueError("x"))
    (line,) = lines(stream)
    assert (line["tenant"], line["reconciler"]) == ("acme", "app")
    assert "ValueError: x" in line["exception"]


async def test_two_at_once_do_not_mix(stream: io.StringIO) -> None:
    async def work(tenant: str) -> None:
        logs.bind(tenant=tenant)
        await asyncio.sleep(0)
        log.info("turn", extra={"said_by": tenant})

    await asyncio.gather(work("acme"), work("birch"))
    assert {(line["tenant"], line["said_by"]) for line in lines(stream)} == {("acme", "acme"), ("birch", "birch")}
