"""What the app makes of a cache: replies read, tries counted, pages kept; with a cache that stands for the server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from skep.webapp.cache.client import Cache, Command, Reply, encoded, read_reply
from skep.webapp.cache.tally import Tally
from skep.webapp.errors import CacheAway
from skep.webapp.http.kept import KeptPages
from skep.webapp.http.ratelimit import RateLimiter
from skep.webapp.settings import CacheSettings

SETTINGS = CacheSettings("nowhere.invalid", 6379, "t_acme", "uid:", Path("/nonexistent"))


class Shared:
    """One server for several processes: numbers by key."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.is_away = False


class CacheOf(Cache):
    def __init__(self, shared: Shared) -> None:
        super().__init__(SETTINGS)
        self.shared = shared

    async def ask(self, *commands: Command, wait_s: float = 0.0) -> list[Reply]:
        if self.shared.is_away:
            raise CacheAway("away")
        return [self._do(command) for command in commands]

    def _do(self, command: Command) -> Reply:
        numbers = self.shared.numbers
        match command:
            case ("INCRBY", str(key), int(number)):
                numbers[key] = numbers.get(key, 0) + number
                return numbers[key]
            case ("UNLINK", *keys):
                return sum(numbers.pop(str(key), None) is not None for key in keys)
            case ("GET", str(key)):
                return str(numbers[key]).encode() if key in numbers else None
            case _:
                return 1


async def read(data: bytes) -> Reply:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return await read_reply(reader)


@pytest.mark.parametrize(
    ("data", "reply"),
    [
        pytest.param(b"+OK\r\n", b"OK", id="a word"),
        pytest.param(b":42\r\n", 42, id="a number"),
        pytest.param(b"$5\r\na\r\nbc\r\n", b"a\r\nbc", id="bytes with a line's end in them"),
        pytest.param(b"$-1\r\n", None, id="nothing"),
        pytest.param(b"*-1\r\n", None, id="a wait that ended"),
        pytest.param(b"*2\r\n$4\r\nwake\r\n:1\r\n", [b"wake", 1], id="a list"),
    ],
)
async def test_replies_are_read(data: bytes, reply: Reply) -> None:
    assert await read(data) == reply


@pytest.mark.parametrize(
    ("data", "error"),
    [
        pytest.param(b"-NOPERM no\r\n", CacheAway, id="a refusal"),
        pytest.param(b"$5\r\nab", EOFError, id="cut off"),
        pytest.param(b"HTTP/1.1 400\r\n", ValueError, id="another server"),
        pytest.param(b"$99999999999\r\n", ValueError, id="more than anybody asked for"),
        pytest.param(b"", EOFError, id="hung up"),
    ],
)
async def test_what_is_no_answer_is_not_taken_for_one(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        await read(data)


def test_words_with_any_character_are_sent_whole() -> None:
    assert encoded(("GET", "é\r\n", 1)) == b"*3\r\n$3\r\nGET\r\n$4\r\n\xc3\xa9\r\n\r\n$1\r\n1\r\n"


def limiter(shared: Shared, limit: int = 3) -> tuple[RateLimiter, Tally]:
    made, tally = RateLimiter(limit, 900.0), Tally(CacheOf(shared), clock=lambda: 1000.0)
    made.share("sign_in", tally)
    return made, tally


async def test_tries_at_replicas_add_up() -> None:
    shared = Shared()
    (first, one), (second, two) = limiter(shared), limiter(shared)
    for _ in range(2):
        first.count("lea@example.com")
    await one.settled()
    assert second.retry_after_s("lea@example.com") is None
    second.count("lea@example.com")
    await two.settled()
    assert second.retry_after_s("lea@example.com") == 800  # the window of the clock ends at 1800
    assert second.retry_after_s("noor@example.com") is None


async def test_no_address_leaves_the_process() -> None:
    shared = Shared()
    first, tally = limiter(shared)
    first.count("lea@example.com")
    await tally.settled()
    (key,) = shared.numbers
    assert key.startswith("uid:tries:sign_in:")
    assert "lea" not in key


async def test_what_is_forgotten_is_forgotten_everywhere() -> None:
    shared = Shared()
    first, tally = limiter(shared)
    for _ in range(3):
        first.count("x")
    await tally.settled()
    first.forget("x")
    await tally.settled()
    assert shared.numbers == {}
    assert first.retry_after_s("x") is None


async def test_without_the_cache_each_process_counts_for_itself() -> None:
    shared = Shared()
    shared.is_away = True
    first, tally = limiter(shared)
    for _ in range(3):
        first.count("x")
    await tally.settled()
    assert first.retry_after_s("x") is not None


class Kitchen:
    """Makes pages, and counts them."""

    def __init__(self) -> None:
        self.made = 0
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def make(self) -> web.Response:
        self.made += 1
        text = str(self.made)
        await self.may_go_on.wait()
        return web.Response(text=text)


KEY = ("/", "en", True)


async def served(pages: KeptPages, kitchen: Kitchen) -> bytes:
    body = (await pages.answer(KEY, kitchen.make)).body
    assert isinstance(body, bytes)
    return body


async def test_a_page_is_kept_for_two_seconds_and_no_longer() -> None:
    now = [0.0]
    pages, kitchen = KeptPages(clock=lambda: now[0]), Kitchen()
    assert await served(pages, kitchen) == b"1"
    now[0] = 1.9
    assert await served(pages, kitchen) == b"1"
    now[0] = 2.0
    assert await served(pages, kitchen) == b"2"


async def test_a_rush_on_a_page_makes_it_once() -> None:
    pages, kitchen = KeptPages(), Kitchen()
    kitchen.may_go_on.clear()
    asked = [asyncio.create_task(served(pages, kitchen)) for _ in range(20)]
    await asyncio.sleep(0)
    kitchen.may_go_on.set()
    assert set(await asyncio.gather(*asked)) == {b"1"}


async def test_a_page_begun_before_an_edit_is_never_shown_after_it() -> None:
    pages, kitchen = KeptPages(), Kitchen()
    kitchen.may_go_on.clear()
    before = asyncio.create_task(served(pages, kitchen))
    await asyncio.sleep(0)
    pages.drop()
    after = asyncio.create_task(served(pages, kitchen))
    await asyncio.sleep(0)
    kitchen.may_go_on.set()
    assert (await before, await after) == (b"1", b"2")
    assert await served(pages, kitchen) == b"2"


async def test_a_page_that_fails_fails_for_who_asked_and_the_next_one_makes_it() -> None:
    pages, kitchen = KeptPages(), Kitchen()

    async def fail() -> web.Response:
        raise web.HTTPNotFound

    with pytest.raises(web.HTTPNotFound):
        await pages.answer(KEY, fail)
    assert await served(pages, kitchen) == b"1"


async def test_an_edit_elsewhere_is_heard_of() -> None:
    shared, now = Shared(), [0.0]
    here, there = (KeptPages(CacheOf(shared), clock=lambda: now[0]) for _ in range(2))
    kitchen = Kitchen()
    await served(here, kitchen)
    await asyncio.sleep(0)
    assert await served(here, kitchen) == b"1"
    there.drop()
    await asyncio.sleep(0)
    now[0] = 0.3
    await served(here, kitchen)  # looks
    await asyncio.sleep(0)
    assert await served(here, kitchen) == b"2"
