"""What handlers find in the application and in a request, by typed keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from skep.webapp.bounded.parent import Children
from skep.webapp.http.drain import Drain
from skep.webapp.http.proxies import Client, Proxies
from skep.webapp.http.ratelimit import RateLimiter
from skep.webapp.http.security import csrf_token
from skep.webapp.i18n import Translator
from skep.webapp.passwords import Passwords
from skep.webapp.settings import Settings
from skep.webapp.shop.payments import Provider
from skep.webapp.store.media import Media
from skep.webapp.store.pool import Database

if TYPE_CHECKING:
    from skep.webapp.http.assets import Assets
    from skep.webapp.http.kept import KeptPages
    from skep.webapp.http.metrics import Metrics
    from skep.webapp.http.pages import Pages
    from skep.webapp.store.members import SignedIn


@dataclass(frozen=True, slots=True)
class Limits:
    """Rate limits of what a stranger may try. Each counts under its name together with other replicas, if it can."""

    sign_in_address: RateLimiter
    sign_in_account: RateLimiter
    invitation: RateLimiter
    registration: RateLimiter
    cart: RateLimiter
    files: RateLimiter


@dataclass(slots=True)
class Visit:
    """One request: who asks and in which language they read.

    *asked_language* is False if the browser asks for none of ours: then an event's page speaks the event's own.
    *member* is set where a page asked who is signed in.
    """

    id: str
    client: Client
    t: Translator
    asked_language: bool
    member: SignedIn | None = None
    rights: frozenset[str] = frozenset()  # to the event of the page, where it is one of an event's organizers

    def may(self, *rights: str) -> bool:
        """May who is signed in do one of these with the page's event?"""
        return not self.rights.isdisjoint(rights)

    def prefer(self, language: str) -> None:
        """Speak *language*, unless the reader asked for another."""
        if not self.asked_language:
            self.t = Translator(language)

    @property
    def csrf(self) -> str:
        """What a signed-in page's forms carry; empty where nobody is signed in."""
        return csrf_token(self.member.token) if self.member else ""


SETTINGS = web.AppKey("settings", Settings)
DATABASE = web.AppKey("database", Database)
CHILDREN = web.AppKey("children", Children)
DRAIN = web.AppKey("drain", Drain)
PROXIES = web.AppKey("proxies", Proxies)
PASSWORDS = web.AppKey("passwords", Passwords)
LIMITS = web.AppKey("limits", Limits)
MEDIA: web.AppKey[Media] = web.AppKey("media")
PROVIDERS: web.AppKey[tuple[Provider, ...]] = web.AppKey("providers")
PAGES: web.AppKey[Pages] = web.AppKey("pages")
ASSETS: web.AppKey[Assets] = web.AppKey("assets")
METRICS: web.AppKey[Metrics] = web.AppKey("metrics")
KEPT: web.AppKey[KeptPages] = web.AppKey("kept")
VISIT = web.RequestKey("visit", Visit)
