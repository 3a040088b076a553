"""Cache servers: connections, the users of each, and the client's errors as ours.

A server's users are read whole once a resync and kept; what the operator itself changes is changed there too.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from skep.crds.platform import CacheServer, Platform
from skep.operator.errors import CacheUnavailable, SkepError, TerminalError, TransientError
from skep.operator.fence import Fence
from skep.operator.reconcilers.cache.plan import User, arguments, parse
from skep.operator.settings import Settings

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = logging.getLogger(__name__)

OURS = "t_"  # users of tenants; everything else on a server is somebody else's
CALL_S = 5.0


def translate(error: Exception, where: str) -> SkepError:
    from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError

    match error:
        case AuthenticationError() | NoPermissionError():
            return CacheUnavailable(
                f"{where} refused the operator's password",
                reason="CacheRefused",
                remedy="compare the server's admin secret with the root key: `skep doctor`",
                retry_after_s=10.0,
            )
        case ResponseError() if "ACL file" in str(error):
            return TerminalError(
                f"{where} keeps its users in memory only",
                reason="CacheForgets",
                remedy="start it with --aclfile on a volume, as swarm/skep.yml does",
            )
        case _:
            return CacheUnavailable(
                f"{where} cannot be reached: {error or type(error).__name__}",
                remedy="is the server up? its tasks: `docker service ps skep_redis`",
                retry_after_s=2.0,
            )


class Cache:
    """One cache server, as its admin user."""

    def __init__(self, spec: CacheServer, settings: Settings, fence: Fence) -> None:
        self.spec = spec
        self._settings = settings
        self._fence = fence
        self._host, self._port = settings.address(spec.host, spec.port)
        self._client: Redis | None = None
        self._users: dict[str, User] | None = None
        self._changes = 0  # made so far, and of those
        self._saved = 0  # on the server's disk
        self._saving = asyncio.Lock()

    @property
    def where(self) -> str:
        return f"cache server {self.spec.name} ({self._host}:{self._port})"

    def _opened(self) -> Redis:
        if self._client is None:
            from redis.asyncio import Redis  # 7 MB and 40 ms, for platforms that have a cache

            path = self._settings.secrets_dir / self.spec.secret
            try:
                password = path.read_text().strip()
            except OSError as error:
                raise CacheUnavailable(
                    f"cannot read {path}, the password of {self.where}: {error.strerror}",
                    reason="CacheSecretMissing",
                    remedy="mount the secret into the operator; `skep init` makes it",
                    retry_after_s=10.0,
                ) from error
            self._client = Redis(
                host=self._host,
                port=self._port,
                username=self.spec.user,
                password=password,
                socket_timeout=CALL_S,
                socket_connect_timeout=CALL_S,
                decode_responses=True,
                client_name="skep-operator",
            )
        return self._client

    async def _call(self, *words: str) -> Any:
        return await self._opened().execute_command(*words)  # type: ignore[no-untyped-call]  # of redis-py's core

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        from redis.exceptions import RedisError

        try:
            yield
        except (RedisError, OSError, TimeoutError) as error:
            self._users = None  # it may come back with others
            raise translate(error, self.where) from error

    async def refresh(self) -> Mapping[str, User]:
        """Read every tenant's user: one call."""
        with self._translated():
            lines = await self._call("ACL", "LIST")
        found = (parse(line) for line in lines if line.startswith(f"user {OURS}"))
        self._users = {user.name: user for user in found}
        return self._users

    async def users(self) -> Mapping[str, User]:
        """Those that were read last; read now if none were."""
        return self._users if self._users is not None else await self.refresh()

    async def set(self, user: User) -> None:
        """Make *user*, or make it as it should be, and have that survive a restart of the server."""
        await self.users()
        with self._translated():
            self._fence.check()
            await self._call("ACL", "SETUSER", *arguments(user))
        if self._users is not None:
            self._users[user.name] = user
        await self._save()

    async def drop(self, name: str) -> None:
        """Remove a user with its sessions. One that is not there is no error."""
        await self._fence.confirm()
        with self._translated():
            await self._call("ACL", "DELUSER", name)
        if self._users is not None:
            self._users.pop(name, None)
        await self._save()

    async def _save(self) -> None:
        """Write the server's users to its disk: once for all that came meanwhile, as the file is written whole."""
        self._changes += 1
        mine = self._changes
        async with self._saving:
            if self._saved >= mine:
                return
            upto = self._changes
            with self._translated():
                await self._call("ACL", "SAVE")
            self._saved = upto

    async def close(self) -> None:
        if self._client is not None:
            from redis.exceptions import RedisError

            client, self._client = self._client, None
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                await client.aclose()


class Caches:
    """The Platform's cache servers by name; a server whose address changed is a new one."""

    def __init__(self, settings: Settings, fence: Fence) -> None:
        self._settings = settings
        self._fence = fence
        self._caches: dict[str, Cache] = {}

    async def adopt(self, platform: Platform) -> None:
        before = self._caches
        kept = {name: cache for name, cache in before.items() if cache.spec in platform.spec.caches}
        self._caches = {
            spec.name: kept.get(spec.name) or Cache(spec, self._settings, self._fence) for spec in platform.spec.caches
        }
        for name, cache in before.items():
            if name not in kept:
                await cache.close()

    def get(self, name: str) -> Cache:
        try:
            return self._caches[name]
        except KeyError:
            raise TransientError(
                f"the Platform has no cache server {name}",
                reason="CacheUnknown",
                remedy=f"put {name} back under spec.caches",
                retry_after_s=10.0,
            ) from None

    def all(self) -> tuple[Cache, ...]:
        return tuple(self._caches.values())

    async def refresh(self) -> None:
        """One call a server; one that does not answer keeps nobody else waiting."""
        results = await asyncio.gather(*(cache.refresh() for cache in self.all()), return_exceptions=True)
        for cache, result in zip(self.all(), results, strict=True):
            if isinstance(result, SkepError):
                log.warning("users of a cache not read", extra={"server": cache.spec.name, "error": str(result)})
            elif isinstance(result, BaseException):
                raise result

    async def close(self) -> None:
        for cache in self.all():
            await cache.close()
