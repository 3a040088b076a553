"""What only the whole set of documents can show, and who stays when somebody has to go."""

from __future__ import annotations

import pytest

from skep.crds.declarations import check, gather
from tests.unit.crds.documents import plan_text, platform_text, read, tenant_text

PLATFORM = platform_text(base_domain="example.com", tls="certificate")
FREE = plan_text()


def problems(*texts: str) -> list[str]:
    _, found = gather(read(*texts))
    return [str(problem).removeprefix("f:") for problem in found]


def tenants(*texts: str) -> list[str]:
    return list(gather(read(*texts))[0].tenants)


def test_a_faultless_set_is_gathered_by_name() -> None:
    declarations, found = gather(read(PLATFORM, FREE, tenant_text(), tenant_text(name="birch")))
    assert found == ()
    assert declarations.platform is not None
    assert list(declarations.plans) == ["free"]
    assert list(declarations.tenants) == ["acme", "birch"]


def test_there_must_be_a_platform() -> None:
    assert problems(FREE) == ["1:1: no Platform is declared; exactly one is needed, like manifests/demo/platform.yaml"]
    declarations, _ = gather(read(FREE, tenant_text()))
    assert declarations.platform is None
    assert list(declarations.tenants) == ["acme"]


def test_a_broken_platform_is_not_called_missing() -> None:
    assert problems(platform_text("brake: {count: x}"), FREE) == [
        "9:18: spec.brake.count: 'x' is not a whole number; write digits only, like 2"
    ]


def test_there_is_only_one_platform_and_the_first_one_counts() -> None:
    second = PLATFORM.replace("name: demo", "name: other")
    assert problems(PLATFORM, second) == [
        "11:7: kind: a second Platform, and there can be only one; the first is f:2:7"
    ]
    platform = gather(read(PLATFORM, second))[0].platform
    assert platform is not None
    assert platform.metadata.name == "demo"


def test_a_name_belongs_to_the_first_document_of_its_kind() -> None:
    twice = (PLATFORM, FREE, tenant_text(), tenant_text("suspend: true"))
    assert problems(*twice) == [
        "23:18: metadata.name: Tenant 'acme' is declared already, f:16:18; remove one",
    ]
    assert not gather(read(*twice))[0].tenants["acme"].spec.suspend
    assert problems(PLATFORM, FREE, FREE) == [
        "16:18: metadata.name: Plan 'free' is declared already, f:12:18; remove one"
    ]
    assert problems(PLATFORM, plan_text(name="acme"), tenant_text(plan="acme")) == []


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        ("fre", "there is no plan 'fre'; did you mean free?"),
        ("Free2", None),
        ("gold", "there is no plan 'gold'; there is free, pro"),
    ],
)
def test_an_unknown_plan_is_told_with_the_one_that_was_meant(plan: str, told: str | None) -> None:
    found = problems(PLATFORM, FREE, plan_text(name="pro"), tenant_text(plan=plan))
    assert len(found) == 1
    assert told is None or found == [f"23:9: spec.plan: {told}"]


def test_with_no_plan_at_all_that_is_said() -> None:
    assert problems(PLATFORM, tenant_text()) == ["15:9: spec.plan: there is no plan 'free'; none is declared"]


@pytest.mark.parametrize("plan", [plan_text("limits: {cpus: x}"), plan_text("app: {image: evil:1}")])
def test_a_plan_with_errors_takes_its_tenants_out_and_no_others(plan: str) -> None:
    texts = (PLATFORM, plan, plan_text(name="pro"), tenant_text(), tenant_text(name="birch", plan="pro"))
    assert problems(*texts)[-1].endswith("spec.plan: plan 'free' has errors of its own; mend those first")
    assert len(problems(*texts)) == 2
    assert tenants(*texts) == ["birch"]


def test_an_unknown_database_server_is_told_with_the_one_that_was_meant() -> None:
    assert problems(PLATFORM, FREE, tenant_text("database: {server: mian}")) == [
        "20:22: spec.database.server: there is no database server 'mian'; did you mean main?"
    ]
    assert problems(PLATFORM, FREE, tenant_text("database: {server: main}")) == []


def test_a_host_belongs_to_the_first_tenant_that_claims_it() -> None:
    texts = (
        PLATFORM,
        FREE,
        tenant_text("hosts: [shop.org]"),
        tenant_text("hosts: [x.org, shop.org]", name="birch"),
        tenant_text(name="cedar"),
    )
    assert problems(*texts) == [
        "28:18: spec.hosts[1]: tenant 'birch' cannot have host 'shop.org'; tenant 'acme' has it, f:20:11"
    ]
    assert tenants(*texts) == ["acme", "cedar"]


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("example.com", "'example.com' is the platform's own host; remove it"),
        ("birch.example.com", "'birch.example.com' is for a tenant named birch; below example.com, only acme.example.com and what is under it are yours"),
        ("www.example.com", "'www.example.com' is kept for the platform; below example.com, only acme.example.com and what is under it are yours"),
        ("x.birch.example.com", "'x.birch.example.com' is for a tenant named birch; below example.com, only acme.example.com and what is under it are yours"),
    ],
)  # fmt: skip
def test_hosts_below_the_base_domain_belong_to_their_names(host: str, told: str) -> None:
    assert problems(PLATFORM, FREE, tenant_text(f"hosts: [{host}]")) == [f"20:11: spec.hosts[0]: {told}"]


def test_a_tenants_own_hosts_below_the_base_domain_are_its_own() -> None:
    assert problems(PLATFORM, FREE, tenant_text("hosts: [acme.example.com, shop.acme.example.com]")) == []


