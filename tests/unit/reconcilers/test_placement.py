"""Where a new tenant goes, and that it stays there."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skep.operator.engine.spec import Network
from skep.operator.errors import TransientError
from skep.operator.reconcilers.placement import Fill, addresses, fills, is_placed, load_of, place, room_of
from skep.operator.reconcilers.record import Record
from tests.unit.crds.documents import make_platform
from tests.unit.reconcilers.tenants import make_record

PLATFORM = make_platform(
    "networks: {edge: [edge-1, edge-2], data: [data-1, data-2]}\n",
).model_copy(
    update={
        "spec": make_platform("networks: {edge: [edge-1, edge-2], data: [data-1, data-2]}\n").spec.model_copy(
            update={
                "databases": tuple(
                    make_platform().spec.databases[0].model_copy(update={"name": name, "capacity": capacity})
                    for name, capacity in (("one", 2), ("two", 3))
                )
            }
        )
    }
)


def new(words: str = "", **fields: Any) -> Record:
    empty = {"server": "", "edge_network": "", "data_network": "", "system_id": "", "provisioned": False}
    return make_record(words, **(empty | fields))


@pytest.mark.parametrize(
    ("load", "server", "edge", "data"),
    [
        pytest.param({}, "one", "edge-1", "data-1", id="empty: by name"),
        pytest.param({"server/one": 1}, "two", "edge-1", "data-1", id="the least full server"),
        pytest.param({"server/one": 1, "server/two": 1}, "one", "edge-1", "data-1", id="equal: by name"),
        pytest.param({"server/one": 2, "server/two": 2}, "two", "edge-1", "data-1", id="a full server is passed over"),
        pytest.param({"edge/edge-1": 3, "data/data-1": 1}, "one", "edge-2", "data-2", id="networks too"),
        pytest.param({"server/gone": 9}, "one", "edge-1", "data-1", id="what the platform no longer has"),
    ],
)
def test_a_new_tenant_goes_where_there_is_most_room(load: dict[str, int], server: str, edge: str, data: str) -> None:
    placed = place(new(), PLATFORM, load, {})
    assert (placed.server, placed.edge_network, placed.data_network) == (server, edge, data)
    assert is_placed(placed)


def test_a_tenant_may_ask_for_its_server() -> None:
    assert place(new("database: {server: two}\n"), PLATFORM, {"server/two": 2}, {}).server == "two"


@pytest.mark.parametrize(
    ("words", "load"),
    [
        pytest.param("", {"server/one": 2, "server/two": 3}, id="all are full"),
        pytest.param("database: {server: one}\n", {"server/one": 2}, id="the one that it asked for"),
        pytest.param("database: {server: gone}\n", {}, id="one that is not there"),
    ],
)
def test_no_room_is_told_with_what_to_do(words: str, load: dict[str, int]) -> None:
    with pytest.raises(TransientError, match="raise a capacity or add a server") as caught:
        place(new(words), PLATFORM, load, {})
    assert caught.value.reason == "ServersFull"


def test_once_placed_it_stays_however_full() -> None:
    placed = new(server="one", edge_network="edge-2", data_network="data-2")
    assert is_placed(placed)
    assert place(placed, PLATFORM, {"server/one": 99, "edge/edge-2": 99}, {"edge-2": 9}) == placed


@pytest.mark.parametrize("missing", ["server", "edge_network", "data_network"])
def test_a_half_placed_tenant_gets_the_rest(missing: str) -> None:
    half = new(**({"server": "one", "edge_network": "edge-2", "data_network": "data-2"} | {missing: ""}))
    assert not is_placed(half)
    assert is_placed(place(half, PLATFORM, {}, {}))


@given(st.integers(1, 5))
def test_tenants_spread_until_every_server_is_full(count: int) -> None:
    records: list[Record] = []
    for _ in range(count):
        records.append(place(new(), PLATFORM, load_of(records), {}))
    load = load_of(records)
    assert load.get("server/one", 0) <= 2
    assert load.get("server/two", 0) <= 3
    assert abs(load.get("edge/edge-1", 0) - load.get("edge/edge-2", 0)) <= addresses(records[0])


def test_a_network_without_room_is_passed_over() -> None:
    need = addresses(new())
    room = {"edge-1": 10, "edge-2": 100, "data-1": 100, "data-2": 100}
    assert place(new(), PLATFORM, {"edge/edge-1": 10 - need, "edge/edge-2": 50}, room).edge_network == "edge-1"
    assert place(new(), PLATFORM, {"edge/edge-1": 11 - need, "edge/edge-2": 50}, room).edge_network == "edge-2"


@pytest.mark.parametrize("kind", ["edge", "data"])
def test_full_networks_are_told_with_what_to_do(kind: str) -> None:
    full = {f"{kind}/{kind}-1": 8, f"{kind}/{kind}-2": 8}
    with pytest.raises(TransientError, match=rf"no {kind} network has 2 addresses left: {kind}-1 \(8 of 9\)") as caught:
        place(new(), PLATFORM, full, {f"{kind}-1": 9, f"{kind}-2": 9})
    assert caught.value.reason == "NetworksFull"
    assert f"spec.networks.{kind}" in (caught.value.remedy or "")


@pytest.mark.parametrize(
    ("subnets", "room"),
    [
        pytest.param(("10.0.0.0/22",), {"n": 1016}, id="a /22"),
        pytest.param(("10.0.0.0/28",), {"n": 8}, id="a /28"),
        pytest.param(("10.0.0.0/29", "10.0.1.0/29"), {"n": 8}, id="two subnets"),
        pytest.param((), {}, id="no bounds"),
        pytest.param(("nonsense",), {"n": -8}, id="unreadable: nobody is placed there"),
    ],
)
def test_room_is_what_a_subnet_leaves(subnets: tuple[str, ...], room: dict[str, int]) -> None:
    assert room_of([Network("id", "n", (), subnets)]) == room


def test_exhaustion_is_told_before_it_bites() -> None:
    found = fills(PLATFORM, {"server/one": 1, "server/two": 3, "edge/edge-1": 9}, {"edge-1": 10, "data-1": 10})
    assert [str(fill) for fill in found if fill.is_nearly_full] == [
        "database server two: 3 of 3 tenants",
        "network edge-1: 9 of 10 addresses",
    ]
    assert Fill("edge", "e", 0, 0).is_nearly_full


def test_a_server_that_is_away_comes_last() -> None:
    assert place(new(), PLATFORM, {"server/two": 2}, {}, away={"one"}).server == "two"
    assert place(new(), PLATFORM, {"server/two": 3}, {}, away={"one"}).server == "one", "it may come back"


def test_a_network_that_nobody_made_comes_last() -> None:
    room = {"edge-2": 10, "data-1": 10, "data-2": 10}
    assert place(new(), PLATFORM, {"edge/edge-2": 4}, room).edge_network == "edge-2"
    assert place(new(), PLATFORM, {"edge/edge-2": 10}, room).edge_network == "edge-1"
