"""All pages of this side."""

from __future__ import annotations

from skep.webapp.organizer import (
    access,
    account,
    dashboard,
    doors,
    editor,
    legal,
    manage,
    offer,
    orders,
    outbox,
    picture,
    privacy,
    quarantine,
    reset,
    team,
    webhooks,
)

routes = [
    *access.routes,
    *account.routes,
    *dashboard.routes,
    *doors.routes,
    *editor.routes,
    *legal.routes,
    *manage.routes,
    *offer.routes,
    *orders.routes,
    *outbox.routes,
    *picture.routes,
    *privacy.routes,
    *quarantine.routes,
    *reset.routes,
    *team.routes,
    *webhooks.routes,
]
