"""Who watches a work queue: a port, so that the loop can be measured without knowing by whom."""

from __future__ import annotations

from typing import Protocol


class QueueObserver(Protocol):
    """Told of every key's way through a queue. Called within the queue's own steps: it must neither wait nor raise."""

    def added(self, key: object) -> None:
        """*key* waits from now on. A key that waits already is not told again."""
        ...

    def taken(self, key: object) -> None:
        """A worker has it."""
        ...

    def done(self, key: object) -> None:
        """The worker gave it back."""
        ...

    def retried(self, key: object) -> None:
        """*key* was put off to a later time."""
        ...


class Unobserved:
    """Nobody watches."""

    def added(self, key: object) -> None: ...

    def taken(self, key: object) -> None: ...

    def done(self, key: object) -> None: ...

    def retried(self, key: object) -> None: ...
