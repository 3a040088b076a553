"""Which function does which kind of job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skep.webapp.settings import Settings
from skep.webapp.store import webhooks
from skep.webapp.work.worker import Handler

if TYPE_CHECKING:
    from skep.webapp.store.pool import Database


def handlers_of(settings: Settings, database: Database) -> dict[str, Handler]:
    from skep.webapp.work.hooks import Hooks

    found: dict[str, Handler] = {webhooks.KIND: Hooks(database).send}
    if settings.mail is None:
        return found
    from skep.webapp.work.mailing import Mailing  # what it needs is loaded only where mail is sent

    mailing = Mailing(settings, settings.mail, database)
    return found | dict.fromkeys(mailing.kinds, mailing.send)
