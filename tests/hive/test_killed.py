"""Killed after any write, the operator ends where an undisturbed run ends, with as many creations and deletions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from skep.operator.history import OWNER
from skep.operator.reconcilers.record import Record
from tests.hive.conftest import PLAN, PLATFORM, Rig, tenant

Step = Callable[[Rig], Awaitable[None]]


async def nothing(rig: Rig) -> None:
    pass


async def create(rig: Rig) -> None:
    await rig.publish(PLATFORM, PLAN, tenant("acme"))


async def create_deletable(rig: Rig) -> None:
    await rig.publish(PLATFORM, PLAN, tenant("acme", deletionPolicy="Delete"))


async def edit(rig: Rig) -> None:
    app = {"replicas": 2, "settings": {"language": "fr"}}
    await rig.publish(
        PLATFORM, PLAN, tenant("acme", hosts=["shop.example.org"], app=app, database={"extensions": ["vector"]})
    )


async def edit_image(rig: Rig) -> None:
    await rig.publish(PLATFORM, PLAN, tenant("acme", app={"image": "skep:2"}))


async def suspend(rig: Rig) -> None:
    await rig.publish(PLATFORM, PLAN, tenant("acme", suspend=True))


async def leave_out(rig: Rig) -> None:
    await rig.publish(PLATFORM, PLAN)


async def adopt(rig: Rig) -> None:
    await create(rig)
    await rig.ask("approve-adopt", "acme")


async def purge(rig: Rig) -> None:
    await rig.ask("approve-purge", "acme")


def neutral(text: str) -> str:
    """Without what differs from run to run: uids, and names that hash them."""
    text = re.sub(r"\b[0-9a-f]{32}\b", "UID", text)
    # Killed before it had its comment, a clone does not tell what it was cloned from: its schema job runs once more.
    text = re.sub(r'"schema": "[^"]*"', '"schema": "S"', text)
    text = re.sub(r"(t_\w+?)_[0-9a-f]{8}", r"\1_UID", text)
    return re.sub(r"\.settings\.[0-9a-f]{12}", ".settings.HASH", text)


def neutral_record(record: Record) -> Record:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return replace(record, uid="UID", created_at=moment, version=0, attempted=bool(record.attempted) * "some")


async def end_state(rig: Rig) -> dict[str, object]:
    """The world as an outsider finds it."""
    databases = await rig.sql(
        "select datname, datconnlimit, datallowconn, shobj_description(oid, 'pg_database') from pg_database "
        r"where datname like any('{t\\_%,skep\\_%}')"
    )
    roles = await rig.sql(
        r"select rolname, rolcanlogin from pg_roles where rolname like any('{t\\_%,skep\\_%}') and rolname <> $1", OWNER
    )
    return {
        "configs": sorted(neutral(each.name) for each in rig.engine.configs.values()),
        "secrets": sorted(each.name for each, _ in rig.engine.secrets.values()),
        "services": [
            neutral(f"{spec.name} {spec.image} {spec.replicas} {spec.route} {spec.configs} {spec.secrets}")
            for spec in (each.spec for each in rig.engine.services.values())
        ],
        "records": [neutral_record(each) for each in rig.records().values()],
        "phases": {name: (found.phase if (found := rig.status(name)) else None) for name in ("acme",)},
        "databases": sorted(neutral(str(tuple(row))) for row in databases),
        "roles": sorted(neutral(str(tuple(row))) for row in roles),
    }


def made(rig: Rig) -> Counter[tuple[str, str]]:
    """Creations and deletions. Building a template is repeatable work of its own, and is not counted."""
    found: Counter[tuple[str, str]] = Counter()
    for (method, name), times in rig.made().items():
        if not name.startswith(("skep.template.", "prod.")):
            found[method, neutral(name)] += times
    return found


@pytest.mark.fault(1)
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("before", "step"),
    [
        pytest.param((), create, id="create"),
        pytest.param((create,), edit, id="edit"),
        pytest.param((create,), edit_image, id="another image"),
        pytest.param((create,), suspend, id="suspend"),
        pytest.param((create, suspend), create, id="resume"),
        pytest.param((create,), leave_out, id="delete and retain"),
        pytest.param((create_deletable,), leave_out, id="delete"),
        pytest.param((create, leave_out), adopt, id="adopt"),
        pytest.param((create, leave_out), purge, id="purge"),
    ],
)
async def test_killed_after_any_write_it_ends_as_if_it_had_not_been(
    rig: Rig, before: tuple[Step, ...], step: Step
) -> None:
    async def run(killed_at: int) -> int | None:
        """A whole history, killed once; how many writes the last step made if nobody killed it."""
        await rig.renew()
        async with rig.operator() as hive:
            for earlier in before:
                await earlier(rig)
                await rig.rest(hive)
        await step(rig)
        writes = await rig.killed_at(killed_at)
        async with rig.operator() as hive:
            await rig.rest(hive)
            await rig.resync(hive)
            await rig.rest(hive)
        return writes

    await run(killed_at=10_000)  # builds the template, which stays
    writes = await run(killed_at=10_000)
    assert writes is not None
    assert writes > 3
    if step is edit or not before:
        assert any(each.startswith("t_acme") for each in rig.killed), "inside the tenant's database"
    expected, expected_counts = await end_state(rig), made(rig)
    for n in range(1, writes + 1):
        assert await run(killed_at=n) is None, f"the kill after write {n} did not fire"
        where = f"killed after write {n} of {writes}: {rig.killed[-1]}"
        assert await end_state(rig) == expected, where
        assert made(rig) == expected_counts, where


@pytest.mark.fault(1)
async def test_killed_while_it_builds_a_template_it_builds_it_again(rig: Rig) -> None:
    templates = r"select datname, shobj_description(oid, 'pg_database') from pg_database where datname like 'skep\_%'"
    finished, n = False, 0
    while not finished:  # once it is complete, the tenant's own writes follow, and they have their own test
        n += 1
        await rig.renew()
        for name, _ in await rig.sql(templates):
            await rig.sql(f'alter database "{name}" with allow_connections true')
            await rig.sql(f'drop database "{name}"')
        await create(rig)
        assert await rig.killed_at(n) is None, f"the kill after write {n} did not fire"
        finished = any("images" in (comment or "") for _, comment in await rig.sql(templates))
        async with rig.operator() as hive:
            await rig.rest(hive)
        assert (await rig.phase("acme", "Ready")).phase == "Ready"
        left = {name for name, _ in await rig.sql(templates)}
        assert len(left) == 1, f"killed after write {n}: {left}"
    assert n > 10


@pytest.mark.fault(1)
async def test_stopped_in_the_middle_it_finishes_what_is_in_hand(rig: Rig) -> None:
    for seconds in (0.01, 0.05, 0.1, 0.2):
        await rig.renew()
        async with rig.operator() as hive:
            await create(rig)
            with pytest.raises(TimeoutError):
                await rig.until(lambda: False, within_s=seconds)
        async with rig.operator() as hive:
            await rig.rest(hive)
        assert all(times == 1 for times in made(rig).values()), made(rig)
        assert len(await rig.databases()) == 1
