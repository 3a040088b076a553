"""How answers look: tables for people, JSON and YAML for scripts. NO_COLOR and pipes are respected by rich."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click
import yaml

if TYPE_CHECKING:  # what draws is imported by who draws: most commands only say a line
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

Format = Literal["table", "wide", "json", "yaml"]

PHASE_STYLES = {
    "Ready": "green",
    "Progressing": "yellow",
    "Pending": "yellow",
    "Degraded": "red",
    "Deleting": "magenta",
    "Suspended": "dim",
    "Retained": "dim",
}


def say(text: str, *, err: bool = False) -> None:
    """A line for people. Unlike `click.echo` it goes through `sys.stdout`, so that it lands above a live table."""
    print(text, file=sys.stderr if err else sys.stdout, flush=True)


def console() -> Console:
    """Standard output; in a pipe it is as wide as its content, so that nothing is cut."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 400)


def live_console() -> Console:
    """A terminal whose lines are drawn again and again: they must fit, or the cursor ends up elsewhere."""
    from rich.console import Console

    return Console(highlight=False)


F = TypeVar("F", bound=Callable[..., Any])


def format_option(*formats: Format) -> Callable[[F], F]:
    """`-o FORMAT`, handed to the command as *form*."""
    return click.option("-o", "--output", "form", type=click.Choice(formats), default="table", help="How to print it.")


def show(document: Any, form: Format) -> None:
    """One object or list as JSON or YAML."""
    if form == "json":
        say(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        say(yaml.safe_dump(document, sort_keys=False, allow_unicode=True).rstrip())


def table(headers: Sequence[str], rows: Iterable[Iterable[str | Text]]) -> Table:
    """As kubectl's: no lines, capitals on top, two spaces between."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for header in headers:
        made.add_column(header, no_wrap=True, overflow="ellipsis")
    for row in rows:
        made.add_row(*row)
    return made


def phase(text: str) -> Text:
    from rich.text import Text

    return Text(text, style=PHASE_STYLES.get(text, ""))


def age(since: datetime | None, *, now: datetime | None = None) -> str:
    """`12s`, `5m`, `3h`, `40d`."""
    if since is None:
        return "-"
    seconds = max(0, int(((now or datetime.now(UTC)) - since).total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size * 2:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
