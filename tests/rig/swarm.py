"""Three containers, each a Docker engine, as a swarm of three managers: what the tests do to a real cluster.

The rig takes a numbered place on this machine, held by a file lock: with it go a network (198.18.<200 + place>.0/24)
and one volume a node for images, so that a second session takes the next place, and the leftovers of a killed one are
cleared by whoever takes its place. Swarm state never survives a session; loaded images do. The nodes are reached at
their own addresses, which needs Linux.
"""

from __future__ import annotations

import contextlib
import fcntl
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import docker
from docker.errors import APIError, DockerException, ImageNotFound
from docker.models.containers import Container
from docker.models.networks import Network
from docker.types import IPAMConfig, IPAMPool
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

PLACES = 8
LABEL = "skep.rig"
# Tests clean up by place, above; the reaper would be one more image to pull.
testcontainers_config.ryuk_disabled = True


@dataclass(frozen=True)
class Node:
    """One manager. *client* is the tests' own eye on it, independent of our adapter."""

    name: str
    address: str
    container: Container
    client: docker.DockerClient

    @property
    def url(self) -> str:
        return f"tcp://{self.address}:2375"


class TestSwarm:
    """The running rig; node 0 made the swarm, and `url` is its address."""

    __test__ = False  # a helper, though pytest likes its name

    def __init__(self, outer: docker.DockerClient, nodes: Sequence[Node]) -> None:
        self.outer = outer
        self.nodes = tuple(nodes)
        self._form()

    @property
    def url(self) -> str:
        """DOCKER_HOST for whatever is tested."""
        return self.nodes[0].url

    @property
    def client(self) -> docker.DockerClient:
        return self.nodes[0].client

    def load_image(self, *tags: str, nodes: Sequence[int] = (0, 1, 2)) -> None:
        """Bring images of this machine's engine to *nodes*; what is there already is not sent again."""
        with ThreadPoolExecutor(len(nodes)) as pool:
            for done in [pool.submit(self._load, self.nodes[index], tags) for index in nodes]:
                done.result()

    def _load(self, node: Node, tags: Sequence[str]) -> None:
        missing = [tag for tag in tags if not _has_image(node.client, tag)]
        if not missing:
            return
        # One archive for all, so that layers in common travel once.
        url = f"{self.outer.api.base_url}/images/get"
        with self.outer.api.get(url, params={"names": missing}, stream=True, timeout=120) as answer:
            answer.raise_for_status()
            node.client.images.load(answer.iter_content(2**20))  # type: ignore[arg-type]  # any iterable of bytes

    def stop_node(self, index: int) -> None:
        """Shut down in order: the other managers are told."""
        self.nodes[index].container.stop(timeout=20)

    def kill_node(self, index: int) -> None:
        """As if the machine lost power."""
        self.nodes[index].container.kill()

    def start_node(self, index: int) -> None:
        """Boot it again and wait until the swarm calls it ready and its engine answers."""
        self.nodes[index].container.start()
        self.wait_ready()

    def freeze_node(self, index: int) -> None:
        """Its engine stops to answer, while its connections stay open."""
        self.nodes[index].container.pause()

    def thaw_node(self, index: int) -> None:
        self.nodes[index].container.unpause()
        self.wait_ready()

    def leader(self) -> int:
        """The index of the node that leads. Raises when there is no quorum."""
        for described in self.client.nodes.list():
            status = described.attrs.get("ManagerStatus", {})
            if status.get("Leader"):
                return int(described.attrs["Description"]["Hostname"].removeprefix("node"))
        raise RuntimeError("the swarm has no leader")

    def wait_ready(self) -> None:
        for node in self.nodes:
            until(lambda node=node: self._all_ready(node), 60, f"{node.name} sees three ready managers")  # type: ignore[misc]  # a bound default

    def _all_ready(self, node: Node) -> bool:
        nodes = [described.attrs for described in node.client.nodes.list()]
        return len(nodes) == len(self.nodes) and all(
            attrs["Status"]["State"] == "ready" and attrs.get("ManagerStatus", {}).get("Reachability") == "reachable"
            for attrs in nodes
        )

    def _form(self) -> None:
        first, *others = self.nodes
        first.client.swarm.init(
            advertise_addr=first.address,
            listen_addr=f"{first.address}:2377",
            default_addr_pool=["198.19.128.0/17"],
            subnet_size=24,
        )
        first.client.swarm.reload()
        token = first.client.swarm.attrs["JoinTokens"]["Manager"]
        for node in others:
            node.client.swarm.join(
                remote_addrs=[f"{first.address}:2377"],
                join_token=token,
                advertise_addr=node.address,
                listen_addr=f"{node.address}:2377",
            )
        self.wait_ready()


