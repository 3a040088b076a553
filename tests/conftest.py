"""What all tests share: the rig's fixtures, and an environment without skep's own variables."""

from __future__ import annotations

import os

import pytest

pytest_plugins = ["tests.rig.fixtures"]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in os.environ:
        if variable.startswith("SKEP_"):
            monkeypatch.delenv(variable)
