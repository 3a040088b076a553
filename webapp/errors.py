"""The errors of the event app that somebody can act on; everything else is a bug.

AppError
├── SettingsInvalid   what the process was given is wrong: the message names the place
├── SchemaRefused     the database holds migrations that this image does not know, or cannot be migrated
├── DatabaseDown      the database cannot be reached or went away: try again soon
├── CacheAway         the shared cache does not answer, or refuses: go on without it
└── Busy              too many people want the same thing at this second: try again soon
"""

from __future__ import annotations


class AppError(Exception):
    """An error with one line for people."""


class SettingsInvalid(AppError): ...


class SchemaRefused(AppError): ...


class DatabaseDown(AppError): ...


class CacheAway(AppError): ...


class Busy(AppError): ...
