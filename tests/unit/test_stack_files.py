"""The stack files among themselves: what one says the others must follow."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

SWARM = Path(__file__).parents[2] / "swarm"


def stack(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((SWARM / name).read_text())
    return found


@pytest.mark.parametrize("name", ["skep.yml", "tls.yml"])
def test_the_edge_looks_as_often_as_it_is_told(name: str) -> None:
    assert "--providers.swarm.refreshseconds=${SKEP_REFRESH_S:-2}" in stack(name)["services"]["traefik"]["command"]


def test_drains_know_how_often_the_edge_looks() -> None:
    assert stack("skep.yml")["services"]["operator"]["environment"]["SKEP_REFRESH_S"] == "${SKEP_REFRESH_S:-2}"


def test_a_further_server_is_like_the_first() -> None:
    first, other = stack("skep.yml")["services"]["postgres"], stack("database.yml")["services"]["database"]
    for field in ("image", "command", "environment", "configs", "secrets", "healthcheck", "stop_grace_period"):
        assert other[field] == first[field], field
    assert other["deploy"]["update_config"] == first["deploy"]["update_config"]


def test_no_service_of_another_stack_has_the_first_servers_name() -> None:
    """Docker makes a service's name its alias on each of its networks, where `postgres` must be one server."""
    assert "postgres" not in stack("database.yml")["services"]


@pytest.mark.parametrize("path", sorted(SWARM.glob("*.yml")), ids=lambda path: path.name)
def test_a_missing_variable_is_told_as_it_was_written(path: Path) -> None:
    """Docker takes what follows a hyphen in `${X:?words}` for a default."""
    assert not re.findall(r"\$\{\w+:\?[^}]*-[^}]*\}", path.read_text())


@pytest.mark.parametrize(
    ("name", "service", "network"),
    [
        ("edge-2.yml", "traefik", "edge-2"),
        ("data-2.yml", "postgres", "data-2"),
        ("database-data-2.yml", "database", "data-2"),
    ],
)
def test_a_further_network_is_joined_under_the_same_alias(name: str, service: str, network: str) -> None:
    base = stack("database.yml" if service == "database" else "skep.yml")["services"][service]["networks"]
    (joined,) = stack(name)["services"][service]["networks"].items()
    assert joined[0] == network
    alias = joined[1]["aliases"][0]
    assert re.sub(r":\?[^}]*", "", alias) == base[network.replace("2", "1")]["aliases"][0]
    assert stack(name)["networks"] == {network: {"external": True, "name": f"skep-{network}"}}
