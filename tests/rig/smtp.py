"""A real SMTP server that does what a test wants: takes mail, refuses it, asks to come back later, or says nothing."""

from __future__ import annotations

import asyncio
import email
import email.policy
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

Reply = str | None
TAKEN = "250 taken"


class Mailbox:
    """*replies*: what the server says to the next mails' text, then `250`. *stall*: the command ("MAIL", "RCPT",
    "DATA", "TEXT") at which it says nothing; `stalled` is set then. *before_taken* runs when a text was taken and before
    the client is told so.
    """

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.envelopes: list[tuple[str | None, list[str]]] = []
        self.replies: list[str] = []
        self.refused: dict[str, str] = {}
        self.arrived = asyncio.Event()
        self.stall = ""
        self.stalled = asyncio.Event()
        self.before_taken: Callable[[], Awaitable[None]] | None = None
        self.user: tuple[str, str] | None = None
        self.port = 0

    async def _maybe_stall(self, command: str) -> None:
        if self.stall == command:
            self.stalled.set()
            await asyncio.Event().wait()

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        await self._maybe_stall("MAIL")
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        await self._maybe_stall("RCPT")
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        await self._maybe_stall("DATA")
        reply = self.replies.pop(0) if self.replies else TAKEN
        if not reply.startswith("2"):
            return reply
        assert isinstance(envelope.content, bytes)
        parsed = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        self.mails.append(parsed)
        self.envelopes.append((envelope.mail_from, list(envelope.rcpt_tos)))
        self.arrived.set()
        if self.before_taken is not None:
            await self.before_taken()
        await self._maybe_stall("TEXT")
        return reply

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        given = (data.login.decode(), data.password.decode()) if isinstance(data, LoginPassword) else None
        return AuthResult(success=given == self.user, handled=False)


@asynccontextmanager
async def serving(mailbox: Mailbox) -> AsyncIterator[Mailbox]:
    """On a free port of loopback, in the test's own loop."""

    def make() -> SMTP:
        with warnings.catch_warnings():  # it warns of passwords without TLS, which no network hears here
            warnings.simplefilter("ignore")
            return SMTP(
                mailbox,
                hostname="mx.test",
                authenticator=mailbox.authenticate,
                auth_require_tls=False,
                auth_required=mailbox.user is not None,
                enable_SMTPUTF8=True,
            )

    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        server.close()
