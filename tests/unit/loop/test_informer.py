"""The cache: lists are the truth, hints make it quick, and no race makes it older."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skep.operator.loop.informer import Informer
from tests.fakes.clock import VirtualClock, settle


@dataclass(frozen=True)
class Thing:
    id: str
    version: int
    name: str = ""
    note: str = ""


class Store:
    """What somebody else keeps. *before* and *after* run while a call is under way."""

    def __init__(self) -> None:
        self.things: dict[str, Thing] = {}
        self.before: Callable[[], None] = lambda: None
        self.after: Callable[[], None] = lambda: None
        self.lists = 0

    def put(self, *things: Thing) -> None:
        self.things |= {thing.id: thing for thing in things}

    async def fetch(self) -> list[Thing]:
        self.lists += 1
        self.before()
        found = list(self.things.values())
        await asyncio.sleep(0)
        self.after()
        return found

    async def read(self, object_id: str) -> Thing | None:
        found = self.things.get(object_id)
        await asyncio.sleep(0)
        self.after()
        return found


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def cache(store: Store, clock: VirtualClock) -> Informer[Thing]:
    return Informer("thing", store.fetch, clock=clock, read=store.read)


async def test_a_list_is_the_truth(cache: Informer[Thing], store: Store) -> None:
    store.put(Thing("1", 1, "a"), Thing("2", 2, "b"))
    await cache.sync()
    del store.things["1"]
    store.put(Thing("2", 5, "b"), Thing("3", 6, "c"))
    await cache.sync()
    assert {thing.id: thing.version for thing in cache} == {"2": 5, "3": 6}


async def test_an_object_is_never_replaced_by_one_of_a_lower_index(cache: Informer[Thing], store: Store) -> None:
    cache.put(Thing("1", 9, note="new"))
    store.put(Thing("1", 3, note="old"))
    await cache.sync()
    await cache.hint("1")
    found = cache.get("1")
    assert found is not None
    assert found.note == "new"


async def test_an_equal_index_with_another_content_is_taken(cache: Informer[Thing]) -> None:
    """A counter moves without an index: a service's running tasks."""
    cache.put(Thing("1", 1, note="0 running"))
    cache.put(Thing("1", 1, note="2 running"))
    assert [thing.note for thing in cache] == ["2 running"]


async def test_what_appears_while_a_list_is_fetched_stays(cache: Informer[Thing], store: Store) -> None:
    store.after = lambda: cache.put(Thing("new", 7))
    await cache.sync()
    assert cache.get("new") is not None


async def test_what_goes_while_a_list_is_fetched_stays_away(cache: Informer[Thing], store: Store) -> None:
    store.put(Thing("1", 1))
    await cache.sync()
    store.after = lambda: cache.drop("1")
    await cache.sync()
    assert cache.get("1") is None


async def test_what_goes_while_a_hint_is_followed_stays_away(cache: Informer[Thing], store: Store) -> None:
    store.put(Thing("1", 1))
    await cache.sync()
    store.put(Thing("1", 2))
    store.after = lambda: cache.drop("1")
    await cache.hint("1")
    assert cache.get("1") is None


async def test_what_was_not_ours_and_becomes_ours_is_taken_by_its_hint(cache: Informer[Thing], store: Store) -> None:
    await cache.hint("1")
    store.put(Thing("1", 2))
    await cache.hint("1")
    assert cache.get("1") is not None


async def test_a_hint_reads_the_object_itself(cache: Informer[Thing], store: Store) -> None:
    store.put(Thing("1", 1, "a"))
    await cache.hint("1")
    assert cache.named("a") == Thing("1", 1, "a")
    assert store.lists == 0


@pytest.mark.parametrize("gone", [pytest.param(True, id="told so"), pytest.param(False, id="found so")])
async def test_a_hint_that_it_is_gone_drops_it(cache: Informer[Thing], gone: bool) -> None:
    cache.put(Thing("1", 1, "a"))
    await cache.hint("1", gone=gone)
    assert len(cache) == 0
    assert cache.named("a") is None


async def test_without_a_reader_a_hint_leads_to_a_list(store: Store, clock: VirtualClock) -> None:
    cache: Informer[Thing] = Informer("thing", store.fetch, clock=clock)
    store.put(Thing("1", 1))
    await cache.hint("1")
    assert (len(cache), store.lists) == (1, 1)


