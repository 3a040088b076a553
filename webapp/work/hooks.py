"""Jobs `webhook.send`: tell a webhook what happened, signed, once for each attempt, and write down what it answered.

2xx is heard; 410 says "never again" and switches the webhook off; anything else is tried again later, a redirect too:
it is not followed, it could lead inside.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import ssl
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import aiohttp

from skep.webapp.http import targets
from skep.webapp.http.targets import Address, Lookup, Pinned, TargetRefused
from skep.webapp.store import webhooks
from skep.webapp.store.jobs import Job
from skep.webapp.store.webhooks import SECRET_PREFIX, Webhook
from skep.webapp.work.worker import JobFailed

if TYPE_CHECKING:
    from skep.webapp.store.pool import Database

log = logging.getLogger(__name__)

IN_ALL_S = 10.0
GONE = 410


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature`, as standardwebhooks.com describes it."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        key = secret.encode()
    digest = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


class Hooks:
    """*lookup* and *allows* say where names lead and which addresses may be called: all public ones."""

    def __init__(
        self,
        database: Database,
        *,
        lookup: Lookup = targets.look_up,
        allows: Callable[[Address], bool] = targets.is_public,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._lookup = lookup
        self._allows = allows
        self._clock = clock

    async def send(self, job: Job) -> None:
        """Raises JobFailed."""
        said = job.payload
        message_id, object_id = UUID(said["message"]), UUID(said["object"])
        happened_at, topic = datetime.fromisoformat(said["at"]), str(said["topic"])
        async with self._database.connection() as connection:
            webhook = await webhooks.by_id(connection, UUID(said["webhook"]))
            if webhook is None or not (webhook.is_active or topic == webhooks.TEST):
                return
            body = await webhooks.body(connection, topic, object_id, happened_at, message_id)
        began = time.monotonic()
        status, error = await self._call(webhook, str(message_id), body)
        took_ms = round(1000 * (time.monotonic() - began))
        async with self._database.transaction() as connection:
            await webhooks.note(
                connection,
                webhook.id,
                message_id=message_id,
                topic=topic,
                object_id=object_id,
                happened_at=happened_at,
                status=status,
                error=error,
                took_ms=took_ms,
            )
            if status == GONE and webhook.is_active:
                await webhooks.disable_gone(connection, webhook.id)
                log.info("webhook switched off", extra={"webhook": str(webhook.id), "reason": "gone"})
        if status == GONE or (status is not None and 200 <= status < 300) or topic == webhooks.TEST:
            return
        raise JobFailed(f"hook-{error}" if error else f"hook-answer {status}", final=error in ("private", "url"))

    async def _call(self, webhook: Webhook, message_id: str, body: bytes) -> tuple[int | None, str | None]:
        """(status, None), or (None, a word for why there is none)."""
        try:
            addresses = await targets.checked(webhook.url, self._lookup, self._allows)
        except TargetRefused as refused:
            return None, refused.reason
        timestamp = int(self._clock())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "skep",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(webhook.secret, message_id, timestamp, body),
        }
        try:
            async with (
                aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(resolver=Pinned(addresses), use_dns_cache=False, force_close=True),
                    timeout=aiohttp.ClientTimeout(total=IN_ALL_S),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    auto_decompress=False,
                ) as session,
                session.post(webhook.url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                return answer.status, None  # what else it says is not read: it could go on for ever
        except TimeoutError:
            return None, "silent"
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError, ssl.SSLError):
            return None, "tls"
        except (aiohttp.ClientError, OSError, ValueError):
            return None, "away"
