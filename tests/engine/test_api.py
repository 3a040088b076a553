"""The edge to the Engine API: every failure is one of our errors, and lists are decoded element by element."""

from __future__ import annotations

import base64
import json
import socket

import pytest

from skep.operator.engine.swarm.api import Api, Elements, translate
from skep.operator.engine.swarm.auth import headers, registry_of
from skep.operator.errors import (
    EngineRefused,
    EngineUnavailable,
    InUse,
    NameTaken,
    NotFound,
    SkepError,
    TransientError,
    UsageError,
    VersionConflict,
)


@pytest.mark.parametrize(
    ("method", "status", "message", "expected"),
    [
        ("POST", 400, "invalid config", EngineRefused),
        ("DELETE", 400, "secret 'x' is in use by the following service: y", InUse),
        ("DELETE", 403, "network x has active endpoints", InUse),
        ("DELETE", 409, "conflict", InUse),
        ("GET", 401, "unauthorized", EngineRefused),
        ("GET", 404, "config x not found", NotFound),
        ("POST", 406, "this node is not part of a swarm", EngineUnavailable),
        ("POST", 409, "name conflicts with an existing object", NameTaken),
        ("POST", 429, "too many requests", EngineUnavailable),
        ("POST", 500, "rpc error: code = Unknown desc = update out of sequence", VersionConflict),
        ("POST", 500, "raft: raft message is too large and can't be sent", EngineRefused),
        ("POST", 500, "rpc error: code = DeadlineExceeded", EngineUnavailable),
        ("POST", 501, "renaming services is not supported", EngineRefused),
        ("GET", 503, "This node is not a swarm manager", EngineUnavailable),
        ("GET", 900, "Cannot connect to Docker Engine", EngineUnavailable),
    ],
)
def test_an_answer_becomes_the_error_that_says_what_to_do(
    method: str, status: int, message: str, expected: type[SkepError]
) -> None:
    assert type(translate(method, "services/x", status, message)) is expected


def test_every_status_has_an_error() -> None:
    for method in ("GET", "POST", "DELETE"):
        for status in (*range(400, 600), 900):
            error = translate(method, "x", status, "some words")
            assert type(error) is not SkepError
            assert str(error)
            if status >= 500 and status != 501:
                assert isinstance(error, TransientError)


@pytest.mark.parametrize("text", ["null", "[]", '[{"a": 1}]', ' [ {"a": [1, {"b": "]"}]} ,\n {"c": "},{"} ] \n'])
@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_a_list_in_pieces_is_decoded_as_json_would(text: str, size: int) -> None:
    elements = Elements()
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    found = [each for piece in pieces for each in elements.feed(piece)] + list(elements.feed("", final=True))
    assert found == (json.loads(text) or [])
    assert elements.whole


@pytest.mark.parametrize("text", ["[", '[{"a": 1}', '[{"a": 1}, {"b"', "nonsense"])
def test_a_list_that_is_cut_off_is_not_whole(text: str) -> None:
    elements = Elements()
    assert [*elements.feed(text), *elements.feed("", final=True)] == ([{"a": 1}] if '{"a": 1}' in text else [])
    assert not elements.whole


async def test_an_engine_that_is_not_there_is_unavailable() -> None:
    api = Api("tcp://127.0.0.1:1")
    with pytest.raises(EngineUnavailable, match="is Docker running"):
        await api.get("info")
    await api.close()


async def test_an_engine_that_does_not_answer_is_unavailable_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never says a word
        api = Api(f"tcp://127.0.0.1:{silent.getsockname()[1]}", deadline_s=0.05)
        with pytest.raises(EngineUnavailable, match="did not answer"):
            await api.get("info")
        await api.close()


def test_an_address_without_sense_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="DOCKER_HOST"):
        Api("nonsense")


@pytest.mark.parametrize(
    ("ref", "registry"),
    [
        ("postgres:17", "https://index.docker.io/v1/"),
        ("acme/app:1", "https://index.docker.io/v1/"),
        ("ghcr.io/acme/app:1", "ghcr.io"),
        ("localhost/app", "localhost"),
        ("registry:5000/app@sha256:00", "registry:5000"),
    ],
)
def test_an_image_names_its_registry(ref: str, registry: str) -> None:
    assert registry_of(ref) == registry


def test_credentials_come_from_the_command_lines_file(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("docker") / "config.json"
    assert headers("ghcr.io/app", file) == {}
    file.write_text(json.dumps({"auths": {"ghcr.io": {"auth": "bWU6aHVzaA=="}}}))
    (said,) = headers("ghcr.io/app", file).values()
    assert json.loads(base64.urlsafe_b64decode(said)) == {
        "serveraddress": "ghcr.io",
        "username": "me",
        "password": "hush",
    }
    assert headers("quay.io/app", file) == {}
    file.write_text("{broken")
    assert headers("ghcr.io/app", file) == {}
