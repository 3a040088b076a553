"""Bodies of revisions, and their order."""

from __future__ import annotations

import gzip
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skep.operator.engine.spec import Config, pairs
from skep.operator.errors import UsageError
from skep.operator.sources import revision
from skep.operator.sources.revision import by_source, decode, digest_of, encode, from_config, labels_of


@given(st.binary(max_size=2000))
def test_what_is_encoded_decodes_to_itself(text: bytes) -> None:
    if not text.startswith(b"\x1f\x8b"):  # YAML never begins so
        assert decode(encode(text)) == text


@given(st.binary(min_size=1, max_size=500), st.integers(1, 9))
def test_any_gzip_is_read(text: bytes, level: int) -> None:
    assert decode(gzip.compress(text, level)) == text


@pytest.mark.parametrize(
    ("size", "compressed"),
    [
        pytest.param(0, False, id="empty"),
        pytest.param(revision.PLAIN_UP_TO_BYTES, False, id="small stays readable"),
        pytest.param(revision.PLAIN_UP_TO_BYTES + 1, True, id="large is compressed"),
        pytest.param(revision.MAX_PLAIN_BYTES, True, id="the largest"),
    ],
)
def test_bodies_are_compressed_by_size(size: int, compressed: bool) -> None:
    text = b"a" * size
    body = encode(text)
    assert body.startswith(b"\x1f\x8b") == compressed
    assert decode(body) == text


def test_equal_texts_give_equal_bodies() -> None:
    text = b"b" * 300_000
    assert encode(text) == encode(text)


def test_a_source_too_large_is_refused_with_a_remedy() -> None:
    with pytest.raises(UsageError, match="use several sources"):
        encode(b"a" * (revision.MAX_PLAIN_BYTES + 1))


def test_a_source_too_large_even_compressed_is_refused() -> None:
    with pytest.raises(UsageError, match="compressed"):
        encode(random.Random(1).randbytes(revision.MAX_STORED_BYTES + 50_000))


WHOLE = gzip.compress(b"x" * 1000)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(WHOLE[:-1], id="one byte short"),
        pytest.param(WHOLE[: len(WHOLE) // 2], id="half"),
        pytest.param(WHOLE[:3], id="only its head"),
        pytest.param(WHOLE[:12] + b"\xff" + WHOLE[13:], id="a flipped byte"),
        pytest.param(WHOLE[:-6] + b"\0\0\0\0" + WHOLE[-2:], id="a wrong checksum"),
        pytest.param(WHOLE + b"tail", id="something behind it"),
        pytest.param(WHOLE + WHOLE[:20], id="half a second member"),
        pytest.param(gzip.compress(b"a" * (revision.MAX_PLAIN_BYTES + 1)), id="a bomb"),
        pytest.param(gzip.compress(b"a" * 9_000_000) * 2, id="a bomb of two members"),
    ],
)
def test_a_damaged_archive_is_refused_whole(body: bytes) -> None:
    with pytest.raises(UsageError):
        decode(body)


def test_all_members_of_an_archive_are_read() -> None:
    assert decode(gzip.compress(b"one\n") + gzip.compress(b"two\n")) == b"one\ntwo\n"


def config(index: int, labels: dict[str, str], *, name: str = "x", data: bytes = b"body") -> Config:
    return Config(f"id{index}", name, index, pairs(labels), data)


def test_a_revision_that_skep_published() -> None:
    found = from_config(config(7, labels_of("prod", 3, b"body", "me@here"), name="prod.r3"))
    assert found is not None
    assert (found.source, found.index, found.number, found.author) == ("prod", 7, 3, "me@here")
    assert found.digest == digest_of(b"body")
    assert found.label == "prod r3"


def test_a_revision_that_came_the_plain_way() -> None:
    found = from_config(config(7, {"skep.source": "stack"}, name="fleet_v2"))
    assert found is not None
    assert (found.number, found.author, found.label) == (None, None, "fleet_v2")
    assert found.digest == digest_of(b"body")


@pytest.mark.parametrize(
    "labels",
    [pytest.param({}, id="none"), pytest.param({"skep.source": ""}, id="empty"), pytest.param({"a": "b"}, id="other")],
)
def test_a_config_without_a_source_is_no_revision(labels: dict[str, str]) -> None:
    assert from_config(config(1, labels)) is None


@pytest.mark.parametrize("number", ["", "x", "-1", "1.5", "²", "0x1"])
def test_a_number_that_is_none_is_none(number: str) -> None:
    found = from_config(config(1, {"skep.source": "a", "skep.number": number}))
    assert found is not None
    assert found.number is None


@given(st.permutations([1, 2, 3, 4, 5, 6]))
def test_order_is_the_index_whatever_the_numbers_say(indexes: list[int]) -> None:
    made = [from_config(config(index, labels_of("ab"[index % 2], 7 - index, b"", ""))) for index in indexes]
    found = by_source(each for each in made if each is not None)
    assert {source: [each.index for each in held] for source, held in found.items()} == {"a": [6, 4, 2], "b": [5, 3, 1]}
    assert list(found) == ["a", "b"]
