"""Image references: the registry's grammar, one canonical form, and patterns that allow some of them.

The grammar is that of the distribution project's `reference` package: `[domain[:port]/]path[:tag][@digest]`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from skep.crds.base import refusal, shown

_DOMAIN_PART = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"{_DOMAIN_PART}(?:\.{_DOMAIN_PART})*(?::[0-9]+)?"
_PATH_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}"
IMAGE_PATTERN = rf"^(?:{_DOMAIN}/)?{_PATH_PART}(?:/{_PATH_PART})*(?::{_TAG})?(?:@(?:{_DIGEST}))?$"
_REFERENCE = re.compile(
    rf"(?P<name>(?:{_DOMAIN}/)?{_PATH_PART}(?:/{_PATH_PART})*)(?P<tag>:{_TAG})?(?P<digest>@(?:{_DIGEST}))?"
)


@dataclass(frozen=True, slots=True)
class ImageRef:
    """*suffix* is `:tag`, `@digest`, both or empty."""

    domain: str
    path: str
    suffix: str

    @property
    def repository(self) -> str:
        return f"{self.domain}/{self.path}"

    @property
    def spellings(self) -> tuple[str, str]:
        """The canonical form and the short one that people write for Docker Hub."""
        short = self.path.removeprefix("library/") if self.domain == "docker.io" else self.repository
        return self.repository + self.suffix, short + self.suffix


@lru_cache(maxsize=4096)
def parse_image(text: str) -> ImageRef | None:
    """The parts of a reference in canonical form, or None if *text* is none."""
    # The bound on the whole keeps the pattern quick on any input: 255 for the name, 129 and 136 for tag and digest.
    match = _REFERENCE.fullmatch(text) if len(text) <= 520 else None
    if not match or len(match["name"]) > 255:
        return None
    first, slash, rest = match["name"].partition("/")
    # As Docker does: the first part is a registry if it could not be a folder of Docker Hub.
    if slash and (any(mark in first for mark in ".:") or first == "localhost" or first != first.lower()):
        domain, path = first, rest
    else:
        domain, path = "docker.io", match["name"]
    if domain in ("docker.io", "index.docker.io"):
        domain = "docker.io"
        path = path if "/" in path else f"library/{path}"
    return ImageRef(domain, path, (match["tag"] or "") + (match["digest"] or ""))


def _read_image(value: str) -> str:
    if parse_image(value) is None:
        raise refusal(f"{shown(value)} is not an image; {_remedy(value)}")
    return value


def _remedy(text: str) -> str:
    if re.search(r"\s", text):
        return "remove the white space"
    if "://" in text:
        return "write it without the scheme, like registry.example.com/app:1.0"
    if re.search(r"@(?!sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})$)", text):
        return "its digest must be sha256: and 64 hexadecimal digits"
    if len(text) > 520:
        return f"it has {len(text)} characters; 520 are the most"
    if text != text.lower() and parse_image(text.lower()):
        return f"repository names are lower case: {text.lower()}"
    if text.endswith(":"):
        return "its tag is empty"
    return "write [registry/]name[:tag], like registry.example.com/app:1.0"


Image = Annotated[
    str,
    AfterValidator(_read_image),
    WithJsonSchema({"type": "string", "pattern": IMAGE_PATTERN, "examples": ["registry.example.com/app:1.0"]}),
]

PATTERN_PATTERN = r"^[A-Za-z0-9*?][A-Za-z0-9*?._:/@-]*$"


def _read_pattern(value: str) -> str:
    if not re.fullmatch(PATTERN_PATTERN, value):
        raise refusal(
            f"{shown(value)} is not an image pattern; write an image in which * stands for any part of a name, "
            "like registry.example.com/team/*"
        )
    return value


ImagePattern = Annotated[
    str,
    Field(max_length=255),
    AfterValidator(_read_pattern),
    WithJsonSchema({"type": "string", "pattern": PATTERN_PATTERN}),
]


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    translated = "".join(
        {"**": ".*", "*": "[^/]*", "?": "[^/]"}.get(part, re.escape(part))
        for part in re.split(r"(\*\*|\*|\?)", pattern)
    )
    if not re.search(r"[:@]", pattern.rpartition("/")[2]):
        translated += r"([:@][^/]*)?"
    return re.compile(translated)


def is_allowed(image: str, patterns: tuple[str, ...]) -> bool:
    """Whether one of *patterns* covers *image*, in its canonical or its short spelling.

    `*` stays within one part between slashes, `**` crosses them; a pattern without a tag covers all tags and digests.
    """
    reference = parse_image(image)
    if reference is None:
        return False
    return any(_compiled(pattern).fullmatch(spelling) for pattern in patterns for spelling in reference.spellings)
