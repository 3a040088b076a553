"""Commands that reach into a tenant: logs, psql, invite."""

from __future__ import annotations

import asyncio
import base64
import json
import shlex
import sys

import click
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from skep.operator import names
from skep.operator.cli.command import Shared, command, skep
from skep.operator.cli.oneoff import job, running
from skep.operator.cli.output import say
from skep.operator.cli.target import docker_host
from skep.operator.cli.view import View, look
from skep.operator.engine.embedded.client import EmbeddedClient
from skep.operator.engine.port import Engine
from skep.operator.engine.swarm import SwarmEngine
from skep.operator.errors import NotFound, SkepError, TerminalError, UsageError

POSTGRES_SERVICE = "skep_postgres"  # the stack's own
DEFAULT_HOST = "postgres"
ADMIN = "skep_admin"
SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
INVITE_INFO = b"skep invite"  # as docs/app-contract.md says


@skep.command("logs")
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Go on as lines arrive, until Ctrl-C.")
@click.option("-n", "--tail", type=int, default=100, show_default=True, help="Lines of the past, a task.")
@click.option("--worker", is_flag=True, help="Of its worker, where that is a service of its own.")
@command
async def logs(shared: Shared, name: str, follow: bool, tail: int, worker: bool) -> int:
    """Print the log of a tenant's app."""
    async with shared.target.connect() as engine:
        service = running(await look(engine), name, "worker" if worker else "web")
        async for line in engine.logs(service.name, tail=tail, follow=follow):
            say(line.text, err=line.stream == "stderr")
    return 0


@skep.command("invite")
@click.argument("name")
@click.option("--email", metavar="ADDRESS", help="Whom it is for (default: the tenant's owner).")
@command
async def invite(shared: Shared, name: str, email: str | None) -> int:
    """Print a one-time link with which the first organizer of a tenant makes an account.

    The tenant's own image makes it in a one-off job and answers sealed to a key of this run: the link is in no log,
    label or config.
    """
    async with shared.target.connect() as engine:
        view = await look(engine)
        service, record = running(view, name), view.records[name]
        status = view.statuses.get(name)
        if status is None or status.phase not in ("Ready", "Degraded", "Progressing"):
            raise UsageError(
                f"tenant {name} is {status.phase if status else 'Pending'}", remedy="it must be up for an invitation"
            )
        key = X25519PrivateKey.generate()
        public = base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
        address = email or record.spec.owner
        asked = ("invitation", "--to", public, *(("--email", address) if address else ()))
        result = await engine.run_job(job("invite", name, service, record, asked))
    if not result.ok:
        raise TerminalError(f"the invitation job failed: {(result.error or result.output).strip()[-300:]}")
    say(f"{status.urls[0]}/invite/{_unseal(result.output, key)}")
    say("It works once, for 7 days.", err=True)
    return 0


def _unseal(output: str, key: X25519PrivateKey) -> str:
    try:
        answer = json.loads(output.strip().splitlines()[-1])
        opened = SUITE.decrypt(base64.b64decode(answer["sealed"]), key, info=INVITE_INFO)
        return str(json.loads(opened)["token"])
    except Exception as error:  # any way in which an image may break the contract
        raise TerminalError(
            f"the image's answer is not an invitation: {type(error).__name__}",
            remedy="docs/app-contract.md says what an image must answer",
        ) from error


@skep.command("psql", context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@command
async def psql(shared: Shared, name: str, arguments: tuple[str, ...]) -> int:
    """Open a tenant's database with psql, as the operator's admin role. ARGUMENTS go to psql (`-c 'select 1'`)."""
    async with shared.target.connect() as engine:
        view = await look(engine)
        record = view.records.get(view.tenant_named(name))
        if record is None or not record.provisioned:
            raise UsageError(f"tenant {name} has no database yet")
        database = names.database(name, record.uid)
        if isinstance(engine, SwarmEngine):
            service = await server_service(engine, view, record.server)
            return await _psql_in_container(engine, docker_host(shared.target.context), service, database, arguments)
        if not isinstance(engine, EmbeddedClient):
            raise SkepError("this engine has no psql")
        return await engine.psql(database, arguments)


async def server_service(engine: SwarmEngine, view: View, server: str) -> str:
    """The service behind a database server of the Platform. Raises UsageError for one that is not of this swarm."""
    platform = view.fleet.platform
    spec = next((each for each in platform.spec.databases if each.name == server), None) if platform else None
    if spec is None:
        raise UsageError(f"the Platform has no database server {server}", remedy="put it back under spec.databases")
    return await service_of_host(engine, spec.host)


async def service_of_host(engine: SwarmEngine, host: str) -> str:
    """The service that answers to *host*: its label says so. Raises UsageError if there is none."""
    for service in await engine.list_services(label=f"{names.DATABASE_HOST}={host}"):
        return service.name
    if host == DEFAULT_HOST:  # of a stack that was deployed before there was a label
        return POSTGRES_SERVICE
    raise UsageError(
        f"no service of this swarm is database host {host}",
        remedy=f"it is elsewhere; or label its service {names.DATABASE_HOST}={host}",
    )


async def ask_database(engine: Engine, database: str, query: str, *, host: str | None = None) -> str:
    """What one query answers, as the admin role; *host* is the Platform's word for the server, None its first's.

    Raises SkepError where the server cannot be reached from here.
    """
    if isinstance(engine, SwarmEngine):
        service = POSTGRES_SERVICE if host is None else await service_of_host(engine, host)
        words = ["psql", "-XAtq", "-U", ADMIN, "-d", database, "-c", query]
        try:
            code, said = await engine.exec_in_task(service, words)
        except NotFound as error:
            raise SkepError(f"{error.message}, which this command must reach", remedy="choose its context") from error
    elif isinstance(engine, EmbeddedClient):
        code, said = await engine.ask_database(database, query)
    else:
        raise SkepError("this engine has no psql")
    if code:
        raise SkepError(f"PostgreSQL says: {said.strip()}")
    return said


async def _psql_in_container(
    engine: SwarmEngine, host: str, service: str, database: str, arguments: tuple[str, ...]
) -> int:
    """Run psql where the server runs: in its own container, if this context's node has it."""
    places = await engine.places(service)
    if not places:
        raise SkepError("PostgreSQL does not run", remedy=f"`docker service ps {service}` says why")
    here = next((place for place in places if place.here), None)
    words = ["psql", "-U", ADMIN, "-d", database, *arguments]
    if here is None:
        place = places[0]
        shown = shlex.join(["docker", "exec", "--interactive", "--tty", place.container[:12], *words])
        raise UsageError(
            f"PostgreSQL runs on node {place.hostname}, not on this context's node", remedy=f"there: {shown}"
        )
    flags = ["--interactive", *(["--tty"] if sys.stdin.isatty() else [])]
    command = ["docker", "--host", host, "exec", *flags, here.container, *words]
    try:
        process = await asyncio.create_subprocess_exec(*command)
    except FileNotFoundError as error:
        raise UsageError("the docker command is not installed here", remedy=shlex.join(command)) from error
    return await process.wait()
