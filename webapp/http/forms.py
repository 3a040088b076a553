"""Forms as people fill them in: what was typed is kept, and each field's problem is named in their language."""

from __future__ import annotations

import re
from collections.abc import Mapping

from aiohttp import web

from skep.webapp.addresses import normal_email
from skep.webapp.i18n import Translator

FORM_TYPE = "application/x-www-form-urlencoded"
NAME_LIMIT = 100
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class Form:
    """The fields of one form: `values` as typed, `errors` by field in the reader's language."""

    def __init__(self, t: Translator, values: Mapping[str, str] | None = None) -> None:
        self.t = t
        self.values: dict[str, str] = dict(values or {})
        self.errors: dict[str, str] = {}

    def refuse(self, field: str, message: str) -> None:
        """The first thing wrong with a field is said, the rest waits."""
        self.errors.setdefault(field, message)

    def text(self, field: str, *, limit: int, missing: str | None = None, too_long: str = "wrong.long") -> str:
        """The trimmed text of one line. *missing* is the key of what to say if it is empty; None: it may be."""
        text = " ".join(self.values.get(field, "").split())
        return self._checked(field, text, limit, missing, too_long)

    def long_text(self, field: str, *, limit: int) -> str:
        """Text of several lines, line ends as `\\n`."""
        text = self.values.get(field, "").replace("\r\n", "\n").replace("\r", "\n").strip()
        return self._checked(field, text, limit, None, "wrong.long")

    def _checked(self, field: str, text: str, limit: int, missing: str | None, too_long: str) -> str:
        if not text and missing is not None:
            self.refuse(field, self.t(missing))
        if len(text) > limit:
            self.refuse(field, self.t(too_long, limit=self.t.number(limit)))
        if _CONTROL.search(text):
            self.refuse(field, self.t("wrong.characters"))
        return text

    def name(self, field: str = "name") -> str:
        return self.text(field, limit=NAME_LIMIT, missing="wrong.name", too_long="wrong.name.long")

    def email(self, field: str = "email") -> str:
        """In the form in which it is stored; empty if it was refused."""
        address = normal_email(self.values.get(field, ""))
        if address is None:
            self.refuse(field, self.t("wrong.email"))
        return address or ""


async def read_form(request: web.Request, t: Translator) -> Form:
    """The request's fields; a repeated field counts once. Raises HTTPBadRequest for what no page of ours sends."""
    if request.content_type != FORM_TYPE:
        raise web.HTTPBadRequest
    try:
        data = await request.post()
    except (LookupError, ValueError) as error:  # an unknown charset, or bytes that are not in it
        raise web.HTTPBadRequest from error
    return Form(t, {name: value for name, value in data.items() if isinstance(value, str)})
