"""What an image means here: the command that runs for it, its digest, and what a process is told of its surroundings."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

Program = tuple[str, ...]
APP: Mapping[str, Program] = {"skep": (sys.executable, "-P", "-m", "skep.webapp")}


def repository(image: str) -> str:
    """The last word of an image's name: `skep` of `registry.example.com/team/skep:1.0@sha256:...`."""
    name = image.partition("@")[0].rpartition("/")[2]
    return name.partition(":")[0]


def digest_of_app() -> str:
    """Of the installed app's version and files: changed code counts as a new image, as a build would make it one."""
    found = importlib.util.find_spec("skep.webapp")
    said = hashlib.sha256(version("skep").encode())
    for folder in (found.submodule_search_locations or ()) if found else ():
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                said.update(f"\0{path.relative_to(folder)}\0".encode())
                said.update(path.read_bytes())
    return f"sha256:{said.hexdigest()}"


def base_environment() -> dict[str, str]:
    """Nothing of ours leaks into a child by accident."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
