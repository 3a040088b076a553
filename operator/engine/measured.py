"""An engine whose calls are timed and counted, whichever engine it is: one wrapper around the whole port.

Streams (`logs`, `changes`) last as long as somebody listens; they pass through unmeasured.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

from skep.operator.engine.port import Engine

Tell = Callable[[str, str, float], None]  # method, outcome, seconds


def measured(engine: Engine, tell: Tell) -> Engine:
    """*engine*, with *tell* called after each call: outcome is `ok` or the name of the error that it raised."""
    return cast("Engine", _Measured(engine, tell))


class _Measured:
    """By name and not method by method: a method that the port gains is measured too."""

    def __init__(self, engine: Engine, tell: Tell) -> None:
        self._engine = engine
        self._tell = tell

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._engine, name)
        if not inspect.iscoroutinefunction(found):
            return found
        return _timed(name, found, self._tell)


def _timed(name: str, call: Callable[..., Awaitable[Any]], tell: Tell) -> Callable[..., Awaitable[Any]]:
    async def timed(*args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        outcome = "ok"
        try:
            return await call(*args, **kwargs)
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        except Exception as error:
            outcome = type(error).__name__
            raise
        finally:
            tell(name, outcome, time.perf_counter() - started)

    return timed
