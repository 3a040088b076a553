"""All pages of this side."""

from __future__ import annotations

from skep.webapp.organizer import account, dashboard, editor, manage

routes = [*account.routes, *dashboard.routes, *editor.routes, *manage.routes]
