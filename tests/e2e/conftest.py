"""A hive to play with, as its users have it: the command line in front, an engine behind.

The tests look at the swarm with the docker SDK and at PostgreSQL with a connection of their own, never through skep.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.rig.swarm import TestSwarm

ROOT = Path(__file__).parents[2]
SKEP = Path(sys.executable).with_name("skep")
DEMO_IMAGE = "skep:0.1.0"


@dataclass
class Answer:
    status: int
    body: str
    headers: dict[str, str]


@dataclass
class Hive:
    """One deployed hive. *environment* is what `skep` and `docker` are run with; *edge* is where visitors go."""

    kind: str
    environment: dict[str, str]
    edge: tuple[str, int]
    manifests: Path
    image: str
    swarm: TestSwarm | None = None
    work: Path = field(default_factory=Path)

    def run(
        self, *command: str | Path, check: bool = True, timeout_s: float = 180.0
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, capture_output=True, text=True, env=self.environment, cwd=self.work, timeout=timeout_s, check=False
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, command))} -> {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def skep(
        self, *arguments: str | Path, check: bool = True, timeout_s: float = 180.0
    ) -> subprocess.CompletedProcess[str]:
        return self.run(SKEP, *arguments, check=check, timeout_s=timeout_s)

    def apply(self, *more: str) -> None:
        self.skep("apply", self.manifests, "--prune", "--wait", *more)

    def tenant(self, name: str) -> dict[str, Any]:
        item: dict[str, Any] = json.loads(self.skep("get", "tenant", name, "-o", "json").stdout)
        return item

    def get(self, host: str, path: str = "/", *, timeout_s: float = 5.0) -> Answer:
        connection = http.client.HTTPConnection(*self.edge, timeout=timeout_s)
        try:
            connection.request("GET", path, headers={"Host": host})
            answer = connection.getresponse()
            return Answer(answer.status, answer.read().decode(), dict(answer.getheaders()))
        finally:
            connection.close()

    def until(self, holds: Callable[[], object], *, within_s: float = 60.0, what: str = "") -> None:
        deadline = time.monotonic() + within_s
        while not holds():
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"not within {within_s} s: {what or holds}\n{self.skep('get', 'tenants', check=False).stdout}"
                )
            time.sleep(0.1)

    def psql(self, query: str, database: str = "postgres", *, user: str = "skep_admin") -> list[list[str]]:
        """Rows of *query*, by PostgreSQL's own client in its own container."""
        assert self.swarm is not None
        for node in self.swarm.nodes:
            for container in node.client.containers.list(
                filters={"label": "com.docker.swarm.service.name=skep_postgres"}
            ):
                code, output = container.exec_run(
                    ["psql", "-XAtq", "-F", "\x1f", "-v", "ON_ERROR_STOP=1", "-U", user, "-d", database, "-c", query]
                )
                text = output.decode()
                if code != 0:
                    raise RuntimeError(text)
                return [line.split("\x1f") for line in text.splitlines()]
        raise RuntimeError("PostgreSQL runs nowhere")


def demo(target: Path, image: str) -> Path:
    """A copy of manifests/demo that runs *image*."""
    shutil.copytree(ROOT / "manifests" / "demo", target)
    platform = target / "platform.yaml"
    platform.write_text(platform.read_text().replace(DEMO_IMAGE, image))
    return target


@pytest.fixture(scope="module")
def on_swarm(
    swarm: TestSwarm, app_image: str, postgres_image: str, traefik_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hive]:
    """The stack on three managers, deployed as the README says."""
    work = tmp_path_factory.mktemp("hive")
    node = swarm.nodes[0]
    _, group = node.container.exec_run(["stat", "-c", "%g", "/var/run/docker.sock"])
    environment = {
        "PATH": f"{SKEP.parent}:{os.environ['PATH']}",
        "HOME": str(work),
        "DOCKER_HOST": node.url,
        "SKEP_DOCKER_GID": group.decode().strip(),
        "SKEP_IMAGE": app_image,
        "SKEP_TRAEFIK_IMAGE": traefik_image,
        "SKEP_POSTGRES_IMAGE": postgres_image,
        "NO_COLOR": "1",
    }
    hive = Hive("swarm", environment, (node.address, 80), demo(work / "manifests", app_image), app_image, swarm, work)
    # No ESP in every kernel: an encrypted overlay passes nothing between nodes there.
    hive.skep("init", "--yes", "--not-encrypted", "--base-domain", "localhost", "--postgres-node", "node0")
    hive.run("docker", "stack", "deploy", "--compose-file", ROOT / "swarm" / "skep.yml", "skep")
    yield hive
    tear_down(hive)


def tear_down(hive: Hive) -> None:
    """Leave the rig as it was found: no service, secret, config, network or label of ours."""
    assert hive.swarm is not None
    client = hive.swarm.client
    for service in client.services.list():
        service.remove()
    for node in hive.swarm.nodes:
        hive.until(lambda node=node: not node.client.containers.list(), within_s=60, what="containers end")  # type: ignore[misc]
    for thing in (*client.configs.list(), *client.secrets.list()):
        thing.remove()
    for network in client.networks.list(filters={"label": "skep.network"}):
        hive.until(lambda network=network: _removed(network), within_s=30, what=f"network {network.name} goes")  # type: ignore[misc]
    for node in hive.swarm.nodes:
        for volume in node.client.volumes.list(filters={"name": "skep-postgres"}):
            volume.remove(force=True)
    for described in client.nodes.list():
        spec = described.attrs["Spec"]
        described.update({**spec, "Labels": {}})


def _removed(network: Any) -> bool:
    try:
        network.remove()
    except Exception as error:  # noqa: BLE001 - still in use by tasks that are ending
        return "not found" in str(error).lower()
    return True
