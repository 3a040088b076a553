"""English."""

from __future__ import annotations

from skep.webapp.i18n.en import (
    account,
    audit,
    buying,
    events,
    fields,
    frame,
    halting,
    invoices,
    mail,
    offer,
    orders,
    organizer,
    outbox,
    team,
)
from skep.webapp.i18n.joined import joined

MESSAGES = joined(
    account.MESSAGES,
    audit.MESSAGES,
    buying.MESSAGES,
    events.MESSAGES,
    fields.MESSAGES,
    frame.MESSAGES,
    halting.MESSAGES,
    invoices.MESSAGES,
    mail.MESSAGES,
    offer.MESSAGES,
    orders.MESSAGES,
    organizer.MESSAGES,
    outbox.MESSAGES,
    team.MESSAGES,
)
