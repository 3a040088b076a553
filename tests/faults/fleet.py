"""A few tenants, what may be declared of them, and how their world must look then, whatever way led there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from skep.operator import names
from skep.operator.engine.rules import files
from tests.faults.simulation import Simulation, simulated
from tests.hive.conftest import PLAN, Rig, tenant
from tests.hive.conftest import PLATFORM as BASE

# Several may be left out at once where one revision is missed: the brake has tests of its own.
PLATFORM = BASE + "  brake: {percent: 100, count: 100}\n"
VARIANTS: Mapping[str, dict[str, Any]] = {
    "plain": {},
    "edited": {"hosts": ["NAME.example.org"], "database": {"connectionLimit": 5}},
    "scaled": {"app": {"replicas": 2, "settings": {"language": "fr"}}},
    "newer": {"app": {"image": "skep:2"}},
    "suspended": {"suspend": True},
}
POLICIES = ("Retain", "Delete")


def document(name: str, variant: str, policy: str) -> str:
    spec = {"displayName": "Somebody", "deletionPolicy": policy} | VARIANTS[variant]
    return tenant(name, **spec).replace("NAME", name)


@dataclass
class Fleet:
    """What is declared now: variants by tenant. *policy* is each one's for good; *lives*: how often it began anew."""

    policy: Mapping[str, str]
    declared: dict[str, str] = field(default_factory=dict)
    lives: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    came: Counter[str] = field(default_factory=Counter)

    def declare(self, name: str, variant: str | None) -> None:
        before = self.declared.get(name)
        if variant is None:
            self.left_out[name] += self.declared.pop(name, None) is not None
            return
        if before is None:
            self.came[name] += 1
            self.lives[name] += not self.lives[name] or self.policy[name] == "Delete"
        self.declared[name] = variant

    async def publish(self, rig: Rig) -> None:
        bodies = (document(name, variant, self.policy[name]) for name, variant in sorted(self.declared.items()))
        await rig.publish(PLATFORM, PLAN, *bodies)


def plainly(name: str, text: str) -> str:
    """Without what tells one tenant from another: its name, its uid, and what hashes them."""
    text = re.sub(rf"t_{re.escape(name)}_[0-9a-f]{{8}}", "DATABASE", text)
    text = re.sub(r"\b[0-9a-f]{32}\b", "UID", text)
    text = re.sub(r"\.settings\.[0-9a-f]{12}", ".settings.HASH", text)
    return text.replace(name, "NAME")


async def views(rig: Rig) -> dict[str, dict[str, object]]:
    """Every tenant's world as an outsider finds it, in terms that compare between tenants."""
    connection = await asyncpg.connect(rig.postgres.dsn())
    try:
        databases = await connection.fetch(
            "select datname, datconnlimit, datallowconn, datacl::text from pg_database where datname like 't\\_%'"
        )
        roles = await connection.fetch(
            "select r.rolname, rolcanlogin, rolconnlimit, array_agg(s.setconfig::text order by s.setconfig) settings, "
            "(select array_agg(g.rolname::text) from pg_auth_members m join pg_roles g on g.oid = m.roleid "
            "where m.member = r.oid) groups from pg_roles r left join pg_db_role_setting s on s.setrole = r.oid "
            "where r.rolname like 't\\_%' group by r.oid, r.rolname, rolcanlogin, rolconnlimit order by 1"
        )
    finally:
        await connection.close()
    records = rig.records()
    engine = rig.engine
    tenants = {dict(each.labels).get(names.TENANT, "") for each in engine.configs.values()}
    tenants |= {dict(each.labels).get(names.TENANT, "") for each, _ in engine.secrets.values()}
    tenants |= {dict(each.spec.labels).get(names.TENANT, "") for each in engine.services.values()}
    tenants |= {row["datname"][2:-9] for row in databases} | {row["rolname"].split("_")[1] for row in roles}
    found: dict[str, dict[str, object]] = {}
    for name in sorted(tenants - {""}):
        known = records.get(name)
        service = next((each for each in engine.services.values() if each.spec.name == names.service(name)), None)
        view: dict[str, object] = {
            "phase": report.phase if (report := rig.status(name)) is not None else None,
            "databases": [tuple(row) for row in databases if row["datname"].startswith(f"t_{name}_")],
            "roles": [tuple(row) for row in roles if row["rolname"].startswith(f"t_{name}_")],
            "secrets": sorted(
                each.name for each, _ in engine.secrets.values() if dict(each.labels).get(names.TENANT) == name
            ),
        }
        if known is not None:
            view["record"] = (
                known.spec, known.leaving, known.provisioned, known.server, known.edge_network, known.data_network,
                known.secret_generation, known.latched, known.schema_failed,
            )  # fmt: skip
        if service is not None:
            spec = service.spec
            view["service"] = (
                spec.image, spec.replicas, spec.route, spec.networks, spec.resources, spec.health, spec.update,
                spec.configs, spec.secrets, spec.args, spec.unmanaged, sorted(dict(spec.labels)), sorted(dict(spec.env)),
            )  # fmt: skip
        needed = set() if service is None else {*files(service.spec.configs)}
        if service is not None and service.previous is not None:
            needed |= {*files(service.previous.configs)}
        settings = {
            each.name
            for each in engine.configs.values()
            if dict(each.labels).get(names.TENANT) == name and dict(each.labels).get(names.KIND) == "settings"
        }
        view["settings that nothing needs"] = len(settings - needed)
        found[name] = {key: plainly(name, str(value)) for key, value in view.items()}
    return found


