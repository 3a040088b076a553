"""The product's own image: small in what it holds, and whole."""

from __future__ import annotations

import docker
import pytest

from tests.rig import images
from tests.rig.swarm import until

pytestmark = pytest.mark.swarm


@pytest.fixture(scope="session")
def app(docker_engine: docker.DockerClient) -> str:
    return images.app(docker_engine)


def run(client: docker.DockerClient, image: str, *command: str) -> str:
    output = client.containers.run(image, list(command[1:]), entrypoint=command[0], remove=True)
    assert isinstance(output, bytes)
    return output.decode().strip()


def test_every_room_is_in_the_image(docker_engine: docker.DockerClient, app: str) -> None:
    code = "import skep.operator.cli, skep.webapp, skep.crds; print('whole')"
    assert run(docker_engine, app, "python", "-c", code) == "whole"


def test_the_image_runs_as_nobody_in_particular(docker_engine: docker.DockerClient, app: str) -> None:
    assert run(docker_engine, app, "id", "-u") == "10001"
    assert docker_engine.images.get(app).attrs["Config"]["Entrypoint"] == ["skep"]


def test_what_only_builds_stays_out(docker_engine: docker.DockerClient, app: str) -> None:
    listed = run(
        docker_engine,
        app,
        "python",
        "-c",
        "import importlib.metadata as m; print(*sorted(d.name for d in m.distributions()))",
    )
    installed = set(listed.lower().split())
    assert "skep" in installed
    assert not installed & {"pip", "setuptools", "pytest", "mypy", "ruff"}
    assert run(docker_engine, app, "sh", "-c", "ls -A /build /root/.cache 2>/dev/null | wc -l") == "0"


def test_equal_content_is_built_once_and_a_label_makes_another_image(
    docker_engine: docker.DockerClient, app: str
) -> None:
    assert images.app(docker_engine) == app
    other = images.app(docker_engine, **{"skep.test": "other"})
    assert other != app
    assert docker_engine.images.get(other).id != docker_engine.images.get(app).id


def test_postgres_makes_its_cluster_once_and_asks_for_the_password(docker_engine: docker.DockerClient) -> None:
    container = docker_engine.containers.run(
        images.postgres(docker_engine),
        ["postgres", "-c", "max_connections=33"],
        environment={"POSTGRES_PASSWORD": "hush hush", "POSTGRES_DB": "app"},
        detach=True,
    )

    def ask(query: str, *, password: str | None = None) -> str:
        uri = "postgresql://postgres@127.0.0.1/app"
        asked = container.exec_run(["psql", uri, "-Atc", query], environment={"PGPASSWORD": password or "hush hush"})
        assert isinstance(asked.output, bytes)
        return asked.output.decode().strip()

    try:
        until(lambda: ask("select 1") == "1", 30, "PostgreSQL answers")
        assert ask("show max_connections") == "33"
        assert ask("show server_version").startswith("17.")
        assert "authentication failed" in ask("select 1", password="wrong")
        ask("create table kept (n int)")
        container.restart()
        until(lambda: ask("select count(*) from kept") == "0", 30, "the table is there after a restart")
    finally:
        container.remove(force=True, v=True)


def test_traefik_is_the_version_that_we_say(docker_engine: docker.DockerClient) -> None:
    assert f"Version:      {images.TRAEFIK}" in run(docker_engine, images.traefik(docker_engine), "traefik", "version")
