"""The app's command line: `web`, `worker`, `schema`, `samples`, `quarantine`, `erase`, `invitation` (see docs/app-contract.md).

Each command imports what it needs when it runs: a web process must stay small, there are hundreds of them.
`standby` is for an engine that starts processes itself: it has imported `web` before it is told whose it will be.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from uuid import UUID

from skep.webapp import logs
from skep.webapp.errors import AppError
from skep.webapp.settings import Settings


def main(argv: Sequence[str]) -> int:
    """Run one command; the exit code. An error that somebody can act on is one line on stderr and exit code 1."""
    options = _parser().parse_args(argv)
    if options.command == "standby":
        return _standby()
    try:
        settings = Settings.read()
        match options.command:
            case "web":
                _web(settings)
            case "worker":
                _worker(settings, until_idle=options.until_idle)
            case "schema":
                _schema(settings)
            case "samples":
                _seed(settings)
            case "quarantine":
                _quarantine(settings)
            case "erase":
                _erase(settings, person=options.person)
            case "invitation":
                _invite(settings, to=options.to, email=options.email)
    except AppError as error:
        print(f"skep {options.command}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m skep.webapp", description="The event app of one tenant.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("web", help="serve until SIGTERM, then drain")
    worker = commands.add_parser("worker", help="send mail and do what must run in time, until SIGTERM")
    worker.add_argument("--until-idle", action="store_true", help="end when there was nothing to do for 30 s, or when "
                        "standard input ends; each byte on it says that there may be work")  # fmt: skip
    commands.add_parser("schema", help="bring the tenant's database to the state this image needs")
    commands.add_parser("samples", help="fill a site that has no event yet with samples")
    invite = commands.add_parser("invitation", help="make a one-time link for an organizer, sealed to a public key")
    invite.add_argument("--to", required=True, metavar="KEY", help="raw X25519 public key in base64")
    invite.add_argument("--email", metavar="ADDRESS", help="whom it is for")
    commands.add_parser("quarantine", help="hold back all that this database would do by itself, and end sessions")
    erase = commands.add_parser("erase", help="erase a person: name, addresses and answers, wherever their address is")
    erase.add_argument("--person", required=True, metavar="ID", type=UUID, help="one of the person's ids")
    commands.add_parser("standby", help="read one line of orders from standard input, then be that command")
    return parser


def _standby() -> int:
    """Orders: `environment` (all of it), `folder` and `arguments`, as JSON. Without any nobody needs this process."""
    from skep.webapp import server  # what a start spends its time with

    del server
    if not (line := sys.stdin.readline()):
        return 0
    orders = json.loads(line)
    os.environ.clear()
    os.environ.update(orders["environment"])
    os.chdir(orders["folder"])
    return main(orders["arguments"])


def _web(settings: Settings) -> None:
    import uvloop

    from skep.webapp.server import serve

    logs.configure()
    uvloop.run(serve(settings))


def _worker(settings: Settings, *, until_idle: bool) -> None:
    import uvloop

    from skep.webapp.work.run import work

    logs.configure()
    uvloop.run(work(settings, until_idle=until_idle))


def _schema(settings: Settings) -> None:
    from skep.webapp.schema import migrate

    report = asyncio.run(migrate(settings.database))
    print(json.dumps({"migrations": report.migrations, "applied": list(report.applied)}))


def _seed(settings: Settings) -> None:
    from skep.webapp.seed import seed

    print(json.dumps({"events": asyncio.run(seed(settings))}))


def _quarantine(settings: Settings) -> None:
    from skep.webapp.hold import quarantine

    print(json.dumps(asyncio.run(quarantine(settings))))


def _erase(settings: Settings, *, person: UUID) -> None:
    from skep.webapp.hold import erase

    print(json.dumps({"persons": asyncio.run(erase(settings, person))}))


def _invite(settings: Settings, *, to: str, email: str | None) -> None:
    from skep.webapp.invite import invite

    print(json.dumps({"sealed": asyncio.run(invite(settings, to=to, email=email))}))
