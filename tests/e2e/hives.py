"""Hives to play with, as their users have them: the command line in front, an engine behind.

The tests look at the swarm with the docker SDK and at PostgreSQL with clients of their own, never through skep.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import docker.errors
from docker.models.containers import Container

from tests.e2e.browser import Browser
from tests.rig.swarm import TestSwarm

ROOT = Path(__file__).parents[2]
SKEP = Path(sys.executable).with_name("skep")
DEMO_IMAGE = "skep:0.1.0"


@dataclass
class Hive:
    """*environment* is what `skep` and `docker` run with; *edge* is where visitors go; *image* is the app's."""

    kind: Literal["swarm", "embedded"]
    environment: dict[str, str]
    edge: tuple[str, int]
    work: Path
    image: str
    swarm: TestSwarm | None = None
    serial: int = field(default=0)

    # The command line

    def run(
        self, *command: str | Path, check: bool = True, timeout_s: float = 200.0
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=self.environment,
            cwd=self.work,
            timeout=timeout_s,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, command))} -> {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def skep(
        self, *arguments: str | Path, check: bool = True, timeout_s: float = 200.0
    ) -> subprocess.CompletedProcess[str]:
        return self.run(SKEP, *arguments, check=check, timeout_s=timeout_s)

    def items(self, kind: str = "tenants") -> dict[str, dict[str, Any]]:
        listed = json.loads(self.skep("get", kind, "-o", "json").stdout)
        assert (listed["apiVersion"], listed["kind"]) == ("skep/v1", "List")
        return {item["metadata"]["name"]: item for item in listed["items"]}

    def phase(self, name: str) -> str:
        item = self.items().get(name)
        return str(item["status"]["phase"]) if item is not None else "gone"

    def reason(self, name: str) -> str:
        conditions = self.items()[name]["status"]["conditions"]
        return next((str(each["reason"]) for each in conditions if each["type"] == "Ready"), "")

    # Declarations

    def declare(self, *documents: dict[str, Any], source: str, prune: bool = True, wait: bool = True) -> Path:
        """Write *documents* into a folder of the source's own and apply it."""
        folder = self.work / source
        if prune:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(exist_ok=True)
        for document in documents:
            path = folder / f"{document['kind']}-{document['metadata']['name']}.yaml".lower()
            path.write_text(json.dumps(document, indent=2))
        flags = (["--prune"] if prune else []) + (["--wait"] if wait else [])
        self.skep("apply", folder, "--source", source, *flags)
        return folder

    def until(self, holds: Callable[[], object], *, within_s: float = 60.0, what: str = "") -> None:
        deadline = time.monotonic() + within_s
        while not holds():
            if time.monotonic() > deadline:
                shown = self.skep("get", "tenants", check=False)
                raise AssertionError(f"not within {within_s:g} s: {what}\n{shown.stdout}{shown.stderr}")
            time.sleep(0.1)

    # The edge

    def browser(self, host: str) -> Browser:
        return Browser(self.edge, host)

    def status_of(self, host: str) -> int:
        return self.browser(host).get("/").status

    # PostgreSQL, with a client of the tests' own

    def sql(
        self, query: str, database: str = "postgres", *, user: str = "skep_admin", password: str | None = None
    ) -> list[list[str]]:
        """Rows of *query*. With *password* over TCP, as an app would come; else as the server's own superuser.

        Raises RuntimeError with what PostgreSQL said.
        """
        words = ["-XAtq", "-F", "\x1f", "-v", "ON_ERROR_STOP=1", "-U", user, "-d", database, "-c", query]
        if self.swarm is not None:
            environment = {"PGPASSWORD": password} if password is not None else {}
            host = ["-h", "postgres"] if password is not None else []
            code, text = inside(self.postgres_container(), ["psql", *host, *words], environment=environment)
        else:
            code, text = self._embedded_sql(words, password)
        if code != 0:
            raise RuntimeError(text)
        return [line.split("\x1f") for line in text.splitlines()]

    def _embedded_sql(self, words: list[str], password: str | None) -> tuple[int, str]:
        from skep.operator.engine.embedded.home import Home
        from skep.operator.keys import RootKey

        home = Path(self.environment["SKEP_HOME"])
        state = Home(home)
        if password is None:
            password = RootKey.read(home / "root.key").password("platform", "postgres-admin")
        done = subprocess.run(
            [embedded_binaries() / "psql", "-h", "127.0.0.1", "-p", str(postgres_port(state)), *words],
            env={"PGPASSWORD": password, "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + (done.stderr if done.returncode else "")

    # The cache, with a client of the tests' own

    def redis(self, user: str, password: str, *words: str) -> str:
        """What the server answers to one command, errors too."""
        if self.swarm is not None:
            (container,) = self.containers("skep_redis")
            command = ["redis-cli", "--no-auth-warning", "--user", user, *words]
            return inside(container, command, environment={"REDISCLI_AUTH": password})[1].strip()
        from redis import Redis
        from redis.exceptions import ResponseError

        from skep.operator.engine.embedded.home import Home

        port = Home(Path(self.environment["SKEP_HOME"])).ports()["redis"]
        client = Redis(
            host="127.0.0.1", port=port, username=user, password=password, decode_responses=True, socket_timeout=5.0
        )
        try:
            answer = client.execute_command(*words)  # type: ignore[no-untyped-call]
        except ResponseError as error:
            return str(error)
        finally:
            client.close()
        return "OK" if answer is True else str(answer)

    def databases(self) -> set[str]:
        return {row[0] for row in self.sql("select datname from pg_database where datname like 't\\_%'")}

    def database_of(self, name: str) -> str:
        return f"t_{name}_{self.items()[name]['metadata']['uid'][:8]}"

    # The swarm, with the docker SDK

    @property
    def client(self) -> docker.DockerClient:
        assert self.swarm is not None
        return self.swarm.client

    def service(self, name: str) -> Any:  # the SDK's services are untyped
        services: Any = self.client.services
        return services.get(name)

    def running_tasks(self, service: str) -> set[str]:
        tasks = self.service(service).tasks({"desired-state": "running"})
        return {str(task["ID"]) for task in tasks if task["Status"]["State"] == "running"}

    def containers(self, service: str) -> list[Container]:
        assert self.swarm is not None
        found: list[Container] = []
        for node in self.swarm.nodes:
            found += node.client.containers.list(filters={"label": f"com.docker.swarm.service.name={service}"})
        return found

    def postgres_container(self) -> Container:
        found = self.containers("skep_postgres")
        if not found:
            raise RuntimeError("PostgreSQL runs nowhere")
        return found[0]

    def writes(self) -> dict[str, int]:
        """The version of every object of a tenant: a write would move it. Statuses are reports and count too."""
        found = {
            f"service {each.name}": each.version for each in self.client.services.list(filters={"label": "skep.uid"})
        }
        for config in self.client.configs.list(filters={"label": "skep.kind"}):
            if config.attrs["Spec"]["Labels"]["skep.kind"] in ("record", "status", "settings"):
                found[f"config {config.name}"] = config.attrs["Version"]["Index"]
        for secret in self.client.secrets.list(filters={"label": "skep.tenant"}):
            found[f"secret {secret.name}"] = secret.attrs["Version"]["Index"]
        return found


def inside(container: Container, words: list[str], **options: Any) -> tuple[int, str]:
    """Exit code and output of a command in a container."""
    run: Any = container.exec_run
    code, output = run(words, **options)
    return int(code), output.decode(errors="replace")


def tenant(name: str, plan: str = "free", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "skep/v1",
        "kind": "Tenant",
        "metadata": {"name": name},
        "spec": {"displayName": name.title(), "plan": plan, **spec},
    }


def plan(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "skep/v1", "kind": "Plan", "metadata": {"name": name}, "spec": spec}


def demo(target: Path, image: str) -> Path:
    """A copy of manifests/demo that runs *image*."""
    shutil.copytree(ROOT / "manifests" / "demo", target)
    platform = target / "platform.yaml"
    platform.write_text(platform.read_text().replace(DEMO_IMAGE, image))
    return target


def base_environment(home: Path) -> dict[str, str]:
    return {"PATH": f"{SKEP.parent}:{os.environ['PATH']}", "HOME": str(home), "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


WIDE = {"SKEP_EDGE_SUBNET": "198.19.244.0/22", "SKEP_DATA_SUBNET": "198.19.248.0/22"}
# Two of each, for four tenants of one task: 16 addresses, of which the nodes, the edge and others take eight.
SMALL = {
    "SKEP_NETWORKS": "2",
    "SKEP_EDGE_SUBNET": "198.19.244.0/28",
    "SKEP_DATA_SUBNET": "198.19.244.16/28",
    "SKEP_EDGE_SUBNET_2": "198.19.244.32/28",
    "SKEP_DATA_SUBNET_2": "198.19.244.48/28",
}


@contextlib.contextmanager
def on_swarm(swarm: TestSwarm, images: dict[str, str], work: Path, *, small: bool = False) -> Iterator[Hive]:
    """The stack on three managers, deployed as the README says, with the demo's tenants.

    *small*: two edge and two data networks that are soon full, and no tenants.
    """
    node = swarm.nodes[0]
    _, group = inside(node.container, ["stat", "-c", "%g", "/var/run/docker.sock"])
    environment = base_environment(work) | {
        "DOCKER_HOST": node.url,
        "SKEP_DOCKER_GID": group.strip(),
        "SKEP_IMAGE": images["app"],
        "SKEP_TRAEFIK_IMAGE": images["traefik"],
        "SKEP_POSTGRES_IMAGE": images["postgres"],
        "SKEP_REDIS_IMAGE": images["redis"],
        "SKEP_CONTROL_SUBNET": "198.19.240.0/22",
        "SKEP_RESYNC_S": "10",  # what only a resync repairs should not take a test's minute
    }
    hive = Hive("swarm", environment, (node.address, 80), work, images["app"], swarm)
    try:
        # No ESP in every kernel: an encrypted overlay passes nothing between nodes there.
        subnets = (SMALL if small else WIDE) | {"SKEP_ENCRYPTED": "0"}
        prepared = subprocess.run(
            [ROOT / "swarm" / "prepare"],
            cwd=work,
            env=environment | subnets,
            capture_output=True,
            text=True,
            check=False,
        )
        assert prepared.returncode == 0, prepared.stderr
        # The plain way went first, so everything must be found as `skep init` would have made it.
        flags = ("--yes", "--not-encrypted", "--base-domain", "localhost", "--postgres-node", "node0")
        made = hive.skep("init", *flags, *(("--networks", "2") if small else ()))
        assert [line for line in made.stdout.splitlines() if line.startswith("made")] == [
            "made   platform.yaml: the first declaration, for you to commit"
        ], made.stdout
        if small:
            deploy(hive, "edge-2.yml", "data-2.yml")
            yield hive
            return
        deploy(hive)
        hive.skep("apply", demo(work / "demo", images["app"]), "--prune", "--wait")
        yield hive
    finally:
        tear_down(hive)


def deploy(hive: Hive, *more: str) -> None:
    """As README says; *more* are further files of `swarm/`."""
    files = [part for name in ("skep.yml", *more) for part in ("--compose-file", ROOT / "swarm" / name)]
    hive.run("docker", "stack", "deploy", *files, "skep")


@contextlib.contextmanager
def embedded(work: Path) -> Iterator[Hive]:
    """`skep up --detach` with the demo's tenants."""
    port = free_port()
    environment = base_environment(work) | {"SKEP_HOME": str(work / "home")}
    hive = Hive("embedded", environment, ("127.0.0.1", port), work, DEMO_IMAGE)
    try:
        hive.skep("up", demo(work / "demo", DEMO_IMAGE), "--detach", "--port", str(port))
        yield hive
    finally:
        hive.skep("down", "--purge", "--yes", check=False)


def tear_down(hive: Hive) -> None:
    """Leave the rig as it was found: no service, secret, config, network, volume or label of ours."""
    assert hive.swarm is not None
    client: Any = hive.swarm.client
    for service in client.services.list(filters={"name": "skep_operator"}):
        service.remove()  # first, or it would make tenants anew
    hive.until(lambda: not hive.containers("skep_operator"), what="the operator ends")
    for service in client.services.list():
        service.remove()
    for node in hive.swarm.nodes:
        hive.until(lambda node=node: not node.client.containers.list(), what="containers end")  # type: ignore[misc]
    for thing in (*client.configs.list(), *client.secrets.list()):
        thing.remove()
    for network in client.networks.list(filters={"label": "skep.network"}):
        hive.until(lambda network=network: _removed(network.remove), what=f"{network.name} goes")  # type: ignore[misc]
    for node in hive.swarm.nodes:
        for container in node.client.containers.list(all=True):
            _removed(lambda container=container: container.remove(force=True))  # type: ignore[misc]
        for name in ("skep-postgres", "skep-redis"):
            for volume in node.client.volumes.list(filters={"name": name}):
                _removed(lambda volume=volume: volume.remove(force=True))  # type: ignore[misc]
    for described in client.nodes.list():
        described.update({**described.attrs["Spec"], "Labels": {}})


def _removed(remove: Callable[[], object]) -> bool:
    try:
        remove()
    except docker.errors.NotFound:
        return True
    except docker.errors.APIError:  # still in use by what is ending
        return False
    return True


def embedded_binaries() -> Path:
    from skep.operator.engine.embedded.postgres import installed

    return installed() / "bin"


def postgres_port(home: Any) -> int:
    return int(home.ports()["postgres"])
