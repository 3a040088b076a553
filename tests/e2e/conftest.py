"""One hive an engine for the whole session. A test declares tenants of its own, in a source of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.hives import Hive, embedded, on_swarm


@pytest.fixture(scope="session")
def swarm_hive(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hive]:
    images = {name: request.getfixturevalue(f"{name}_image") for name in ("app", "traefik", "postgres")}
    with on_swarm(request.getfixturevalue("swarm"), images, tmp_path_factory.mktemp("swarm")) as hive:
        yield hive


@pytest.fixture(scope="session")
def embedded_hive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hive]:
    with embedded(tmp_path_factory.mktemp("embedded")) as hive:
        yield hive


@pytest.fixture(
    params=[pytest.param("swarm", marks=pytest.mark.swarm), pytest.param("embedded", marks=pytest.mark.embedded)]
)
def hive(request: pytest.FixtureRequest) -> Hive:
    """Each test that asks for it runs on both engines."""
    found: Hive = request.getfixturevalue(f"{request.param}_hive")
    return found
