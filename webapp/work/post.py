"""How a mail leaves: by the tenant's SMTP server, or as a file into a folder where there is none.

A server's 4xx and silence are tried again, its 5xx about this mail is final. Sent twice can be what is sent once: if
the line breaks after the text and before the server's answer, nobody knows whether it was taken, and losing a ticket
is worse. Both copies then have one Message-ID, by which most mailboxes show them once.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from email.message import EmailMessage
from pathlib import Path
from typing import Protocol

import aiosmtplib

from skep.webapp.errors import SettingsInvalid
from skep.webapp.settings import MailSettings, SmtpSettings
from skep.webapp.work.worker import JobFailed

COMMAND_S = 30.0  # for each answer of the server
IN_ALL_S = 75.0


class Post(Protocol):
    async def send(self, message: EmailMessage, *, sender: str, to: str, key: str) -> None:
        """*key* is the mail's own: the same again is the same mail. Raises JobFailed."""


def post_of(mail: MailSettings) -> Post:
    if mail.smtp is not None:
        return SmtpPost(mail.smtp)
    assert mail.folder is not None  # noqa: S101 (one of the two is given, or there are no MailSettings)
    return FolderPost(mail.folder)


class FolderPost:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, message: EmailMessage, *, sender: str, to: str, key: str) -> None:
        try:
            await asyncio.to_thread(self._write, message, key)
        except OSError as error:
            raise JobFailed("folder") from error

    def _write(self, message: EmailMessage, key: str) -> None:
        """Whole or not at all."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{key}.eml"
        half = path.with_suffix(".half")
        descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(bytes(message))
        half.replace(path)


class SmtpPost:
    def __init__(self, smtp: SmtpSettings) -> None:
        self._smtp = smtp

    async def send(self, message: EmailMessage, *, sender: str, to: str, key: str) -> None:
        smtp = self._smtp
        try:
            password = smtp.password() if smtp.user is not None else None
        except SettingsInvalid as error:
            raise JobFailed("secret") from error
        try:
            async with asyncio.timeout(IN_ALL_S):
                await aiosmtplib.send(
                    message,
                    sender=sender,
                    recipients=[to],
                    hostname=smtp.host,
                    port=smtp.port,
                    username=smtp.user,
                    password=password,
                    use_tls=smtp.tls == "tls",
                    start_tls=smtp.tls == "starttls",
                    timeout=COMMAND_S,
                )
        except TimeoutError as error:
            raise JobFailed("silent") from error
        except (aiosmtplib.SMTPException, OSError, ssl.SSLError) as error:
            raise refusal(error) from error


def refusal(error: Exception) -> JobFailed:
    """In our words, and a code: what servers say repeats addresses."""
    match error:
        case aiosmtplib.SMTPAuthenticationError():
            return JobFailed(f"auth {error.code}")
        case aiosmtplib.SMTPRecipientsRefused():
            code = max((refused.code for refused in error.recipients), default=0)
            return JobFailed(f"recipient {code}", final=code >= 500)
        case aiosmtplib.SMTPSenderRefused():
            return JobFailed(f"sender {error.code}")
        case aiosmtplib.SMTPConnectTimeoutError() | aiosmtplib.SMTPTimeoutError():
            return JobFailed("silent")
        case aiosmtplib.SMTPConnectError() | aiosmtplib.SMTPServerDisconnected():
            return JobFailed("away")
        case aiosmtplib.SMTPDataError():
            return JobFailed(f"text {error.code}", final=error.code >= 500)
        case aiosmtplib.SMTPResponseException():
            return JobFailed(f"answer {error.code}")
        case ssl.SSLError():
            return JobFailed("tls")
        case aiosmtplib.SMTPNotSupported():
            return JobFailed("lacks")
    return JobFailed("mistake")
