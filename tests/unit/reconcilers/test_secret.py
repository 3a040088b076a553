"""Secrets: what is made, what is replaced, and what a tenant must bring."""

from __future__ import annotations

import pytest

from skep.operator import names
from skep.operator.engine.spec import Mount, Secret, pairs
from skep.operator.keys import RootKey
from skep.operator.reconcilers import secret
from skep.operator.reconcilers.secret import CreateSecret, ReplaceSecret
from tests.unit.reconcilers.tenants import UID, make_record

KEYS = RootKey("k1", bytes(range(32)))
NAME = "skep.acme.db-a.g1.k1"
BROUGHT = "app: {secrets: [{name: smtp, secret: acme-smtp}]}\n"


def held(name: str = NAME, *, fingerprint: str | None = None, uid: str | None = UID) -> Secret:
    labels = {names.TENANT: "acme"} | ({names.UID: uid} if uid else {})
    labels |= {names.FINGERPRINT: fingerprint} if fingerprint is not None else {}
    return Secret(f"id-{name}", name, 1, pairs(labels))


def right() -> str:
    return KEYS.fingerprint(KEYS.password(UID, "db-a", 1).encode())


def test_the_right_secret_needs_nothing() -> None:
    assert secret.plan(secret.desire(make_record(), KEYS), [held(fingerprint=right())]) == ()


def test_a_missing_secret_is_made() -> None:
    (action,) = secret.plan(secret.desire(make_record(), KEYS), [])
    assert isinstance(action, CreateSecret)
    assert (action.want.name, action.want.purpose) == (NAME, "db-a")


@pytest.mark.parametrize("fingerprint", [None, "", "0" * 32])
def test_a_secret_with_other_data_is_replaced(fingerprint: str | None) -> None:
    (action,) = secret.plan(secret.desire(make_record(), KEYS), [held(fingerprint=fingerprint)])
    assert isinstance(action, ReplaceSecret)
    assert action.secret_id == f"id-{NAME}"


def test_without_a_root_key_names_are_compared() -> None:
    """`skep diff` runs where no root key is."""
    assert secret.plan(secret.desire(make_record(), None), [held(fingerprint="other")]) == ()


@pytest.mark.parametrize(
    ("generation", "name"),
    [(1, "skep.acme.db-a.g1.k1"), (2, "skep.acme.db-b.g2.k1"), (3, "skep.acme.db-a.g3.k1")],
)
def test_generations_have_names_of_their_own(generation: int, name: str) -> None:
    (want,) = secret.desire(make_record(secret_generation=generation), KEYS)
    assert want.name == name
    assert len(names.secret("a" * 32, "db-a", 999, "k1234567")) <= 64


def test_ours_is_mounted_first_then_what_the_tenant_brings() -> None:
    assert secret.mounts(make_record(BROUGHT)) == (Mount(NAME, "database-password"), Mount("acme-smtp", "smtp"))


@pytest.mark.parametrize(
    ("observed", "missing"),
    [
        pytest.param([], True, id="not there, or without the label"),
        pytest.param([held("acme-smtp", uid=None)], False, id="there"),
        pytest.param([held("acme-smtp")], True, id="one of ours cannot stand for it"),
        pytest.param([held("other", uid=None)], True, id="another one"),
    ],
)
def test_what_the_tenant_brings_must_carry_its_label(observed: list[Secret], missing: bool) -> None:
    sentence = secret.missing(make_record(BROUGHT), observed)
    assert (sentence is not None) == missing
    if sentence is not None:
        assert "`docker secret create --label skep.tenant=acme acme-smtp FILE`" in sentence


def test_a_tenant_that_brings_nothing_misses_nothing() -> None:
    assert secret.missing(make_record(), []) is None
