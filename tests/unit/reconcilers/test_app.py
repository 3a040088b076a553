"""The app's service: what it should be, what differs, and what is done about it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, replace
from typing import Any

import pytest

from skep.operator import names
from skep.operator.engine.spec import Config, Image, Mount, Resources, Route, Secret, ServiceSpec, pairs
from skep.operator.errors import TerminalError
from skep.operator.reconcilers import app
from skep.operator.reconcilers.app import Collect, CreateFile, CreateService, FieldDrift, UpdateService
from tests.unit.crds.documents import make_platform
from tests.unit.reconcilers.tenants import (
    IMAGE,
    PLATFORM,
    SETTINGS,
    UID,
    desired,
    make_file,
    make_record,
    make_service,
    make_spec,
)


def settings_of(words: str = "", **fields: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(make_file(make_record(words, **fields)).body)
    return document


def held(name: str, *, kind: str = "settings", uid: str = UID) -> Config:
    return Config(f"id-{name}", name, 1, pairs({names.KIND: kind, names.TENANT: "acme", names.UID: uid}), b"x")


def secret(name: str, *, uid: str | None = UID) -> Secret:
    labels = {names.TENANT: "acme"} | ({names.UID: uid} if uid else {})
    return Secret(f"id-{name}", name, 1, pairs(labels))


# The settings file


def test_the_settings_file_keeps_the_contract() -> None:
    assert settings_of("app: {settings: {language: fr}}\n") == {
        "tenant": "acme", "uid": UID, "displayName": "Acme", "secure": False, "proxies": ["10.0.0.2"],
        "url": "http://acme.localhost",
        "drainSeconds": 7.0, "settings": {"language": "fr"},
        "database": {
            "host": "postgres", "port": 5432, "name": "t_acme_01234567", "user": "t_acme_01234567_a", "poolMax": 9,
        },
    }  # fmt: skip


def test_the_settings_file_is_named_by_its_content() -> None:
    assert make_file(make_record()) == make_file(make_record())
    assert make_file(make_record()).name != make_file(make_record("app: {settings: {language: fr}}\n")).name
    assert len(names.settings("a" * 32, "f" * 64)) <= 64


@pytest.mark.parametrize(
    ("generation", "user"), [(1, "t_acme_01234567_a"), (2, "t_acme_01234567_b"), (3, "t_acme_01234567_a")]
)
def test_the_two_logins_take_turns(generation: int, user: str) -> None:
    assert settings_of(secret_generation=generation)["database"]["user"] == user


@pytest.mark.parametrize(
    ("limit", "replicas", "pool"),
    [(2, 1, 1), (20, 1, 9), (20, 2, 4), (20, 100, 1), (6, 1, 2), (101, 5, 10)],
)
def test_two_generations_of_tasks_and_a_schema_job_fit_the_limit(limit: int, replicas: int, pool: int) -> None:
    words = f"app: {{replicas: {replicas}}}\ndatabase: {{connectionLimit: {limit}}}\n"
    assert settings_of(words)["database"]["poolMax"] == pool
    assert pool == 1 or 2 * replicas * pool + 1 <= limit


def test_an_address_may_be_moved_for_an_engine_without_names() -> None:
    moved = replace(SETTINGS, addresses=("postgres=127.0.0.1:6000",))
    body = json.loads(app.settings_file(make_record(), PLATFORM, moved).body)
    assert (body["database"]["host"], body["database"]["port"]) == ("127.0.0.1", 6000)


def test_no_secret_is_in_what_anybody_may_read() -> None:
    spec = desired(make_record("app: {secrets: [{name: smtp, secret: acme-smtp}]}\n"))
    assert set(dict(spec.env)) == {"SKEP_REVISION"}
    assert set(dict(spec.labels)) == {names.TENANT, names.UID, names.REVISION}


# desire


def test_the_service_of_a_tenant() -> None:
    record = make_record("hosts: [a.example.org]\napp: {replicas: 3, secrets: [{name: smtp, secret: acme-smtp}]}\n")
    spec = desired(record)
    assert (spec.name, spec.image, spec.args, spec.replicas) == ("skep-acme-web", IMAGE.pinned, ("web",), 3)
    assert spec.networks == ("skep-data-1", "skep-edge-1")
    assert spec.secrets == (Mount("skep.acme.db-a.g1.k1", "database-password"), Mount("acme-smtp", "smtp"))
    assert spec.route == Route(
        "skep-acme-web", ("acme.localhost", "a.example.org"), 8080, pairs({"X-Skep-Tenant": UID}), network="skep-edge-1"
    )
    assert spec.unmanaged == ()


def test_a_suspended_tenant_has_no_task_and_keeps_its_shape() -> None:
    running, suspended = desired(make_record()), desired(make_record("suspend: true\n"))
    assert suspended.replicas == 0
    assert [each.field for each in app.drift(suspended, running)] == ["replicas"]


def test_the_monitor_outlasts_what_it_watches() -> None:
    health = app.HEALTH
    assert app.UPDATE.monitor_s > health.start_period_s + health.interval_s * health.retries
    assert app.UPDATE.failure_action == "rollback"


@pytest.mark.parametrize("refresh_s", [2.0, 15.0, 60.0])
def test_an_ending_task_serves_until_the_edge_has_looked(refresh_s: float) -> None:
    slow = replace(SETTINGS, refresh_s=refresh_s)
    file = app.settings_file(make_record(), PLATFORM, slow)
    told = json.loads(file.body)["drainSeconds"]
    assert told > refresh_s
    assert app.desire(make_record(), file, IMAGE).stop_grace_s > told + 10


INSIDE: list[tuple[str, Any]] = [
    ("image", "skep:2"), ("args", ("worker",)), ("configs", ()), ("secrets", ()), ("networks", ("other",)),
    ("constraints", ("node.role == worker",)), ("resources", Resources(1.0, 1)), ("health", None),
    ("stop_grace_s", 1.0), ("name", "other"),
]  # fmt: skip
OUTSIDE: list[tuple[str, Any]] = [
    ("labels", pairs({"a": "b"})), ("route", None), ("replicas", 7), ("update", replace(app.UPDATE, delay_s=1)),
    ("unmanaged", pairs({"a": "b"})), ("env", pairs({"SKEP_REVISION": "x"})),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), [pytest.param(*each, id=each[0]) for each in INSIDE])
def test_what_a_task_is_started_from_changes_the_revision(field: str, value: object) -> None:
    spec = desired(make_record())
    assert app.revision_of(replace(spec, **{field: value})) != app.revision_of(spec)  # type: ignore[arg-type]


@pytest.mark.parametrize(("field", "value"), [pytest.param(*each, id=each[0]) for each in OUTSIDE])
def test_what_no_task_can_see_does_not_change_the_revision(field: str, value: object) -> None:
    spec = desired(make_record())
    assert app.revision_of(replace(spec, **{field: value})) == app.revision_of(spec)  # type: ignore[arg-type]


def test_every_field_of_a_service_is_inside_or_outside() -> None:
    assert {name for name, _ in INSIDE + OUTSIDE} == {field.name for field in fields(ServiceSpec)}


@pytest.mark.parametrize(
    ("words", "same"),
    [
        pytest.param("hosts: [a.example.org]\n", True, id="a host restarts nothing"),
        pytest.param("suspend: true\n", True, id="suspension"),
        pytest.param("owner: owner@example.org\n", True, id="owner"),
        pytest.param("deletionPolicy: Delete\n", True, id="policy"),
        pytest.param("app: {settings: {language: fr}}\n", False, id="a setting"),
        pytest.param("app: {resources: {memory: 1Gi}}\n", False, id="memory"),
        pytest.param("app: {replicas: 2}\n", False, id="replicas, as pools share the limit"),
        pytest.param("app: {secrets: [{name: smtp, secret: acme-smtp}]}\n", False, id="a secret"),
    ],
)
def test_which_edits_restart_tasks(words: str, same: bool) -> None:
    before, after = (app.revision_label(desired(make_record(each))) for each in ("", words))
    assert (before == after) == same


def test_another_digest_of_a_tag_is_another_revision() -> None:
    other = Image("skep:1", "skep:1@sha256:bbb", "sha256:bbb")
    assert app.revision_label(desired(make_record(), other)) != app.revision_label(desired(make_record()))


# plan


def test_a_converged_service_needs_nothing() -> None:
    record = make_record()
    file = make_file(record)
    assert app.plan(desired(record), make_service(desired(record)), file, [held(file.name)]) == ()


def test_a_new_tenant_gets_its_file_before_its_service() -> None:
    record = make_record()
    file = make_file(record)
    assert app.plan(desired(record), None, file, []) == (CreateFile(file), CreateService(desired(record)))


@pytest.mark.parametrize(
    ("field", "value"), [pytest.param(*each, id=each[0]) for each in INSIDE + OUTSIDE if each[0] != "name"]
)
def test_every_field_changed_by_hand_is_seen_and_put_back(field: str, value: object) -> None:
    record = make_record()
    file, spec = make_file(record), desired(record)
    if field == "labels":
        value = pairs({names.UID: UID, "a": "b"})
    observed = make_service(replace(spec, **{field: value}), version=42)  # type: ignore[arg-type]
    (action,) = app.plan(spec, observed, file, [held(file.name)])
    assert isinstance(action, UpdateService)
    assert (action.service_id, action.version, action.spec) == ("s1", 42, spec)
    assert action.because
    assert all(each.field.startswith(field) for each in action.because)


def test_a_drift_tells_what_is_and_what_should_be() -> None:
    spec = desired(make_record())
    observed = replace(spec, replicas=5, env=pairs({"DEBUG": "1"}), route=None)
    told = {each.field: each for each in app.drift(spec, observed)}
    assert told["replicas"] == FieldDrift("replicas", "5", "1")
    assert told["env.DEBUG"] == FieldDrift("env.DEBUG", "1", "-")
    assert told["route"] == FieldDrift("route", "-", "acme.localhost")


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param({}, id="no label"),
        pytest.param({names.UID: "f" * 32}, id="another uid"),
        pytest.param({names.TENANT: "acme"}, id="only the name, which proves nothing"),
        pytest.param({names.UID: ""}, id="an empty uid"),
    ],
)
def test_a_service_of_somebody_else_is_never_touched(labels: dict[str, str]) -> None:
    record = make_record()
    theirs = make_service(replace(desired(record), labels=pairs(labels)))
    with pytest.raises(TerminalError, match="docker service rm skep-acme-web") as caught:
        app.plan(desired(record), theirs, make_file(record), [])
    assert caught.value.reason == "NotOurs"


# rollbacks


@pytest.mark.parametrize(
    ("attempted", "state", "runs", "rolled_back"),
    [
        pytest.param("new", "rollback_completed", "old", True, id="rolled back"),
        pytest.param("new", "rollback_started", "old", True, id="rolling back"),
        pytest.param("new", "rollback_paused", "old", True, id="the rollback failed too"),
        pytest.param("new", "updating", "old", False, id="still at it"),
        pytest.param("new", "completed", "old", False, id="somebody went back by hand"),
        pytest.param("old", "rollback_completed", "old", False, id="an older rollback: never attempted"),
        pytest.param("", "rollback_completed", "old", False, id="nothing was attempted"),
        pytest.param("new", "rollback_completed", "new", False, id="only labels differ"),
    ],
)
def test_a_rollback_counts_only_for_what_was_attempted(
    attempted: str, state: Any, runs: str, rolled_back: bool
) -> None:
    specs = {
        "new": desired(make_record("app: {image: 'skep:2'}\n"), replace(IMAGE, pinned="skep:2")),
        "old": desired(make_record()),
    }
    revisions = {name: app.revision_label(spec) for name, spec in specs.items()} | {"": ""}
    record = make_record(attempted=revisions[attempted])
    observed = make_service(specs[runs], update_state=state)
    assert app.was_rolled_back(record, specs["new"], observed) == rolled_back


def test_what_restarts_no_task_goes_around_a_rolled_back_image() -> None:
    old = desired(make_record())
    new = desired(
        make_record("hosts: [a.example.org]\nsuspend: true\napp: {settings: {language: fr}}\n"),
        replace(IMAGE, pinned="skep:2"),
    )
    kept = app.around(new, old)
    assert app.revision_of(kept) == app.revision_of(old)
    assert app.revision_label(kept) == app.revision_label(old)
    assert (kept.route, kept.replicas, kept.image, kept.configs) == (new.route, 0, old.image, old.configs)
    assert app.around(new, kept) == kept
    assert app.around(old, old) == old


# collect


def test_what_neither_the_service_nor_its_rollback_needs_is_collected() -> None:
    record = make_record()
    spec = desired(record)
    previous = replace(spec, configs=(Mount("skep.acme.settings.previous", "settings.json"),))
    files = [held(spec.configs[0].name), held("skep.acme.settings.previous"), held("skep.acme.settings.old")]
    secrets = [
        secret("skep.acme.db-a.g1.k1"), secret("skep.acme.db-b.g2.k1"), secret("acme-smtp", uid=None),
        secret("skep.other", uid="f" * 32),
    ]  # fmt: skip
    assert app.collect([make_service(spec, previous=previous)], record, files, secrets) == (
        Collect("config", "id-skep.acme.settings.old", "skep.acme.settings.old"),
        Collect("secret", "id-skep.acme.db-b.g2.k1", "skep.acme.db-b.g2.k1"),
    )


def test_a_secret_that_a_rollback_needs_is_kept() -> None:
    record = make_record(secret_generation=2)
    spec = desired(record)
    previous = replace(spec, secrets=(Mount("skep.acme.db-a.g1.k1", "database-password"),))
    assert app.collect([make_service(spec, previous=previous)], record, [], [secret("skep.acme.db-a.g1.k1")]) == ()


def test_a_server_that_left_the_platform_is_told() -> None:
    assert app.server_of(make_platform(), "main").host == "postgres"
    with pytest.raises(TerminalError, match="no longer has database server gone"):
        app.server_of(make_platform(), "gone")
    assert make_spec().hosts == ("acme.localhost",)


# a rollout that runs


@pytest.mark.parametrize(
    ("state", "runs", "applied", "waits"),
    [
        pytest.param("updating", "ours", 3, True, id="by hand, while ours rolls out"),
        pytest.param("rollback_started", "ours", 3, True, id="by hand, while the engine goes back to ours"),
        pytest.param("updating", "ours", 2, False, id="the declaration changed again"),
        pytest.param("updating", "other", 3, False, id="somebody rolls another image out"),
        pytest.param("updating", "told", 3, False, id="somebody rolls another environment out"),
        pytest.param("completed", "ours", 3, False, id="nothing rolls out"),
        pytest.param("none", "ours", 3, False, id="nothing ever did"),
    ],
)
def test_what_is_changed_by_hand_waits_for_the_rollout_of_ours(
    state: Any, runs: str, applied: int, waits: bool
) -> None:
    record = make_record(generation=3, applied=applied)
    wanted = desired(record)
    others: dict[str, dict[str, Any]] = {"other": {"image": "skep:other"}, "told": {"env": (("EXTRA", "1"),)}}
    there = replace(wanted, replicas=5, **others.get(runs, {}))
    assert app.must_wait(record, wanted, make_service(there, update_state=state)) is waits


def test_the_engine_watches_an_update_longer_than_a_start_may_take() -> None:
    health, policy = app.HEALTH, app.UPDATE
    assert policy.monitor_s > health.start_period_s + health.interval_s * health.retries
    assert policy.order == "start-first"
    assert policy.failure_action == "rollback"


# what came later


def test_a_service_of_before_keeps_the_settings_that_it_has_until_something_changes() -> None:
    record = make_record()
    now = app.settings_file(record, PLATFORM, SETTINGS)
    told = json.loads(now.body)
    del told["url"]
    body = json.dumps(told, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"
    before = app.AppFile(names.settings("acme", hashlib.sha256(body).hexdigest()), body, now.drain_s)
    service = make_service(app.desire(record, before, IMAGE))
    assert app.settings_file(record, PLATFORM, SETTINGS, service) == before
    edited = make_record("app: {settings: {language: fr}}\n")
    assert "url" in json.loads(app.settings_file(edited, PLATFORM, SETTINGS, service).body)
    assert app.settings_file(record, PLATFORM, SETTINGS, make_service(app.desire(record, now, IMAGE))) == now
