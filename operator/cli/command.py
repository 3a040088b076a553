"""The root of the command line: options that all commands share, and errors as people should see them."""

from __future__ import annotations

import asyncio
import functools
import importlib
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

from skep.operator.cli.output import say
from skep.operator.cli.target import Target
from skep.operator.errors import SkepError, UsageError

P = ParamSpec("P")
R = TypeVar("R")

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_DIFFERS = 10


# Command -> module, in the order of the help page.
MODULES = {
    "up": "up",
    "down": "up",
    "init": "init",
    "validate": "declare",
    "diff": "declare",
    "apply": "declare",
    "get": "show",
    "describe": "show",
    "delete": "declare",
    "history": "declare",
    "undo": "declare",
    "approve": "declare",
    "events": "show",
    "logs": "reach",
    "invite": "reach",
    "seed": "samples",
    "psql": "reach",
    "drain": "drain",
    "doctor": "doctor",
    "operator": "operator",
}


@dataclass(frozen=True, slots=True)
class Shared:
    """What `skep [OPTIONS] COMMAND` was given before the command."""

    target: Target


def _engine_options(*, hidden: bool) -> list[click.Option]:
    """The options that say which hive is meant; they may stand before the command or after it."""

    def keep(ctx: click.Context, param: click.Parameter, value: object) -> None:
        if value is not None and param.name is not None:
            known = ctx.obj if isinstance(ctx.obj, Shared) else Shared(Target())
            ctx.obj = Shared(replace(known.target, **{param.name: value}))  # type: ignore[arg-type]  # as each option says

    return [
        click.Option(
            ["--engine"],
            type=click.Choice(["swarm", "embedded"]),
            help="Default: embedded if `skep up` runs here, else swarm.",
            callback=keep,
            expose_value=False,
            hidden=hidden,
        ),
        click.Option(
            ["--context"],
            metavar="NAME",
            help="The Docker context, as in `docker --context`.",
            callback=keep,
            expose_value=False,
            hidden=hidden,
        ),
        click.Option(
            ["--home"],
            type=click.Path(path_type=Path, file_okay=False),
            help="Where the embedded engine lives (SKEP_HOME).",
            callback=keep,
            expose_value=False,
            hidden=hidden,
        ),
    ]


class Command(click.Command):
    """A command that takes the engine options too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(_engine_options(hidden=True))


class Ordered(click.Group):
    """Commands in the order of a day's work, not of the alphabet."""

    command_class = Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(_engine_options(hidden=False))

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command registers itself when its module is imported; only the one that was asked for is."""
        if (module := MODULES.get(cmd_name)) is not None:
            importlib.import_module(f"skep.operator.cli.{module}")
        return super().get_command(ctx, cmd_name)


@click.group(cls=Ordered, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="skep")
@click.pass_context
def skep(ctx: click.Context) -> None:
    """Run many tenants on Docker Swarm: declared in YAML, each with its own database, secrets, app and routes."""
    ctx.obj = ctx.obj or Shared(Target())


def complain(error: SkepError) -> None:
    say(f"skep: {error.message}", err=True)
    if error.remedy:
        say(f"      {error.remedy}", err=True)


def command(function: Callable[Concatenate[Shared, P], Awaitable[int | None]]) -> Callable[P, None]:
    """Run an async command with the shared options; what it returns is the exit code (None: 0)."""

    @click.pass_obj
    @functools.wraps(function)
    def run(shared: Shared, /, *args: Any, **kwargs: Any) -> None:
        try:
            code = asyncio.run(_bounded(function(shared, *args, **kwargs)))
        except UsageError as error:
            complain(error)
            sys.exit(EXIT_USAGE)
        except SkepError as error:
            complain(error)
            sys.exit(EXIT_FAILED)
        except KeyboardInterrupt:
            sys.exit(130)
        except BrokenPipeError:  # `skep get tenants | head`
            sys.stderr.close()
            sys.exit(0)
        sys.exit(code or 0)

    return run


async def _bounded(work: Awaitable[R]) -> R:
    return await work
