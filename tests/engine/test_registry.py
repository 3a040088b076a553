"""Images from a registry that asks for a password: digests are resolved, and tasks can pull them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from skep.operator.engine.swarm import SwarmEngine
from tests.engine.adapters import Subject
from tests.engine.bench import Bench, bench_on
from tests.rig.swarm import TestSwarm, until

pytestmark = pytest.mark.swarm

REGISTRY = "127.0.0.1:5000"


@pytest.fixture
def pushed(swarm: TestSwarm, probe_image: str, registry_image: str) -> Iterator[str]:
    """The probe in a registry on node 0, and no longer in that node's own store under this name."""
    container = swarm.client.containers.run(registry_image, detach=True, network_mode="host")
    ref = f"{REGISTRY}/probe:1"
    image = swarm.client.images.get(probe_image)
    image.tag(ref)

    def push() -> bool:
        credentials = {"username": "me", "password": "hush"}
        return '"error"' not in str(swarm.client.images.push(ref, auth_config=credentials))

    until(push, 20, "the registry takes the image")
    swarm.client.images.remove(ref)
    yield ref
    container.remove(force=True, v=True)


@pytest.fixture
def logged_in(tmp_path: Path) -> Path:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"auths": {REGISTRY: {"auth": "bWU6aHVzaA=="}}}))
    return file


@pytest.fixture
async def bench(swarm: TestSwarm, logged_in: Path) -> AsyncIterator[Bench]:
    engine = SwarmEngine(swarm.url, registry_file=logged_in)
    async with bench_on(Subject(engine, "none")) as bench:
        yield bench
    await engine.close()


async def test_an_image_behind_a_password_is_pinned_and_runs(
    bench: Bench, pushed: str, swarm: TestSwarm, tmp_path: Path
) -> None:
    image = await bench.engine.resolve_image(pushed)
    assert image.digest is not None
    assert image.pinned == f"{pushed}@{image.digest}"
    assert (await bench.engine.resolve_image(image.pinned)).digest == image.digest

    strange = SwarmEngine(swarm.url, registry_file=tmp_path / "nothing.json")
    assert await strange.resolve_image(pushed) == type(image)(pushed, pushed, None)
    await strange.close()

    (here,) = swarm.client.nodes.list(filters={"name": "node0"})
    spec = bench.spec(image=image.pinned, constraints=(f"node.id=={here.id}",))
    service = await bench.create(spec)
    assert service.spec == spec
