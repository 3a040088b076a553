"""The driver's errors as ours: by SQLSTATE, never by text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from skep.operator.errors import DatabaseUnavailable, SkepError, TerminalError, TransientError
from skep.operator.fence import Unfenced
from skep.operator.reconcilers.database.servers import Server, Servers, translate
from skep.operator.settings import Settings
from tests.unit.crds.documents import make_platform


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (ConnectionRefusedError("refused"), DatabaseUnavailable, "DatabaseUnavailable"),
        (TimeoutError(), DatabaseUnavailable, "DatabaseUnavailable"),
        (asyncpg.InterfaceError("closed"), DatabaseUnavailable, "DatabaseUnavailable"),
        (asyncpg.TooManyConnectionsError("53300"), DatabaseUnavailable, "DatabaseUnavailable"),
        (asyncpg.DiskFullError("53100"), DatabaseUnavailable, "DatabaseUnavailable"),
        (asyncpg.CannotConnectNowError("57P03"), DatabaseUnavailable, "DatabaseUnavailable"),
        (asyncpg.AdminShutdownError("57P01"), DatabaseUnavailable, "DatabaseUnavailable"),
        (asyncpg.ObjectInUseError("55006"), DatabaseUnavailable, "DatabaseUnavailable"),
        (asyncpg.DeadlockDetectedError("40P01"), DatabaseUnavailable, "DatabaseUnavailable"),
        (asyncpg.InternalServerError("XX000 tuple concurrently updated"), DatabaseUnavailable, "DatabaseUnavailable"),
        (asyncpg.ConnectionDoesNotExistError("08003"), DatabaseUnavailable, "DatabaseUnavailable"),
        (asyncpg.InvalidPasswordError("28P01"), DatabaseUnavailable, "DatabaseRefused"),
        (asyncpg.InvalidAuthorizationSpecificationError("28000"), DatabaseUnavailable, "DatabaseRefused"),
        (asyncpg.InsufficientPrivilegeError("42501"), TerminalError, "DatabaseError"),
        (asyncpg.UndefinedObjectError("42704"), TerminalError, "DatabaseError"),
        (asyncpg.PostgresSyntaxError("42601"), TerminalError, "DatabaseError"),
        (asyncpg.FeatureNotSupportedError("0A000"), TerminalError, "DatabaseError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_an_error_of_the_driver_says_what_to_do(error: Exception, kind: type[SkepError], reason: str) -> None:
    ours = translate(error, "database server main")
    assert type(ours) is kind
    assert ours.reason == reason
    assert "database server main" in ours.message


async def test_a_server_that_the_platform_lost_is_waited_for() -> None:
    servers = Servers(Settings(), Unfenced())
    await servers.adopt(make_platform())
    assert servers.get("main").where == "database server main (postgres:5432)"
    with pytest.raises(TransientError, match="put gone back"):
        servers.get("gone")


async def test_only_a_server_whose_address_changed_is_a_new_one() -> None:
    servers = Servers(Settings(), Unfenced())
    await servers.adopt(make_platform())
    before = servers.get("main")
    await servers.adopt(make_platform("brake: {count: 3}\n"))
    assert servers.get("main") is before
    roomier = make_platform()
    spec = roomier.spec.databases[0].model_copy(update={"capacity": 7})
    await servers.adopt(roomier.model_copy(update={"spec": roomier.spec.model_copy(update={"databases": (spec,)})}))
    assert servers.get("main") is before
    assert before.spec.capacity == 7
    moved = make_platform()
    databases = (moved.spec.databases[0].model_copy(update={"port": 6000}),)
    await servers.adopt(moved.model_copy(update={"spec": moved.spec.model_copy(update={"databases": databases})}))
    assert servers.get("main") is not before
    assert len(servers.all()) == 1


async def test_a_server_out_of_reach_is_not_tried_by_every_worker() -> None:
    """Nobody listens on the port: the first finds out, the others are told at once."""
    settings = replace(Settings(), addresses=("postgres=127.0.0.1:1",), secrets_dir=Path(__file__).parent)
    spec = make_platform().spec.databases[0].model_copy(update={"secret": Path(__file__).name})
    server = Server(spec, settings, Unfenced())
    said = []
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable) as caught:
            await server.refresh()
        said.append(str(caught.value))
    assert "Connect call failed" in said[0]
    assert said[1] == said[0], "or a status would be written for each"
    assert server.silent
    assert not server.never_had("t_acme_"), "it was never seen, so who knows"
    await server.close()
