"""From `skep apply` to the first 200 through the edge, next to what the same engine does with bare calls.

The floor of a tenant is what nobody can leave out: the start of a command that reads YAML and speaks HTTP, a clone of
the template, a service of the same image until its task is healthy, the proxy that has to notice. Both are measured in
turns on the same hive, and both begin at the same moments of the proxy's period: one that looks every 2 s makes one wait
for anything between nothing and that.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg

from bench.report import Aim, Report, Row, row
from bench.visits import first_answers, status_of
from skep.operator import names
from skep.operator.engine.embedded.client import EmbeddedClient
from skep.operator.engine.embedded.files import write_atomically
from skep.operator.engine.embedded.home import Home, admin_password
from skep.operator.engine.embedded.programs import APP, base_environment
from skep.operator.engine.embedded.routes import render
from skep.operator.engine.embedded.workshop import free_port
from skep.operator.engine.spec import Config, Route, pairs
from skep.operator.engine.swarm.parse import moment
from skep.operator.keys import RootKey
from tests.e2e.hives import SKEP, Hive, embedded, inside, on_swarm, postgres_port, tenant
from tests.rig import images
from tests.rig.outer import engine as outer_engine
from tests.rig.swarm import running_swarm

TIMES = 9
MODEL = "birch"  # of the demo: on the same plan as the tenants that are measured, so with the same limits
CROWD = 20
CROWD_TIMES = 5
NO_ROWS = "/healthz"  # what a crowd is asked for: its floor shares MODEL's database, which counts its connections
ONE = Aim(1.3, "ratio")
MANY = Aim(1.0, "ratio")
API = "v1.44"  # the first that knows how often a starting task is probed
REFRESH_S = 2.0  # of the shipped Traefik
CALM_S = 3.0  # after a crowd


@dataclass(frozen=True, slots=True)
class Way:
    """One tenant's way, in seconds since `skep apply` was *typed* (as `time.time()`)."""

    typed: float
    applied: float
    answered: float
    published: float
    created: float = 0.0
    running: float = 0.0

    @property
    def followed(self) -> float:
        """From the published revision to the answer: the operator's, the engine's and the proxy's part."""
        return self.answered - self.published


@dataclass(frozen=True, slots=True)
class Bare:
    """The floor in seconds: *command* is a bare process, *database* the clone, *start* until the task is healthy."""

    command: float
    database: float
    start: float
    answered: float  # start and route, from the service's creation on

    @property
    def followed(self) -> float:
        """Without the command: what comes after a published revision, at least."""
        return self.database + self.answered

    @property
    def total(self) -> float:
        return self.command + self.followed


@dataclass(frozen=True, slots=True)
class Crowd:
    """Seconds until the first and until the last of CROWD answered, and until all of their tasks ran (floor only).

    *ended* is when the last answered, as `time.time()`: the proxy had just looked.
    """

    first: float
    last: float
    ended: float
    running: float = 0.0

    @property
    def pace(self) -> float:
        return (self.last - self.first) / (CROWD - 1)


def run() -> Report:
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="skep-bench-") as scratch, outer_engine() as client:
        tags = images.stack(client)
        with running_swarm(client, images.node(client)) as swarm:
            swarm.load_image(*tags.values())
            folder = Path(scratch) / "swarm"
            folder.mkdir()
            with on_swarm(swarm, tags, folder) as hive:
                rows += swarm_rows(hive)
                empty(hive)
        folder = Path(scratch) / "embedded"
        folder.mkdir()
        with embedded(folder) as hive:
            rows += embedded_rows(hive)
    notes = (
        f"Swarm: the shipped stack on three managers in containers, whose Traefik looks every {REFRESH_S:g} s.",
        f"One tenant: medians of {TIMES}, tenant and floor in turns. `skep apply` is a process whose start counts too.",
        "Floor of the command: a process that imports what any of its kind needs (click, PyYAML, pydantic, aiohttp).",
        "Floor on the swarm: CREATE DATABASE ... TEMPLATE, then a bare service of equal spec from its creation to 200.",
        "Floor when embedded: the clone, then the same process until it answers, then Traefik's reload of a route file.",
        "What is embedded takes a spare process of the app, which has done its imports; the bare one starts cold.",
        f"{CROWD} at once: until the last answers, divided by {CROWD}.",
        f"Floor: a bare command, then {CROWD} clones and, beside them, {CROWD} bare services, until the last answers.",
    )
    return Report("time_to_ready", "From `skep apply` to the first 200 through the edge", tuple(rows), notes)


