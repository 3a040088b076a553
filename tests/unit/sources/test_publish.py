"""Publishing: merge, prune, order and comments kept; nothing left out that nobody named."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skep.crds.reader import Reading, read_text
from skep.operator.engine.memory import MemoryEngine
from skep.operator.errors import NameTaken, UsageError
from skep.operator.sources import publish
from skep.operator.sources.publish import Draft, check, collect, draft
from skep.operator.sources.revision import Revision
from tests.unit.crds.documents import stream
from tests.unit.sources.hives import BROKEN, PLAN, PLATFORM, fleet_of, revision, tenant


def reading(*documents: str) -> Reading:
    return read_text(stream(*documents).encode(), file="given.yaml")


def names(made: Draft) -> list[str]:
    return [document.name for document in made.documents]


HELD = (revision("prod", 7, *fleet_of("acme", "birch")), revision("prod", 5, *fleet_of("acme")))


def test_a_merge_adds_and_keeps_the_order() -> None:
    made = draft("prod", reading(tenant("cedar"), tenant("acme", "suspend: true\n")), HELD, prune=False)
    assert names(made) == ["demo", "free", "acme", "birch", "cedar"]
    assert "suspend: true" in made.documents[2].text


def test_prune_makes_the_path_the_whole_source() -> None:
    made = draft("prod", reading(PLATFORM, PLAN, tenant("cedar")), HELD, prune=True)
    assert names(made) == ["demo", "free", "cedar"]


def test_a_first_publication_is_number_one() -> None:
    made = draft("prod", reading(*fleet_of("acme")), (), prune=False)
    assert (made.number, made.unchanged) == (1, False)


def test_the_number_is_one_above_the_highest_whatever_the_order() -> None:
    held = (revision("prod", 9, *fleet_of(), number=3), revision("prod", 8, *fleet_of(), number=12))
    assert draft("prod", reading(tenant("acme")), held, prune=False).number == 13


def test_plain_revisions_have_no_number() -> None:
    assert (
        draft("prod", reading(tenant("acme")), (revision("prod", 9, *fleet_of(), number=0),), prune=False).number == 1
    )


@pytest.mark.parametrize("prune", [False, True])
def test_the_same_content_is_unchanged(prune: bool) -> None:
    assert draft("prod", reading(*fleet_of("acme", "birch")), HELD, prune=prune).unchanged


def test_a_comment_is_a_change_and_is_kept() -> None:
    made = draft("prod", reading("# paid until May\n" + tenant("acme")), HELD, prune=False)
    assert not made.unchanged
    again = read_text(made.text, file="again")
    assert "# paid until May" in again.documents[2].text
    assert again.problems == ()


def test_without_leaves_a_document_out() -> None:
    made = draft("prod", Reading(), HELD, prune=False, without=frozenset({("Tenant", "acme")}))
    assert names(made) == ["demo", "free", "birch"]


async def test_a_source_may_lose_its_last_document() -> None:
    engine = MemoryEngine()
    first = await publish.publish(engine, draft("local", reading(tenant("acme")), (), prune=False), author="me")
    gone = frozenset({("Tenant", "acme")})
    made = draft("local", Reading(), (first,), prune=False, without=gone)
    assert made.documents == ()
    second = await publish.publish(engine, made, author="me")
    again = draft("local", reading(tenant("acme")), (second, first), prune=False)
    assert (names(again), again.number) == (["acme"], 3)


def test_a_plan_and_a_tenant_of_one_name_are_two_documents() -> None:
    made = draft("prod", Reading(), HELD, prune=False, without=frozenset({("Plan", "acme")}))
    assert "acme" in names(made)


@pytest.mark.parametrize(
    ("held", "seen"),
    [
        pytest.param((revision("prod", 7, *fleet_of("birch"), BROKEN),), 7, id="a broken document"),
        pytest.param((revision("prod", 7, *fleet_of("birch"), "kind: ["),), 7, id="one that cannot be read"),
        pytest.param((revision("prod", 7, body=b"\x1f\x8bdamaged"),), 7, id="a damaged archive"),
        pytest.param((revision("prod", 5, *fleet_of("acme")),), 7, id="the newest is gone"),
        pytest.param((), 7, id="all are gone"),
    ],
)
def test_a_merge_that_would_lose_documents_is_refused_and_prune_is_not(held: tuple[object, ...], seen: int) -> None:
    with pytest.raises(UsageError, match="--prune"):
        draft("prod", reading(tenant("cedar")), held, prune=False, seen=seen)  # type: ignore[arg-type]
    made = draft("prod", reading(*fleet_of("cedar")), held, prune=True, seen=seen)  # type: ignore[arg-type]
    assert names(made) == ["demo", "free", "cedar"]


def test_a_merge_that_mends_the_broken_document_goes_through() -> None:
    held = (revision("prod", 7, *fleet_of("birch"), BROKEN),)
    assert set(names(draft("prod", reading(tenant("acme")), held, prune=False))) == {"demo", "free", "birch", "acme"}


def test_deleting_the_broken_document_goes_through() -> None:
    held = (revision("prod", 7, *fleet_of("birch"), BROKEN),)
    made = draft("prod", Reading(), held, prune=False, without=frozenset({("Tenant", "acme")}))
    assert names(made) == ["demo", "free", "birch"]


Sets = st.sets(st.sampled_from(["acme", "birch", "cedar", "dahlia"]), min_size=1)


@settings(deadline=None, max_examples=40)
@given(Sets, Sets)
def test_a_merge_loses_nobody_and_comes_to_rest(before: set[str], given: set[str]) -> None:
    held = revision("prod", 1, *fleet_of(*sorted(before)))
    given_reading = reading(*map(tenant, sorted(given)))
    made = draft("prod", given_reading, (held,), prune=False)
    assert {document.name for document in made.documents if document.kind == "Tenant"} == before | given
    again = draft("prod", given_reading, (revision("prod", 2, *(each.text for each in made.documents)),), prune=False)
    assert again.unchanged


def test_a_draft_is_checked_next_to_the_other_sources() -> None:
    shared = {"base": (revision("base", 3, PLATFORM, PLAN),)}
    assert check(draft("prod", reading(tenant("acme")), (), prune=False), shared) == ()
    alone = check(draft("prod", reading(tenant("acme")), (), prune=False), {})
    assert any("no Platform" in str(problem) for problem in alone)


def test_the_faults_of_other_sources_are_theirs() -> None:
    others = {"base": (revision("base", 3, PLATFORM, PLAN, BROKEN),)}
    assert check(draft("prod", reading(tenant("birch")), (), prune=False), others) == ()


async def test_a_revision_is_published_with_its_labels() -> None:
    engine = MemoryEngine()
    made = await publish.publish(engine, draft("prod", reading(*fleet_of("acme")), (), prune=False), author="me@here")
    assert (made.label, made.number, made.author) == ("prod r1", 1, "me@here")
    assert [config.name for config in engine.configs.values()] == ["prod.r1"]


async def test_a_number_taken_meanwhile_is_told() -> None:
    engine = MemoryEngine()
    planned = draft("prod", reading(*fleet_of("acme")), (), prune=False)
    await publish.publish(engine, planned, author="me")
    with pytest.raises(NameTaken):
        await publish.publish(engine, planned, author="you")


async def test_only_the_newest_revisions_are_kept() -> None:
    engine = MemoryEngine()
    held: list[Revision] = []
    for number in range(1, 6):
        held.insert(0, await publish.publish(engine, Draft("prod", (), b"x", number, unchanged=False), author="me"))
    await collect(engine, held, keep=2)
    await collect(engine, held, keep=2)  # somebody else collected already
    assert {config.name for config in engine.configs.values()} == {"prod.r5", "prod.r4"}
