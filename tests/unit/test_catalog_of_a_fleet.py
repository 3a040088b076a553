"""A server's catalog with many tenants: read into values, shared from one reading to the next, planned one by one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from skep.operator.reconcilers.database.catalog import Catalog, Database, Role, parse
from skep.operator.reconcilers.database.plan import DatabaseSpec, SetLogin, comment_of, plan

ADMIN = "skep_admin"


def make_spec(name: str) -> DatabaseSpec:
    database = f"t_{name}_00000000"
    return DatabaseSpec(
        name=database,
        tenant=name,
        uid="0" * 32,
        admin=ADMIN,
        verifiers=((f"{database}_a", "SCRAM-SHA-256$a"), (f"{database}_b", None)),
        connection_limit=10,
        statement_timeout_s=30.0,
        extensions=(),
    )


def answer_of(*specs: DatabaseSpec) -> dict[str, Any]:
    """What the server answers when all is as it should be."""

    def role(name: str, verifier: str | None, groups: list[str]) -> dict[str, Any]:
        return {
            "name": name, "login": verifier is not None, "limit": -1, "verifier": verifier, "powers": [],
            "groups": groups, "delegates": [],
        }  # fmt: skip

    return {
        "system": "7",
        "databases": [
            {
                "name": spec.name,
                "owner": ADMIN,
                "limit": spec.connection_limit,
                "open": True,
                "comment": json.dumps(comment_of(spec, "sha256:1")),
                "acl": [f"{grant}/{ADMIN}" for grant in spec.grants],
            }
            for spec in specs
        ],
        "roles": [
            each
            for spec in specs
            for each in (
                role(spec.name, None, []),
                *(role(name, verifier, [spec.name]) for name, verifier in spec.verifiers),
            )
        ],
        "settings": [
            {"database": spec.name, "role": name, "config": [f"{key}={value}" for key, value in spec.login_settings]}
            for spec in specs
            for name, _ in spec.verifiers
        ],
    }


ACME, BIRCH = make_spec("acme"), make_spec("birch")


def test_rows_become_values() -> None:
    catalog = parse(json.dumps(answer_of(ACME)))
    login = f"{ACME.name}_a"
    assert catalog.system_id == "7"
    assert catalog.databases == {
        ACME.name: Database(ACME.name, ADMIN, 10, True, comment_of(ACME, "sha256:1"), ACME.grants)
    }
    assert catalog.roles[login] == Role(login, True, -1, "SCRAM-SHA-256$a", groups=(ACME.name,))
    assert catalog.settings[ACME.name, login] == ACME.login_settings


def test_an_equal_catalog_shares_its_values_with_the_one_before() -> None:
    text = json.dumps(answer_of(ACME, BIRCH))
    first = parse(text)
    second = parse(text, first)
    assert second == first
    assert all(second.roles[name] is role for name, role in first.roles.items())
    assert all(second.databases[name] is database for name, database in first.databases.items())


def test_what_changed_is_not_taken_from_the_catalog_before() -> None:
    answer = answer_of(ACME, BIRCH)
    first = parse(json.dumps(answer))
    answer["databases"][0]["limit"] = -1
    second = parse(json.dumps(answer), first)
    assert second.databases[ACME.name].limit == -1
    assert second.databases[BIRCH.name] is first.databases[BIRCH.name]


@pytest.mark.parametrize(
    ("scope", "role", "undone"),
    [
        pytest.param(ACME.name, "", True, id="for the whole database"),
        pytest.param(ACME.name, "stranger", True, id="for a stranger in the database"),
        pytest.param("", f"{ACME.name}_a", True, id="for a login everywhere"),
        pytest.param(BIRCH.name, "", False, id="for a neighbour's database"),
        pytest.param("", f"{BIRCH.name}_a", False, id="for a neighbour's login"),
    ],
)
def test_a_setting_by_hand_is_undone_by_the_tenant_it_touches(scope: str, role: str, undone: bool) -> None:
    catalog = parse(json.dumps(answer_of(ACME, BIRCH)))
    touched = replace(catalog, settings={**catalog.settings, (scope, role): (("work_mem", "1GB"),)})
    assert plan(ACME, catalog, template=None) == ()
    assert plan(ACME, touched, template=None) == ((SetLogin(scope, role, ()),) if undone else ())


def test_a_merged_catalog_knows_who_has_settings_where() -> None:
    both = parse(json.dumps(answer_of(ACME, BIRCH)))
    merged = both.merged(Catalog("7"), ACME.names)
    assert merged.roles_set(ACME.name) == ()
    assert sorted(merged.roles_set(BIRCH.name)) == [f"{BIRCH.name}_a", f"{BIRCH.name}_b"]
