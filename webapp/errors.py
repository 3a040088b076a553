"""The errors of the event app that somebody can act on; everything else is a bug.

AppError
├── SettingsInvalid   what the process was given is wrong: the message names the place
├── SchemaRefused     the database holds migrations that this image does not know, or cannot be migrated
├── DatabaseDown      the database cannot be reached or went away: try again soon
├── QuotaReached      the tenant's plan has no room for one more
├── CacheAway         the shared cache does not answer, or refuses: go on without it
└── Busy              too many people want the same thing at this second: try again soon
"""

from __future__ import annotations


class AppError(Exception):
    """An error with one line for people."""


class SettingsInvalid(AppError): ...


class SchemaRefused(AppError): ...


class DatabaseDown(AppError): ...


class QuotaReached(AppError):
    """*kind* is `members` or `events`, of which there are *limit* already."""

    def __init__(self, kind: str, limit: int) -> None:
        super().__init__(f"the plan has room for {limit} {kind}")
        self.kind = kind
        self.limit = limit


class CacheAway(AppError): ...


class Busy(AppError): ...
