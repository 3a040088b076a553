"""Programs that tests need and Python does not bring. Absent: the test is skipped aloud, and fails in CI."""

from __future__ import annotations

import shutil

import pytest

from tests.rig.fixtures import REQUIRED


def program(name: str, package: str) -> str:
    """The path of *name*, of Debian's *package*."""
    if (found := shutil.which(name)) is not None:
        return found
    said = f"{name} is not installed; on Debian: apt-get install {package}"
    if REQUIRED:
        pytest.fail(f"SKEP_REQUIRE_SWARM=1, but {said}")
    pytest.skip(f"NO TESTS WITH {name.upper()}: {said}")
