"""Files that are either as they were or as they should be, also after a crash in the middle."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_atomically(
    path: Path, data: bytes, *, mode: int = 0o600, durable: bool = True, by_way_of: Path | None = None
) -> None:
    """Replace *path*; a reader sees the old or the new content. *durable* waits until it would survive a power cut.

    The new content is written *by_way_of* another folder of the same file system, if somebody watches that of *path*.
    """
    handle, name = tempfile.mkstemp(dir=by_way_of or path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, mode)
            file.write(data)
            file.flush()
            if durable:
                os.fsync(handle)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


class LogFile:
    """Lines, bounded: at *limit* bytes the file becomes `<name>.1` and the older half is forgotten."""

    def __init__(self, path: Path, *, limit: int = 2 * 1024 * 1024) -> None:
        self.path = path
        self._limit = limit
        path.parent.mkdir(parents=True, exist_ok=True)
        self._open()

    @property
    def older(self) -> Path:
        return self.path.with_name(f"{self.path.name}.1")

    def _open(self) -> None:
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(handle, "ab", buffering=0)
        self._size = os.fstat(handle).st_size

    def write(self, line: str) -> None:
        data = line.encode(errors="replace") + b"\n"
        if self._size and self._size + len(data) > self._limit:
            self._file.close()
            os.replace(self.path, self.older)
            self._open()
        self._file.write(data)
        self._size += len(data)

    def tail(self, lines: int = 20) -> str:
        """The last lines, for people who ask why."""
        return "\n".join(self.path.read_text(errors="replace").splitlines()[-lines:])

    def close(self) -> None:
        self._file.close()
