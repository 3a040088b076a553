"""What runs out is told before it does: in the Platform's status, in its description, by doctor."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from skep.operator import names
from skep.operator.cli import limits
from skep.operator.cli.show import items_of
from skep.operator.cli.view import look
from skep.operator.engine.memory import MemoryEngine
from skep.operator.engine.spec import NetworkSpec, pairs
from skep.operator.reconcilers import record
from skep.operator.sources.publish import draft, publish
from tests.unit.cli.test_changes import WORD, reading
from tests.unit.reconcilers.tenants import make_record
from tests.unit.sources.hives import fleet_of


@pytest.fixture
async def engine() -> AsyncIterator[MemoryEngine]:
    """A hive of one tenant, with networks of 16 addresses."""
    made = MemoryEngine()
    for kind, subnet in (("edge", "10.0.0.0/28"), ("data", "10.0.0.16/28")):
        await made.create_network(NetworkSpec(f"skep-{kind}-1", subnet, labels=pairs({names.NETWORK: kind})))
    await publish(made, draft("default", reading(*fleet_of("acme")), (), prune=False), author="me")
    await made.create_config(names.OPERATOR, b"x", WORD.labels())
    known = make_record()
    await made.create_config(names.record(known.name), record.data_of(known), record.labels_of(known))
    yield made
    await made.close()


async def test_the_platforms_status_says_how_full_each_place_is(engine: MemoryEngine) -> None:
    (item,) = items_of(await look(engine), "platforms")
    assert item["status"]["edgeRefreshSeconds"] == 2.0
    assert item["status"]["places"] == [
        {"kind": "server", "name": "main", "used": 1, "room": 500, "share": 0.002, "nearlyFull": False},
        {"kind": "edge", "name": "skep-edge-1", "used": 2, "room": 8, "share": 0.25, "nearlyFull": False},
        {"kind": "data", "name": "skep-data-1", "used": 2, "room": 8, "share": 0.25, "nearlyFull": False},
    ]


async def test_a_server_that_cannot_be_asked_from_here_is_no_fault(engine: MemoryEngine) -> None:
    checks = [check async for check in limits.checks(engine, await look(engine))]
    assert [check.what for check in checks] == [
        "database server main", "network skep-edge-1", "network skep-data-1", "connections of main",
    ]  # fmt: skip
    assert all(check.ok for check in checks)
    assert checks[-1].said.startswith("not asked: ")


async def test_nothing_is_said_without_a_platform() -> None:
    engine = MemoryEngine()
    view = await look(engine)
    assert limits.places(view) == ()
    assert [check async for check in limits.checks(engine, view)] == []
    await engine.close()
