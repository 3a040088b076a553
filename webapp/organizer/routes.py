"""All pages of this side."""

from __future__ import annotations

from skep.webapp.organizer import (
    account,
    attendees,
    audit_page,
    dashboard,
    door,
    editor,
    exports,
    halting,
    invoices,
    legal,
    manage,
    offer,
    order,
    orders,
    outbox,
    own,
    picture,
    reset,
    team,
)

routes = [
    *account.routes,
    *attendees.routes,
    *audit_page.routes,
    *dashboard.routes,
    *door.routes,
    *editor.routes,
    *exports.routes,
    *halting.routes,
    *invoices.routes,
    *legal.routes,
    *manage.routes,
    *offer.routes,
    *order.routes,
    *orders.routes,
    *outbox.routes,
    *own.routes,
    *picture.routes,
    *reset.routes,
    *team.routes,
]