# On the swarm


def swarm_rows(hive: Hive) -> list[Row]:
    template = template_of(hive)
    body = service_body(hive, f"skep-{MODEL}-web")
    ways: list[Way] = []
    floors: list[Bare] = []
    for number in range(TIMES):
        pause(number)
        floors.append(bare_service(hive, body, f"floor{number}", template))
        pause(number)
        ways.append(apply_one(hive, f"one{number}"))
    rows = [
        row("swarm, one tenant: 200 after", [w.answered for w in ways], "s", floor=[f.total for f in floors], aim=ONE),
        *parts(ways, floors),
        row("   of it: its service was created after", [w.created for w in ways], "s"),
        row("   of it: its task was running after", [w.running for w in ways], "s"),
        row("   floor: CREATE DATABASE ... TEMPLATE", [f.database for f in floors], "s"),
        row("   floor: bare service, created to running", [f.start for f in floors], "s"),
        row("   floor: bare service, created to 200", [f.answered for f in floors], "s"),
    ]
    crowds: list[Crowd] = []
    starts: list[Crowd] = []
    looked = ways[-1].typed + ways[-1].answered
    for number in range(CROWD_TIMES):
        in_step(looked, number)
        starts.append(bare_crowd(hive, body, f"crowd{number}", template))
        looked = starts[-1].ended
        in_step(looked, number)
        crowds.append(apply_crowd(hive, f"many{number}"))
        looked = crowds[-1].ended
    return [
        *rows,
        row(
            f"swarm, {CROWD} at once: a tenant",
            [crowd.last / CROWD for crowd in crowds],
            "s",
            floor=[crowd.last / CROWD for crowd in starts],
            aim=MANY,
        ),
        row(
            "   next to the engine alone, until all containers run",
            [crowd.last / CROWD for crowd in crowds],
            "s",
            floor=[crowd.running / CROWD for crowd in starts],
        ),
        row(
            "   the same from the first to the last",
            [crowd.pace for crowd in crowds],
            "s",
            floor=[crowd.pace for crowd in starts],
        ),
    ]


def parts(ways: Sequence[Way], floors: Sequence[Bare]) -> list[Row]:
    return [
        row(
            "   of it: from the published revision on",
            [w.followed for w in ways],
            "s",
            floor=[f.followed for f in floors],
        ),
        row(
            "   of it: its revision was published after",
            [w.published for w in ways],
            "s",
            floor=[f.command for f in floors],
        ),
        row(
            "   all of it next to the engine's floor alone",
            [w.answered for w in ways],
            "s",
            floor=[f.followed for f in floors],
        ),
        row("   of it: `skep apply` returned after", [w.applied for w in ways], "s"),
    ]


def apply_one(hive: Hive, name: str) -> Way:
    folder = declared(hive, [name])
    began = time.time()
    process, finish = typed(hive, folder, name)
    answered = first_answers(hive.edge, [f"{name}.localhost"], meanwhile=finish)[f"{name}.localhost"]
    applied = finish_of(process, finish)
    if hive.swarm is None:
        return Way(began, applied - began, answered - began, written_at(hive, f"{name}.r1") - began)
    published = created_at(call(hive, "GET", f"configs/{name}.r1"))
    service = call(hive, "GET", f"services/skep-{name}-web")
    return Way(
        began,
        applied - began,
        answered - began,
        published - began,
        created_at(service) - began,
        running_at(hive, service["ID"]) - began,
    )


