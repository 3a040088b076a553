"""Alerts, their tests, their runbooks and the metrics they stand on are in step, and the shipped files are valid."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from skep.operator import metrics
from skep.operator.engine.memory import MemoryEngine
from skep.operator.hive import Hive
from skep.operator.keys import RootKey
from skep.operator.settings import Settings
from tests.fakes.clock import VirtualClock
from tests.rig.tools import program

ROOT = Path(__file__).parents[2]
SWARM = ROOT / "swarm"
RULES = sorted((SWARM / "prometheus" / "rules").glob("*.yml"))
RUNBOOKS = ROOT / "docs" / "runbooks"

# Not the operator's own: Traefik's, and Prometheus' about itself. The end-to-end test sees them on a real scrape.
FOREIGN = {"up", "traefik_service_requests_total", "traefik_entrypoint_requests_total"}
# Exposed once there is something to tell: no scrape of an idle operator shows them.
SPARSE = {"skep_last_resync_timestamp_seconds", "skep_stream_heard_timestamp_seconds"}
SECTIONS = ("## Meaning", "## Impact", "## Diagnosis", "## Mitigation")


def rules() -> list[dict[str, Any]]:
    return [rule for path in RULES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


ALERTS = [rule for rule in rules() if "alert" in rule]
by_alert = pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])


def metrics_of(expression: str) -> set[str]:
    """Names of series in *expression*: what is neither a label, a function, a word of the language nor a duration."""
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\b(by|on|ignoring)\s*\([^)]*\)", " ", expression)
    words = re.findall(r"[a-zA-Z_:][\w:]*(?!\s*\()\b", re.sub(r"[a-z_]+\s*(?=\()", " ", bare))
    return set(words) - {"and", "or", "unless", "by", "on"}


async def known_metrics() -> set[str]:
    hive = Hive(MemoryEngine(), Settings(), RootKey("k1", bytes(32)), VirtualClock())
    text = (await hive.exposition()).decode()
    families = {family.name for family in text_string_to_metric_families(text)}
    counters = {f"{family.name}_total" for family in metrics.REGISTRY.collect() if family.type == "counter"}
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    return families | counters | recorded | FOREIGN | SPARSE


@by_alert
async def test_an_alert_stands_on_metrics_that_exist(rule: dict[str, Any]) -> None:
    named = metrics_of(rule["expr"])
    assert named
    assert named <= await known_metrics()


@pytest.mark.parametrize("name", sorted(SPARSE))
def test_what_is_told_only_later_is_told(name: str) -> None:
    assert f'"{name}"' in (ROOT / "operator" / "scrape.py").read_text()


@by_alert
def test_an_alert_says_how_bad_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["alert"].startswith("Skep")
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{rule['alert']}.md"
    text = (ROOT / rule["annotations"]["runbook_url"]).read_text()
    assert text.startswith(f"# {rule['alert']}\n")
    assert [line for line in text.splitlines() if line.startswith("## ")] == list(SECTIONS)
    assert "```sh" in text.partition("## Diagnosis")[2], "a diagnosis is something to type"


def test_no_runbook_is_left_of_an_alert_that_went() -> None:
    held = {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"}
    assert held == {rule["alert"] for rule in ALERTS}
    index = (RUNBOOKS / "README.md").read_text()
    assert {rule["alert"] for rule in ALERTS if f"[{rule['alert']}]({rule['alert']}.md)" in index} == held


def test_each_alert_is_shown_firing_and_not_firing() -> None:
    quiet: set[str] = set()
    loud: set[str] = set()
    for path in RULES:
        for case in yaml.safe_load((path.parent.parent / "tests" / path.name).read_text())["tests"]:
            for each in case.get("promql_expr_test", ()):
                name = re.search(r'alertname="(\w+)"', each["expr"])
                assert name is not None
                (loud if each.get("exp_samples") else quiet).add(name[1])
    names = {rule["alert"] for rule in ALERTS}
    assert (names - loud, names - quiet) == (set(), set())


def test_the_rules_do_what_their_tests_say() -> None:
    tests = sorted((SWARM / "prometheus" / "tests").glob("*.yml"))
    _passes(program("promtool", "prometheus"), "test", "rules", *tests)


def test_promtool_and_amtool_take_the_shipped_files() -> None:
    promtool, amtool = program("promtool", "prometheus"), program("amtool", "prometheus-alertmanager")
    _passes(promtool, "check", "rules", *RULES)
    _passes(promtool, "check", "config", "--syntax-only", SWARM / "prometheus" / "prometheus.yml")
    _passes(amtool, "check-config", SWARM / "alertmanager.yml")


def test_the_stack_carries_every_rule_file() -> None:
    stack = yaml.safe_load((SWARM / "monitoring.yml").read_text())
    shipped = {SWARM / config["file"] for config in stack["configs"].values()}
    assert shipped == {*RULES, SWARM / "prometheus" / "prometheus.yml", SWARM / "alertmanager.yml"}
    mounted = {each["source"] for name in stack["services"] for each in stack["services"][name]["configs"]}
    assert mounted == set(stack["configs"])


def test_the_edge_with_tls_tells_prometheus_the_same() -> None:
    """Of two stack files the last command counts whole, so what one of them says must be said twice."""

    def words(name: str) -> set[str]:
        command = yaml.safe_load((SWARM / name).read_text())["services"]["traefik"]["command"]
        return {word for word in command if "metrics" in word or "providers.file" in word}

    assert words("tls.yml") == words("skep.yml") != set()


def _passes(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
