"""The page that shows what the API can do: the description itself is English."""

from __future__ import annotations

MESSAGES: dict[str, str] = {
    "api.title": "What the API can do",
    "api.file": "The same for programs, OpenAPI 3.1",
    "api.models": "Models",
    "api.problems": "Problems",
}