def apply_crowd(hive: Hive, prefix: str) -> Crowd:
    """Until tenants answer."""
    crowd = [f"{prefix}x{number}" for number in range(CROWD)]
    folder = declared(hive, crowd)
    began = time.time()
    process, finish = typed(hive, folder, prefix)
    answered = first_answers(hive.edge, [f"{name}.localhost" for name in crowd], meanwhile=finish, path=NO_ROWS)
    finish_of(process, finish)
    ended = max(answered.values())
    return Crowd(min(answered.values()) - began, ended - began, ended)


class Finish:
    """Notes when a process ended, as closely as it is called."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.at: float | None = None

    def __call__(self) -> None:
        if self.at is None and self.process.poll() is not None:
            self.at = time.time()


def typed(hive: Hive, folder: Path, source: str) -> tuple[subprocess.Popen[str], Finish]:
    process = subprocess.Popen(
        [SKEP, "apply", folder, "--source", source],
        env=hive.environment,
        cwd=hive.work,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return process, Finish(process)


def finish_of(process: subprocess.Popen[str], finish: Finish) -> float:
    said, _ = process.communicate(timeout=60)
    finish()
    if process.returncode or finish.at is None:
        raise RuntimeError(f"skep apply -> {process.returncode}\n{said}")
    return finish.at


def declared(hive: Hive, tenants: Sequence[str]) -> Path:
    folder = hive.work / f"bench-{tenants[0]}"
    folder.mkdir()
    for name in tenants:
        (folder / f"{name}.yaml").write_text(json.dumps(tenant(name)))
    return folder


def bare_command() -> float:
    """Seconds of a process that is ready to read YAML and to speak HTTP, and does neither."""
    began = time.time()
    subprocess.run([sys.executable, "-c", "import asyncio, click, yaml, pydantic, aiohttp"], check=True)
    return time.time() - began


def bare_service(hive: Hive, body: str, name: str, template: str) -> Bare:
    command = bare_command()
    database = clone(hive, template, f"bench_{name}")
    began = time.time()
    service = str(call(hive, "POST", "services/create", renamed(body, name))["ID"])
    answered = first_answers(hive.edge, [f"{name}.localhost"])[f"{name}.localhost"]
    start = running_at(hive, service) - began
    call(hive, "DELETE", f"services/{service}")
    return Bare(command, database, start, answered - began)


def bare_crowd(hive: Hive, body: str, prefix: str, template: str) -> Crowd:
    """Until bare services answer, their clones made beside them by one session."""
    crowd = [f"{prefix}x{number}" for number in range(CROWD)]
    began = time.time()
    bare_command()
    with ThreadPoolExecutor(9) as pool:
        cloned = pool.submit(cloned_at, hive, template, [f"bench_{name}" for name in crowd])
        made = list(pool.map(lambda name: call(hive, "POST", "services/create", renamed(body, name))["ID"], crowd))
        answered = first_answers(hive.edge, [f"{name}.localhost" for name in crowd], path=NO_ROWS)
        last = max(*answered.values(), cloned.result())
    filters = quote(json.dumps({"service": made}))
    ran = [stamp(task["Status"]["Timestamp"]) for task in call(hive, "GET", f"tasks?filters={filters}")]
    found = Crowd(min(answered.values()) - began, last - began, max(answered.values()), max(ran) - began)
    for name in crowd:
        hive.sql(f'drop database "bench_{name}"')
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda service: call(hive, "DELETE", f"services/{service}"), made))
    hive.until(lambda: not any(hive.containers(f"skep-{name}-web") for name in crowd), what="the bare containers end")
    return found


def service_body(hive: Hive, name: str) -> str:
    """A tenant's service as the daemon would take it again."""
    return json.dumps(call(hive, "GET", f"services/{name}")["Spec"])


