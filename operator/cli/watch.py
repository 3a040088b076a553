"""Following declarations in a file or directory: read when it has been quiet, believed when two scans agree."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

from skep.crds.reader import SUFFIXES, Reading, read_path

QUIET_S = 1.0
LOOK_S = 0.25

Scan = frozenset[tuple[str, int, int, int]]


def scan(path: Path) -> Scan:
    """Name, time, size and inode of every file that `read_path` would look at; empty if there is nothing."""
    found: set[tuple[str, int, int, int]] = set()

    def add(file: str) -> None:
        try:
            stat = os.stat(file)
        except OSError:
            found.add((file, 0, 0, 0))
        else:
            found.add((file, stat.st_mtime_ns, stat.st_size, stat.st_ino))

    if not path.is_dir():
        add(str(path))
    for folder, folders, names in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.endswith(SUFFIXES) and not name.startswith("."):
                add(os.path.join(folder, name))
    return frozenset(found)


def is_quiet(seen: Scan, *, now: float) -> bool:
    """Whether nobody wrote within QUIET_S; a time in the future (another machine's clock) says nothing."""
    return not any(0 <= now - mtime / 1e9 < QUIET_S for _, mtime, _, _ in seen)


async def settle(path: Path) -> tuple[Scan, Reading]:
    """What *path* holds, read between two equal scans once it has been quiet."""
    before = await asyncio.to_thread(scan, path)
    while True:
        while not is_quiet(before, now=time.time()):
            await asyncio.sleep(LOOK_S)
            before = await asyncio.to_thread(scan, path)
        reading = await asyncio.to_thread(read_path, path)
        after = await asyncio.to_thread(scan, path)
        if after == before:
            return after, reading
        before = after


async def follow(path: Path, known: Scan) -> AsyncIterator[Reading]:
    """A reading each time that *path* differs from what was last read, first *known*, and is quiet again."""
    while True:
        await asyncio.sleep(LOOK_S)
        seen = await asyncio.to_thread(scan, path)
        if seen == known:
            continue
        while True:  # a removal leaves no time of its own: wait as long after the last difference
            await asyncio.sleep(QUIET_S)
            again = await asyncio.to_thread(scan, path)
            if again == seen:
                break
            seen = again
        known, reading = await settle(path)
        yield reading
