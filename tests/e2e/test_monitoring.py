"""Prometheus and Alertmanager beside a hive, as docs/monitoring.md says: from a broken tenant to a message, and back.

The stack files are the shipped ones but for their pace: a copy has short intervals, no `for` beyond two seconds, and a
receiver of the test's own.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import queue
import re
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.hives import ROOT, Hive, inside, tenant

pytestmark = [pytest.mark.swarm, pytest.mark.timeout(300)]

Alert = dict[str, Any]


class Receiver:
    """Takes Alertmanager's messages on *address*."""

    def __init__(self, address: str) -> None:
        self._alerts: queue.Queue[Alert] = queue.Queue()
        alerts = self._alerts

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                for alert in body["alerts"]:
                    alerts.put(alert)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._server = http.server.ThreadingHTTPServer((address, 0), Handler)
        self.url = f"http://{address}:{self._server.server_address[1]}/skep"

    @contextlib.contextmanager
    def listening(self) -> Iterator[Receiver]:
        thread = threading.Thread(target=self._server.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def until(self, name: str, *, status: str, within_s: float, **labels: str) -> Alert:
        """The first message of this kind from now on."""
        deadline = time.monotonic() + within_s
        seen: list[str] = []
        while (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                alert = self._alerts.get(timeout=left)
                if (alert["labels"]["alertname"], alert["status"]) == (name, status) and labels.items() <= alert[
                    "labels"
                ].items():
                    return alert
                seen.append(f"{alert['labels']} {alert['status']}")
        raise AssertionError(f"no {name} {status} {labels} within {within_s:g} s; heard {seen}")


def quick_copy(target: Path, receiver: str) -> Path:
    """The shipped files with another pace and receiver."""
    shutil.copytree(ROOT / "swarm", target)
    prometheus = target / "prometheus" / "prometheus.yml"
    text = prometheus.read_text()
    prometheus.write_text(re.sub(r"(scrape_interval|evaluation_interval|refresh_interval): \d+s", r"\1: 2s", text))
    for rules in (target / "prometheus" / "rules").glob("*.yml"):
        rules.write_text(re.sub(r"for: \d+m", "for: 2s", rules.read_text()))
    alertmanager = target / "alertmanager.yml"
    text = re.sub(r"group_(wait|interval): \w+", r"group_\1: 1s", alertmanager.read_text())
    alertmanager.write_text(text.replace("http://alerts.example.com:8080/skep", receiver))
    return target


@pytest.fixture
def receiver(swarm_hive: Hive) -> Iterator[Receiver]:
    assert swarm_hive.swarm is not None
    host = swarm_hive.swarm.nodes[0].address.rpartition(".")[0] + ".1"  # this machine, in the nodes' network
    with Receiver(host).listening() as receiver:
        yield receiver


@pytest.fixture
def hive(swarm_hive: Hive, monitoring_images: tuple[str, str], receiver: Receiver) -> Iterator[Hive]:
    """With the monitoring stack deployed."""
    hive, folder = swarm_hive, quick_copy(swarm_hive.work / "monitored" / "swarm", receiver.url).parent
    hive.environment |= dict(zip(("SKEP_PROMETHEUS_IMAGE", "SKEP_ALERTMANAGER_IMAGE"), monitoring_images, strict=True))
    for line in shown("Deploy")[:2]:
        # The socket that counts is the nodes', and not this machine's.
        typed = line.replace("SKEP_DOCKER_GID=$(stat -c %g /var/run/docker.sock) ", "")
        hive.run("bash", "-c", f"cd {folder} && {typed}")
    try:
        yield hive
    finally:
        hive.run("docker", "stack", "rm", "skep-monitoring")
        names = ("skep-monitoring_prometheus", "skep-monitoring_alertmanager")
        hive.until(lambda: not any(hive.containers(name) for name in names), what="the monitoring stack is gone")
        for container in hive.client.containers.list(all=True, filters={"name": "skep-monitoring_"}):
            container.remove(force=True)
        for volume in ("skep-prometheus", "skep-alertmanager"):
            hive.client.volumes.get(volume).remove(force=True)
        shutil.rmtree(folder)


def shown(section: str) -> list[str]:
    """The lines that a section of docs/monitoring.md tells people to type."""
    text = (ROOT / "docs" / "monitoring.md").read_text().partition(f"## {section}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def ask(hive: Hive, query: str) -> dict[str, float]:
    """Values of an instant query by their labels, as people write them; {} while Prometheus does not answer."""
    words = ["promtool", "query", "instant", "--format=json", "http://127.0.0.1:9090", query]
    for _ in range(3):  # an exec on a busy engine may lose its output
        for container in hive.containers("skep-monitoring_prometheus"):
            code, text = inside(container, words)
            if code == 0 and text:
                return {
                    ",".join(f"{key}={value}" for key, value in sorted(each["metric"].items())): float(each["value"][1])
                    for each in json.loads(text)
                }
    return {}


def test_a_broken_tenant_becomes_a_message_and_its_repair_another(hive: Hive, receiver: Receiver) -> None:
    hive.declare(tenant("lost"), source="lost")
    hive.until(lambda: ask(hive, "sum by (job) (up)") == EVERYBODY, within_s=90, what="everybody is found, nobody else")

    assert hive.status_of("acme.localhost") == 200
    counted = 'sum by (service) (traefik_service_requests_total{service="skep-acme-web@swarm"})'
    hive.until(lambda: ask(hive, counted), what="Traefik counts by tenant, under the name that the rules expect")
    assert ask(hive, "sum(skep_leader)") == {"": 1}
    for said in ('traefik_entrypoint_requests_total{entrypoint="web"} > 0', 'skep_tenant_ready{tenant="lost"} == 1'):
        hive.until(lambda said=said: ask(hive, said), what=said)  # type: ignore[misc]  # a bound default

    code, said = inside(hive.containers("skep-acme-web")[0], ["python", "-c", PEEP])
    assert (code, said.strip()) == (0, "403"), "a tenant may not read what the edge counts"

    type_every_diagnosis(hive)
    (look,) = shown("Deploy")[2:]
    assert 'phase="Ready"' in hive.run("bash", "-c", look).stdout

    hive.sql(f'drop database "{hive.database_of("lost")}" with (force)')
    alert = receiver.until("SkepDatabaseMissing", status="firing", within_s=60, tenant="lost")
    assert alert["labels"]["severity"] == "critical"
    assert alert["annotations"]["summary"] == "The database of tenant lost is gone"
    (read_log,) = shown("Probes and logs")
    line = json.loads(hive.run("bash", "-c", read_log.replace("acme", "lost")).stdout.splitlines()[-1])
    assert (line["reconciler"], line["reason"]) == ("database", "DatabaseMissing")
    runbook = (ROOT / alert["annotations"]["runbook_url"]).read_text()

    remedy = "skep approve database acme"
    assert f"\n{remedy}\n" in runbook
    hive.skep(*remedy.replace("acme", "lost").split()[1:], "--yes")
    hive.until(lambda: hive.phase("lost") == "Ready", within_s=90, what="a new, empty database")
    receiver.until("SkepDatabaseMissing", status="resolved", within_s=60, tenant="lost")
    firing = 'count(ALERTS{alertstate="firing", alertname!~"SkepTenant.*|SkepErrorBudget.*"}) or vector(0)'
    hive.until(lambda: ask(hive, firing) == {"": 0}, what="a hive that is well is quiet")


def type_every_diagnosis(hive: Hive) -> None:
    """What the runbooks tell people to type first, on a hive that is well."""
    lines: set[str] = set()
    for page in (ROOT / "docs" / "runbooks").glob("*.md"):
        block = re.search(r"## Diagnosis\n\n```sh\n(.*?)```", page.read_text(), flags=re.DOTALL)
        lines |= set(block[1].splitlines()) if block is not None else set()
    assert len(lines) > 10
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda line: hive.run("bash", "-c", line), sorted(lines)))


EVERYBODY = {"job=skep-operator": 2, "job=skep-edge": 1, "job=prometheus": 1, "job=alertmanager": 1}
PEEP = """
import urllib.error, urllib.request
try:
    print(urllib.request.urlopen("http://tasks.traefik:8083/metrics", timeout=5).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""
