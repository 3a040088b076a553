"""The pure parts of the benches: statistics, tables, and what they read out of the kernel's and PostgreSQL's words."""

from __future__ import annotations

import importlib
import json

import pytest
from rich.console import Console

from bench import edge, provision
from bench.__main__ import NAMES
from bench.idle import cpu_s, kilobytes, ticks_s, usage_file
from bench.provision import sums
from bench.report import Aim, Report, Row, number, row
from bench.resync import Pass, sql_writes
from bench.storm import edited, is_of


def shown(report: Report) -> list[str]:
    console = Console(width=160)
    with console.capture() as capture:
        console.print(report.as_table())
    return capture.get().splitlines()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (0.0, "0"),
        (0.0123456, "0.0123"),
        (1.5, "1.5"),
        (99.99, "100"),
        (12345.6, "12,346"),
        (-250.0, "-250"),
    ],
)
def test_numbers_show_three_digits_that_mean_something(value: float | None, text: str) -> None:
    assert number(value) == text


def test_a_row_is_the_median_next_to_the_median_of_its_floor() -> None:
    made = row("x", [3.0, 1.0, 2.0], "s", floor=[4.0, 2.0, 0.5])
    assert (made.value, made.floor, made.ratio, made.spread) == (2.0, 2.0, 1.0, (1.0, 3.0))


def test_one_measurement_has_no_spread() -> None:
    assert row("x", [3.0], "s").spread is None


@pytest.mark.parametrize(
    ("made", "met"),
    [
        pytest.param(Row("x", 5, "ms"), None, id="no aim"),
        pytest.param(Row("x", 5, "ms", aim=Aim(5)), True, id="at most means at most"),
        pytest.param(Row("x", 5.1, "ms", aim=Aim(5)), False, id="above"),
        pytest.param(Row("x", 13, "s", floor=10, aim=Aim(1.3, "ratio")), True, id="ratio"),
        pytest.param(Row("x", 14, "s", floor=10, aim=Aim(1.3, "ratio")), False, id="ratio above"),
        pytest.param(Row("x", 14, "s", aim=Aim(1.3, "ratio")), None, id="a ratio to nothing"),
        pytest.param(Row("x", 0, "", aim=Aim(0)), True, id="none wanted, none found"),
    ],
)
def test_an_aim_is_met_or_not(made: Row, met: bool | None) -> None:
    assert made.met is met


def test_a_table_says_floor_ratio_aim_and_whether_it_was_met() -> None:
    report = Report("x", "How fast", (Row("fast", 1.2, "s", 1.0, Aim(1.3, "ratio")), Row("slow", 3.0, "s", aim=Aim(2))))
    title, _, fast, slow = (line.split() for line in shown(report))
    assert title == ["How", "fast"]
    assert fast == ["fast", "1.2", "s", "1", "1.2", "at", "most", "1.3", "x", "floor", "yes"]
    assert slow == ["slow", "3", "s", "at", "most", "2", "NO"]


def test_numbers_survive_as_json() -> None:
    report = Report("x", "How fast", (Row("fast", 1.2, "s", 1.0, Aim(1.3, "ratio"), (1.0, 1.5)),), ("real",))
    assert json.loads(json.dumps(report.as_json()))["rows"] == [
        {
            "what": "fast", "value": 1.2, "unit": "s", "floor": 1.0, "ratio": 1.2, "spread": [1.0, 1.5],
            "aim": "at most 1.3 x floor", "met": True,
        }
    ]  # fmt: skip


def test_every_call_that_is_no_look_is_a_write() -> None:
    assert Pass(1.0, 1.0, {"GET configs": 4, "POST configs/create": 2, "DELETE configs/x": 1}).writes == 3


def test_statements_that_change_something_are_told_from_those_that_look() -> None:
    log = (
        "LOG:  execute <unnamed>: select 1\n"
        'LOG:  statement: alter role "x" login\n'
        "LOG:  execute __asyncpg_1__: COMMENT on database x is 'alter'\n"
        "LOG:  statement: \nselect json_build_object(\n"
    )
    assert sql_writes(log) == 2


@pytest.mark.parametrize(
    ("cgroups", "file"),
    [
        (
            "5:cpuset:/docker/a\n4:cpu,cpuacct:/docker/a\n0::/docker/a\n",
            "/sys/fs/cgroup/cpuacct/docker/a/cpuacct.usage",
        ),
        ("0::/docker/a\n", "/sys/fs/cgroup/docker/a/cpu.stat"),
    ],
)
def test_cpu_time_is_found_under_either_version_of_control_groups(cgroups: str, file: str) -> None:
    assert usage_file(cgroups) == file


def test_cpu_time_is_read_in_seconds() -> None:
    assert cpu_s("1500000000\n") == 1.5
    assert cpu_s("usage_usec 1500000\nuser_usec 1\n") == 1.5
    assert ticks_s("7 (a (b) c) S 1 7 7 0 -1 0 0 0 0 0 120 30 9 9 20 0") == 1.5


def test_memory_is_read_in_megabytes() -> None:
    assert kilobytes("x\nRss:   2048 kB\nPss:   1024 kB\nPss_Anon: 1 kB\n", "Pss") == 1.0


def test_what_an_operator_spent_is_read_from_its_metrics() -> None:
    text = (
        'skep_reconcile_duration_seconds_sum{reconciler="database"} 1.5\n'
        'skep_reconcile_duration_seconds_count{reconciler="database"} 3\n'
        'skep_engine_call_duration_seconds_sum{method="create_config"} 0.25\n'
        'skep_engine_call_duration_seconds_sum{method="create_service"} 0.5\n'
        'skep_engine_call_duration_seconds_sum{method="list_configs"} 9\n'
    )
    assert sums(text) == {"database": 1.5, "API": 0.75}


def test_a_storm_waits_for_a_tenants_own_write_and_not_for_a_report() -> None:
    own, report = {"skep.tenant": "a", "skep.kind": "record"}, {"skep.tenant": "a", "skep.kind": "status"}
    assert is_of("a", {"Labels": own})
    assert not is_of("a", {"Labels": report})
    assert not is_of("b", {"Labels": own})
    assert not is_of("a", {"Labels": None})


def test_a_storm_edits_one_tenant_of_many() -> None:
    before, after = edited(3, "nobody", "X").decode(), edited(3, "t00001", "X").decode()
    changed = [pair for pair in zip(before.splitlines(), after.splitlines(), strict=True) if pair[0] != pair[1]]
    assert changed == [("  displayName: Tenant t00001", "  displayName: X")]


def test_what_polling_costs_is_held_against_the_period() -> None:
    found = [edge.Found(100, 2.0, (1.0, 2.0, 3.0), 0.1, 0.05, 0.4), edge.Found(5000, 2.0, (9.0,), 1.0, 0.4, 3.0)]
    rows = [row for row in edge.report(found).rows if row.aim is not None]
    assert [(row.value, row.floor, row.met) for row in rows] == [(0.4, 2.0, True), (3.0, 2.0, False)]


def test_a_rate_of_nine_tenths_is_a_time_of_ten_ninths() -> None:
    floor = provision.Crowd(5.0, 9.0, 10.0, 2.0, {"databases": 1.0})
    for running, met in ((10.0, True), (10.1, False)):
        crowd = provision.Crowd(6.0, running, 11.0, 2.0, {"database": 0.1, "API": 0.2})
        assert provision.report([floor], [crowd]).rows[0].met is met


def test_every_bench_can_be_asked_for_by_name() -> None:
    for name in NAMES:
        assert callable(importlib.import_module(f"bench.{name}").run)
