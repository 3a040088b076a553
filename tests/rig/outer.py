"""The engine of this machine, which only carries the containers of the test swarm: found, or started if it can be."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
from docker.errors import DockerException

ROOT = Path(__file__).parents[2]


class NoEngine(Exception):
    """There is no engine and none could be started; the message says why."""


def _answering() -> docker.DockerClient | None:
    try:
        client = docker.from_env()
    except DockerException:
        return None
    try:
        client.ping()
    except (DockerException, OSError):
        client.close()
        return None
    return client


@contextlib.contextmanager
def engine() -> Iterator[docker.DockerClient]:
    """A client of the engine that runs, else of one started for the time of the block. Raises NoEngine."""
    pid: int | None = None
    client = _answering()
    if client is None:
        started = subprocess.run([ROOT / ".ci" / "engine"], capture_output=True, text=True, check=False)
        if started.returncode:
            raise NoEngine(started.stderr.strip() or "no Docker engine answers")
        pid = int(started.stdout) if started.stdout.strip() else None
        client = _answering()
        if client is None:
            raise NoEngine("the Docker engine that was started does not answer")
    try:
        yield client
    finally:
        client.close()
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
