"""One hive an engine for all tests of this folder. A test declares tenants of its own, in a source of its own.

Hives are torn down with the last test of the folder, not of the session: the engines' own tests want an empty swarm.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.hives import Hive, embedded, on_swarm

HERE = Path(__file__).parent
_standing = contextlib.ExitStack()
_hives: dict[str, Hive] = {}


def _stand(name: str, start: Callable[[], contextlib.AbstractContextManager[Hive]]) -> Hive:
    if name not in _hives:
        _hives[name] = _standing.enter_context(start())
    return _hives[name]


@pytest.hookimpl(tryfirst=True)  # while the swarm's own fixture still stands
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    if HERE in item.path.parents and (nextitem is None or HERE not in nextitem.path.parents):
        _hives.clear()
        _standing.close()


def pytest_sessionfinish() -> None:
    """After an interrupt there was no last test."""
    _standing.close()


@pytest.fixture
def swarm_hive(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Hive:
    images = {name: request.getfixturevalue(f"{name}_image") for name in ("app", "traefik", "postgres", "redis")}
    swarm = request.getfixturevalue("swarm")
    return _stand("swarm", lambda: on_swarm(swarm, images, tmp_path_factory.mktemp("swarm")))


@pytest.fixture
def embedded_hive(tmp_path_factory: pytest.TempPathFactory) -> Hive:
    return _stand("embedded", lambda: embedded(tmp_path_factory.mktemp("embedded")))


@pytest.fixture(
    params=[pytest.param("swarm", marks=pytest.mark.swarm), pytest.param("embedded", marks=pytest.mark.embedded)]
)
def hive(request: pytest.FixtureRequest) -> Hive:
    """Each test that asks for it runs on both engines."""
    found: Hive = request.getfixturevalue(f"{request.param}_hive")
    return found
