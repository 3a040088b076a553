"""Which function does which kind of job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skep.webapp.settings import Settings
from skep.webapp.work.worker import Handler

if TYPE_CHECKING:
    from skep.webapp.store.pool import Database


def handlers_of(settings: Settings, database: Database) -> dict[str, Handler]:
    if settings.mail is None:
        return {}
    from skep.webapp.work.mailing import Mailing  # what it needs is loaded only where mail is sent

    mailing = Mailing(settings, settings.mail, database)
    return dict.fromkeys(mailing.kinds, mailing.send)
