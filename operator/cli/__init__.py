"""The `skep` command: for people at a terminal, for scripts, and as the entry point of every container."""

from __future__ import annotations

import sys
from collections.abc import Sequence

# What a tenant's container runs. It must stay small, so nothing of the operator is imported for it.
APP_COMMANDS = frozenset({"web", "worker", "schema", "samples", "invitation"})


def main(argv: Sequence[str] | None = None) -> None:
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0] in APP_COMMANDS:
        from skep.webapp.main import main as app

        sys.exit(app(arguments))
    from skep.operator.cli.command import skep

    skep(arguments, prog_name="skep")
