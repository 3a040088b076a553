"""`skep up` and `skep down`: everything on this machine, by the embedded engine."""

from __future__ import annotations

import time
from pathlib import Path

import click

from skep.operator.cli.command import Shared, command, skep
from skep.operator.errors import UsageError

DEFAULT_PORT = 8080

# What these commands need is imported when they run: no other command should wait for it.


@skep.command("up")
@click.argument("path", type=click.Path(path_type=Path), required=False)
@click.option(
    "-d", "--detach", is_flag=True, help="Return when every tenant of PATH is Ready; go on in the background."
)
@click.option("--port", type=click.IntRange(1, 65535), help=f"Where the sites answer (default: {DEFAULT_PORT}).")
@click.option(
    "--listen", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="On which address of this machine."
)
@click.option(
    "--timeout", "timeout_s", type=float, default=180.0, show_default=True, help="Seconds to wait with --detach."
)
@click.option("--samples", is_flag=True, help="Fill the sites of PATH that have no event yet, once they are Ready.")
@command
async def up(
    shared: Shared,
    path: Path | None,
    detach: bool,
    port: int | None,
    listen: str,
    timeout_s: float,
    samples: bool,
) -> int:
    """Start everything on this machine and keep it as PATH says, until Ctrl-C. Needs no Docker.

    PATH is the whole of source `default`; it is read again whenever its files change. With `skep --engine swarm up` the
    same happens on this Docker's swarm: init, stack, apply; it returns when every tenant of PATH is Ready.
    """
    from skep.operator.cli import hosting
    from skep.operator.engine.embedded.home import Home

    if shared.target.engine == "swarm":
        from skep.operator.cli import stack

        return await stack.up(shared, path, timeout_s=timeout_s, samples=samples)
    _refuse_swarm(shared)
    home = Home(shared.target.home_path)
    deadline = time.monotonic() + timeout_s
    if home.is_running():
        return await hosting.join(home, path, port, deadline, samples=samples)
    if detach:
        return await hosting.detach(home, path, listen, port or DEFAULT_PORT, deadline, samples=samples)
    return await hosting.serve(home, path, listen, port or DEFAULT_PORT, timeout_s=timeout_s, samples=samples)


def _refuse_swarm(shared: Shared) -> None:
    if shared.target.engine == "swarm" or shared.target.context is not None:
        raise UsageError("this command is for the embedded engine", remedy="on a swarm: `skep init`")


@skep.command("down")
@click.option("--purge", is_flag=True, help="Forget all data too: databases, secrets, declarations.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@command
async def down(shared: Shared, purge: bool, yes: bool) -> int:
    """Stop what `skep up` started. Its data stays, unless --purge is given."""
    from skep.operator.cli import hosting
    from skep.operator.engine.embedded.home import Home

    _refuse_swarm(shared)
    home = Home(shared.target.home_path)
    if purge and not yes:
        click.confirm(f"This forgets every database and secret in {home.path} for good. Go on?", abort=True, err=True)
    await hosting.stop(home, purge=purge)
    return 0
