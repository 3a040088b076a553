"""What every task and job is made with: files, environment, a process, a free port."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from skep.operator import names
from skep.operator.engine.embedded.children import Child, Children, Sink
from skep.operator.engine.embedded.home import Home
from skep.operator.engine.embedded.programs import APP, Program, base_environment, repository
from skep.operator.engine.embedded.spare import Spare
from skep.operator.engine.embedded.store import Store
from skep.operator.engine.spec import JobSpec, Mount, ServiceSpec
from skep.operator.errors import EngineRefused

NODE = "here"


@dataclass
class Workshop:
    """*programs* says what runs for an image, by the last word of its name."""

    home: Home
    store: Store
    children: Children
    programs: Mapping[str, Program] = field(default_factory=lambda: APP)
    spare: Spare | None = None
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

    async def launch(
        self, image: str, arguments: Sequence[str], sink: Sink, *, env: Mapping[str, str], cwd: Path
    ) -> Child:
        """A process of *image*: the spare one if it is of that image, else a new one. Raises as `program` does."""
        program = self.program(image)
        if (spare := self.spare) is not None and spare.program == program:
            child = await spare.claim(image, arguments, sink, env=env, cwd=cwd)
            if child is not None:
                return child
        return await self.children.spawn((*program, *arguments), sink, env=env, cwd=cwd)

    def lay_out(self, folder: Path, spec: ServiceSpec | JobSpec) -> dict[str, str]:
        """Write the files that *spec* mounts into *folder*; the environment that tells where they are.

        Raises NotFound if a config or secret went away meanwhile.
        """
        configs = {mount: self.store.configs.find(mount.name).data for mount in spec.configs}
        secrets = {mount: self.store.secrets.find(mount.name).data for mount in spec.secrets}
        folder.mkdir(mode=0o700)
        _write_mounts(folder / "configs", configs.items())
        _write_mounts(folder / "secrets", secrets.items())
        # A laptop has no mail server: a site without one of its own puts its mails where somebody can read them.
        tenant = dict(spec.labels).get(names.TENANT)
        mail = {"SKEP_MAIL_DIR": str(self.home.mail / tenant)} if tenant else {}
        return base_environment() | mail | dict(spec.env) | {
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
