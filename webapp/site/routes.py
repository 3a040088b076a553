"""All pages of this side."""

from __future__ import annotations

from skep.webapp.site import (
    calendar,
    cart,
    checkin_page,
    checkout,
    event_list,
    event_page,
    legal_page,
    media,
    order_page,
    resend_page,
    waiting_page,
)

routes = [
    *event_list.routes,
    *event_page.routes,
    *calendar.routes,
    *cart.routes,
    *checkin_page.routes,
    *checkout.routes,
    *waiting_page.routes,
    *order_page.routes,
    *resend_page.routes,
    *legal_page.routes,
    *media.routes,
]