async def fresh(rig: Rig) -> dict[str, dict[str, object]]:
    """Everything that may be declared, declared at once to a fresh and undisturbed operator: views by what it is."""
    kinds = {f"{variant}{policy.lower()}": (variant, policy) for variant in VARIANTS for policy in POLICIES}
    fleet = Fleet({name: policy for name, (_, policy) in kinds.items()})
    async with simulated(rig, 0, disturbed=False) as simulation:
        simulation.begin()
        for name, (variant, _) in kinds.items():
            fleet.declare(name, variant)
        await fleet.publish(rig)
        await simulation.rest()
        told = {name: rig.status(name) for name in kinds}
        assert {each.phase for each in told.values() if each is not None} == {"Ready", "Suspended"}, told
        found = await views(rig)
    assert found.keys() == kinds.keys()
    return {" ".join(kinds[name]): view for name, view in found.items()}


async def adopt(rig: Rig, simulation: Simulation, fleet: Fleet) -> None:
    """Who came back after a retained deletion waits for a person, who says yes."""
    for name in fleet.declared:
        report = rig.status(name)
        ready = report.condition("Ready") if report is not None else None
        if ready is not None and ready.reason == "NameRetained":
            await rig.ask("approve-adopt", name)
    await simulation.rest()


async def check(rig: Rig, fleet: Fleet, reference: Mapping[str, Mapping[str, object]]) -> None:
    """The end is what a fresh start gives; who is not declared left nothing, or only what Retain keeps."""
    found = await views(rig)
    for name, variant in fleet.declared.items():
        have, want = found.get(name, {}), reference[f"{variant} {fleet.policy[name]}"]
        wrong = {
            key: (have.get(key), want.get(key)) for key in want.keys() | have.keys() if have.get(key) != want.get(key)
        }
        assert wrong == {}, f"{name}, which is {variant}: have and want {wrong}"
    for name in found.keys() - fleet.declared.keys():
        assert fleet.policy[name] == "Retain", f"{name} left {found[name]}"
        assert rig.records()[name].leaving == "retained", name
        assert "service" not in found[name], name
        assert found[name]["phase"] == "Retained", name


def check_lives(fleet: Fleet, statements: Mapping[str, int]) -> None:
    """No database made twice or of two identities in one life; none dropped that was not declared so."""
    made = [text for text, times in statements.items() if text.startswith("create database") for _ in range(times)]
    for name, lives in fleet.lives.items():
        own = [text for text in made if text.startswith(f'create database "t_{name}_')]
        assert len(own) <= lives, f"{name} had {lives} lives and {own}"
        assert len(set(own)) == len(own), f"made twice: {own}"
    for text in statements:
        if text.startswith("drop database") and '"t_' in text:
            name = text.split('"')[1].split("_")[1]
            assert fleet.policy[name] == "Delete", text
            assert fleet.left_out[name], text


def check_writes(fleet: Fleet, made: Mapping[tuple[str, str], int]) -> None:
    """Nothing of the engine's is made more often than it was declared anew."""
    for name in fleet.policy:
        for kind, object_name in (("create_config", names.record(name)), ("create_service", names.service(name))):
            times, most = made.get((kind, object_name), 0), fleet.came[name]
            assert times <= most, f"{object_name} was made {times} times and declared {most} times"
