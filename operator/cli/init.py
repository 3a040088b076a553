"""`skep init`: everything that the stack needs and does not make itself, each step only if it is missing."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from skep.operator import names
from skep.operator.cli.command import Shared, command, skep
from skep.operator.cli.output import say
from skep.operator.cli.target import docker_host
from skep.operator.engine.spec import Network, NetworkSpec, pairs
from skep.operator.engine.swarm import SwarmEngine
from skep.operator.engine.swarm.nodes import Node
from skep.operator.errors import EngineUnavailable, NameTaken, NotFound, UsageError
from skep.operator.keys import RootKey

ROOT_KEY = "skep.root-key"
CACHE_ADMIN = "skep.redis-admin"
POSTGRES_ADMIN = "skep.postgres-admin"
HBA = "skep.pg-hba"
MOST_NETWORKS = 31  # of a kind: a /16 has room for so many /22s, and one for control
POSTGRES_NODE = "skep.postgres"
EDGE_NODE = "skep.edge"

PLATFORM = """\
apiVersion: skep/v1
kind: Platform
metadata:
  name: {name}
spec:
  baseDomain: {domain}
  tls: {tls}
  databases:
    - name: main
      host: postgres
  caches:
    - name: main
      host: redis
  app:
    image: {image}
"""


def tell_step(step: str, *, done: bool) -> None:
    say(f"{'made ' if done else 'there'}  {step}")


@dataclass(frozen=True, slots=True)
class Plan:
    """What `skep init` may be told; the defaults are for a swarm of one node."""

    key_file: Path = Path("skep-root.key")
    base_domain: str = "localhost"
    image: str = "skep:0.1.0"
    networks: int = 1  # edge and data networks, of each so many
    network_size: int = 22
    address_pool: str = "10.210.0.0/16"
    encrypted: bool = True
    advertise_addr: str | None = None
    postgres_node: str | None = None
    yes: bool = False


DEFAULT = Plan()


@skep.command("init")
@click.option(
    "--root-key",
    "key_file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT.key_file,
    show_default=True,
    help="Where the root key is, or shall be.",
)
@click.option("--base-domain", default=DEFAULT.base_domain, show_default=True, help="For the first platform document.")
@click.option("--image", default=DEFAULT.image, show_default=True, help="The app image of the first platform document.")
@click.option(
    "--networks",
    type=click.IntRange(1, MOST_NETWORKS),
    default=DEFAULT.networks,
    show_default=True,
    help="How many edge and how many data networks there shall be.",
)
@click.option(
    "--network-size",
    type=click.IntRange(16, 28),
    default=DEFAULT.network_size,
    show_default=True,
    help="Prefix length of each network that is made.",
)
@click.option(
    "--address-pool",
    metavar="CIDR",
    default=DEFAULT.address_pool,
    show_default=True,
    help="Take the networks from here.",
)
@click.option(
    "--encrypted/--not-encrypted", default=True, show_default=True, help="Encrypt traffic between nodes (needs ESP)."
)
@click.option("--advertise-addr", help="This node's address, if there is no swarm yet.")
@click.option("--postgres-node", metavar="NODE", help="The node that keeps PostgreSQL's data (default: this one).")
@click.option("--yes", is_flag=True, help="Do not ask.")
@command
async def init(shared: Shared, /, **options: Any) -> int:
    """Prepare a swarm: root key, secrets, networks, node labels, a first platform document.

    Each step is done only if it is missing, so run it as often as you like.
    """
    engine = SwarmEngine(docker_host(shared.target.context))
    plan = Plan(**options)
    try:
        await prepare(engine, plan)
        _platform(Path("platform.yaml"), plan.base_domain, plan.image)
    finally:
        await engine.close()
    _next_steps(plan.networks)
    return 0


async def prepare(engine: SwarmEngine, plan: Plan) -> None:
    """Everything that the stack calls external."""
    await _swarm(engine, plan.advertise_addr, yes=plan.yes)
    key = _root_key(plan.key_file, yes=plan.yes)
    await _secret(engine, ROOT_KEY, key.dump().encode(), key)
    await _secret(engine, POSTGRES_ADMIN, key.password("platform", "postgres-admin").encode(), key)
    await _secret(engine, CACHE_ADMIN, key.password("platform", "redis-admin").encode(), key)
    control = await _networks(engine, plan)
    await _create(f"config {HBA}", lambda: engine.create_config(HBA, hba(control), {"skep.kind": "platform"}))
    await _label_nodes(engine, plan.postgres_node)


async def _swarm(engine: SwarmEngine, advertise: str | None, *, yes: bool) -> None:
    try:
        await engine.info()
        tell_step("swarm", done=False)
    except EngineUnavailable as error:
        if error.reason != "NoManager":
            raise
        if not yes:
            click.confirm("This engine is in no swarm. Make one of it?", abort=True, err=True)
        await engine.swarm_init(advertise=advertise)
        tell_step("swarm", done=True)


def _root_key(path: Path, *, yes: bool) -> RootKey:
    if path.exists():
        key = RootKey.read(path)
        tell_step(f"root key {path} (fingerprint {key.own_fingerprint})", done=False)
        return key
    key = RootKey.generate()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(key.dump())
    tell_step(f"root key {path} (fingerprint {key.own_fingerprint})", done=True)
    say(
        "\nEvery password of every tenant derives from this file. Keep a copy off this swarm: without it and without\n"
        "the swarm nothing can be restored; whoever has it has everything.\n"
    )
    if not yes:
        click.confirm("Is a copy in a safe place?", abort=True, err=True)
    return key


async def _secret(engine: SwarmEngine, name: str, data: bytes, key: RootKey) -> None:
    labels = {"skep.kind": "platform", "skep.fingerprint": key.fingerprint(data)}
    try:
        found = await engine.inspect_secret(name)
    except NotFound:
        await engine.create_secret(name, data, labels)
        tell_step(f"secret {name}", done=True)
        return
    known = dict(found.labels).get("skep.fingerprint")  # absent if `swarm/prepare` made it
    if known not in (None, labels["skep.fingerprint"]):
        raise UsageError(
            f"secret {name} of this swarm was made from another root key",
            remedy="give the right one with --root-key; a new key would lock every tenant out",
        )
    tell_step(f"secret {name}", done=False)


async def _networks(engine: SwarmEngine, plan: Plan) -> Network:
    """control, then edge-1, data-1, edge-2 ... as many as are wanted and not there yet. The control network.

    A swarm's own pool gives /24s, on which the 254th task waits for an address without a word.
    """
    known = {network.name: network for network in await engine.list_networks(label=names.NETWORK)}
    wanted = {"skep-control": "control"} | {
        f"skep-{kind}-{number}": kind for number in range(1, plan.networks + 1) for kind in ("edge", "data")
    }
    free = free_subnets(
        plan.address_pool, plan.network_size, [s for network in known.values() for s in network.subnets]
    )
    for name, kind in wanted.items():
        if name not in known:
            subnet = next(free, None)
            if subnet is None:
                raise UsageError(
                    f"--address-pool {plan.address_pool} has no /{plan.network_size} left for {name}",
                    remedy="name another pool",
                )
            spec = NetworkSpec(name, subnet, encrypted=plan.encrypted, labels=pairs({names.NETWORK: kind}))
            await engine.create_network(spec)
        tell_step(f"network {name}", done=name not in known)
    return next(each for each in await engine.list_networks(label=names.NETWORK) if each.name == "skep-control")


def free_subnets(pool: str, size: int, taken: Iterable[str]) -> Iterator[str]:
    """The subnets of *pool*, /*size* each, that overlap none of *taken*. Raises UsageError for what is no pool."""
    try:
        network = ipaddress.ip_network(pool)
        if network.prefixlen > size:
            raise ValueError("the pool is smaller than one of them")
    except ValueError as error:
        raise UsageError(f"--address-pool {pool} with networks of /{size}: {error}") from error
    others = [ipaddress.ip_network(each, strict=False) for each in taken]
    return (
        str(subnet)
        for subnet in network.subnets(new_prefix=size)
        if not any(subnet.overlaps(other) for other in others)
    )


def hba(control: Network) -> bytes:
    """The admin role may come from the control network only; tenants' networks reach tenants' roles only."""
    lines = [
        "# Made by `skep init`. First match counts.",
        "local all all trust",  # whoever is inside PostgreSQL's own container is PostgreSQL
        "host all skep_admin 127.0.0.1/32 scram-sha-256",
        *(f"host all skep_admin {subnet} scram-sha-256" for subnet in control.subnets),
        "host all skep_admin all reject",
        "host all all all scram-sha-256",
    ]
    return ("\n".join(lines) + "\n").encode()


async def _create(what: str, create: Callable[[], Awaitable[str]]) -> None:
    try:
        await create()
        tell_step(what, done=True)
    except NameTaken:
        tell_step(what, done=False)


async def _label_nodes(engine: SwarmEngine, wanted: str | None) -> None:
    nodes = await engine.nodes()
    keeper = next((node for node in nodes if dict(node.labels).get(POSTGRES_NODE) == "true"), None)
    if keeper is None:
        keeper = _chosen(nodes, wanted)
        await engine.label_node(keeper.id, {POSTGRES_NODE: "true"})
        tell_step(f"label {POSTGRES_NODE}=true on node {keeper.hostname}", done=True)
    else:
        if wanted not in (None, keeper.hostname, keeper.id):
            raise UsageError(
                f"node {keeper.hostname} keeps PostgreSQL's data, not {wanted}",
                remedy="moving it is a restore; remove the label by hand if the volume is already elsewhere",
            )
        tell_step(f"label {POSTGRES_NODE}=true on node {keeper.hostname}", done=False)
    if any(dict(node.labels).get(EDGE_NODE) == "true" for node in nodes):
        tell_step(f"label {EDGE_NODE}=true", done=False)
        return
    edge = next((node for node in nodes if node.role == "manager" and node.leader), nodes[0])
    await engine.label_node(edge.id, {EDGE_NODE: "true"})
    tell_step(
        f"label {EDGE_NODE}=true on node {edge.hostname}; give it to every manager that people shall reach", done=True
    )


def _chosen(nodes: tuple[Node, ...], wanted: str | None) -> Node:
    if wanted is None:
        return next((node for node in nodes if node.leader), nodes[0])
    for node in nodes:
        if wanted in (node.hostname, node.id):
            return node
    raise UsageError(f"there is no node {wanted}", remedy="`docker node ls` lists them")


def _platform(path: Path, domain: str, image: str) -> None:
    if path.exists():
        tell_step(str(path), done=False)
        return
    tls = "off" if domain.split(".")[-1] in ("localhost", "test") else "certificate"
    name = "".join(letter if letter.isalnum() else "-" for letter in domain.lower())
    path.write_text(PLATFORM.format(name=name, domain=domain, tls=tls, image=image))
    tell_step(f"{path}: the first declaration, for you to commit", done=True)


def _next_steps(networks: int) -> None:
    group = Path("/var/run/docker.sock").stat().st_gid if Path("/var/run/docker.sock").exists() else None
    shown = str(group) if group is not None else "$(stat -c %g /var/run/docker.sock)"
    files = ["swarm/skep.yml", *(f"swarm/{kind}-{n}.yml" for n in range(2, networks + 1) for kind in ("edge", "data"))]
    stack = " ".join(f"--compose-file {file}" for file in files)
    say(f"\nNext:\n  SKEP_DOCKER_GID={shown} docker stack deploy {stack} skep\n  skep apply platform.yaml")
