"""`hive` is an empty home of its own; `standing` is one that two tenants share with all tests of a module."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from skep.operator.engine.embedded.workshop import free_port
from tests.embedded.hive import Hive, tenant


@contextmanager
def fresh_hive() -> Iterator[Hive]:
    # A socket's path must be short, and PostgreSQL's account must be able to pass: both rule out tmp_path.
    with tempfile.TemporaryDirectory(prefix="skep-up-") as folder:
        os.chmod(folder, 0o711)  # noqa: S103 - to pass through, not to read
        declared = Path(folder, "declared")
        declared.mkdir()
        hive = Hive(Path(folder, "home"), declared, free_port())
        try:
            yield hive
        finally:
            hive.close()


@pytest.fixture
def hive() -> Iterator[Hive]:
    with fresh_hive() as hive:
        yield hive


@pytest.fixture(scope="module")
def standing() -> Iterator[Hive]:
    with fresh_hive() as hive:
        hive.declare(acme=tenant("acme"), birch=tenant("birch"))
        hive.must_up()
        yield hive
