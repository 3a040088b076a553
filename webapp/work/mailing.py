"""Jobs whose kind begins with `mail.`: write the letter, put it into an envelope, send it."""

from __future__ import annotations

import re
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import jinja2

from skep.webapp.i18n import Translator
from skep.webapp.settings import MailSettings, Settings
from skep.webapp.shop import sheets
from skep.webapp.store import options
from skep.webapp.store.jobs import Job
from skep.webapp.store.options import Options
from skep.webapp.store.texts import paragraphs
from skep.webapp.theme import make_theme
from skep.webapp.work.due import MAIL_KINDS
from skep.webapp.work.letters import Letter, Letters
from skep.webapp.work.post import post_of

if TYPE_CHECKING:
    from skep.webapp.store.pool import Database

TEMPLATES_DIR = Path(__file__).parent.parent / "templates" / "mail"

NOBODYS = ".invalid"  # RFC 2606: nobody has such an address; sample orders do


class Mailing:
    kinds = MAIL_KINDS

    def __init__(self, settings: Settings, mail: MailSettings, database: Database) -> None:
        assert settings.url is not None  # noqa: S101 (without it there are no MailSettings)
        self._settings = settings
        self._mail = mail
        self._url = settings.url
        self._database = database
        self._letters = Letters(settings, database, url=settings.url)
        self._post = post_of(mail)
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(TEMPLATES_DIR),
            autoescape=jinja2.select_autoescape(["html"]),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    async def send(self, job: Job) -> None:
        """Raises JobFailed."""
        letter = await self._letters.write(job.kind, job.payload)
        if letter is None or letter.address.endswith(NOBODYS):
            return
        async with self._database.connection() as connection:
            chosen = await options.read(connection, self._settings.language)
        message = self.message(letter, job.id, chosen)
        await self._post.send(message, sender=self._mail.bounces, to=letter.address, key=str(job.id))

    def message(self, letter: Letter, key: UUID, chosen: Options) -> EmailMessage:
        """The Message-ID follows from the job: sent twice, it is the same mail twice."""
        message = EmailMessage(policy=SMTP)
        message["From"] = self._mail.sender
        message["To"] = letter.address
        message["Subject"] = re.sub(r"[\x00-\x20]+", " ", letter.subject)
        message["Date"] = formatdate(localtime=False)
        message["Message-ID"] = f"<{key}@{self._mail.bounces.rpartition('@')[2]}>"
        if reply_to := chosen.reply_to or self._mail.reply_to:
            message["Reply-To"] = reply_to
        message["List-Unsubscribe"] = f"<{self._mail.unsubscribe}>"
        message["Auto-Submitted"] = "auto-generated"
        context = self._context(letter, chosen)
        message.set_content(self._templates.get_template("letter.txt").render(context), cte="quoted-printable")
        html = self._templates.get_template("letter.html").render(context)
        message.add_alternative(html, subtype="html", cte="quoted-printable")
        self._attach(message, letter)
        message["Content-Language"] = letter.language  # last: setting a content forgets it
        return message

    def _context(self, letter: Letter, chosen: Options) -> dict[str, Any]:
        scheme = make_theme(self._settings.accent).light
        return {
            "letter": letter,
            "intro": paragraphs(chosen.mail_intro.text(letter.language)),
            "footer": paragraphs(chosen.mail_footer.text(letter.language)),
            "t": Translator(letter.language),
            "site": self._settings.display_name,
            "url": self._url,
            "accent": scheme.accent,
            "on_accent": scheme.on_accent,
        }

    def _attach(self, message: EmailMessage, letter: Letter) -> None:
        if letter.calendar:
            message.add_attachment(letter.calendar, subtype="calendar", filename="event.ics")
        if letter.event is None or not letter.attached:
            return
        from skep.webapp.bounded.ticket_file import draw  # half a second of loading, for mails with tickets only

        for order in letter.attached:
            pages = sheets.of_order(self._settings, order, letter.event, letter.language)
            message.add_attachment(
                draw(pages.document()), maintype="application", subtype="pdf", filename=sheets.file_name([order])
            )
