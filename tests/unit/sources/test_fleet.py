"""The survey: what all sources together say of each tenant. Absence is not deletion."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skep.operator.sources.fleet import Absent, Broken, Declared, Owner, digest_of
from skep.operator.sources.ledger import Ledger
from tests.unit.crds.documents import plan_text, platform_text, stream
from tests.unit.sources.hives import BROKEN, PLAN, PLATFORM, fleet_of, look, owners, revision, tenant


def test_every_document_becomes_a_fate() -> None:
    fleet = look(revision("prod", 5, *fleet_of("acme", "birch")))
    assert {name: type(fate) for name, fate in fleet.tenants.items()} == {"acme": Declared, "birch": Declared}
    acme = fleet.fate("acme")
    assert isinstance(acme, Declared)
    assert (acme.source, acme.index, acme.effective.hosts) == ("prod", 5, ("acme.localhost",))
    assert fleet.absent == {}
    assert fleet.fate("nobody") is None


def test_only_the_newest_revision_counts() -> None:
    fleet = look(revision("prod", 9, *fleet_of("acme")), revision("prod", 5, *fleet_of("acme", "birch")))
    assert set(fleet.tenants) == {"acme"}


def test_a_b_a_the_plain_way_counts_the_index() -> None:
    a = revision("stack", 12, *fleet_of("acme"), number=0)  # its label was moved: the index is the newest
    b = revision("stack", 11, *fleet_of("birch"), number=0)
    assert set(look(a, b).tenants) == {"acme"}


# Absence


def test_a_tenant_left_out_by_a_newer_revision_of_its_source_is_absent() -> None:
    fleet = look(revision("prod", 9, *fleet_of("acme")), own=owners("prod", "acme", "birch"))
    assert dict(fleet.absent) == {"birch": Absent("prod", 9)}


NOBODY_ABSENT = [
    pytest.param([], Ledger({"prod": 5}), id="all revisions are gone"),
    pytest.param([revision("prod", 4, *fleet_of())], Ledger({"prod": 5}), id="the newest revision is gone"),
    pytest.param([revision("prod", 9, body=b"\x1f\x8bdamaged")], Ledger(), id="a damaged archive"),
    pytest.param(
        [revision("prod", 9, body=gzip.compress(stream(*fleet_of()).encode())[:-5])], Ledger(), id="a cut archive"
    ),
    pytest.param([revision("prod", 9, body=b"\xff\xfe not utf-8")], Ledger(), id="not UTF-8"),
    pytest.param([revision("prod", 9, PLATFORM, PLAN, "kind: [")], Ledger(), id="a document that cannot be read"),
    pytest.param([revision("prod", 9, PLATFORM, PLAN, "just a word")], Ledger(), id="a document without a kind"),
    pytest.param(
        [revision("prod", 9, PLATFORM, PLAN, "apiVersion: skep/v1\nkind: Tenant\n")], Ledger(), id="one without a name"
    ),
    pytest.param([revision("other", 9, *fleet_of())], Ledger(), id="only another source speaks"),
    pytest.param([revision("prod", 1, *fleet_of())], Ledger(), id="the revision is not newer than the tenant's own"),
    pytest.param([revision("prod", 9, PLATFORM, PLAN, BROKEN)], Ledger(), id="its document is broken"),
]


@pytest.mark.parametrize(("revisions", "ledger"), NOBODY_ABSENT)
def test_what_is_not_surely_left_out_is_not_absent(revisions: list[object], ledger: Ledger) -> None:
    fleet = look(*revisions, ledger=ledger, own=owners("prod", "acme"))  # type: ignore[arg-type]
    assert fleet.absent == {}
    assert not isinstance(fleet.fate("acme"), Absent)


def test_a_vanished_source_says_so_and_what_to_do() -> None:
    (state,) = look(revision("prod", 4, *fleet_of("acme")), ledger=Ledger({"prod": 5})).sources
    assert state.newest is None
    assert state.problem is not None
    assert "vanished: its newest revision is gone (prod r4 is older)" in state.problem


def test_a_source_that_is_there_again_counts_again() -> None:
    fleet = look(revision("prod", 6, *fleet_of("acme")), ledger=Ledger({"prod": 5}))
    assert set(fleet.tenants) == {"acme"}


def test_a_retained_tenant_is_nobody_s() -> None:
    assert look(revision("prod", 9, *fleet_of())).absent == {}


# Two sources


def test_of_two_sources_the_owner_keeps_the_tenant_and_the_other_is_told() -> None:
    fleet = look(
        revision("a", 5, *fleet_of("acme")), revision("b", 6, tenant("acme", "suspend: true\n")),
        own=owners("b", "acme"),
    )  # fmt: skip
    fate = fleet.fate("acme")
    assert isinstance(fate, Declared)
    assert (fate.source, fate.effective.suspend) == ("b", True)
    assert [str(problem) for problem in fleet.problems] == [
        "a r5:14:1: Tenant acme is declared by source b already; this one is left out"
    ]
    assert {state.name: len(state.problems) for state in fleet.sources} == {"a": 1, "b": 0}


def test_of_two_sources_the_first_by_name_gets_a_new_tenant() -> None:
    fate = look(revision("b", 5, *fleet_of("acme")), revision("a", 6, tenant("acme"))).fate("acme")
    assert isinstance(fate, Declared)
    assert fate.source == "a"


def test_a_tenant_that_moves_to_another_source_is_handed_over() -> None:
    fleet = look(revision("a", 5, *fleet_of()), revision("b", 6, tenant("acme")), own=owners("a", "acme"))
    fate = fleet.fate("acme")
    assert isinstance(fate, Declared)
    assert fate.source == "b"
    assert fleet.absent == {}


def test_a_tenant_of_a_vanished_source_may_be_taken_up_by_another() -> None:
    fleet = look(revision("b", 6, *fleet_of("acme")), ledger=Ledger({"a": 5}), own=owners("a", "acme"))
    assert isinstance(fleet.fate("acme"), Declared)


def test_a_broken_document_hands_its_tenant_to_nobody() -> None:
    fleet = look(revision("b", 9, BROKEN), revision("a", 6, *fleet_of("acme")), own=owners("b", "acme"))
    fate = fleet.fate("acme")
    assert isinstance(fate, Broken)
    assert fate.source == "b"
    assert "plann" in str(fate.problems[0])


def test_a_damaged_revision_hands_its_tenants_to_nobody() -> None:
    fleet = look(
        revision("b", 9, body=b"\x1f\x8bdamaged"), revision("a", 6, *fleet_of("acme")), own=owners("b", "acme")
    )
    assert fleet.fate("acme") is None
    assert fleet.absent == {}


# The brake


def brake(gone: int, of: int, *, leaving: int = 0, words: str = "", ledger: Ledger | None = None) -> set[str | None]:
    """What holds the deletions when *gone* of *of* tenants are left out and *leaving* more are under way."""
    names = [f"t-{number:03d}" for number in range(of)]
    own = owners("prod", *names) | {f"l-{number}": Owner("prod", 1, leaving=True) for number in range(leaving)}
    platform = platform_text(words)
    fleet = look(revision("prod", 9, platform, PLAN, *map(tenant, names[gone:])), ledger=ledger, own=own)
    assert len(fleet.absent) == gone + leaving
    return {fleet.absent[name].held for name in names[:gone]}


@pytest.mark.parametrize(
    ("gone", "of", "held"),
    [
        pytest.param(1, 1, False, id="one of one: a single deletion is never held"),
        pytest.param(1, 2, False, id="one of two"),
        pytest.param(2, 2, True, id="two of two"),
        pytest.param(2, 7, False, id="2 of 7 are 28.6 percent"),
        pytest.param(2, 6, True, id="2 of 6 are 33.3 percent"),
        pytest.param(3, 10, False, id="3 of 10 are exactly 30 percent"),
        pytest.param(4, 10, True, id="4 of 10"),
        pytest.param(10, 50, False, id="exactly ten"),
        pytest.param(11, 50, True, id="eleven, though 22 percent"),
    ],
)
def test_the_brake_holds_more_than_one_and_more_than_either_number(gone: int, of: int, held: bool) -> None:
    (sentence,) = brake(gone, of)
    assert (sentence is not None) == held
    if held:
        assert sentence == f"prod r9 would delete {gone} of {of} tenants; `skep approve deletions prod` lets it"


@pytest.mark.parametrize(
    ("words", "held"),
    [
        pytest.param("brake: {percent: 100, count: 100}\n", False, id="wide open"),
        pytest.param("brake: {percent: 50}\n", False, id="exactly the percentage"),
        pytest.param("brake: {percent: 49}\n", True, id="one percent less"),
        pytest.param("brake: {percent: 100, count: 5}\n", False, id="exactly the count"),
        pytest.param("brake: {percent: 100, count: 4}\n", True, id="one less"),
    ],
)
def test_the_platform_sets_the_brake(words: str, held: bool) -> None:
    (sentence,) = brake(5, 10, words=words)
    assert (sentence is not None) == held


@pytest.mark.parametrize(
    ("approved", "held"),
    [
        pytest.param({"prod": 9}, False, id="this revision"),
        pytest.param({"prod": 8}, True, id="an earlier revision"),
        pytest.param({"test": 9}, True, id="another source"),
    ],
)
def test_an_approval_is_for_one_revision(approved: dict[str, int], held: bool) -> None:
    (sentence,) = brake(5, 10, ledger=Ledger(approved=approved))
    assert (sentence is not None) == held


def test_deletions_under_way_are_not_held_and_do_not_count() -> None:
    assert brake(1, 5, leaving=30) == {None}


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 25), st.data())
def test_once_released_the_brake_does_not_catch_the_rest(of: int, data: st.DataObject) -> None:
    """As the first of several deletions get done, the share of the rest must not rise above the brake."""
    gone = data.draw(st.integers(2, of))
    done = data.draw(st.integers(0, gone - 1))
    if brake(gone, of) == {None}:
        assert brake(gone - done, of - done) == {None}


def test_edits_are_not_held() -> None:
    fleet = look(
        revision("prod", 9, *fleet_of(), tenant("acme", "suspend: true\n")), own=owners("prod", "acme", "b-1", "b-2")
    )
    fate = fleet.fate("acme")
    assert isinstance(fate, Declared)
    assert fate.effective.suspend
    assert all(each.held for each in fleet.absent.values())
    assert fleet.sources[0].held == 2


# A forced deletion


def forced(name: str, *documents: str) -> Ledger:
    fate = look(revision("prod", 5, *documents)).fate(name)
    assert isinstance(fate, Declared)
    return Ledger().force(name, digest_of(fate.document))


@pytest.mark.parametrize(
    ("documents", "absent"),
    [
        pytest.param([PLATFORM, PLAN, tenant("acme")], True, id="the same document"),
        pytest.param([PLATFORM, plan_text("app: {replicas: 3}\n"), tenant("acme")], True, id="its plan changed"),
        pytest.param([platform_text("brake: {count: 3}\n"), PLAN, tenant("acme")], True, id="the platform changed"),
        pytest.param([PLATFORM, PLAN, tenant("acme", "suspend: true\n")], False, id="the document changed"),
        pytest.param([PLATFORM, PLAN, tenant("acme", "hosts: [a.example.org]\n")], False, id="a host was added"),
    ],
)
def test_a_forced_deletion_holds_until_the_document_changes(documents: list[str], absent: bool) -> None:
    fleet = look(revision("prod", 9, *documents), ledger=forced("acme", *fleet_of("acme")), own=owners("prod", "acme"))
    assert isinstance(fleet.fate("acme"), Absent) == absent


# Errors of neighbours


def test_a_broken_document_stops_no_neighbour() -> None:
    fleet = look(revision("prod", 5, *fleet_of("birch", "cedar"), BROKEN))
    assert {name: type(fate) for name, fate in fleet.tenants.items()} == {
        "acme": Broken, "birch": Declared, "cedar": Declared,
    }  # fmt: skip
    fate = fleet.fate("acme")
    assert isinstance(fate, Broken)
    assert str(fate.problems[0]).startswith("prod r5:")
    assert fleet.problems == ()


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param([platform_text().replace("baseDomain", "baseDomian"), PLAN], id="platform"),
        pytest.param([PLATFORM, plan_text("app: {replicas: none}\n")], id="plan"),
    ],
)
def test_a_broken_shared_document_counts_as_it_last_was(broken: list[str]) -> None:
    fleet = look(revision("prod", 9, *broken, tenant("acme")), revision("prod", 5, *fleet_of("acme")))
    assert isinstance(fleet.fate("acme"), Declared)
    assert fleet.platform is not None
    assert fleet.sources[0].problems


def test_a_platform_that_was_never_good_breaks_everybody_and_deletes_nobody() -> None:
    fleet = look(
        revision("prod", 9, platform_text().replace("tls", "tsl"), PLAN, tenant("acme")), own=owners("prod", "acme")
    )
    assert fleet.platform is None
    assert isinstance(fleet.fate("acme"), Broken)
    assert fleet.absent == {}


def test_a_plan_that_is_gone_breaks_its_tenants_only() -> None:
    fleet = look(
        revision("prod", 9, PLATFORM, PLAN, tenant("acme"), tenant("birch").replace("plan: free", "plan: pro"))
    )
    assert isinstance(fleet.fate("acme"), Declared)
    assert isinstance(fleet.fate("birch"), Broken)


def test_a_tenant_declared_twice_in_one_source_is_told_there() -> None:
    fleet = look(revision("prod", 9, *fleet_of("acme"), tenant("acme", "suspend: true\n")))
    fate = fleet.fate("acme")
    assert isinstance(fate, Declared)
    assert not fate.effective.suspend
    assert ["declared already" in str(problem) for problem in fleet.sources[0].problems] == [True]


def test_a_host_taken_twice_keeps_its_first_owner() -> None:
    host = "hosts: [shop.example.org]\n"
    fleet = look(revision("prod", 9, *fleet_of(), tenant("acme", host), tenant("birch", host)))
    assert isinstance(fleet.fate("acme"), Declared)
    assert isinstance(fleet.fate("birch"), Broken)


def test_a_uid_in_the_document_is_carried_along() -> None:
    uid = "0123456789abcdef" * 2
    fate = look(
        revision("prod", 9, *fleet_of(), tenant("acme").replace("{name: acme}", f"{{name: acme, uid: {uid}}}"))
    ).fate("acme")
    assert isinstance(fate, Declared)
    assert fate.uid == uid


Names = st.sets(st.sampled_from(["acme", "birch", "cedar", "dahlia"]))


@settings(deadline=None, max_examples=60)
@given(declared=Names, owned=Names, index=st.integers(1, 3), seen=st.integers(0, 3), cut=st.booleans())
def test_nobody_is_absent_unless_a_newer_readable_revision_of_its_own_source_left_it_out(
    declared: set[str], owned: set[str], index: int, seen: int, cut: bool
) -> None:
    body = gzip.compress(stream(*fleet_of(*sorted(declared))).encode())
    fleet = look(
        revision("prod", index, body=body[:-1] if cut else body),
        ledger=Ledger({"prod": seen}),
        own=owners("prod", *owned, index=2),
    )
    may_go = owned - declared if index >= seen and index > 2 and not cut else set()
    assert set(fleet.absent) == may_go
    assert not set(fleet.absent) & set(fleet.tenants)
