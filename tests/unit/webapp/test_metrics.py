"""Numbers for Prometheus: who may read them, and how they are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from skep.webapp.http.metrics import Metrics, may_read
from skep.webapp.settings import DatabaseSettings
from skep.webapp.store.pool import Database

TOKEN = "a-token"


@pytest.mark.parametrize(
    ("remote", "headers", "may"),
    [
        pytest.param("127.0.0.1", {}, True, id="this machine"),
        pytest.param("::1", {}, True, id="this machine, IPv6"),
        pytest.param("10.0.0.7", {}, False, id="a neighbour"),
        pytest.param("10.0.0.7", {"Authorization": "Bearer wrong"}, False, id="a neighbour who guesses"),
        pytest.param("10.0.0.7", {"Authorization": f"Bearer {TOKEN}"}, True, id="a scraper"),
        pytest.param("127.0.0.1", {"X-Skep-Tenant": "x"}, False, id="the edge of an embedded hive"),
        pytest.param("10.0.0.2", {"X-Skep-Tenant": "x", "Authorization": f"Bearer {TOKEN}"}, False, id="the edge"),
        pytest.param("127.0.0.1", {"X-Forwarded-For": "198.18.0.1"}, False, id="another proxy"),
        pytest.param("", {}, False, id="nobody knows who"),
    ],
)
def test_only_who_is_inside_may_read(remote: str, headers: dict[str, str], may: bool) -> None:
    assert may_read(headers, remote, TOKEN) is may


def test_without_a_token_nobody_from_elsewhere_may() -> None:
    assert not may_read({"Authorization": "Bearer "}, "10.0.0.7", None)


async def test_latencies_add_up_and_a_database_that_is_away_is_told() -> None:
    metrics = Metrics()
    for seconds in (0.004, 0.03, 0.03, 99.0):
        metrics.count("GET", '/odd"route', 200, seconds)
    nowhere = DatabaseSettings("127.0.0.1", 1, "x", "x", 5, Path(__file__))
    lines = (await metrics.text(Database(nowhere))).splitlines()
    bucket = 'skep_app_request_seconds_bucket{route="/odd\\"route",le='
    assert f'{bucket}"0.005"}} 1' in lines
    assert f'{bucket}"0.05"}} 3' in lines
    assert f'{bucket}"+Inf"}} 4' in lines
    assert "skep_app_database_up{} 0" in lines
    assert "skep_app_pool_max{} 5" in lines
    assert not [line for line in lines if line.startswith("skep_app_jobs")]
