"""All pages of this side."""

from __future__ import annotations

from skep.webapp.organizer import account, dashboard, editor, manage, offer, orders

routes = [*account.routes, *dashboard.routes, *editor.routes, *manage.routes, *offer.routes, *orders.routes]
