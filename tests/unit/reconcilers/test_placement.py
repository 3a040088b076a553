"""Where a new tenant goes, and that it stays there."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skep.operator.errors import TransientError
from skep.operator.reconcilers.placement import is_placed, load_of, place
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
    placed = place(new(), PLATFORM, load)
    assert (placed.server, placed.edge_network, placed.data_network) == (server, edge, data)
    assert is_placed(placed)


def test_a_tenant_may_ask_for_its_server() -> None:
    assert place(new("database: {server: two}\n"), PLATFORM, {"server/two": 2}).server == "two"


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
        place(new(words), PLATFORM, load)
    assert caught.value.reason == "ServersFull"


def test_once_placed_it_stays_however_full() -> None:
    placed = new(server="one", edge_network="edge-2", data_network="data-2")
    assert is_placed(placed)
    assert place(placed, PLATFORM, {"server/one": 99, "edge/edge-2": 99}) == placed


@pytest.mark.parametrize("missing", ["server", "edge_network", "data_network"])
def test_a_half_placed_tenant_gets_the_rest(missing: str) -> None:
    half = new(**({"server": "one", "edge_network": "edge-2", "data_network": "data-2"} | {missing: ""}))
    assert not is_placed(half)
    assert is_placed(place(half, PLATFORM, {}))


@given(st.integers(1, 5))
def test_tenants_spread_until_every_server_is_full(count: int) -> None:
    records: list[Record] = []
    for _ in range(count):
        records.append(place(new(), PLATFORM, load_of(records)))
    load = load_of(records)
    assert load.get("server/one", 0) <= 2
    assert load.get("server/two", 0) <= 3
    assert abs(load.get("edge/edge-1", 0) - load.get("edge/edge-2", 0)) <= 1
