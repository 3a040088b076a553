"""Images for the test swarm, each built once for given inputs: the tag is a hash of all that goes in.

Everything stands on one root: Debian 13, pulled where images can be pulled and made from packages where not. The tags
live under `skep.invalid`, a name that resolves nowhere, so no engine ever asks a real registry for them.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import docker
from docker.errors import APIError, ImageNotFound
from docker.utils.build import exclude_paths

ROOT = Path(__file__).parents[2]
IMAGES = Path(__file__).parent / "images"
DEBIAN = "debian:trixie-slim"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
TRAEFIK = "3.7.15"
Files = Mapping[str, Path]


def root(client: docker.DockerClient) -> str:
    tag = _tag("root", [DEBIAN.encode(), b"1"])
    if _there(client, tag):
        return tag
    try:
        client.images.pull(DEBIAN).tag(tag)
    except APIError:
        with tempfile.TemporaryDirectory() as scratch:
            tree = Path(scratch) / "root.tar"
            made = subprocess.run(
                ["mmdebstrap", "--quiet", "--variant=minbase", "trixie", tree],
                capture_output=True,
                text=True,
                check=False,
            )
            if made.returncode:
                raise RuntimeError(f"{DEBIAN} cannot be pulled, and mmdebstrap failed: {made.stderr}") from None
            name, _, version = tag.rpartition(":")
            client.api.import_image_from_file(str(tree), repository=name, tag=version)
    return tag


def node(client: docker.DockerClient) -> str:
    return build(client, "node", _folder(IMAGES / "node"), {"ROOT": root(client)})


def base(client: docker.DockerClient) -> str:
    """Stands for `python:3.13-slim`."""
    files = {**_folder(IMAGES / "base"), "ca-certificates.crt": CERTIFICATES}
    return build(client, "base", files, {"ROOT": root(client)})


def postgres(client: docker.DockerClient) -> str:
    return build(client, "postgres", _folder(IMAGES / "postgres"), {"ROOT": root(client)})


def redis(client: docker.DockerClient) -> str:
    return build(client, "redis", _folder(IMAGES / "redis"), {"ROOT": root(client)})


def stack(client: docker.DockerClient) -> dict[str, str]:
    """What swarm/skep.yml runs, by the names that `on_swarm` wants."""
    return {"app": app(client), "traefik": traefik(client), "postgres": postgres(client), "redis": redis(client)}


def prometheus(client: docker.DockerClient) -> str:
    return build(client, "prometheus", _folder(IMAGES / "prometheus"), {"ROOT": root(client)})


def alertmanager(client: docker.DockerClient) -> str:
    return build(client, "alertmanager", _folder(IMAGES / "alertmanager"), {"ROOT": root(client)})


def registry(client: docker.DockerClient) -> str:
    return build(client, "registry", _folder(IMAGES / "registry"), {"ROOT": root(client)})


def traefik(client: docker.DockerClient) -> str:
    return build(client, "traefik", _folder(IMAGES / "traefik"), {"BASE": base(client), "TRAEFIK": TRAEFIK})


def probe(client: docker.DockerClient) -> str:
    return build(client, "probe", _folder(Path(__file__).parent / "probe"), {"BASE": base(client)})


def app(client: docker.DockerClient, **labels: str) -> str:
    """The product's own image, from this working tree. *labels* make a second image of equal content, for updates."""
    return app_with(client, {}, **labels)


def app_with(client: docker.DockerClient, more: Files, **labels: str) -> str:
    """The product's image with *more* files in its tree."""
    patterns = [line.strip() for line in (ROOT / ".dockerignore").read_text().splitlines()]
    wanted = exclude_paths(str(ROOT), [line for line in patterns if line and not line.startswith("#")])
    files = {name: ROOT / name for name in wanted if (ROOT / name).is_symlink() or (ROOT / name).is_file()}
    return build(client, "app", {**files, **more}, {"BASE": base(client)}, labels)


def build(
    client: docker.DockerClient,
    name: str,
    files: Files,
    arguments: Mapping[str, str],
    labels: Mapping[str, str] | None = None,
) -> str:
    """The tag of the image that *files* and *arguments* make; built if it is not there."""
    context = _context(files)
    said = [f"{key}={value}".encode() for key, value in sorted({**arguments, **(labels or {})}.items())]
    tag = _tag(name, [context, *said])
    if not _there(client, tag):
        client.images.build(
            fileobj=io.BytesIO(context),
            custom_context=True,
            tag=tag,
            buildargs=dict(arguments),
            labels=dict(labels or {}),
            rm=True,
            forcerm=True,
        )
        _forget_old(client, name)
    return tag


def _forget_old(client: docker.DockerClient, name: str) -> None:
    """Remove former builds of *name*: those of the app, made with every edit, after an hour, others after a day."""
    oldest = (datetime.now(UTC) - (timedelta(hours=1) if name == "app" else timedelta(days=1))).isoformat()
    for image in client.images.list(name=f"skep.invalid/{name}"):
        if image.attrs["Created"] < oldest:
            with contextlib.suppress(APIError):  # in use
                client.images.remove(str(image.id))


def _there(client: docker.DockerClient, tag: str) -> bool:
    try:
        client.images.get(tag)
    except ImageNotFound:
        return False
    return True


def _tag(name: str, parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return f"skep.invalid/{name}:{digest.hexdigest()[:12]}"


def _folder(folder: Path) -> dict[str, Path]:
    """Files and links under *folder* by their relative names, without what Python leaves behind."""
    return {
        str(path.relative_to(folder)): path
        for path in sorted(folder.rglob("*"))
        if (path.is_file() or path.is_symlink())
        and not {"__pycache__"} & set(path.parts)
        and not any(part.endswith(".egg-info") for part in path.parts)
    }


def _context(files: Files) -> bytes:
    """A tar archive that is equal for equal content: no times, no owners."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, path in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            if path.is_symlink():
                entry.type, entry.linkname = tarfile.SYMTYPE, str(path.readlink())
                tar.addfile(entry)
            else:
                data = path.read_bytes()
                entry.size, entry.mode = len(data), 0o755 if path.stat().st_mode & 0o100 else 0o644
                tar.addfile(entry, io.BytesIO(data))
    return archive.getvalue()