@contextlib.contextmanager
def running_swarm(outer: docker.DockerClient, image: str, *, nodes: int = 3) -> Iterator[TestSwarm]:
    """A swarm of *nodes* managers that is gone after the block."""
    with _place() as place:
        _clear(outer, place)
        _drop_volumes(outer, place, but=_version(image))
        network = _network(outer, place)
        try:
            containers = [_start(outer, image, network, place, index) for index in range(nodes)]
            yield TestSwarm(
                outer, [_connect(outer, place, index, container) for index, container in enumerate(containers)]
            )
        finally:
            _clear(outer, place)


@contextlib.contextmanager
def _place() -> Iterator[int]:
    for place in range(PLACES):
        lock = _locked(Path(tempfile.gettempdir()) / f"skep-rig-{place}.lock")
        if lock is not None:
            with lock:
                yield place
            return
    raise RuntimeError(f"all {PLACES} places for a test swarm on this machine are taken")


def _locked(path: Path) -> IO[str] | None:
    try:
        file = path.open("w")
    except PermissionError:  # another person's
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def _clear(outer: docker.DockerClient, place: int) -> None:
    mine: dict[str, str | list[str] | bool] = {"label": f"{LABEL}={place}"}
    containers = outer.containers.list(all=True, filters=mine)
    if containers:
        with ThreadPoolExecutor(len(containers)) as pool:
            list(pool.map(lambda container: container.remove(force=True), containers))
    for network in outer.networks.list(filters=mine):
        network.remove()


def _drop_volumes(outer: docker.DockerClient, place: int, *, but: str) -> None:
    """Images loaded into nodes of another make are of no use."""
    for volume in outer.volumes.list(filters={"name": f"skep-rig-{place}-node"}):
        if not str(volume.name).endswith(but):
            volume.remove()


def _version(image: str) -> str:
    return image.rpartition(":")[2]


def _network(outer: docker.DockerClient, place: int) -> Network:
    pool = IPAMPool(subnet=f"198.18.{200 + place}.0/24", gateway=f"198.18.{200 + place}.1")
    return outer.networks.create(
        f"skep-rig-{place}", driver="bridge", ipam=IPAMConfig(pool_configs=[pool]), labels={LABEL: str(place)}
    )


def _start(outer: docker.DockerClient, image: str, network: Network, place: int, index: int) -> Container:
    """A node's container. All capabilities but one: a kernel may withhold CAP_SYS_RESOURCE, and then --privileged fails."""
    address = outer.api.create_endpoint_config(ipv4_address=_address(place, index))
    name = str(network.name)
    volume = f"skep-rig-{place}-node{index}-{_version(image)}"
    node = (
        DockerContainer(image)
        .with_name(f"skep-rig-{place}-node{index}")
        .with_volume_mapping("/sys/fs/cgroup", "/sys/fs/cgroup", "rw")
        .with_volume_mapping(volume, "/var/lib/docker", "rw")
        .with_kwargs(
            hostname=f"node{index}",
            network=name,
            networking_config={name: address},
            cap_add=["ALL"],
            cap_drop=["SYS_RESOURCE"],
            security_opt=["seccomp=unconfined", "apparmor=unconfined"],
            device_cgroup_rules=["a *:* rwm"],
            cgroupns="host",
            # An engine first tries to pull what has no digest; a name server that is slow to say no costs 5 s.
            extra_hosts={"skep.invalid": "127.0.0.1"},
            labels={LABEL: str(place)},
        )
    )
    node.start()
    return node.get_wrapped_container()


def _connect(outer: docker.DockerClient, place: int, index: int, container: Container) -> Node:
    address = _address(place, index)
    client = docker.DockerClient(base_url=f"tcp://{address}:2375", version="1.41", timeout=30)
    until(lambda: bool(client.ping()), 60, f"the engine of node{index} answers")
    for image in client.images.list():
        # What this machine has forgotten, the node's volume need not keep.
        if not any(_has_image(outer, tag) for tag in image.tags):
            client.images.remove(str(image.id), force=True)
    return Node(f"node{index}", address, container, client)


def _address(place: int, index: int) -> str:
    return f"198.18.{200 + place}.{10 + index}"


def _has_image(client: docker.DockerClient, tag: str) -> bool:
    try:
        client.images.get(tag)
    except ImageNotFound:
        return False
    return True


def until(is_so: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Look again every 0.1 s until *is_so*; errors of the engine count as "not yet"."""
    deadline = time.monotonic() + timeout_s
    last: Exception | None = None
    while True:
        try:
            if is_so():
                return
        except (APIError, DockerException, OSError) as error:
            last = error
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {timeout_s:g} s still not so: {what}") from last
        time.sleep(0.1)
