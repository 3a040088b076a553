"""The database's plan: () when converged, one action for each drift, and SQL that nobody can break out of."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skep.operator.errors import TerminalError
from skep.operator.keys import RootKey
from skep.operator.reconcilers.database import plan as plans
from skep.operator.reconcilers.database.catalog import Catalog, Database, Role, parse, read_comment
from skep.operator.reconcilers.database.plan import (
    Comment,
    CreateDatabase,
    CreateRole,
    DatabaseSpec,
    Furnish,
    Grant,
    Limit,
    SetLogin,
    SetRole,
    check_identity,
    comment_of,
    plan,
    sql,
)
from skep.operator.reconcilers.database.reconciler import desire
from tests.unit.reconcilers.tenants import UID, make_record

NAME, ADMIN = "t_acme_01234567", "skep_admin"
SPEC = DatabaseSpec(
    NAME, "acme", UID, ADMIN, ((f"{NAME}_a", "SCRAM-SHA-256$v"), (f"{NAME}_b", None)), 20, 30.0, ("vector",)
)


def converged(spec: DatabaseSpec = SPEC, *, schema: str = "sha256:aaa") -> Catalog:
    database = Database(spec.name, spec.admin, spec.connection_limit, True, comment_of(spec, schema), spec.grants)
    roles = {spec.name: Role(spec.name, False, -1, None)}
    roles |= {
        login: Role(login, bool(verifier), -1, verifier, groups=(spec.name,)) for login, verifier in spec.verifiers
    }
    settings = {(spec.name, login): spec.login_settings for login, _ in spec.verifiers}
    return Catalog("7", {spec.name: database}, roles, settings)


def with_database(**changes: Any) -> Catalog:
    good = converged()
    return replace(good, databases={NAME: replace(good.databases[NAME], **changes)})


def with_role(name: str, **changes: Any) -> Catalog:
    good = converged()
    return replace(good, roles={**good.roles, name: replace(good.roles[name], **changes)})


def with_settings(*key: str, values: tuple[tuple[str, str], ...] = (("search_path", "evil"),)) -> Catalog:
    good = converged()
    return replace(good, settings={**good.settings, (key[0], key[1]): values})


limits = st.integers(1, 10_000)
timeouts = st.floats(0.001, 86_400)


@given(
    limits,
    timeouts,
    st.lists(st.sampled_from(["vector", "pg_trgm", "hstore"]), unique=True).map(lambda found: tuple(sorted(found))),
)
def test_a_converged_database_needs_nothing(limit: int, timeout_s: float, extensions: tuple[str, ...]) -> None:
    spec = replace(SPEC, connection_limit=limit, statement_timeout_s=timeout_s, extensions=extensions)
    assert plan(spec, converged(spec), template=None) == ()


def test_a_new_database_is_made_in_the_verified_order() -> None:
    actions = plan(SPEC, Catalog("7"), template="skep_template_x", schema="sha256:aaa")
    assert [type(action) for action in actions] == [
        CreateRole, SetRole, CreateRole, SetRole, CreateRole, SetRole,
        CreateDatabase, Grant, Furnish, SetLogin, SetLogin, Comment, Limit,
    ]  # fmt: skip
    assert isinstance(actions[-1], Limit), "the connection limit comes last, as the mark of completeness"
    statements = [statement for action in actions for statement in sql(action)]
    create = next(number for number, text in enumerate(statements) if text.startswith("create database"))
    assert statements[create].endswith("connection limit 0")
    assert any("from public" in text for text in statements[create:])


def test_a_new_database_needs_a_template() -> None:
    with pytest.raises(ValueError, match="template"):
        plan(SPEC, Catalog("7"), template=None)


LOGIN = f"{NAME}_a"
DRIFTS = [
    pytest.param(with_database(owner=NAME), [Grant], id="another owner"),
    pytest.param(with_database(grants=None), [Grant], id="grants never touched: PUBLIC may connect"),
    pytest.param(with_database(grants=()), [Grant], id="no grants"),
    pytest.param(with_database(grants=(*SPEC.grants, "=c")), [Grant], id="PUBLIC may connect"),
    pytest.param(with_database(grants=(*SPEC.grants, "t_birch_x=c")), [Grant], id="a neighbour may connect"),
    pytest.param(with_database(grants=(f"{ADMIN}=CTc", f"{NAME}=Tc*")), [Grant], id="grant option"),
    pytest.param(with_database(grants=(f"{ADMIN}=CTc", f"{NAME}=CTc")), [Grant], id="may make schemas"),
    pytest.param(with_database(limit=90), [Limit], id="limit lifted"),
    pytest.param(with_database(limit=-1), [Limit], id="no limit"),
    pytest.param(with_database(open=False), [Limit], id="closed"),
    pytest.param(with_database(limit=0), [Furnish, Limit], id="not complete"),
    pytest.param(with_database(limit=0, open=False), [Limit, Furnish, Limit], id="closed before it was complete"),
    pytest.param(with_database(comment={}), [Furnish, Comment], id="comment gone"),
    pytest.param(with_role(NAME, login=True), [SetRole], id="content role logs in"),
    pytest.param(with_role(NAME, powers=("SUPERUSER",)), [SetRole], id="superuser"),
    pytest.param(with_role(LOGIN, powers=("EXPIRES",)), [SetRole], id="expires"),
    pytest.param(with_role(LOGIN, powers=("NOINHERIT",)), [SetRole], id="does not inherit"),
    pytest.param(with_role(LOGIN, verifier="other"), [SetRole], id="another password"),
    pytest.param(with_role(LOGIN, verifier=None), [SetRole], id="no password"),
    pytest.param(with_role(LOGIN, login=False), [SetRole], id="no login"),
    pytest.param(with_role(LOGIN, limit=1), [SetRole], id="role limit"),
    pytest.param(with_role(LOGIN, groups=()), [SetRole], id="no member"),
    pytest.param(with_role(LOGIN, groups=(NAME, "t_birch_x")), [SetRole], id="member of a neighbour"),
    pytest.param(with_role(LOGIN, delegates=(NAME,)), [SetRole], id="hands its role on"),
    pytest.param(with_role(f"{NAME}_b", login=True, verifier="x"), [SetRole], id="the resting login awake"),
    pytest.param(with_settings(NAME, LOGIN), [SetLogin], id="login's settings"),
    pytest.param(with_settings(NAME, ""), [SetLogin], id="the database's settings"),
    pytest.param(with_settings("", LOGIN), [SetLogin], id="the role's settings everywhere"),
    pytest.param(with_settings(NAME, ADMIN), [SetLogin], id="a trap for the admin"),
]


@pytest.mark.parametrize(("observed", "actions"), DRIFTS)
def test_every_drift_has_its_action_and_no_other(observed: Catalog, actions: list[type]) -> None:
    assert [type(action) for action in plan(SPEC, observed, template=None, schema="sha256:aaa")] == actions


@pytest.mark.parametrize(
    "observed",
    [
        pytest.param(with_settings("other", "other"), id="another database's settings"),
        pytest.param(with_settings("", "somebody"), id="another role's settings"),
        pytest.param(replace(converged(), roles={**converged().roles, "t_birch_x": Role("t_birch_x", True, 5, "x", ("SUPERUSER",))}), id="another role"),
    ],
)  # fmt: skip
def test_what_is_not_this_tenant_s_is_left_alone(observed: Catalog) -> None:
    assert plan(SPEC, observed, template=None) == ()


@pytest.mark.parametrize(
    ("spec", "actions"),
    [
        pytest.param(replace(SPEC, connection_limit=30), [Limit], id="limit"),
        pytest.param(replace(SPEC, statement_timeout_s=5.0), [SetLogin, SetLogin], id="timeout"),
        pytest.param(replace(SPEC, extensions=("hstore", "vector")), [Furnish, Comment], id="an extension more"),
        pytest.param(replace(SPEC, extensions=()), [Comment], id="an extension less is not dropped"),
        pytest.param(replace(SPEC, verifiers=((LOGIN, None), (f"{NAME}_b", "SCRAM-SHA-256$w"))), [SetRole, SetRole], id="rotation"),
    ],
)  # fmt: skip
def test_an_edit_has_its_actions(spec: DatabaseSpec, actions: list[type]) -> None:
    assert [type(action) for action in plan(spec, converged(), template=None)] == actions


def test_a_wiped_comment_gets_back_what_the_record_knows() -> None:
    (action,) = [
        each
        for each in plan(SPEC, with_database(comment={}), template=None, schema="sha256:bbb")
        if isinstance(each, Comment)
    ]
    assert json.loads(action.comment)["schema"] == "sha256:bbb"


def test_strangers_lose_their_grants() -> None:
    (action,) = plan(SPEC, with_database(grants=(*SPEC.grants, "=c", "t_birch_x=c")), template=None)
    assert isinstance(action, Grant)
    assert action.revoke == ("", "t_birch_x")


# Identity


@pytest.mark.parametrize(
    ("observed", "provisioned", "system_id", "reason"),
    [
        pytest.param(converged(), True, "7", None, id="all well"),
        pytest.param(Catalog("7"), False, "7", None, id="not made yet"),
        pytest.param(Catalog("8"), False, "7", None, id="another server before anything was made"),
        pytest.param(Catalog("7"), True, "7", "DatabaseMissing", id="gone"),
        pytest.param(Catalog("8"), True, "7", "ServerReplaced", id="another server, empty"),
        pytest.param(replace(converged(), system_id="8"), True, "7", "ServerReplaced", id="another server that has it"),
        pytest.param(Catalog("7"), True, "", "DatabaseMissing", id="gone, and nobody knows from where"),
        pytest.param(with_database(comment={"uid": "f" * 32}), True, "7", "NotOurs", id="another tenant's"),
        pytest.param(
            with_database(comment={"uid": "f" * 32}), False, "7", "NotOurs", id="another tenant's, before ours"
        ),
        pytest.param(with_database(comment={}), True, "7", None, id="a wiped comment: the name proves it"),
    ],
)
def test_identity(observed: Catalog, provisioned: bool, system_id: str, reason: str | None) -> None:
    if reason is None:
        check_identity(SPEC, observed, provisioned=provisioned, system_id=system_id)
        return
    with pytest.raises(TerminalError) as caught:
        check_identity(SPEC, observed, provisioned=provisioned, system_id=system_id)
    assert caught.value.reason == reason
    assert caught.value.remedy


# SQL


@given(st.text(max_size=40))
def test_an_identifier_cannot_be_left(name: str) -> None:
    if not name or "\0" in name or len(name.encode(errors="surrogatepass")) > 63:
        with pytest.raises(ValueError, match="identifier"):
            plans.ident(name)
        return
    quoted = plans.ident(name)
    assert quoted[0] == quoted[-1] == '"'
    assert quoted[1:-1].replace('""', "").count('"') == 0
    assert quoted[1:-1].replace('""', '"') == name


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 64, "é" * 32])
def test_what_postgresql_would_cut_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="identifier"):
        plans.ident(name)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("plain", "'plain'"),
        ("", "''"),
        ("it's", "'it''s'"),
        ("'; drop database x; --", "'''; drop database x; --'"),
        ("back\\slash", " E'back\\\\slash'"),
        ("\\'; drop", " E'\\\\''; drop'"),
        ("$$", "'$$'"),
        ("line\nbreak", "'line\nbreak'"),
    ],
)
def test_a_literal_cannot_be_left(text: str, quoted: str) -> None:
    assert plans.literal(text) == quoted


def test_a_nul_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        plans.literal("a\0b")


EVIL = 'x"; drop database y; --'


@pytest.mark.parametrize(
    "action",
    [
        CreateRole(EVIL), SetRole(EVIL, True, "v", EVIL, (EVIL,)), CreateDatabase(EVIL, EVIL), Furnish(EVIL, (EVIL,)),
        Grant(EVIL, EVIL, (EVIL, "")), SetLogin(EVIL, EVIL, (("role", EVIL),)), SetLogin("", EVIL, ()),
        SetLogin(EVIL, "", ()), Comment(EVIL, EVIL), Limit(EVIL, 1),
    ],
    ids=lambda action: type(action).__name__,
)  # fmt: skip
def test_a_name_with_a_quote_stays_a_name(action: plans.Action) -> None:
    for statement in sql(action):
        outside = statement.replace('"x""; drop database y; --"', "NAME").replace("'x\"; drop database y; --'", "TEXT")
        assert "drop" not in outside


def test_passwords_travel_as_verifiers_only() -> None:
    keys = RootKey("k1", bytes(32))
    record = make_record()
    actions = plan(desire(record, keys, ADMIN), Catalog("7"), template="t")
    text = "\n".join(statement for action in actions for statement in sql(action))
    assert "SCRAM-SHA-256$4096:" in text
    assert keys.password(UID, "db-a", 1) not in text


def test_the_login_of_the_other_generation_rests() -> None:
    keys = RootKey("k1", bytes(32))
    first, second = (dict(desire(make_record(secret_generation=n), keys, ADMIN).verifiers) for n in (1, 2))
    assert [bool(first[LOGIN]), bool(first[f"{NAME}_b"])] == [True, False]
    assert [bool(second[LOGIN]), bool(second[f"{NAME}_b"])] == [False, True]


def test_names_of_the_longest_tenant_fit() -> None:
    longest = DatabaseSpec(f"t_{'a' * 32}_{UID[:8]}", "a" * 32, UID, ADMIN, (), 1, 1.0, ())
    assert len(plans.ident(f"{longest.name}_a")) <= 63


@pytest.mark.parametrize(
    ("grants", "closes"),
    [(None, True), (("postgres=CTc",), False), (("=Tc", "postgres=CTc"), True), (("=T",), True), ((), False)],
)
def test_shared_databases_are_closed_to_public(grants: tuple[str, ...] | None, closes: bool) -> None:
    observed = Catalog("7", {"postgres": Database("postgres", "postgres", -1, True, {}, grants)})
    assert bool(plans.close_shared(observed)) == closes
    assert plans.close_shared(Catalog("7")) == ()


# The catalog


def answer(**parts: Any) -> Catalog:
    return parse(json.dumps({"system": "7", "databases": [], "roles": [], "settings": []} | parts))


@pytest.mark.parametrize(
    ("acl", "grants"),
    [
        pytest.param(None, None, id="never touched"),
        pytest.param([], (), id="nothing"),
        pytest.param(["b=c/x", "a=CTc/x"], ("a=CTc", "b=c"), id="sorted, without the grantor"),
        pytest.param(["=Tc/x"], ("=Tc",), id="PUBLIC"),
        pytest.param(['"odd name"=c/"odd grantor"'], ("odd name=c",), id="quoted"),
    ],
)
def test_grants_are_read(acl: list[str] | None, grants: tuple[str, ...] | None) -> None:
    each = {"name": "d", "owner": "o", "limit": 1, "open": True, "comment": None, "acl": acl}
    assert answer(databases=[each]).databases["d"].grants == grants


@pytest.mark.parametrize(
    ("text", "comment"),
    [(None, {}), ("", {}), ("words", {}), ("[1]", {}), ("3", {}), ('{"uid": "x"}', {"uid": "x"})],
)
def test_a_comment_that_is_not_ours_says_nothing(text: str | None, comment: dict[str, str]) -> None:
    assert read_comment(text) == comment


def test_settings_are_read_with_equal_signs_in_their_values() -> None:
    found = answer(settings=[{"database": "d", "role": "r", "config": ["b=1", "a=x=y"]}])
    assert found.settings == {("d", "r"): (("a", "x=y"), ("b", "1"))}


def test_what_is_read_again_replaces_what_was_kept_by_name() -> None:
    old, names = converged(), SPEC.names
    other = Database("t_birch_x", ADMIN, 5, True, {}, ())
    kept = replace(
        old, databases={**old.databases, "t_birch_x": other}, settings={**old.settings, ("t_birch_x", "r"): ()}
    )
    assert kept.merged(Catalog("7"), names) == Catalog("7", {"t_birch_x": other}, {}, {("t_birch_x", "r"): ()})
    assert kept.merged(converged(), names) == kept
