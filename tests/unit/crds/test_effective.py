"""Platform defaults < Plan < Tenant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skep.crds.effective import EffectiveDatabase, EffectiveTenant, effective, effective_limits
from skep.crds.plan import App, Database, Plan, PlanSpec, Resources
from skep.crds.platform import Platform
from skep.crds.tenant import Tenant, TenantApp, TenantDatabase
from tests.unit.crds.documents import make_plan, make_platform, make_tenant


def test_a_tenant_that_says_nothing_gets_the_built_in_defaults() -> None:
    assert effective(make_platform(), make_plan(), make_tenant()) == EffectiveTenant(
        name="acme",
        display_name="Acme",
        plan="free",
        hosts=("acme.localhost",),
        image="skep:1",
        replicas=1,
        cpus=0.5,
        memory_bytes=268_435_456,
        settings=(),
        secrets=(),
        database=EffectiveDatabase(server=None, extensions=(), connection_limit=20, statement_timeout_s=30.0),
        suspend=False,
        deletion_policy="Retain",
        owner=None,
        secure=False,
    )


def test_a_tenant_that_says_everything_gets_it() -> None:
    spec = """\
        hosts: [shop.org, acme.localhost]
        app:
          image: skep:2
          replicas: 3
          resources: {cpus: 250m, memory: 1Gi}
          settings: {b: x, a: 'yes'}
          secrets: [{name: smtp, secret: acme.smtp}, {name: pay, secret: acme.pay}]
        database: {server: main, extensions: [vector, citext], connectionLimit: 30, statementTimeout: 1m}
        suspend: true
        deletionPolicy: Delete
        owner: me@acme.org
    """
    assert effective(make_platform(tls="certificate"), make_plan(), make_tenant(spec)) == EffectiveTenant(
        name="acme",
        display_name="Acme",
        plan="free",
        hosts=("acme.localhost", "shop.org"),
        image="skep:2",
        replicas=3,
        cpus=0.25,
        memory_bytes=1_073_741_824,
        settings=(("a", "yes"), ("b", "x")),
        secrets=(("pay", "acme.pay"), ("smtp", "acme.smtp")),
        database=EffectiveDatabase(
            server="main", extensions=("citext", "vector"), connection_limit=30, statement_timeout_s=60.0
        ),
        suspend=True,
        deletion_policy="Delete",
        owner="me@acme.org",
        secure=True,
    )


@pytest.mark.parametrize(
    ("defaults", "plan", "tenant", "replicas"),
    [
        ("", "", "", 1),
        ("app: {replicas: 2}", "", "", 2),
        ("app: {replicas: 2}", "app: {replicas: 3}", "", 3),
        ("app: {replicas: 2}", "app: {replicas: 3}", "app: {replicas: 4}", 4),
        ("app: {replicas: 2}", "", "app: {replicas: 1}", 1),
        ("app: {replicas: 2}", "app: {resources: {cpus: 1}}", "app: {settings: {a: b}}", 2),
    ],
)
def test_the_nearest_word_counts(defaults: str, plan: str, tenant: str, replicas: int) -> None:
    platform = make_platform(f"defaults: {{{defaults}}}" if defaults else "")
    assert effective(platform, make_plan(plan), make_tenant(tenant)).replicas == replicas


def test_the_image_comes_from_tenant_plan_defaults_and_app_in_this_order() -> None:
    platform, defaults = make_platform(), make_platform("defaults: {app: {image: 'skep:2'}}")
    plan, tenant = make_plan("app: {image: 'skep:3'}"), make_tenant("app: {image: 'skep:4'}")
    assert effective(platform, make_plan(), make_tenant()).image == "skep:1"
    assert effective(defaults, make_plan(), make_tenant()).image == "skep:2"
    assert effective(defaults, plan, make_tenant()).image == "skep:3"
    assert effective(defaults, plan, tenant).image == "skep:4"


def test_settings_are_merged_key_by_key() -> None:
    platform = make_platform("defaults: {app: {settings: {a: platform, b: platform, c: platform}}}")
    plan, tenant = make_plan("app: {settings: {b: plan, c: plan}}"), make_tenant("app: {settings: {c: tenant, d: ''}}")
    assert effective(platform, plan, tenant).settings == (("a", "platform"), ("b", "plan"), ("c", "tenant"), ("d", ""))


def test_extensions_add_up() -> None:
    platform = make_platform("defaults: {database: {extensions: [citext]}}")
    plan, tenant = (
        make_plan("database: {extensions: [vector, citext]}"),
        make_tenant("database: {extensions: [hstore]}"),
    )
    assert effective(platform, plan, tenant).database.extensions == ("citext", "hstore", "vector")


def test_ceilings_are_the_plans_then_the_platforms() -> None:
    platform = make_platform("defaults: {limits: {replicas: 2, cpus: 1}}")
    limits = effective_limits(platform, make_plan("limits: {replicas: 5, memory: 1Gi}"))
    assert (limits.replicas, limits.cpus, limits.memory_bytes, limits.connection_limit) == (5, 1.0, 1_073_741_824, None)


SETTINGS = st.dictionaries(st.sampled_from(["a", "b", "accent", "LIMIT"]), st.text("xyz", max_size=3))
APPS = st.builds(
    App,
    image=st.none() | st.sampled_from(["skep:1", "skep:2"]),
    replicas=st.none() | st.integers(1, 5),
    resources=st.builds(Resources, cpus=st.none() | st.sampled_from([0.25, 0.5, 1.0])),
    settings=SETTINGS,
)
DATABASES = st.builds(
    Database,
    connection_limit=st.none() | st.integers(2, 50),
    extensions=st.lists(st.sampled_from(["citext", "vector", "hstore"]), unique=True).map(tuple),
)
SPECS = st.builds(PlanSpec, app=APPS, database=DATABASES)


def _with(defaults: PlanSpec, plan: PlanSpec, own: PlanSpec) -> tuple[Platform, Plan, Tenant]:
    """A platform, plan and tenant with these words."""
    platform, tenant = make_platform(), make_tenant()
    spec = tenant.spec.model_copy(
        update={
            "app": TenantApp.model_validate(own.app.model_dump()),
            "database": TenantDatabase.model_validate(own.database.model_dump()),
        }
    )
    return (
        platform.model_copy(update={"spec": platform.spec.model_copy(update={"defaults": defaults})}),
        make_plan().model_copy(update={"spec": plan}),
        tenant.model_copy(update={"spec": spec}),
    )


@given(SPECS, SPECS, SPECS)
def test_the_effective_spec_is_a_value_that_depends_on_nothing_else(a: PlanSpec, b: PlanSpec, c: PlanSpec) -> None:
    first, second = effective(*_with(a, b, c)), effective(*_with(a, b, c))
    assert first == second
    assert hash(first) == hash(second)


@given(SPECS, SPECS)
def test_saying_nothing_changes_nothing(a: PlanSpec, b: PlanSpec) -> None:
    nothing = PlanSpec()
    alone = effective(*_with(a, b, nothing))
    assert effective(*_with(a, nothing, b)) == alone
    assert effective(*_with(nothing, a, b)) == alone


@given(SPECS, SPECS, SPECS)
def test_what_the_tenant_says_itself_always_counts(a: PlanSpec, b: PlanSpec, own: PlanSpec) -> None:
    merged = effective(*_with(a, b, own))
    if own.app.replicas is not None:
        assert merged.replicas == own.app.replicas
    if own.app.image is not None:
        assert merged.image == own.app.image
    assert own.app.settings.items() <= dict(merged.settings).items()
    assert set(own.database.extensions) <= set(merged.database.extensions)


@given(SPECS, SPECS, SPECS)
def test_order_is_canonical(a: PlanSpec, b: PlanSpec, c: PlanSpec) -> None:
    merged = effective(*_with(a, b, c))
    assert list(merged.settings) == sorted(merged.settings)
    assert list(merged.database.extensions) == sorted(set(merged.database.extensions))
