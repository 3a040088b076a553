"""The command line's frame: commands are found without importing all of them, and options stand on either side."""

from __future__ import annotations

import importlib
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from skep.operator.cli.command import MODULES, skep


@pytest.mark.parametrize("name", MODULES)
def test_every_command_is_where_the_list_says(name: str) -> None:
    context = click.Context(skep)
    found = skep.get_command(context, name)
    assert found is not None
    assert found.name == name
    assert found.get_short_help_str()


def test_the_list_names_every_command_that_a_module_registers() -> None:
    for module in set(MODULES.values()):
        importlib.import_module(f"skep.operator.cli.{module}")
    assert set(skep.commands) == set(MODULES)


def test_the_help_page_is_in_the_order_of_a_days_work() -> None:
    shown = CliRunner().invoke(skep, ["--help"]).output
    places = [shown.index(f"\n  {name} ") for name in MODULES]
    assert places == sorted(places)


def test_an_app_command_imports_nothing_of_the_operator() -> None:
    program = (
        "import sys; from skep.operator.cli import main\n"
        "try: main(['web', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted(name for name in sys.modules if name.startswith('skep.operator')))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines()[-1] == "['skep.operator', 'skep.operator.cli']"


def test_a_wrong_command_names_the_nearest() -> None:
    wrong = CliRunner().invoke(skep, ["aply"])
    assert wrong.exit_code == 2
    assert "aply" in wrong.output
