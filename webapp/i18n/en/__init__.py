"""English."""

from __future__ import annotations

from skep.webapp.i18n.en import (
    account,
    buying,
    events,
    fields,
    frame,
    mail,
    offer,
    organizer,
    outbox,
    plan,
    privacy,
    site,
)
from skep.webapp.i18n.joined import joined

MESSAGES = joined(
    account.MESSAGES,
    buying.MESSAGES,
    events.MESSAGES,
    fields.MESSAGES,
    frame.MESSAGES,
    mail.MESSAGES,
    offer.MESSAGES,
    organizer.MESSAGES,
    outbox.MESSAGES,
    plan.MESSAGES,
    privacy.MESSAGES,
    site.MESSAGES,
)
