"""All pages of this side."""

from __future__ import annotations

from skep.webapp.site import event_list, event_page

routes = [*event_list.routes, *event_page.routes]
