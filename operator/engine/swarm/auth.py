"""Registry credentials from the Docker command line's file, as the header that the Engine API wants.

The raw API remembers none, so they go with every creation and update. Credential helpers are programs of a person's
desktop and are not run: on a server, `docker login` writes the entries that are read here.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from pathlib import Path

HUB = "https://index.docker.io/v1/"


def registry_of(ref: str) -> str:
    """The key of an image's registry in the file: its host, or Docker Hub's."""
    first, slash, _ = ref.partition("/")
    return first if slash and (set(".:") & set(first) or first == "localhost") else HUB


def headers(ref: str, file: Path) -> dict[str, str]:
    """`X-Registry-Auth` for *ref*, or nothing when *file* has no credentials for its registry."""
    try:
        entries: Mapping[str, Mapping[str, str]] = json.loads(file.read_text()).get("auths") or {}
    except (OSError, ValueError):
        return {}
    registry = registry_of(ref)
    entry = entries.get(registry) or entries.get(f"https://{registry}") or {}
    said = {"serveraddress": registry}
    if entry.get("identitytoken"):
        said["identitytoken"] = entry["identitytoken"]
    try:
        said["username"], _, said["password"] = base64.b64decode(entry.get("auth", "")).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return {}
    if not said["username"] and "identitytoken" not in said:
        return {}
    return {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(said).encode()).decode()}
