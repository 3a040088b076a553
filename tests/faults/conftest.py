"""What fault tests share with those of the whole operator, and how many seeds are played."""

from __future__ import annotations

from tests.hive.conftest import postgres, rig

__all__ = ["postgres", "rig"]