def renamed(body: str, name: str) -> str:
    """With a name, host and route of its own; MODEL's files and header, so that the app takes the requests."""
    body = body.replace(f"skep-{MODEL}-web", f"skep-{name}-web").replace(f"{MODEL}.localhost", f"{name}.localhost")
    spec = json.loads(body)
    spec["Labels"] |= {names.TENANT: f"bare-{name}", names.UID: secrets.token_hex(16)}
    spec["TaskTemplate"]["ContainerSpec"]["StopGracePeriod"] = 1_000_000_000  # nobody visits it any more
    return json.dumps(spec)


def template_of(hive: Hive) -> str:
    (found,) = [line[0] for line in hive.sql(r"select datname from pg_database where datname like 'skep\_template\_%'")]
    return found


def clone(hive: Hive, template: str, name: str) -> float:
    """Seconds of a bare CREATE DATABASE, by psql's own clock."""
    psql = ["psql", "-XAtq", "-U", "skep_admin", "-d", "postgres"]
    statement = f'create database "{name}" template "{template}"'
    code, said = inside(hive.postgres_container(), [*psql, "-c", r"\timing on", "-c", statement])
    found = re.search(r"Time: ([0-9.]+) ms", said)
    if code or found is None:
        raise RuntimeError(said)
    hive.sql(f'drop database "{name}"')
    return float(found[1]) / 1000


def cloned_at(hive: Hive, template: str, databases: Sequence[str]) -> float:
    """Clone the template in one session; when the last was made."""
    words = [word for name in databases for word in ("-c", f'create database "{name}" template "{template}"')]
    psql = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-U", "skep_admin", "-d", "postgres"]
    code, said = inside(hive.postgres_container(), [*psql, *words])
    if code:
        raise RuntimeError(said)
    return time.time()


