"""Files that a child process draws on demand: tickets, invoices."""

from __future__ import annotations

import json
from uuid import UUID

from aiohttp import web

from skep.webapp.bounded.parent import ChildFailed, ChildRefused
from skep.webapp.http.keys import CHILDREN, LIMITS


async def drawn(request: web.Request, asker: UUID, task: str, document: object, name: str) -> web.Response:
    """The PDF that *task* makes of *document*, for saving as *name*. *asker* may have so many at a time: else 429.

    Raises RuntimeError if it could not be drawn.
    """
    limit = request.app[LIMITS].files
    if (wait_s := limit.retry_after_s(str(asker))) is not None:
        raise web.HTTPTooManyRequests(headers={"Retry-After": str(wait_s)})
    limit.count(str(asker))
    try:
        file = await request.app[CHILDREN].ask(task, json.dumps(document).encode())
    except (ChildFailed, ChildRefused) as error:
        raise RuntimeError(f"{task} could not be drawn") from error
    headers = {"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{name}"'}
    return web.Response(body=file, content_type="application/pdf", headers=headers)
