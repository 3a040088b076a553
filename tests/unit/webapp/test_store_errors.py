"""Which of the driver's errors mean "the database is away": by code, not by message."""

from __future__ import annotations

import asyncpg
import pytest

from skep.webapp.store.pool import is_gone


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.AdminShutdownError("57P01"),
        asyncpg.CrashShutdownError("57P02"),
        asyncpg.CannotConnectNowError("57P03"),
        asyncpg.InvalidCatalogNameError("3D000: being swapped"),
        asyncpg.ObjectNotInPrerequisiteStateError("55000: not accepting connections"),
        asyncpg.TooManyConnectionsError("53300"),
        asyncpg.ConnectionDoesNotExistError("08003"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.InternalClientError("cannot switch to state 12"),
        asyncpg.InvalidCachedStatementError("after a migration"),
        asyncpg.QueryCanceledError("57014"),
        asyncpg.DeadlockDetectedError("40P01"),
        ConnectionRefusedError(),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_gone(error: Exception) -> None:
    assert is_gone(error)


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.UniqueViolationError("23505"),
        asyncpg.UndefinedTableError("42P01"),
        asyncpg.LockNotAvailableError("55P03"),
        asyncpg.DivisionByZeroError("22012"),
        asyncpg.DataError("a wrong argument"),
        ValueError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_not_gone(error: Exception) -> None:
    assert not is_gone(error)