def call(hive: Hive, method: str, path: str, body: str | None = None) -> Any:
    assert hive.swarm is not None
    connection = http.client.HTTPConnection(hive.swarm.nodes[0].address, 2375, timeout=30)
    try:
        connection.request(method, f"/{API}/{path}", body=body, headers={"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    if answer.status >= 400:
        raise RuntimeError(f"{method} {path} -> {answer.status}: {text.decode()}")
    return json.loads(text) if text.strip() else None


def created_at(described: dict[str, Any]) -> float:
    return stamp(described["CreatedAt"])


def running_at(hive: Hive, service: str) -> float:
    """When its first task ran; each node has this machine's clock."""
    filters = quote(json.dumps({"service": [service]}))
    tasks = call(hive, "GET", f"tasks?filters={filters}")
    return min(stamp(task["Status"]["Timestamp"]) for task in tasks if task["Status"]["State"] == "running")


def stamp(text: str) -> float:
    found = moment(text)
    assert found is not None
    return found.timestamp()


def empty(hive: Hive) -> None:
    """Take a crowd down before the hive is, which waits for its containers' end no longer than a minute."""
    call(hive, "DELETE", "services/skep_operator")
    hive.until(lambda: not hive.containers("skep_operator"), what="the operator ends, which would make them again")
    for service in call(hive, "GET", "services"):
        if service["Spec"]["Name"].startswith("skep-"):
            call(hive, "DELETE", f"services/{service['ID']}")
    assert hive.swarm is not None
    label: dict[str, str | list[str] | bool] = {"label": "com.docker.swarm.service.name"}
    deadline = time.monotonic() + 300
    for node in hive.swarm.nodes:
        while any(
            each.labels["com.docker.swarm.service.name"].startswith("skep-")
            for each in node.client.containers.list(filters=label, ignore_removed=True)
        ):
            if time.monotonic() > deadline:
                raise TimeoutError("the tenants' containers do not end")
            time.sleep(0.5)


def pause(number: int) -> None:
    """To be called right after an answer that was waited for, which is when the proxy has just looked.

    Ends in the middle of the proxy's period *number* of TIMES, so that tenant and floor meet the same moments of it.
    """
    time.sleep(REFRESH_S + REFRESH_S * (number + 0.5) / TIMES)


def in_step(looked: float, number: int) -> None:
    """As `pause`, for a crowd: later, when its tasks have ended and the machine is calm, and as many periods on."""
    phase = REFRESH_S * (number + 0.5) / CROWD_TIMES
    time.sleep(CALM_S)
    time.sleep((looked + phase - time.time()) % REFRESH_S)


# Embedded


def embedded_rows(hive: Hive) -> list[Row]:
    ways: list[Way] = []
    floors: list[Bare] = []
    for number in range(TIMES):
        floors.append(bare_process(hive, f"floor{number}"))
        time.sleep(1.0)
        ways.append(apply_one(hive, f"one{number}"))
        time.sleep(1.0)
    return [
        row(
            "embedded, one tenant: 200 after", [w.answered for w in ways], "s", floor=[f.total for f in floors], aim=ONE
        ),
        *parts(ways, floors),
        row("   floor: CREATE DATABASE ... TEMPLATE", [f.database for f in floors], "s"),
        row("   floor: bare process, started to healthy", [f.start for f in floors], "s"),
        row("   floor: bare process, started to 200", [f.answered for f in floors], "s"),
    ]


def bare_process(hive: Hive, name: str) -> Bare:
    command = bare_command()
    home = Home(Path(hive.environment["SKEP_HOME"]))
    keys = RootKey.read(home.root_key)
    database = asyncio.run(bare_clone(hive, home, keys, name))
    settings = asyncio.run(settings_of(home, MODEL))
    uid = dict(settings.labels)[names.UID]
    folder = hive.work / f"bare-{name}"
    for mounted, file, data in (
        ("configs", "settings.json", settings.data),
        ("secrets", "database-password", keys.password(uid, "db-a").encode()),
    ):
        (folder / mounted).mkdir(parents=True)
        (folder / mounted / file).write_bytes(data)
    port = free_port()
    environment = base_environment() | {
        "HOME": str(folder),
        "SKEP_CONFIGS_DIR": str(folder / "configs"),
        "SKEP_SECRETS_DIR": str(folder / "secrets"),
        "SKEP_PORT": str(port),
    }
    host = f"{name}.localhost"
    route = Route(f"skep-{name}-web", (host,), port, pairs({"X-Skep-Tenant": uid}))
    path = home.edge / f"bench-{name}.yml"
    began = time.time()
    process = subprocess.Popen(
        [*APP["skep"], "web"], env=environment, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while status_of(("127.0.0.1", port), "localhost", "/healthz") != 200:
            time.sleep(0.005)
        start = time.time() - began
        write_atomically(path, render(route, (port,)), durable=False, by_way_of=home.path)
        answered = first_answers(hive.edge, [host])[host]
    finally:
        path.unlink(missing_ok=True)
        process.kill()
        process.wait()
        shutil.rmtree(folder)
    return Bare(command, database, start, answered - began)


def written_at(hive: Hive, config: str) -> float:
    """When the embedded engine stored *config*, which never changes."""
    folder = Home(Path(hive.environment["SKEP_HOME"])).state / "config"
    (path,) = [path for path in folder.glob("*.json") if f'"{config}"' in path.read_text()]
    return path.stat().st_mtime


async def settings_of(home: Home, name: str) -> Config:
    """The settings file of a tenant."""
    engine = EmbeddedClient(home.path / "engine.sock")
    try:
        found = await engine.list_configs(label=f"{names.TENANT}={name}")
    finally:
        await engine.close()
    return next(config for config in found if dict(config.labels).get(names.KIND) == "settings")


async def bare_clone(hive: Hive, home: Home, keys: RootKey, name: str) -> float:
    connection = await asyncpg.connect(
        host="127.0.0.1",
        port=postgres_port(home),
        user="skep_admin",
        password=admin_password(keys),
        database="postgres",
    )
    try:
        template = template_of(hive)
        began = time.perf_counter()
        await connection.execute(f'create database "bench_{name}" template "{template}"')
        took = time.perf_counter() - began
        await connection.execute(f'drop database "bench_{name}"')
        return took
    finally:
        await connection.close()
