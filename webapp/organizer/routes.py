"""All pages of this side."""

from __future__ import annotations

from aiohttp import web

routes = web.RouteTableDef()
