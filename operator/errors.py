"""The errors of the control plane: each says what the caller should do, not which line failed.

SkepError
├── TransientError            wait and try again: requeued with backoff
│   ├── EngineUnavailable       the orchestrator cannot be reached, has no quorum, or missed its deadline
│   ├── VersionConflict         somebody wrote in between: read again, plan again
│   ├── NotLeader               another replica leads, or the lease is too short for a write: nothing was sent
│   ├── InUse                   the object is still referenced: remove what uses it first
│   ├── CacheUnavailable        a cache server cannot be reached or refuses us
│   └── DatabaseUnavailable     the database server cannot be reached or is out of connections
├── TerminalError             trying again changes nothing: the declaration (or the world) must change
│   └── EngineRefused           the orchestrator calls the request invalid
├── NotFound                  the object is not there (a success, for a removal)
├── NameTaken                 an object of this name exists (a success, if it is ours)
└── UsageError                the person at the keyboard asked for something impossible; exit code 2
"""

from __future__ import annotations


class SkepError(Exception):
    """An error with a message for people; *remedy* is what they can do about it, or None."""

    def __init__(self, message: str, *, reason: str | None = None, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or type(self).__name__
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} ({self.remedy})" if self.remedy else self.message


class TransientError(SkepError):
    """Heals by itself or by waiting. *retry_after_s* is a wish; None leaves the pace to the queue's backoff."""

    def __init__(
        self, message: str, *, reason: str | None = None, remedy: str | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message, reason=reason, remedy=remedy)
        self.retry_after_s = retry_after_s


class EngineUnavailable(TransientError): ...


class VersionConflict(TransientError): ...


class NotLeader(TransientError): ...


class InUse(TransientError): ...


class CacheUnavailable(TransientError): ...


class DatabaseUnavailable(TransientError): ...


class TerminalError(SkepError): ...


class EngineRefused(TerminalError): ...


class NotFound(SkepError): ...


class NameTaken(SkepError): ...


class UsageError(SkepError): ...
