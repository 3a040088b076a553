"""What every task and job is made with: programs by image, files and environment, a free port."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import socket
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from skep.operator.engine.embedded.children import Children
from skep.operator.engine.embedded.home import Home
from skep.operator.engine.embedded.store import Store
from skep.operator.engine.spec import JobSpec, Mount, ServiceSpec
from skep.operator.errors import EngineRefused

Program = tuple[str, ...]
APP: Mapping[str, Program] = {"skep": (sys.executable, "-P", "-m", "skep.webapp")}
NODE = "here"


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


@dataclass
class Workshop:
    """*programs* says what runs for an image, by the last word of its name."""

    home: Home
    store: Store
    children: Children
    programs: Mapping[str, Program] = field(default_factory=lambda: APP)
    _ports: set[int] = field(default_factory=set)

    def program(self, image: str) -> Program:
        """Raises EngineRefused for an image that is not built in."""
        found = self.programs.get(repository(image))
        if found is None:
            raise EngineRefused(
                f"No such image: {image}: the embedded engine runs the built-in app only ({', '.join(self.programs)})",
                remedy="other images run on a swarm",
            )
        return found

    def lay_out(self, folder: Path, spec: ServiceSpec | JobSpec) -> dict[str, str]:
        """Write the files that *spec* mounts into *folder*; the environment that tells where they are.

        Raises NotFound if a config or secret went away meanwhile.
        """
        configs = {mount: self.store.configs.find(mount.name).data for mount in spec.configs}
        secrets = {mount: self.store.secrets.find(mount.name).data for mount in spec.secrets}
        folder.mkdir(mode=0o700)
        _write_mounts(folder / "configs", configs.items())
        _write_mounts(folder / "secrets", secrets.items())
        return base_environment() | dict(spec.env) | {
            "HOME": str(folder),
            "SKEP_CONFIGS_DIR": str(folder / "configs"),
            "SKEP_SECRETS_DIR": str(folder / "secrets"),
        }  # fmt: skip

    def clear(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)

    def take_port(self) -> int:
        """A port of loopback that is free now and not promised to another task of ours."""
        while (port := free_port()) in self._ports:
            pass
        self._ports.add(port)
        return port

    def give_back(self, port: int) -> None:
        self._ports.discard(port)


def base_environment() -> dict[str, str]:
    """Nothing of ours leaks into a child by accident."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _write_mounts(folder: Path, files: Iterable[tuple[Mount, bytes]]) -> None:
    folder.mkdir(mode=0o700)
    for mount, data in files:
        if mount.file in ("", ".", "..") or Path(mount.file).name != mount.file:
            raise EngineRefused(f"{mount.file!r} is not a file name")
        path = folder / mount.file
        path.write_bytes(data)
        path.chmod(0o400)
