"""The fixtures of the rig: `swarm`, and the images that its nodes run. Loaded as a plugin by `tests/conftest.py`.

Without an engine the tests that ask for one are skipped with the reason; SKEP_REQUIRE_SWARM=1 makes that a failure.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import docker
import pytest

from tests.rig import images
from tests.rig.outer import NoEngine, engine
from tests.rig.swarm import TestSwarm, running_swarm

REQUIRED = os.environ.get("SKEP_REQUIRE_SWARM") == "1"  # read before any test cleans its environment

FIRST_BUILD_S = 420  # whoever asks first waits for the images to be built, on a slow machine too


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("swarm") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(FIRST_BUILD_S))


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[docker.DockerClient]:
    """This machine's engine."""
    try:
        with engine() as client:
            yield client
    except NoEngine as error:
        if REQUIRED:
            pytest.fail(f"SKEP_REQUIRE_SWARM=1, but {error}")
        pytest.skip(f"NO SWARM TESTS: {error}")


@pytest.fixture(scope="session")
def swarm(docker_engine: docker.DockerClient) -> Iterator[TestSwarm]:
    """Three managers, one swarm, for the whole session. A test leaves it as it found it."""
    with running_swarm(docker_engine, images.node(docker_engine)) as swarm:
        yield swarm


@pytest.fixture(scope="session")
def probe_image(docker_engine: docker.DockerClient, swarm: TestSwarm) -> str:
    return _loaded(swarm, images.probe(docker_engine))


@pytest.fixture(scope="session")
def app_image(docker_engine: docker.DockerClient, swarm: TestSwarm) -> str:
    return _loaded(swarm, images.app(docker_engine))


@pytest.fixture(scope="session")
def postgres_image(docker_engine: docker.DockerClient, swarm: TestSwarm) -> str:
    return _loaded(swarm, images.postgres(docker_engine))


@pytest.fixture(scope="session")
def redis_image(docker_engine: docker.DockerClient, swarm: TestSwarm) -> str:
    return _loaded(swarm, images.redis(docker_engine))


@pytest.fixture(scope="session")
def traefik_image(docker_engine: docker.DockerClient, swarm: TestSwarm) -> str:
    return _loaded(swarm, images.traefik(docker_engine))


@pytest.fixture(scope="session")
def monitoring_images(docker_engine: docker.DockerClient, swarm: TestSwarm) -> tuple[str, str]:
    """Prometheus and Alertmanager, on the first node only: that is where they run."""
    tags = images.prometheus(docker_engine), images.alertmanager(docker_engine)
    swarm.load_image(*tags, nodes=(0,))
    return tags


@pytest.fixture(scope="session")
def registry_image(docker_engine: docker.DockerClient, swarm: TestSwarm) -> str:
    """A registry on 127.0.0.1:5000, which an engine trusts without TLS; user `me`, password `hush`."""
    return _loaded(swarm, images.registry(docker_engine))


def _loaded(swarm: TestSwarm, tag: str) -> str:
    swarm.load_image(tag)
    return tag
