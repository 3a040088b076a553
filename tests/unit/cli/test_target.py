"""Which engine a command talks to, as the Docker CLI would find it; and how ages look."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from skep.operator.cli import output
from skep.operator.cli.target import DEFAULT_DOCKER_HOST, Target, docker_host, embedded_home
from skep.operator.errors import UsageError


@pytest.fixture(autouse=True)
def docker_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    meta = tmp_path / "contexts" / "meta"
    for name, host in (("prod", "ssh://ops@prod"), ("bare", None)):
        folder = meta / name
        folder.mkdir(parents=True)
        endpoints = {"docker": {"Host": host}} if host else {}
        (folder / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": endpoints}))
    (meta / "broken").mkdir()
    (meta / "broken" / "meta.json").write_text("{")
    return tmp_path


@pytest.mark.parametrize(
    ("context", "env", "current", "host"),
    [
        pytest.param(None, {}, None, DEFAULT_DOCKER_HOST, id="nothing said"),
        pytest.param(None, {"DOCKER_HOST": "tcp://h:1"}, "prod", "tcp://h:1", id="DOCKER_HOST before the current context"),
        pytest.param("prod", {"DOCKER_HOST": "tcp://h:1"}, None, "ssh://ops@prod", id="--context before DOCKER_HOST"),
        pytest.param(None, {"DOCKER_CONTEXT": "prod"}, None, "ssh://ops@prod", id="DOCKER_CONTEXT"),
        pytest.param(None, {}, "prod", "ssh://ops@prod", id="the current context"),
        pytest.param("default", {}, "prod", DEFAULT_DOCKER_HOST, id="the default context"),
        pytest.param("bare", {}, None, DEFAULT_DOCKER_HOST, id="a context without a host"),
    ],
)  # fmt: skip
def test_the_daemon_is_found_as_docker_finds_it(
    context: str | None,
    env: dict[str, str],
    current: str | None,
    host: str,
    docker_home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    if current:
        (docker_home / "config.json").write_text(json.dumps({"currentContext": current}))
    assert docker_host(context) == host


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_broken_docker_config_is_as_none(text: str, docker_home: Path) -> None:
    (docker_home / "config.json").write_text(text)
    assert docker_host(None) == DEFAULT_DOCKER_HOST


def test_an_unknown_context_is_told() -> None:
    with pytest.raises(UsageError, match="there is no Docker context nope"):
        docker_host("nope")


def test_the_embedded_engine_is_meant_while_it_runs(tmp_path: Path) -> None:
    target = Target(home=tmp_path)
    assert not target.is_embedded
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(target.socket))
        assert target.is_embedded
        assert not Target(home=tmp_path, context="prod").is_embedded
        assert not Target(home=tmp_path, engine="swarm").is_embedded
    assert Target(home=tmp_path, engine="embedded").is_embedded


def test_a_file_where_the_socket_should_be_is_none(tmp_path: Path) -> None:
    (tmp_path / "engine.sock").write_text("x")
    assert not Target(home=tmp_path).is_embedded


def test_the_home_may_be_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert embedded_home(tmp_path) == tmp_path
    monkeypatch.setenv("SKEP_HOME", str(tmp_path / "x"))
    assert embedded_home(None) == tmp_path / "x"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (-5, "0s"), (59, "59s"), (119, "119s"), (120, "2m"), (7_199, "119m"), (7_200, "2h"), (172_799, "47h"),
     (172_800, "2d"), (86_400 * 400, "400d")],
)  # fmt: skip
def test_ages(seconds: int, text: str) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert output.age(now - timedelta(seconds=seconds), now=now) == text
    assert output.age(None) == "-"
