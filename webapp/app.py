"""Everything joined: the application with its routes, middlewares and what they share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import fields

from aiohttp import web

from skep.webapp.api import routes as api
from skep.webapp.bounded.parent import Children
from skep.webapp.cache.client import Cache
from skep.webapp.cache.tally import Tally
from skep.webapp.cache.wakeup import Ringer
from skep.webapp.http import assets, metrics, middleware, probes
from skep.webapp.http.api_state import API_STATE, ApiState
from skep.webapp.http.assets import Assets
from skep.webapp.http.drain import Drain
from skep.webapp.http.kept import KeptPages, drop_after_changes
from skep.webapp.http.keys import (
    ASSETS,
    CHILDREN,
    DATABASE,
    DRAIN,
    KEPT,
    LIMITS,
    MEDIA,
    METRICS,
    PAGES,
    PASSWORDS,
    PROVIDERS,
    PROXIES,
    SETTINGS,
    Limits,
)
from skep.webapp.http.metrics import Metrics
from skep.webapp.http.pages import Pages
from skep.webapp.http.proxies import Proxies
from skep.webapp.http.ratelimit import RateLimiter
from skep.webapp.organizer import routes as organizer
from skep.webapp.passwords import Passwords
from skep.webapp.settings import Settings
from skep.webapp.shop.payments import BUILT_IN
from skep.webapp.site import routes as site
from skep.webapp.store.media import DatabaseMedia
from skep.webapp.store.pool import Database
from skep.webapp.work.due import duties_of
from skep.webapp.work.starter import Starter, look_at

MAX_BODY_BYTES = 128 * 1024  # the longest form is an event with its description; pictures are read by their own handler
QUARTER_HOUR_S = 900.0


def build_app(settings: Settings) -> web.Application:
    """Must be called inside the running event loop."""
    app = web.Application(
        middlewares=[metrics.measure, middleware.visit, middleware.edge, middleware.own_forms, drop_after_changes],
        client_max_size=MAX_BODY_BYTES,
    )
    app[SETTINGS] = settings
    app[DATABASE] = Database(settings.web_database)
    app[DRAIN] = Drain()
    app[PROXIES] = Proxies(settings.proxies)
    app[ASSETS] = Assets(settings)
    app[PAGES] = Pages(settings, app[ASSETS])
    app[PASSWORDS] = Passwords()
    app[PROVIDERS] = BUILT_IN
    app[MEDIA] = DatabaseMedia()
    app[CHILDREN] = Children()
    app[LIMITS] = Limits(
        sign_in_address=RateLimiter(30, QUARTER_HOUR_S),
        sign_in_account=RateLimiter(10, QUARTER_HOUR_S),
        invitation=RateLimiter(30, QUARTER_HOUR_S),
        registration=RateLimiter(60, QUARTER_HOUR_S),  # a school class behind one address still gets in
        cart=RateLimiter(240, QUARTER_HOUR_S),
        files=RateLimiter(30, QUARTER_HOUR_S),  # of one order; each costs a process
    )
    cache = None if settings.cache is None else Cache(settings.cache)
    app[METRICS] = Metrics()
    app[KEPT] = KeptPages(cache)
    app[API_STATE] = ApiState()
    app.on_response_prepare.append(middleware.add_headers)
    app.cleanup_ctx.append(_database)
    if cache is not None:
        _share(app, cache)
    if settings.worker == "child":
        app.cleanup_ctx.append(_worker)
    for table in (probes.routes, metrics.routes, assets.routes, site.routes, organizer.routes):
        app.add_routes(table)
    app.add_routes(api.routes())
    return app


async def _database(app: web.Application) -> AsyncIterator[None]:
    await app[DATABASE].open()
    yield
    await app[DATABASE].close()


def _share(app: web.Application, cache: Cache) -> None:
    """Count tries together with other replicas, and wake a worker that is a service of its own."""
    tally = Tally(cache)
    for field in fields(Limits):
        getattr(app[LIMITS], field.name).share(field.name, tally)
    for field in fields(ApiState):
        if isinstance(limit := getattr(app[API_STATE], field.name), RateLimiter):
            limit.share(f"api_{field.name}", tally)
    if app[SETTINGS].worker == "service":
        app[DATABASE].on_commit = Ringer(cache).notice

    async def close(_: web.Application) -> None:
        await cache.close()

    app.on_cleanup.append(close)


async def _worker(app: web.Application) -> AsyncIterator[None]:
    settings = app[SETTINGS]
    starter = Starter(look_at(settings.database, duties_of(settings)))
    app[DATABASE].on_commit = starter.notice
    starter.open()
    yield
    await starter.close()
