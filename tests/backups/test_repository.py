"""What is wrong with a repository is named: a wrong key, a damaged pack, no repository, somebody else's lock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from skep.backups.errors import BackupError, Damaged, NoRepository, NoSnapshot, WrongKey
from skep.backups.repository import Keep, Repository
from tests.backups.conftest import Store, repository_in


async def bytes_of(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def kept(store: Store, text: bytes, *tags: str) -> str:
    return (await store.repository.store(bytes_of(text), path="/file", host="acme", tags=tags)).snapshot


async def test_what_was_stored_is_read_again(store: Store) -> None:
    snapshot = await kept(store, b"hello", "one")
    assert [chunk async for chunk in store.repository.read(snapshot, "/file")] == [b"hello"]
    (found,) = await store.repository.snapshots("one")
    assert (found.path, found.host, found.tags) == ("/file", "acme", frozenset({"one"}))
    assert await store.repository.snapshots("two") == ()


async def test_another_password_is_a_wrong_key(store: Store, tmp_path: Path) -> None:
    other = repository_in(tmp_path / "other", store.folder, "another")
    with pytest.raises(WrongKey, match="root key"):
        await other.repository.make()


async def test_where_nothing_is_there_is_no_repository(tmp_path: Path) -> None:
    nowhere = repository_in(tmp_path / "job", tmp_path / "nowhere")
    assert not await nowhere.repository.is_there()
    with pytest.raises(NoRepository):
        await nowhere.repository.snapshots()


@pytest.mark.long  # restic reads it again and again for a minute and a half
@pytest.mark.timeout(400)
async def test_a_truncated_pack_is_found_by_reading_it(store: Store) -> None:
    snapshot = await kept(store, b"some text " * 1000)
    pack = max(
        (path for path in (store.folder / "data").rglob("*") if path.is_file()), key=lambda path: path.stat().st_size
    )
    await store.repository.check(share="100%")
    pack.chmod(0o600)
    pack.write_bytes(pack.read_bytes()[: pack.stat().st_size // 3])
    with pytest.raises(Damaged):
        await store.repository.check(share="100%")
    with pytest.raises(BackupError):
        assert [chunk async for chunk in store.repository.read(snapshot, "/file")]


@pytest.mark.long  # as above
async def test_a_missing_pack_is_found_without_reading(store: Store) -> None:
    await kept(store, b"some text " * 1000)
    for path in [path for path in (store.folder / "data").rglob("*") if path.is_file()]:
        path.unlink()
    with pytest.raises(Damaged):
        await store.repository.check()


async def test_a_snapshot_that_is_not_there_is_named(store: Store) -> None:
    with pytest.raises(NoSnapshot, match="skep get backups"):
        assert [chunk async for chunk in store.repository.read("0123abcd", "/file")]


async def test_retention_keeps_the_last_of_one_kind_and_leaves_the_other_alone(store: Store) -> None:
    for text in (b"1", b"2", b"3"):
        await kept(store, text, "dump")
    await kept(store, b"m", "manifest")
    await store.repository.forget(Keep(last=1), "dump")
    await store.repository.prune()
    assert len(await store.repository.snapshots("dump")) == 1
    assert len(await store.repository.snapshots("manifest")) == 1
    await store.repository.check(share="100%")


def test_a_retention_that_keeps_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="forget everything"):
        Keep().words()


async def test_a_reader_that_stops_early_leaves_no_process(store: Store) -> None:
    snapshot = await kept(store, b"x" * 3_000_000)
    reading = store.repository.read(snapshot, "/file")
    assert await anext(reading)
    await reading.aclose()  # type: ignore[attr-defined]


async def test_what_fails_while_it_is_read_leaves_no_snapshot(store: Store) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        await store.repository.store(broken(), path="/file", host="acme", tags=())
    assert await store.repository.snapshots() == ()


async def test_its_version_is_told(store: Store) -> None:
    assert tuple(int(word) for word in (await store.repository.version()).split(".")[:2]) >= (0, 14)
    assert isinstance(store.repository, Repository)
