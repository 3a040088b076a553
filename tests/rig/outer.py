"""The engine of this machine, which only carries the containers of the test swarm: found, or started if it can be."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path

import docker
from docker.errors import DockerException

ROOT = Path(__file__).parents[2]


class NoEngine(Exception):
    """There is no engine and none could be started; the message says why."""


def _answering() -> docker.DockerClient | None:
    with contextlib.suppress(DockerException, OSError):
        client = docker.from_env()
        client.ping()
        return client
    with warnings.catch_warnings():
        # The SDK leaves the socket of a failed connection to the garbage collector, which warns.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    return None


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
