"""`skep diff`: what publishing would change, told by the operator's own functions. And the view that it looks at."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from skep.crds.reader import Reading, read_text
from skep.operator import names
from skep.operator.cli.changes import changes_of, spec_document
from skep.operator.cli.view import View, look
from skep.operator.engine.memory import MemoryEngine
from skep.operator.engine.spec import NetworkSpec
from skep.operator.errors import UsageError
from skep.operator.reconcilers import app, record, status
from skep.operator.reconcilers.record import Record
from skep.operator.reconcilers.status import Finding
from skep.operator.settings import Settings
from skep.operator.sources.announcement import Announcement
from skep.operator.sources.publish import draft, publish
from tests.unit.crds.documents import plan_text, stream
from tests.unit.reconcilers.tenants import NOW, PLATFORM, UID, make_record, make_spec
from tests.unit.sources.hives import PLAN, fleet_of, tenant
from tests.unit.sources.hives import PLATFORM as PLATFORM_TEXT

WORD = Announcement("1.0", "k1", "abc", ("10.0.0.2",), (), "")


def reading(*documents: str) -> Reading:
    return read_text(stream(*documents).encode(), file="given.yaml")


@pytest.fixture
async def engine() -> AsyncIterator[MemoryEngine]:
    """A hive with acme as its operator left it."""
    made = MemoryEngine()
    for network in ("skep-edge-1", "skep-data-1"):
        await made.create_network(NetworkSpec(network))
    await publish(made, draft("default", reading(*fleet_of("acme")), (), prune=False), author="me")
    await made.create_config(names.OPERATOR, b"x", WORD.labels())
    await settle(made, replace(make_record(), source="default"))
    yield made
    await made.close()


async def settle(engine: MemoryEngine, known: Record) -> None:
    """What the operator would have made of *known*."""
    await engine.create_config(names.record(known.name), record.data_of(known), record.labels_of(known))
    report = status.report(Finding("Ready", 1, "Ready", "answers"), None, NOW)
    await engine.create_config(names.status(known.name), b"x", status.labels_of(known.name, UID, report))
    owner = {names.TENANT: known.name, names.UID: UID}
    await engine.create_secret(f"skep.{known.name}.db-a.g1.k1", b"x", owner)
    file = app.settings_file(known, PLATFORM, WORD.settings())
    await engine.create_config(file.name, file.body, owner | {names.KIND: "settings"})
    await engine.create_service(app.desire(known, file, await engine.resolve_image("skep:1")))


async def diff(engine: MemoryEngine, *documents: str, prune: bool = False) -> list[str]:
    view = await look(engine)
    planned = draft("default", reading(*documents), view.revisions["default"], prune=prune)
    return await changes_of(view, planned, engine)


@pytest.mark.parametrize("prune", [False, True])
async def test_nothing_to_change_is_no_line(engine: MemoryEngine, prune: bool) -> None:
    assert await diff(engine, *fleet_of("acme"), prune=prune) == []


async def test_diff_writes_nothing(engine: MemoryEngine) -> None:
    before = list(engine.writes)
    await diff(engine, *fleet_of("acme", "birch"))
    assert engine.writes == before


async def test_an_edit_is_told_by_field(engine: MemoryEngine) -> None:
    lines = await diff(engine, tenant("acme", "hosts: [a.example.org]\n"))
    assert lines == [
        "~ tenant acme",
        "    spec hosts: acme.localhost -> acme.localhost, a.example.org",
        "    service skep-acme-web route: acme.localhost -> acme.localhost, a.example.org",
    ]


async def test_a_new_tenant_is_told_with_what_it_gets(engine: MemoryEngine) -> None:
    assert await diff(engine, tenant("birch")) == [
        "+ tenant birch",
        "    database t_birch_<uid> on main",
        "    service skep-birch-web: skep:1, 1 replicas",
        "    route birch.localhost",
    ]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        pytest.param("", "- tenant acme  deleted; its database is kept", id="retain"),
        pytest.param("deletionPolicy: Delete\n", "- tenant acme  deleted; its database goes too", id="delete"),
    ],
)
async def test_a_deletion_says_what_becomes_of_the_data(engine: MemoryEngine, words: str, line: str) -> None:
    known = replace((await look(engine)).records["acme"], spec=make_spec(words))
    config = await engine.inspect_config("skep.record.acme")
    await engine.label_config(config.id, config.version, record.labels_of(known))
    assert await diff(engine, PLATFORM_TEXT, PLAN, prune=True) == [line]


async def test_a_plan_is_told_once_and_with_each_of_its_tenants(engine: MemoryEngine) -> None:
    lines = await diff(engine, plan_text("app: {replicas: 2}\n"))
    assert lines[:2] == ["~ plan free", "    spec.app.replicas: - -> 2"]
    assert "    spec replicas: 1 -> 2" in lines
    assert "    service skep-acme-web replicas: 1 -> 2" in lines


async def test_drift_by_hand_is_told_though_nothing_was_edited(engine: MemoryEngine) -> None:
    engine.edit_by_hand("skep-acme-web", replicas=5)
    assert await diff(engine, tenant("acme")) == ["~ tenant acme", "    service skep-acme-web replicas: 5 -> 1"]


async def test_a_missing_secret_is_told(engine: MemoryEngine) -> None:
    service = await engine.inspect_service("skep-acme-web")
    await engine.remove_service(service.id)
    await engine.remove_secret((await engine.inspect_secret("skep.acme.db-a.g1.k1")).id)
    lines = await diff(engine, tenant("acme"))
    assert "    secret skep.acme.db-a.g1.k1: create" in lines
    assert "    service skep-acme-web: create" in lines


async def test_a_retained_name_is_told(engine: MemoryEngine) -> None:
    known = replace((await look(engine)).records["acme"], leaving="retained")
    config = await engine.inspect_config("skep.record.acme")
    await engine.label_config(config.id, config.version, record.labels_of(known))
    assert (await diff(engine, tenant("acme")))[0].startswith("! tenant acme  its name holds retained data")


async def test_what_the_brake_would_hold_is_told(engine: MemoryEngine) -> None:
    other = replace(replace(make_record(), source="default"), name="birch", uid="f" * 32)
    await engine.create_config(names.record("birch"), record.data_of(other), record.labels_of(other))
    lines = await diff(engine, PLATFORM_TEXT, PLAN, prune=True)
    assert len(lines) == 2
    assert all("would delete 2 of 2 tenants" in line for line in lines)


async def test_nobody_is_placed_where_there_is_no_room(engine: MemoryEngine) -> None:
    (line,) = [each for each in await diff(engine, tenant("birch", "database: {server: main}\n")) if "birch" in each][
        :1
    ]
    assert line == "+ tenant birch"


# The view


async def test_the_view_sees_what_the_operator_sees(engine: MemoryEngine) -> None:
    view = await look(engine)
    assert view.tenants == ("acme",)
    assert view.announcement == WORD
    assert view.records["acme"].uid == UID
    assert view.statuses["acme"].phase == "Ready"
    assert [each.name for each in view.secrets_of("acme")] == ["skep.acme.db-a.g1.k1"]
    assert len(view.configs_of("acme", "settings")) == 1
    assert view.documents()["Tenant", "acme"][0].label == "default r1"


async def test_a_view_costs_five_lists(engine: MemoryEngine) -> None:
    calls: list[str] = []
    engine.on_call = lambda call: calls.append(call.method) if call.phase == "before" else None
    await look(engine)
    engine.on_call = None
    assert sorted(calls) == ["list_configs", "list_configs", "list_networks", "list_secrets", "list_services"]


async def test_an_empty_engine_has_an_empty_view() -> None:
    view: View = await look(MemoryEngine())
    assert (view.tenants, view.announcement, view.documents()) == ((), None, {})


@pytest.mark.parametrize(
    ("name", "remedy"), [("acmee", "did you mean acme?"), ("zebra", "`skep get tenants` lists them")]
)
async def test_an_unknown_tenant_gets_the_nearest_name(engine: MemoryEngine, name: str, remedy: str) -> None:
    view = await look(engine)
    with pytest.raises(UsageError) as caught:
        view.tenant_named(name)
    assert caught.value.remedy == remedy
    assert view.tenant_named("acme") == "acme"


async def test_a_damaged_record_hides_nobody_else(engine: MemoryEngine) -> None:
    await engine.create_config("skep.record.birch", b"x", {names.KIND: "record", names.TENANT: "birch"})
    assert set((await look(engine)).records) == {"acme"}


def test_a_spec_is_shown_in_the_words_that_people_write() -> None:
    document = spec_document(make_spec("app: {settings: {language: fr}}\n"))
    assert isinstance(document, dict)
    assert {"displayName", "deletionPolicy", "memoryBytes"} <= document.keys()
    assert document["settings"] == {"language": "fr"}
    assert Settings().proxies == ("tasks.traefik",)
