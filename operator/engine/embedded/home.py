"""The embedded engine's home: where everything lies.

    engine.sock       the Engine port for other processes, 0600
    operator.lock     held while an operator runs: who gets it knows that every earlier one is dead
    lock              held while a supervisor runs
    supervisor.json   which process that is, its edge port, the directory it follows
    root.key          the root key, 0600: whoever has it can make every generated secret again
    ports.json        ports chosen once and kept
    secrets/          what the operator reads: skep.root-key (a link), skep.postgres-admin
    brought/          secrets that tenants bring: brought/<tenant>/<secret>
    state/            configs, secrets, networks and services, one file each; the version index; the engine's ID
    tasks/            one folder a running task: its configs and secrets as files
    edge/             Traefik's dynamic configuration, one file a route
    mail/             what the sites would have mailed: mail/<tenant>/*.eml
    postgres/         the cluster, or where it is (cluster.json) if its account cannot reach this folder
    redis/            the cache server's users
    children/         one record a running process, so that a later run can end what an earlier one left
    logs/             of PostgreSQL, Traefik, the operator, the supervisor; services/<service>/<task>.log

Everything is 0700 or 0600; only the folders above the cluster may be passed through by its account.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from skep.operator.engine.embedded.files import write_atomically
from skep.operator.errors import UsageError
from skep.operator.keys import RootKey

ADMIN_SECRET = "skep.postgres-admin"  # noqa: S105 - the name of the file that holds it
CACHE_SECRET = "skep.redis-admin"  # noqa: S105 - as above
ROOT_SECRET = "skep.root-key"  # noqa: S105 - as above
FOLDERS = ("secrets", "brought", "state", "tasks", "edge", "children", "logs", "mail", "postgres", "redis")
FILES = ("engine.sock", "lock", "operator.lock", "supervisor.json", "root.key", "ports.json")
SOCKET_PATH_MAX = 107  # bytes, of every Linux; macOS takes 103


@dataclass(frozen=True, slots=True)
class Home:
    path: Path

    @property
    def socket(self) -> Path:
        return self.path / "engine.sock"

    @property
    def root_key(self) -> Path:
        return self.path / "root.key"

    @property
    def mail(self) -> Path:
        return self.path / "mail"

    @property
    def secrets(self) -> Path:
        return self.path / "secrets"

    @property
    def redis(self) -> Path:
        return self.path / "redis"

    @property
    def brought(self) -> Path:
        return self.path / "brought"

    @property
    def state(self) -> Path:
        return self.path / "state"

    @property
    def tasks(self) -> Path:
        return self.path / "tasks"

    @property
    def edge(self) -> Path:
        return self.path / "edge"

    @property
    def postgres(self) -> Path:
        return self.path / "postgres"

    @property
    def children(self) -> Path:
        return self.path / "children"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def supervisor(self) -> Path:
        return self.path / "supervisor.json"

    def prepare(self) -> None:
        """Make what is missing; never touch the mode of a folder that is there. Raises UsageError."""
        if len(os.fsencode(self.socket)) > SOCKET_PATH_MAX:
            raise UsageError(
                f"{self.socket} is too long for a socket", remedy="choose a shorter folder with --home or SKEP_HOME"
            )
        try:
            if not self.path.is_dir():
                self.path.mkdir(parents=True)
                self.path.chmod(0o711 if os.geteuid() == 0 else 0o700)
            for name in FOLDERS:
                folder = self.path / name
                if not folder.is_dir():
                    folder.mkdir()
                    folder.chmod(0o711 if name == "postgres" and os.geteuid() == 0 else 0o700)
        except OSError as error:
            raise UsageError(
                f"cannot write to {self.path}: {error.strerror}",
                remedy="choose another folder with --home or SKEP_HOME",
            ) from error

    def keys(self) -> RootKey:
        """The root key, made at the first call; the operator finds it, and the admins' passwords, in `secrets/`."""
        if not self.root_key.exists():
            if any((self.state / "config").glob("*.json")):
                raise UsageError(
                    f"{self.root_key} is missing, and everything in {self.path} was made from it",
                    remedy="put it back, or forget the data with `skep down --purge`",
                )
            write_atomically(self.root_key, RootKey.generate().dump().encode())
        keys = RootKey.read(self.root_key)
        link = self.secrets / ROOT_SECRET
        if not link.is_symlink():
            link.symlink_to(Path("..") / self.root_key.name)
        write_atomically(self.secrets / ADMIN_SECRET, admin_password(keys).encode())
        write_atomically(self.secrets / CACHE_SECRET, cache_password(keys).encode())
        return keys

    def ports(self) -> dict[str, int]:
        found = read_json(self.path / "ports.json")
        return {str(name): int(port) for name, port in found.items()}

    def postgres_port(self) -> int:
        """Raises UsageError if PostgreSQL has never run here."""
        port = self.ports().get("postgres")
        if port is None:
            raise UsageError(f"PostgreSQL has not been started in {self.path} yet", remedy="`skep up` starts it")
        return port

    def keep_port(self, name: str, port: int) -> None:
        write_json(self.path / "ports.json", self.ports() | {name: port})

    def take_lock(self, name: Literal["lock", "operator.lock"] = "lock") -> IO[bytes] | None:
        """The open lock, held until it is closed or the process ends; None if another process has it."""
        try:
            handle = (self.path / name).open("ab")
        except OSError as error:
            raise UsageError(
                f"cannot write to {self.path}: {error.strerror}", remedy="it is another user's, or choose --home"
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
            return None
        return handle

    def is_running(self) -> bool:
        if not (self.path / "lock").exists():
            return False
        handle = self.take_lock()
        if handle is None:
            return True
        handle.close()
        return False

    def purge(self) -> None:
        """Remove what we made and nothing else; the folder itself only if it is empty then."""
        elsewhere = read_json(self.postgres / "cluster.json").get("root")
        if elsewhere:
            shutil.rmtree(elsewhere, ignore_errors=True)
            with contextlib.suppress(OSError):  # another home's cluster is beside it
                Path(elsewhere).parent.rmdir()
        for name in FOLDERS:
            shutil.rmtree(self.path / name, ignore_errors=True)
        for name in FILES:
            (self.path / name).unlink(missing_ok=True)
        if self.path.is_dir() and not any(self.path.iterdir()):
            self.path.rmdir()


def admin_password(keys: RootKey) -> str:
    return keys.password("platform", "postgres-admin")


def cache_password(keys: RootKey) -> str:
    return keys.password("platform", "redis-admin")


def can_pass(path: Path, uid: int, gid: int) -> bool:
    """Whether the account may enter *path* and everything above it."""
    for folder in (path, *path.parents):
        found = folder.stat()
        if found.st_uid == uid:
            may = found.st_mode & stat.S_IXUSR
        elif found.st_gid == gid:
            may = found.st_mode & stat.S_IXGRP
        else:
            may = found.st_mode & stat.S_IXOTH
        if not may:
            return False
    return True


def read_json(path: Path) -> dict[str, Any]:
    """{} if there is nothing to read."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_json(path: Path, value: dict[str, Any]) -> None:
    write_atomically(path, json.dumps(value).encode())
