"""`python -m bench [NAME ...]`: run all benches or the named ones, print a table each.

They need what the tests need: the embedded engine's wheels, and a Docker engine for the swarms.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
from pathlib import Path

from rich.console import Console

from bench.report import Report

NAMES = (
    "resync",
    "time_to_ready",
    "idle",
    "scrape",
    "failover",
    "provision",
    "storm",
    "edge",
    "checkout",
    "web",
    "checkin",
)
PLAIN_WIDTH = 160  # in a pipe, where a cut number is worse than a long line


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; without one: all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the numbers there")
    said = parser.parse_args()
    if unknown := [name for name in said.names if name not in NAMES]:
        parser.error(f"no bench is called {', '.join(unknown)}; there are {', '.join(NAMES)}")
    logging.disable(logging.WARNING)
    console = Console()
    if not console.is_terminal:
        console = Console(width=PLAIN_WIDTH)
    reports: list[Report] = []
    for name in said.names or NAMES:
        report = importlib.import_module(f"bench.{name}").run()
        reports.append(report)
        show(report, console)
        if said.json is not None:  # after each: a later one may fail
            said.json.write_text(json.dumps([each.as_json() for each in reports], indent=2) + "\n")


def show(report: Report, console: Console) -> None:
    console.print(report.as_table())
    for note in report.notes:
        console.print(f"  {note}", style="dim")
    console.print()


if __name__ == "__main__":
    main()