async def test_a_name_taken_again_belongs_to_the_new_object(cache: Informer[Thing]) -> None:
    cache.put(Thing("1", 1, "a"))
    cache.put(Thing("2", 2, "a"))
    cache.drop("1")
    assert cache.named("a") == Thing("2", 2, "a")


async def test_a_failed_list_leaves_the_cache_as_it_is(cache: Informer[Thing], store: Store) -> None:
    store.put(Thing("1", 1))
    await cache.sync()

    def fail() -> None:
        raise TimeoutError

    store.after = fail
    with pytest.raises(TimeoutError):
        await cache.sync()
    assert len(cache) == 1


async def test_subscribers_hear_what_changed_and_nothing_else(cache: Informer[Thing], store: Store) -> None:
    heard: list[tuple[int | None, int | None]] = []
    cache.subscribe(lambda old, new: heard.append((old.version if old else None, new.version if new else None)))
    store.put(Thing("1", 1))
    await cache.sync()
    await cache.sync()
    await cache.hint("1")
    store.put(Thing("1", 2))
    await cache.hint("1")
    store.things.clear()
    await cache.sync()
    await cache.sync()
    assert heard == [(None, 1), (1, 2), (2, None)]


async def test_synced_at_is_the_end_of_the_last_list(cache: Informer[Thing], clock: VirtualClock) -> None:
    assert cache.synced_at is None
    await clock.advance(5)
    await cache.sync()
    assert cache.synced_at == 5


async def test_until_returns_at_once_if_it_is_seen(cache: Informer[Thing]) -> None:
    await cache.until(lambda: True, object_id="1")


async def test_until_returns_when_the_write_comes_back(cache: Informer[Thing], clock: VirtualClock) -> None:
    waiting = asyncio.ensure_future(cache.until(lambda: cache.get("1") is not None, object_id="1"))
    await settle()
    assert not waiting.done()
    cache.put(Thing("1", 1))
    await settle()
    assert waiting.done()
    assert clock.monotonic() == 0


async def test_until_ignores_other_objects(cache: Informer[Thing]) -> None:
    waiting = asyncio.ensure_future(cache.until(lambda: cache.get("1") is not None, object_id="1"))
    cache.put(Thing("2", 1))
    await settle()
    assert not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_until_reads_the_object_itself_when_its_patience_ends(
    cache: Informer[Thing], store: Store, clock: VirtualClock
) -> None:
    store.put(Thing("1", 1))
    waiting = asyncio.ensure_future(cache.until(lambda: cache.get("1") is not None, object_id="1", patience_s=2))
    await clock.advance(1.9)
    assert not waiting.done()
    await clock.advance(0.2)
    assert waiting.done()
    assert cache.get("1") is not None


Event = st.tuples(st.sampled_from(["write", "remove", "hint", "lost", "list", "stale"]), st.sampled_from("abc"))


@given(st.lists(Event, max_size=40))
def test_after_a_list_the_cache_is_the_store_whatever_was_lost_before(events: list[tuple[str, str]]) -> None:
    async def run() -> None:
        store = Store()
        cache: Informer[Thing] = Informer("thing", store.fetch, clock=VirtualClock(), read=store.read)
        incarnation = dict.fromkeys("abc", 0)
        for index, (what, name) in enumerate(events, 1):
            current = f"{name}{incarnation[name]}"
            match what:
                case "write" | "lost":
                    store.put(Thing(current, index, name))
                    if what == "write":
                        await cache.hint(current)
                case "remove":
                    store.things.pop(current, None)
                    incarnation[name] += 1  # an ID is never used again
                    await cache.hint(current, gone=True)
                case "stale":
                    if (held := store.things.get(current)) is not None:
                        cache.put(Thing(held.id, held.version - 1, name))
                case "hint":
                    await cache.hint(current)
                case _:
                    await cache.sync()
        await cache.sync()
        assert {thing.id: thing.version for thing in cache} == {each.id: each.version for each in store.things.values()}
        assert all(cache.named(each.name) == each for each in store.things.values())

    asyncio.run(run())
