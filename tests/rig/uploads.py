"""Sending a file as the picture form of a browser does."""

from __future__ import annotations

import io

import aiohttp

from tests.rig.visitor import Answer, Visitor


async def send(organizer: Visitor, path: str, content: bytes, *, csrf: str | None = None, alt: str = "") -> Answer:
    form = aiohttp.FormData()
    form.add_field("csrf", organizer.csrf if csrf is None else csrf)
    form.add_field("alt", alt)
    form.add_field("picture", io.BytesIO(content), filename="../../evil.php", content_type="image/jpeg")
    async with organizer.session.post(
        f"{organizer.tenant.url}{path}/picture", data=form, headers={"Origin": organizer.tenant.url}
    ) as answer:
        return Answer(answer.status, answer.url.raw_path_qs, await answer.text(), answer.headers)
