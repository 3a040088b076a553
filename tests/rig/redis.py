"""A Valkey server of the test's own, as `skep up` runs one: users in a file, nothing else kept."""

from __future__ import annotations

import hashlib
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from skep.operator.engine.embedded.redis import binary
from skep.operator.engine.embedded.workshop import free_port

ADMIN = "skep_admin"
PASSWORD = "cache-admin-password"


@dataclass
class RedisServer:
    folder: Path
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        users = self.folder / "users.acl"
        if not users.exists():
            hashed = hashlib.sha256(PASSWORD.encode()).hexdigest()
            users.write_text(f"user default off\nuser {ADMIN} on #{hashed} ~* &* +@all\n")
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--aclfile", str(users), "--save", "", "--dir"]
        self._process = subprocess.Popen([binary(), *options, self.folder], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not self._answers():
            if time.monotonic() > deadline:
                raise TimeoutError("the cache server does not answer")
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            return bool(self.admin().ping())
        except (RedisError, OSError):
            return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def admin(self) -> Redis:
        return self.client(ADMIN, PASSWORD)

    def client(self, user: str, password: str) -> Redis:
        return Redis(
            host="127.0.0.1",
            port=self.port,
            username=user,
            password=password,
            decode_responses=True,
            socket_timeout=5.0,
        )
