"""Secrets that tenants bring: files in `brought/<tenant>/<secret>`, where a swarm has `docker secret create --label`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path

from skep.operator import names
from skep.operator.engine.embedded.engine import EmbeddedEngine
from skep.operator.errors import InUse, NameTaken, NotFound, SkepError

log = logging.getLogger(__name__)

LOOK_S = 1.0
MARK = "skep.brought"  # on a secret that was made of a file, so that it goes with the file


class Brought:
    def __init__(self, engine: EmbeddedEngine, directory: Path) -> None:
        self._engine = engine
        self._directory = directory
        self._known: dict[Path, tuple[int, int]] = {}  # time and size of each file when it was last looked into
        self._said: set[str] = set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Make what is new, replace what changed and no service uses, remove what went."""
        found: dict[Path, tuple[int, int]] = {}
        for path in self._directory.glob("*/*"):
            with contextlib.suppress(OSError):
                if path.is_file() and not path.name.startswith("."):
                    stat = path.stat()
                    found[path] = (stat.st_mtime_ns, stat.st_size)
        if found == self._known:
            return
        done = dict(found)
        for path, state in found.items():
            if self._known.get(path) != state and not await self._take(path):
                del done[path]  # look at it again: what stands in the way may go
        for secret in await self._engine.list_secrets(label=MARK):
            if self._directory / dict(secret.labels).get(names.TENANT, "") / secret.name not in found:
                with contextlib.suppress(InUse, NotFound):
                    await self._engine.remove_secret(secret.id)
        self._known = done

    async def _take(self, path: Path) -> bool:
        name, tenant = path.name, path.parent.name
        try:
            data = await asyncio.to_thread(path.read_bytes)
            if await self._has(name, tenant, data):
                return True
            await self._engine.create_secret(name, data, {names.TENANT: tenant, MARK: "file"})
        except (SkepError, OSError) as error:
            said = f"{path}: {error}"
            if said not in self._said:
                self._said.add(said)
                log.warning("secret not taken", extra={"file": str(path), "error": str(error)})
            return False
        log.info("secret taken", extra={"secret": name, "tenant": tenant})
        return True

    async def _has(self, name: str, tenant: str, data: bytes) -> bool:
        """Whether the engine has just this; an unused one that differs is removed. Raises NameTaken, InUse."""
        try:
            secret = await self._engine.inspect_secret(name)
        except NotFound:
            return False
        labels = dict(secret.labels)
        if MARK not in labels or labels.get(names.TENANT) != tenant:
            raise NameTaken(f"secret {name} is somebody else's", remedy="give the file another name")
        if self._engine.is_secret(name, data):
            return True
        await self._engine.remove_secret(secret.id)
        return False
