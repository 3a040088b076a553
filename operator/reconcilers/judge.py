"""The judge: a tenant is Ready when people can reach it, and only then.

For every host and every running task of the edge, `GET /.well-known/skep` must answer 200 with this tenant's uid and
the revision it should run. The edge's own addresses are asked, never public DNS, with the right name when TLS is on.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp

from skep.operator import metrics, names
from skep.operator.errors import TransientError
from skep.operator.loop.clock import Clock
from skep.operator.loop.registry import DONE, Result, Wait
from skep.operator.reconcilers import app
from skep.operator.reconcilers.subject import Subject, tenants
from skep.operator.reconcilers.waiting import why
from skep.operator.settings import Settings

PATH = "/.well-known/skep"
PROBE_S = 3.0
LOOK_AGAIN_S = 0.25  # while something starts: a task takes seconds, a look about 5 ms
LOOKERS = 4  # who may look that often at once; more share this pace, or looking would take the CPU that starting needs
ADDRESSES_KEPT_S = 2.0


@dataclass(frozen=True, slots=True)
class Probe:
    """One answer of the edge for one host. *said* is a sentence for people when *ok* is False."""

    host: str
    address: str
    ok: bool
    said: str = ""


class Edge:
    """Asks each task of the edge for a host, as a visitor would."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        url = urlsplit(settings.edge_url)
        self._host = url.hostname or "tasks.traefik"
        self._scheme = url.scheme
        self._port = url.port or (443 if url.scheme == "https" else 80)
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._addresses: tuple[float, tuple[str, ...]] = (float("-inf"), ())
        # The judge asks whether the route works; whether the certificate is trusted depends on who looks.
        self._tls = ssl.create_default_context()
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE
        self._verified: dict[str, tuple[float, object]] = {}
        self._waiting: set[str] = set()

    async def addresses(self) -> tuple[str, ...]:
        """All addresses behind the edge's name. Raises TransientError if it has none."""
        now = self._clock.monotonic()
        if now - self._addresses[0] > ADDRESSES_KEPT_S:
            try:
                found = await asyncio.get_running_loop().getaddrinfo(
                    self._host, self._port, type=socket.SOCK_STREAM, family=socket.AF_INET
                )
            except OSError as error:
                raise TransientError(
                    f"no task of the edge ({self._host}) can be found: {error.strerror}",
                    reason="EdgeMissing",
                    remedy="is Traefik running? `docker service ps skep_traefik`",
                    retry_after_s=2.0,
                ) from error
            self._addresses = (now, tuple(sorted({str(entry[4][0]) for entry in found})))
        return self._addresses[1]

    async def probe(self, host: str, address: str, *, uid: str, revision: str, tls: bool) -> Probe:
        probe = await self._probe(host, address, uid=uid, revision=revision, tls=tls)
        metrics.probes.labels("ok" if probe.ok else "failed").inc()
        return probe

    async def _probe(self, host: str, address: str, *, uid: str, revision: str, tls: bool) -> Probe:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=PROBE_S), connector=aiohttp.TCPConnector(limit=64, ssl=self._tls)
            )
        scheme = "https" if tls else self._scheme
        port = 443 if tls and self._port == 80 else self._port
        try:
            async with self._session.get(
                f"{scheme}://{address}:{port}{PATH}",
                headers={"Host": host},
                allow_redirects=False,
                server_hostname=host if tls else None,
            ) as answer:
                if answer.status != 200:
                    return Probe(host, address, False, f"http://{host}{PATH} answers {answer.status} at the edge")
                body = json.loads(await answer.content.read(4096))
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            return Probe(host, address, False, f"{host} does not answer at the edge: {type(error).__name__}")
        if not isinstance(body, dict) or body.get("uid") != uid:
            return Probe(host, address, False, f"{host} is answered by somebody else")
        if body.get("revision") != revision:
            return Probe(host, address, False, f"{host} is still answered by an older task")
        return Probe(host, address, True)

    def verified(self, tenant: str, what: object, *, within_s: float) -> bool:
        """Whether exactly this was seen to work not longer ago than *within_s*."""
        known = self._verified.get(tenant)
        return known is not None and known[1] == what and self._clock.monotonic() - known[0] < within_s

    def remember(self, tenant: str, what: object) -> None:
        self._waiting.discard(tenant)
        self._verified[tenant] = (self._clock.monotonic(), what)

    def forget(self, tenant: str) -> None:
        self._waiting.discard(tenant)
        self._verified.pop(tenant, None)

    def look_again_s(self, tenant: str) -> float:
        """After how long *tenant*, which is not right yet, is looked at again: longer the more of them there are."""
        self._waiting.add(tenant)
        return LOOK_AGAIN_S * max(1.0, len(self._waiting) / LOOKERS)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def first_wrong(probes: Iterable[Probe]) -> Probe | None:
    return next((probe for probe in probes if not probe.ok), None)


@tenants.reconciler("judge", after=("app",))
async def reconcile(subject: Subject) -> Result:
    record, ports = subject.known, subject.ports
    edge = ports.edge
    service = ports.world.service(names.service(record.name))
    if service is None:
        return Wait("Starting", "its service is not there yet", edge.look_again_s(subject.name))
    if record.spec.suspend:
        edge.forget(subject.name)
        return DONE
    revision = app.revision_label(service.spec)
    addresses = await edge.addresses()
    what = (revision, service.version, record.spec.hosts, addresses)
    if edge.verified(subject.name, what, within_s=ports.settings.rota_s):
        return DONE
    probes = await asyncio.gather(
        *(
            edge.probe(host, address, uid=record.uid, revision=revision, tls=record.spec.secure)
            for host in record.spec.hosts
            for address in addresses
        )
    )
    if (wrong := first_wrong(probes)) is None:
        edge.remember(subject.name, what)
        return DONE
    tasks = await ports.world.engine.list_tasks(service=service.id)
    running = [task for task in tasks if task.state == "running" and task.wanted == "running"]
    if len(running) >= service.spec.replicas and service.update_state != "updating":
        return Wait("NotRouted", wrong.said, edge.look_again_s(subject.name))
    cause = why(service, tasks, ports.clock.now())
    return Wait(cause.reason, str(cause), edge.look_again_s(subject.name))
