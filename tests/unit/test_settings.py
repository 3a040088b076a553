"""The operator's settings from its environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from skep.operator.errors import UsageError
from skep.operator.settings import Settings


def test_an_empty_environment_gives_the_defaults() -> None:
    assert Settings.from_env({}) == Settings()


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("SKEP_ENGINE", "tcp://10.0.0.1:2376", "engine", "tcp://10.0.0.1:2376"),
        ("SKEP_SECRETS_DIR", "/srv/secrets", "secrets_dir", Path("/srv/secrets")),
        ("SKEP_HTTP_PORT", "80", "http_port", 80),
        ("SKEP_RESYNC_S", "12.5", "resync_s", 12.5),
        ("SKEP_WORKERS", "3", "workers", 3),
        ("SKEP_PROXIES", " a  b ", "proxies", ("a", "b")),
        ("SKEP_PROXIES", "", "proxies", ()),
        ("SKEP_ADDRESSES", "postgres=127.0.0.1:5432", "addresses", ("postgres=127.0.0.1:5432",)),
        ("SKEP_EDGE_SUFFIX", "", "edge_suffix", ""),
    ],
)
def test_a_variable_sets_its_field(variable: str, text: str, field: str, value: Any) -> None:
    assert getattr(Settings.from_env({variable: text}), field) == value


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("SKEP_HTTP_PORT", "http"), ("SKEP_HTTP_PORT", ""), ("SKEP_HTTP_PORT", "8.5"), ("SKEP_HTTP_PORT", "0"),
        ("SKEP_HTTP_PORT", "70000"), ("SKEP_WORKERS", "0"), ("SKEP_WORKERS", "-1"), ("SKEP_WORKERS", "many"),
        ("SKEP_RESYNC_S", "60s"), ("SKEP_RESYNC_S", "0"), ("SKEP_RESYNC_S", "nan"), ("SKEP_RESYNC_S", "inf"),
        ("SKEP_CALL_DEADLINE_S", "-5"), ("SKEP_HISTORY", "0"), ("SKEP_ADDRESSES", "postgres"),
        ("SKEP_ADDRESSES", "postgres=127.0.0.1"), ("SKEP_ADDRESSES", "postgres=127.0.0.1:x"), ("SKEP_ADDRESSES", "=a:1"),
    ],
)  # fmt: skip
def test_a_wrong_value_names_its_variable(variable: str, text: str) -> None:
    with pytest.raises(UsageError, match=variable):
        Settings.from_env({variable: text})


@pytest.mark.parametrize(
    ("host", "address"),
    [
        pytest.param("postgres", ("127.0.0.1", 6000), id="moved"),
        pytest.param("other", ("::1", 7000), id="moved to IPv6"),
        pytest.param("third", ("third", 5432), id="as declared"),
    ],
)
def test_where_a_host_really_answers(host: str, address: tuple[str, int]) -> None:
    settings = Settings(addresses=("postgres=127.0.0.1:6000", "other=::1:7000"))
    assert settings.address(host, 5432) == address
