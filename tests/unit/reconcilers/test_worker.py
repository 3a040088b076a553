"""The worker's service: the site's image and files, no route, and its own ceilings."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from skep.crds.effective import EffectiveWorker, effective
from skep.operator import names
from skep.operator.engine.spec import Resources, pairs
from skep.operator.errors import TerminalError
from skep.operator.reconcilers import app, worker
from skep.operator.reconcilers.app import CreateService, FieldDrift, UpdateService
from skep.operator.reconcilers.record import Record, dump_spec, load_spec
from tests.unit.crds.documents import make_plan, make_platform, make_tenant
from tests.unit.reconcilers.tenants import desired, make_file, make_record, make_service, make_spec

WORKER = EffectiveWorker(0.5, 256 * 1024**2)


def with_worker(words: str = "") -> Record:
    return replace(make_record(words), spec=replace(make_spec(words), worker=WORKER))


RECORD = with_worker()
WANTED = worker.desire(RECORD, WORKER, desired(RECORD))


def test_it_is_the_site_without_a_way_in() -> None:
    site = desired(RECORD)
    assert (WANTED.name, WANTED.args, WANTED.replicas) == ("skep-acme-worker", ("worker",), 1)
    assert (WANTED.image, WANTED.configs, WANTED.secrets) == (site.image, site.configs, site.secrets)
    assert WANTED.networks == site.networks
    assert (WANTED.route, WANTED.health) == (None, None)
    assert WANTED.resources == Resources(0.5, 256 * 1024**2)
    assert dict(WANTED.labels).keys() == {names.TENANT, names.UID, names.REVISION}


def test_a_suspended_tenant_has_none_at_work() -> None:
    record = with_worker("suspend: true\n")
    assert worker.desire(record, WORKER, desired(record)).replicas == 0


def test_nothing_to_do_when_it_is_as_it_should_be() -> None:
    assert worker.plan(WANTED, make_service(WANTED)) == ()


def test_one_that_is_missing_is_made_and_one_that_was_changed_is_put_right() -> None:
    assert worker.plan(WANTED, None) == (CreateService(WANTED),)
    scaled = make_service(replace(WANTED, replicas=3))
    assert worker.plan(WANTED, scaled) == (UpdateService("s1", 9, WANTED, (FieldDrift("replicas", "3", "1"),)),)


def test_a_service_of_somebody_else_is_left_alone() -> None:
    with pytest.raises(TerminalError, match="belongs to somebody else"):
        worker.plan(WANTED, make_service(replace(WANTED, labels=pairs({names.UID: "f" * 32}))))


def test_what_it_mounts_is_not_collected_while_the_site_is_ahead() -> None:
    record = make_record("app: {settings: {language: fr}}\n")
    spec, older = desired(record), desired(make_record())
    files = [make_service(spec), make_service(replace(WANTED, configs=older.configs))]
    stale = app.collect(files, record, [], [])
    assert stale == ()


# What a plan says of it


@pytest.mark.parametrize(
    ("defaults", "plan", "expected"),
    [
        pytest.param("", "", None, id="nothing said"),
        pytest.param("", "worker: {mode: child}", None, id="a child"),
        pytest.param("", "worker: {mode: service}", WORKER, id="as large as a task of the app"),
        pytest.param("worker: {mode: service}", "", WORKER, id="the platform says it"),
        pytest.param("worker: {mode: service}", "worker: {mode: child}", None, id="the plan says otherwise"),
        pytest.param(
            "",
            "{worker: {mode: service, resources: {memory: 1Gi}}, app: {resources: {cpus: 2, memory: 2Gi}}}",
            EffectiveWorker(2.0, 1024**3),
            id="with ceilings of its own",
        ),
    ],
)
def test_the_plan_says_who_works(defaults: str, plan: str, expected: EffectiveWorker | None) -> None:
    platform = make_platform(f"defaults: {{{defaults}}}" if defaults else "")
    assert effective(platform, make_plan(plan), make_tenant()).worker == expected


def test_quotas_are_told_by_the_names_of_the_settings_file() -> None:
    platform = make_platform("defaults: {quotas: {members: 3, media: 100M}}")
    plan = make_plan("quotas: {members: 5, events: 20, mailsPerDay: 500}")
    assert effective(platform, plan, make_tenant()).quotas == (
        ("events", 20), ("mailsPerDay", 500), ("mediaBytes", 100_000_000), ("members", 5),
    )  # fmt: skip


def test_the_app_is_told_that_somebody_else_works_and_what_it_may_have() -> None:
    record = replace(RECORD, spec=replace(RECORD.spec, quotas=(("members", 5),)))
    document = json.loads(make_file(record).body)
    assert (document["worker"], document["quotas"]) == ("service", {"members": 5})
    assert document["database"]["poolMax"] == 8  # (20 - a schema job - the worker's two) / two generations


def test_a_record_of_before_is_the_same_wish() -> None:
    """An operator that is updated must not take every tenant for changed."""
    spec = make_spec()
    said = json.loads(dump_spec(spec))
    del said["worker"], said["quotas"]
    assert load_spec(json.dumps(said)) == spec
