"""The catalogue of faults cannot lie: each case has a test that names it, and each fault test names a case."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.cases import CASES, WAITING

TESTS = Path(__file__).parents[1]


def marked(node: ast.AST) -> Iterator[int]:
    """The numbers in every `pytest.mark.fault(...)` under *node*."""
    for each in ast.walk(node):
        if isinstance(each, ast.Call) and ast.unparse(each.func) == "pytest.mark.fault":
            for number in each.args:
                assert isinstance(number, ast.Constant), ast.unparse(each)
                assert isinstance(number.value, int), ast.unparse(each)
                yield number.value


def read_module(path: Path) -> Iterator[tuple[str, frozenset[int]]]:
    """Every test of a module with the cases it names: by its decorators, its parameters, or for the whole module."""
    module = ast.parse(path.read_text())
    assigned = [node for node in module.body if isinstance(node, ast.Assign)]
    of_module = {
        number for node in assigned if ast.unparse(node.targets[0]) == "pytestmark" for number in marked(node.value)
    }
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            own = {number for decorator in node.decorator_list for number in marked(decorator)}
            yield f"{path.relative_to(TESTS)}::{node.name}", frozenset(own | of_module)


FOUND = {name: cases for path in sorted(TESTS.rglob("test_*.py")) for name, cases in read_module(path)}


@pytest.mark.parametrize("case", CASES)
def test_every_case_has_a_test(case: int) -> None:
    naming = [name for name, cases in FOUND.items() if case in cases]
    if case in WAITING:
        assert naming == [], f"case {case} no longer waits: {CASES[case]}"
    else:
        assert naming, f"no test of case {case}: {CASES[case]}"


def test_no_test_names_a_case_that_there_is_not() -> None:
    assert {name: cases - CASES.keys() for name, cases in FOUND.items() if cases - CASES.keys()} == {}


def test_every_fault_test_names_its_case() -> None:
    nameless = [name for name, cases in FOUND.items() if name.startswith("faults/") and not cases]
    assert nameless == []


def test_what_waits_says_why() -> None:
    assert all(WAITING.values())
    assert WAITING.keys() <= CASES.keys()
