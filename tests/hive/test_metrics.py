"""What an operator at work tells Prometheus and its probes, and what its log lines carry."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import subprocess
from collections.abc import Iterator

import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families

from skep.operator import logs
from skep.operator.cli.operator import pages
from skep.operator.engine.memory import Call
from skep.operator.errors import EngineUnavailable
from skep.operator.hive import Hive
from tests.hive.conftest import PLAN, PLATFORM, QuickClock, Rig, tenant
from tests.rig.tools import program


async def scraped(hive: Hive) -> dict[str, float]:
    """Samples by what Prometheus would print for them."""
    return {
        sample.name + "".join(f" {key}={value}" for key, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families((await hive.exposition()).decode())
        for sample in family.samples
    }


def grown(before: dict[str, float], after: dict[str, float], family: str) -> dict[str, float]:
    return {
        name.removeprefix(family).strip(): value - before.get(name, 0.0)
        for name, value in after.items()
        if re.match(rf"{family}( |$)", name) and value != before.get(name, 0.0)
    }


async def test_a_scrape_of_a_working_operator_is_what_promtool_calls_good(rig: Rig) -> None:
    promtool = program("promtool", "prometheus")
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, tenant("acme"), tenant("birch", app={"image": "other:1"}))
        await rig.phase("acme", "Ready")
        body = await hive.exposition()
    done = subprocess.run([promtool, "check", "metrics"], input=body, capture_output=True, check=False)  # noqa: ASYNC221
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


async def test_an_operator_tells_of_tenants_sources_servers_queue_and_engine(rig: Rig) -> None:
    async with rig.operator() as hive:
        before = await scraped(hive)
        await rig.publish(PLATFORM, PLAN, tenant("acme"), tenant("birch", suspend=True))
        await rig.phase("acme", "Ready")
        await rig.phase("birch", "Suspended")
        await rig.resync(hive)
        found = await scraped(hive)
    assert found["skep_tenant_ready tenant=acme"] == 1
    assert found["skep_tenant_not_ready phase=Suspended reason=Suspended tenant=birch"] == 1
    assert {name: value for name, value in found.items() if name.startswith("skep_tenants ") and value} == {
        "skep_tenants phase=Ready": 1,
        "skep_tenants phase=Suspended": 1,
    }
    assert {name: value for name, value in found.items() if "source=prod" in name} == {
        "skep_source_problems source=prod": 0,
        "skep_brake_held source=prod": 0,
        "skep_source_vanished source=prod": 0,
        "skep_source_revision_index source=prod": rig.config("prod.r1").version,
        "skep_source_revision_number source=prod": 1,
        "skep_source_tenants source=prod": 2,
    }
    assert found["skep_database_server_up server=main"] == 1
    assert found["skep_database_server_databases server=main"] == 2
    assert found["skep_database_server_capacity server=main"] == 500
    assert 1 <= found["skep_database_server_connections server=main"] <= 20
    assert found["skep_database_server_connections_max server=main"] >= 20
    assert found["workqueue_adds_total name=tenant"] >= 4
    assert found["workqueue_depth name=tenant"] == 0
    calls = grown(before, found, "skep_engine_calls_total")
    assert calls["method=create_service outcome=ok"] == 2
    runs = grown(before, found, "skep_reconcile_total")
    assert runs["reconciler=database result=done"] >= 2
    for age in ("skep_last_resync_timestamp_seconds", "skep_stream_heard_timestamp_seconds"):
        assert found[age] > found["process_start_time_seconds"]
    assert grown(before, found, "skep_drift_total") == {}


@pytest.mark.fault(20)
async def test_what_foreign_hands_changed_is_counted_as_drift_and_an_edit_is_not(rig: Rig) -> None:
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        before = await scraped(hive)
        await rig.publish(PLATFORM, PLAN, tenant("acme", displayName="Edited", hosts=["www.example.com"]))
        await rig.until(lambda: (report := rig.status("acme")) is not None and report.observed_generation == 2)
        await rig.phase("acme", "Ready")
        edited = await scraped(hive)
        assert grown(before, edited, "skep_drift_total") == {}

        await rig.sql(f'alter role "{rig.database("acme")}_a" connection limit 3')
        await rig.engine.remove_service(rig.service("acme").id)
        await rig.resync(hive)
        await rig.rest(hive)
        after = await scraped(hive)
    assert grown(edited, after, "skep_drift_total") == {
        "kind=role reconciler=database": 1,
        "kind=service reconciler=app": 1,
    }


async def test_an_edit_that_is_not_followed_yet_shows_in_the_generations(rig: Rig) -> None:
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        await rig.rest(hive)
        records = {rig.config("skep.record.acme").id, "skep.record.birch"}

        released = asyncio.Event()

        async def hold(call: Call) -> None:
            if call.writes and call.args[0] in records:
                await released.wait()

        rig.engine.on_call = hold  # the workers get no further than the records
        await rig.publish(PLATFORM, PLAN, tenant("acme", displayName="Edited"), tenant("birch"))
        await rig.until(lambda: "birch" in hive.fleet.tenants)
        found = await scraped(hive)
        released.set()
    assert found["skep_tenant_generation tenant=acme"] == 2
    assert found["skep_tenant_observed_generation tenant=acme"] == 1
    assert found["skep_tenant_observed_generation tenant=birch"] == 0
    assert found["skep_tenant_not_ready phase=Pending reason=Pending tenant=birch"] == 1


async def test_a_lost_database_an_error_and_a_server_that_is_away_show(rig: Rig) -> None:
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        before = await scraped(hive)
        await rig.sql(f'drop database "{rig.database("acme")}" with (force)')
        await rig.resync(hive)
        await rig.phase("acme", "Degraded", reason="DatabaseMissing")
        found = await scraped(hive)
        assert found["skep_tenant_not_ready phase=Degraded reason=DatabaseMissing tenant=acme"] == 1
        errors = grown(before, found, "skep_reconcile_errors_total")
        assert set(errors) == {"reason=DatabaseMissing reconciler=database"}
        assert grown(before, found, "skep_reconcile_total")["reconciler=database result=terminal"] >= 1
        hive._ports.servers.get("main").forget()
        away = await scraped(hive)
    assert away["skep_database_server_up server=main"] == 0
    assert "skep_database_server_connections server=main" not in away


class Jumping(QuickClock):
    """*ahead* is how many seconds a test has skipped."""

    ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


async def test_probes_say_what_their_names_say(rig: Rig) -> None:
    clock = Jumping()
    hive = Hive(rig.engine, rig.settings, rig.keys, clock)

    def refuse(call: Call) -> None:
        raise EngineUnavailable("no quorum")

    async with TestClient(TestServer(pages(hive))) as client:

        async def codes() -> list[int]:
            return [(await client.get(path)).status for path in ("/healthz", "/readyz", "/metrics")]

        assert await codes() == [200, 503, 200], "nothing was read yet"
        await rig.publish(PLATFORM, PLAN)
        await hive.resync()
        assert await codes() == [200, 200, 200]
        clock.ahead += rig.settings.resync_s * 2 + 60
        assert await codes() == [200, 503, 200], "the engine was not heard for long"
        rig.engine.on_call = refuse
        with pytest.raises(EngineUnavailable):
            await hive.resync()
        assert await codes() == [200, 503, 200], "a refusal to answer is no answer"
        rig.engine.on_call = None
        await hive.resync()
        assert await codes() == [200, 200, 200]
    await hive._ports.servers.close()


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What is logged, as a container would print it."""
    root, ours = logging.getLogger(), logging.getLogger("skep")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    made = io.StringIO()
    logs.configure(made)
    yield made
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


async def test_a_line_about_a_tenant_names_it_its_generation_and_the_reconciler(rig: Rig, stream: io.StringIO) -> None:
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        await rig.sql(f'drop database "{rig.database("acme")}" with (force)')
        await rig.resync(hive)
        await rig.phase("acme", "Degraded", reason="DatabaseMissing")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    told = [line for line in lines if line["message"] == "reconcile needs a change"]
    assert told
    for line in told:
        assert (line["tenant"], line["generation"], line["reconciler"]) == ("acme", 1, "database")
        assert (line["level"], line["reason"]) == ("error", "DatabaseMissing")
