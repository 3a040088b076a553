"""Français. Les espaces insécables avant « : ; ! ? » et dans les guillemets sont mises par `_spaced`."""

from __future__ import annotations

import re

from skep.webapp.i18n.fr import (
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
    site,
    team,
    webhooks,
)
from skep.webapp.i18n.joined import joined

NBSP = "\u00a0"
THIN = "\u202f"  # narrow no-break space, before ; ! ? as French typographers do


def _spaced(text: str) -> str:
    """Plain spaces around French punctuation become the ones that do not break."""
    text = re.sub(r" ([;!?])", THIN + r"\1", text)
    text = re.sub(r" ([:»])", NBSP + r"\1", text)
    return text.replace("« ", "«" + NBSP)


_WRITTEN = joined(
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
    site.MESSAGES,
    team.MESSAGES,
    webhooks.MESSAGES,
)
MESSAGES = {key: _spaced(text) for key, text in _WRITTEN.items()}
