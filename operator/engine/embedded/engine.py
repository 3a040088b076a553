"""The embedded engine: the port over files and supervised processes of this machine, all in one event loop."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version

import aiohttp

from skep.operator.engine.embedded.children import Children
from skep.operator.engine.embedded.home import Home
from skep.operator.engine.embedded.jobs import Jobs
from skep.operator.engine.embedded.programs import APP, Program, digest_of_app, repository
from skep.operator.engine.embedded.routes import Routes
from skep.operator.engine.embedded.service import Runner
from skep.operator.engine.embedded.spare import Spare
from skep.operator.engine.embedded.store import Kind, Store, StoredNetwork, StoredSecret, new_id
from skep.operator.engine.embedded.workshop import Workshop
from skep.operator.engine.port import Confirm
from skep.operator.engine.rules import carries, check_config, check_label, check_secret, check_service_name, files
from skep.operator.engine.spec import (
    CONNECTED,
    Change,
    Config,
    EngineInfo,
    Image,
    JobResult,
    JobSpec,
    LogLine,
    Network,
    NetworkSpec,
    Secret,
    Service,
    ServiceSpec,
    Task,
    pairs,
)
from skep.operator.errors import EngineRefused, EngineUnavailable, InUse, NameTaken, NotFound, VersionConflict

FIRST_TASK_S = 0.5  # what a first task takes; its host answers 503 if it takes longer
SPARE_AFTER_S = 2.0  # first come the tasks of before


class EmbeddedEngine:
    """See the port. Made in a running loop; `start` begins to run what is stored, `close` ends every task."""

    def __init__(self, home: Home, *, programs: Mapping[str, Program] = APP) -> None:
        self._home = home
        self._store = Store(home.state)
        self.children = Children(home.children)
        app = next((program for program in programs.values() if program in APP.values()), None)
        self._spare = Spare(self.children, app, home.tasks) if app is not None else None
        self._workshop = Workshop(home, self._store, self.children, programs, self._spare)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True), cookie_jar=aiohttp.DummyCookieJar()
        )
        self._routes = Routes(home.edge)
        self._jobs = Jobs(self._workshop)
        self._runners: dict[str, Runner] = {}
        self._leaving: dict[asyncio.Task[None], Runner] = {}  # removed, their tasks in their grace
        self._streams: set[asyncio.Queue[Change | None]] = set()

    def start(self) -> None:
        self._workshop.clear(self._home.tasks)
        self._home.prepare()
        self._routes.clear(but={service.id for service in self._store.services})
        for service in self._store.services:
            runner = self._run(service)
            runner.start()
            self._rewrite(runner)
        if self._spare is not None:
            self._spare.prepare(SPARE_AFTER_S)

    # -- configs, secrets, networks ------------------------------------------------------------------------------

    async def list_configs(self, *, label: str) -> tuple[Config, ...]:
        check_label(label)
        found = (config for config in self._store.configs if carries(config.labels, label))
        return tuple(sorted(found, key=lambda config: config.name))

    async def inspect_config(self, ref: str) -> Config:
        return self._store.configs.find(ref)

    async def create_config(self, name: str, data: bytes, labels: Mapping[str, str]) -> str:
        check_config(name, data)
        self._refuse_taken("config", name)
        config = Config(new_id(), name, self._store.tick(), pairs(dict(labels)), data)
        self._store.configs.put(config)
        self._tell("config", "create", config.id, name)
        return config.id

    async def label_config(self, config_id: str, version: int, labels: Mapping[str, str]) -> None:
        config = self._store.configs.find(config_id)
        _refuse_stale("config", config.name, config.version, version)
        self._store.configs.put(replace(config, version=self._store.tick(), labels=pairs(dict(labels))))
        self._tell("config", "update", config.id, config.name)

    async def remove_config(self, config_id: str) -> None:
        config = self._store.configs.find(config_id)
        self._refuse_used("config", config.name, lambda spec: config.name in files(spec.configs))
        self._store.configs.drop(config)
        self._tell("config", "remove", config.id, config.name)

    async def list_secrets(self, *, label: str) -> tuple[Secret, ...]:
        check_label(label)
        found = (stored.secret for stored in self._store.secrets if carries(stored.secret.labels, label))
        return tuple(sorted(found, key=lambda secret: secret.name))

    async def inspect_secret(self, ref: str) -> Secret:
        return self._store.secrets.find(ref).secret

    async def create_secret(self, name: str, data: bytes, labels: Mapping[str, str]) -> str:
        check_secret(name, data)
        self._refuse_taken("secret", name)
        secret = Secret(new_id(), name, self._store.tick(), pairs(dict(labels)))
        self._store.secrets.put(StoredSecret(secret, data))
        self._tell("secret", "create", secret.id, name)
        return secret.id

    async def label_secret(self, secret_id: str, version: int, labels: Mapping[str, str]) -> None:
        stored = self._store.secrets.find(secret_id)
        _refuse_stale("secret", stored.name, stored.secret.version, version)
        secret = replace(stored.secret, version=self._store.tick(), labels=pairs(dict(labels)))
        self._store.secrets.put(replace(stored, secret=secret))
        self._tell("secret", "update", secret.id, secret.name)

    async def remove_secret(self, secret_id: str) -> None:
        stored = self._store.secrets.find(secret_id)
        self._refuse_used("secret", stored.name, lambda spec: stored.name in files(spec.secrets))
        self._store.secrets.drop(stored)
        self._tell("secret", "remove", stored.id, stored.name)

    def is_secret(self, name: str, data: bytes) -> bool:
        """Whether *data* is what a task would read; not part of the port, and not served."""
        return hmac.compare_digest(self._store.secrets.find(name).data, data)

    async def list_networks(self, *, label: str) -> tuple[Network, ...]:
        check_label(label)
        found = (stored.network for stored in self._store.networks if carries(stored.network.labels, label))
        return tuple(sorted(found, key=lambda network: network.name))

    async def create_network(self, spec: NetworkSpec) -> str:
        """A name and nothing more: all tasks share this machine's loopback."""
        self._refuse_taken("network", spec.name)
        network = Network(new_id(), spec.name, spec.labels, (spec.subnet,) if spec.subnet else ())
        self._store.tick()
        self._store.networks.put(StoredNetwork(network, spec))
        self._tell("network", "create", network.id, spec.name)
        return network.id

    async def remove_network(self, network_id: str) -> None:
        stored = self._store.networks.find(network_id)
        self._refuse_used("network", stored.name, lambda spec: stored.name in spec.networks)
        self._store.tick()
        self._store.networks.drop(stored)
        self._tell("network", "remove", stored.id, stored.name)

    # -- services ------------------------------------------------------------------------------------------------

    async def list_services(self, *, label: str) -> tuple[Service, ...]:
        check_label(label)
        found = (runner.view for runner in self._runners.values() if carries(runner.service.spec.labels, label))
        return tuple(sorted(found, key=lambda service: service.name))

    async def inspect_service(self, ref: str) -> Service:
        return self._runner(ref).view

    async def create_service(self, spec: ServiceSpec) -> str:
        self._refuse_wrong(spec)
        self._refuse_taken("service", spec.name)
        service = Service(new_id(), self._store.tick(), spec, created_at=datetime.now(UTC))
        self._store.services.put(service)
        runner = self._run(service)
        runner.start()
        # Traefik gathers what comes within its period, so a route without a task would only delay the one with it.
        asyncio.get_running_loop().call_later(FIRST_TASK_S if spec.replicas else 0.0, self._rewrite, runner)
        self._tell("service", "create", service.id, spec.name)
        return service.id

    async def update_service(self, service_id: str, version: int, spec: ServiceSpec) -> None:
        runner = self._runner(service_id)
        _refuse_stale("service", spec.name, runner.service.version, version)
        self._refuse_wrong(spec)
        if spec.name != runner.service.name:
            raise EngineRefused(f"service {runner.service.name} cannot be renamed to {spec.name}")
        runner.update(spec)

    async def remove_service(self, service_id: str) -> None:
        runner = self._runner(service_id)
        service = runner.service
        self._store.services.drop(service)
        del self._runners[service.id]
        self._routes.write(service.id, None, ())
        leaving = asyncio.create_task(runner.remove(), name=f"removal of {service.name}")
        self._leaving[leaving] = runner
        leaving.add_done_callback(self._leaving.pop)
        self._tell("service", "remove", service.id, service.name)

    async def list_tasks(self, *, service: str) -> tuple[Task, ...]:
        return self._runner(service).tasks

    async def resolve_image(self, ref: str) -> Image:
        """The digest is of the installed code; an image that is not built in has none, and its tasks say why."""
        bare = ref.partition("@")[0]
        if repository(ref) not in self._workshop.programs:
            return Image(ref, ref, None)
        digest = await asyncio.to_thread(digest_of_app)
        return Image(ref, f"{bare}@{digest}", digest)

    # -- jobs, logs, changes -------------------------------------------------------------------------------------

    async def run_job(self, spec: JobSpec, *, confirm: Confirm | None = None) -> JobResult:
        del confirm  # there is one operator, and a process that is gone asks for nothing any more
        if not self._jobs.is_running(spec.name):
            self._refuse_dangling(spec)
            self._refuse_taken("service", spec.name)
        return await self._jobs.run(spec)

    async def logs(self, service: str, *, tail: int | None = 100, follow: bool = False) -> AsyncIterator[LogLine]:
        async for line in self._runner(service).book.read(tail=tail, follow=follow):
            yield line

    async def changes(self) -> AsyncIterator[Change]:
        stream: asyncio.Queue[Change | None] = asyncio.Queue()
        self._streams.add(stream)
        try:
            yield CONNECTED
            while (change := await stream.get()) is not None:
                yield change
        finally:
            self._streams.discard(stream)
        raise EngineUnavailable("the engine stops")

    async def info(self) -> EngineInfo:
        return EngineInfo("embedded", self._store.id, version("skep"), nodes=1, managers=1)

    async def close(self) -> None:
        """End every job and task. Nothing is forgotten: the next start runs the services again."""
        for stream in self._streams:
            stream.put_nowait(None)
        if self._spare is not None:
            await self._spare.close()
        await self._jobs.close()
        await asyncio.gather(*(runner.close() for runner in self._runners.values()))
        for runner in self._leaving.values():
            runner.hurry()
        await asyncio.gather(*self._leaving)
        await self._session.close()

    # -- the small parts -----------------------------------------------------------------------------------------

    def _run(self, service: Service) -> Runner:
        runner = Runner(self._workshop, self._session, service, saved=self._save, routed=self._rewrite)
        self._runners[service.id] = runner
        return runner

    def _save(self, service: Service) -> Service:
        saved = replace(service, version=self._store.tick())
        self._store.services.put(saved)
        self._tell("service", "update", saved.id, saved.name)
        return saved

    def _rewrite(self, runner: Runner) -> None:
        if self._runners.get(runner.service.id) is runner:
            self._routes.write(runner.service.id, runner.service.spec.route, runner.servers)

    def _runner(self, ref: str) -> Runner:
        return self._runners[self._store.services.find(ref).id]

    def _tell(self, kind: Kind, action: str, object_id: str, name: str) -> None:
        for stream in self._streams:
            stream.put_nowait(Change(kind, action, object_id, name))

    def _refuse_taken(self, kind: Kind, name: str) -> None:
        if self._store.of(kind).has(name):
            raise NameTaken(f"{kind} {name} exists")

    def _refuse_used(self, kind: str, name: str, uses: Callable[[ServiceSpec], bool]) -> None:
        users = sorted(service.name for service in self._store.services if uses(service.spec))
        if users:
            raise InUse(f"{kind} {name} is in use by {', '.join(users)}")

    def _refuse_wrong(self, spec: ServiceSpec) -> None:
        check_service_name(spec.name)
        self._refuse_dangling(spec)
        if spec.route is not None:
            self._routes.check(spec.route)

    def _refuse_dangling(self, spec: ServiceSpec | JobSpec) -> None:
        needs: dict[Kind, tuple[str, ...]] = {
            "config": files(spec.configs),
            "secret": files(spec.secrets),
            "network": spec.networks,
        }
        for kind, names in needs.items():
            for name in names:
                if not self._store.of(kind).has(name):
                    raise NotFound(f"{kind} {name} is not there")


def _refuse_stale(kind: str, name: str, current: int, given: int) -> None:
    if current != given:
        raise VersionConflict(f"{kind} {name} is at {current}, not {given}")
