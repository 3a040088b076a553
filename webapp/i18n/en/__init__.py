"""English."""

from __future__ import annotations

from skep.webapp.i18n.en import (
    access,
    account,
    api,
    buying,
    checkin,
    doors,
    events,
    fields,
    frame,
    mail,
    offer,
    organizer,
    outbox,
    plan,
    privacy,
    webhooks,
)
from skep.webapp.i18n.joined import joined

MESSAGES = joined(
    access.MESSAGES,
    account.MESSAGES,
    api.MESSAGES,
    buying.MESSAGES,
    checkin.MESSAGES,
    doors.MESSAGES,
    events.MESSAGES,
    fields.MESSAGES,
    frame.MESSAGES,
    mail.MESSAGES,
    offer.MESSAGES,
    organizer.MESSAGES,
    outbox.MESSAGES,
    plan.MESSAGES,
    privacy.MESSAGES,
    webhooks.MESSAGES,
)