def test_a_secret_belongs_to_one_tenant() -> None:
    secrets = "app: {secrets: [{name: smtp, secret: shared.smtp}]}"
    assert problems(PLATFORM, FREE, tenant_text(secrets), tenant_text(secrets, name="birch")) == [
        (
            "28:40: spec.app.secrets[0].secret: tenant 'birch' cannot have secret 'shared.smtp'; "
            "tenant 'acme' has it, f:20:40"
        )
    ]


@pytest.mark.parametrize(
    ("image", "allowed"),
    [
        ("skep:2", True),
        ("docker.io/library/skep:2", True),
        ("skep@sha256:" + "0" * 64, True),
        ("other/skep:1", False),
        ("skep2:1", False),
    ],
)
def test_by_default_only_the_default_images_repository_is_allowed(image: str, allowed: bool) -> None:
    found = problems(PLATFORM, FREE, tenant_text(f"app: {{image: '{image}'}}"))
    assert (
        found == []
        if allowed
        else found[0].endswith("is not allowed; the platform allows the repository of skep:1 (spec.app.allowedImages)")
    )


def test_images_are_checked_where_they_are_written() -> None:
    platform = platform_text(
        "app: {image: 'x:1', allowedImages: ['r.example/team/*']}\ndefaults: {app: {image: 'y:1'}}\n"
    )
    assert problems(platform, plan_text("app: {image: 'r.example/team/a:1'}"), tenant_text("app: {image: 'z:1'}")) == [
        "8:16: spec.app.image: 'x:1' is not in spec.app.allowedImages; add it there",
        "9:27: spec.defaults.app.image: 'y:1' is not allowed; the platform allows r.example/team/* (spec.app.allowedImages)",
        "23:16: spec.app.image: 'z:1' is not allowed; the platform allows r.example/team/* (spec.app.allowedImages)",
    ]


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("app: {replicas: 3}", "spec.app.replicas: 3 is more than plan 'free' allows; 2 is the most"),
        ("app: {resources: {cpus: 1500m}}", "spec.app.resources.cpus: 1.5 is more than plan 'free' allows; 1 is the most"),
        ("app: {resources: {memory: 1Gi}}", "spec.app.resources.memory: 1Gi is more than plan 'free' allows; 512Mi is the most"),
        ("database: {connectionLimit: 31}", "spec.database.connectionLimit: 31 is more than plan 'free' allows; 30 is the most"),
    ],
)  # fmt: skip
def test_a_tenant_above_its_plans_ceiling_is_told_so(spec: str, told: str) -> None:
    plan = plan_text("limits: {replicas: 2, cpus: 1, memory: 512Mi, connectionLimit: 30}")
    (found,) = problems(PLATFORM, plan, tenant_text(spec))
    assert found.endswith(told)
    assert tenants(PLATFORM, plan, tenant_text(spec), tenant_text(name="birch")) == ["birch"]


def test_a_tenant_at_the_ceiling_is_fine() -> None:
    plan = plan_text("limits: {replicas: 2, cpus: 1, memory: 512Mi, connectionLimit: 30}")
    spec = "app: {replicas: 2, resources: {cpus: 1, memory: 512Mi}}\ndatabase: {connectionLimit: 30}\n"
    assert problems(PLATFORM, plan, tenant_text(spec)) == []


def test_the_platforms_ceilings_hold_where_a_plan_has_none() -> None:
    platform = PLATFORM + "  defaults: {limits: {replicas: 2}}\n"
    assert problems(platform, FREE, tenant_text("app: {replicas: 3}"))[0].endswith("2 is the most")
    assert problems(platform, plan_text("limits: {replicas: 5}"), tenant_text("app: {replicas: 3}")) == []


def test_a_plan_above_its_own_ceiling_is_told_in_the_plan() -> None:
    assert problems(PLATFORM, plan_text("app: {replicas: 3}\nlimits: {replicas: 2}\n")) == [
        "14:19: spec.app.replicas: 3 is more than limits.replicas allows; 2 is the most"
    ]
    assert problems(PLATFORM, plan_text("limits: {memory: 128Mi, cpus: 0.25}")) == [
        (
            "14:20: spec.limits.memory: 128Mi is less than the default of 256Mi that tenants get; "
            "write app.resources.memory as well"
        ),
        "14:33: spec.limits.cpus: 0.25 is less than the default of 0.5 that tenants get; write app.resources.cpus as well",
    ]


def test_a_platform_above_its_own_ceiling_is_told_once_and_in_the_platform() -> None:
    platform = PLATFORM + "  defaults: {app: {replicas: 5}, limits: {replicas: 2}}\n"
    assert problems(platform, FREE, tenant_text()) == [
        "9:30: spec.defaults.app.replicas: 5 is more than limits.replicas allows; 2 is the most"
    ]
    assert gather(read(platform, FREE))[0].platform is None


def test_a_broken_tenant_is_left_out_and_its_neighbours_stay() -> None:
    texts = (PLATFORM, FREE, tenant_text("suspend: yes"), tenant_text(name="birch"), "x: [", tenant_text(name="cedar"))
    assert tenants(*texts) == ["birch", "cedar"]
    assert len(problems(*texts)) == 2


def test_checking_documents_tells_what_is_between_them_only() -> None:
    documents = read(PLATFORM, tenant_text("suspend: yes"), tenant_text(name="birch")).documents
    assert [problem.name for problem in check(documents)] == ["birch"]
    assert check(documents, broken={("Plan", "free")})[0].message.endswith("mend those first")


def test_the_order_of_the_documents_changes_only_who_comes_first() -> None:
    texts = [tenant_text("hosts: [shop.org]", name=name) for name in ("acme", "birch")]
    assert tenants(PLATFORM, FREE, *texts) == ["acme"]
    assert tenants(*reversed(texts), FREE, PLATFORM) == ["birch"]
