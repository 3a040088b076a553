"""English."""

from __future__ import annotations

from skep.webapp.i18n.en import (
    access,
    account,
    api,
    audit,
    buying,
    checkin,
    doors,
    events,
    fields,
    figures,
    frame,
    halting,
    invoices,
    mail,
    offer,
    orders,
    organizer,
    outbox,
    plan,
    privacy,
    team,
    webhooks,
)
from skep.webapp.i18n.joined import joined

MESSAGES = joined(
    access.MESSAGES,
    account.MESSAGES,
    api.MESSAGES,
    audit.MESSAGES,
    buying.MESSAGES,
    checkin.MESSAGES,
    doors.MESSAGES,
    events.MESSAGES,
    fields.MESSAGES,
    figures.MESSAGES,
    frame.MESSAGES,
    halting.MESSAGES,
    invoices.MESSAGES,
    mail.MESSAGES,
    offer.MESSAGES,
    orders.MESSAGES,
    organizer.MESSAGES,
    outbox.MESSAGES,
    plan.MESSAGES,
    privacy.MESSAGES,
    team.MESSAGES,
    webhooks.MESSAGES,
)
