"""Rendering and parsing: the way there and back loses nothing, and nothing dangerous gets into a label."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given

from skep.operator.engine.spec import HealthCheck, Mount, Route, ServiceSpec
from skep.operator.engine.swarm.parse import moment, parse_spec
from skep.operator.engine.swarm.render import Names, render_service
from skep.operator.engine.swarm.route import parse_route, render_route
from skep.operator.errors import EngineRefused, NotFound
from tests.engine.specs import routes, specs


def names_of(spec: ServiceSpec, *, start_interval: bool = True) -> Names:
    return Names(
        networks={name: f"id-of-{name}" for name in spec.networks},
        configs={mount.name: f"id-of-{mount.name}" for mount in spec.configs},
        secrets={mount.name: f"id-of-{mount.name}" for mount in spec.secrets},
        start_interval=start_interval,
    )


@given(specs())
def test_what_is_rendered_parses_to_the_same(spec: ServiceSpec) -> None:
    for start_interval in (True, False):
        names = names_of(spec, start_interval=start_interval)
        by_id = {network_id: name for name, network_id in names.networks.items()}
        assert parse_spec(render_service(spec, names), by_id, start_interval=start_interval) == spec


@given(routes)
def test_a_route_survives_its_labels(route: Route) -> None:
    assert parse_route(render_route(route)) == route


def test_a_route_becomes_labels_named_after_it_alone() -> None:
    route = Route("acme", ("acme.example.com", "www.acme.org"), 8080, (("X-Skep-Tenant", "0d7c"),), tls=True)
    assert render_route(route) == {
        "traefik.enable": "true",
        "traefik.http.routers.acme.rule": "Host(`acme.example.com`) || Host(`www.acme.org`)",
        "traefik.http.routers.acme.entrypoints": "websecure",
        "traefik.http.routers.acme.priority": "1000",
        "traefik.http.routers.acme.service": "acme",
        "traefik.http.routers.acme.tls": "true",
        "traefik.http.routers.acme.middlewares": "acme",
        "traefik.http.services.acme.loadbalancer.server.port": "8080",
        "traefik.http.middlewares.acme.headers.customrequestheaders.X-Skep-Tenant": "0d7c",
    }


GOOD = Route("acme", ("acme.test",), 8080)


@pytest.mark.parametrize(
    "route",
    [
        pytest.param(replace(GOOD, hosts=("a`) || PathPrefix(`/",)), id="backtick"),
        pytest.param(replace(GOOD, hosts=("*",)), id="catch-all"),
        pytest.param(replace(GOOD, hosts=("*.acme.test",)), id="wildcard"),
        pytest.param(replace(GOOD, hosts=("acme.test\n",)), id="newline"),
        pytest.param(replace(GOOD, hosts=("Acme.test",)), id="upper case"),
        pytest.param(replace(GOOD, hosts=("acme.test.",)), id="trailing dot"),
        pytest.param(replace(GOOD, hosts=("acme.test:80",)), id="port in host"),
        pytest.param(replace(GOOD, hosts=()), id="no host"),
        pytest.param(replace(GOOD, name="a.b"), id="dot in name"),
        pytest.param(replace(GOOD, port=0), id="port 0"),
        pytest.param(replace(GOOD, headers=(("X y", "1"),)), id="space in header"),
        pytest.param(replace(GOOD, headers=(("X", "1\r\nY: 2"),)), id="header injection"),
    ],
)
def test_a_route_that_could_mean_something_else_is_refused(route: Route) -> None:
    with pytest.raises(EngineRefused):
        render_route(route)


BASE = ServiceSpec("acme-web", "app:1")


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(replace(BASE, unmanaged=(("x", "y"),)), id="unmanaged fields"),
        pytest.param(replace(BASE, labels=(("traefik.enable", "true"),)), id="a label of Traefik"),
        pytest.param(replace(BASE, env=(("SKEP_PORT", "1"),)), id="the engine's own variable"),
        pytest.param(replace(BASE, env=(("A=B", "1"),)), id="a variable with ="),
        pytest.param(replace(BASE, secrets=(Mount("s", "../x"),)), id="a file outside"),
        pytest.param(replace(BASE, health=HealthCheck(8080, "/'; rm -rf /")), id="a shell in the health path"),
    ],
)
def test_a_spec_that_must_not_be_is_refused(spec: ServiceSpec) -> None:
    with pytest.raises(EngineRefused):
        render_service(spec, Names(secrets={"s": "1"}))


def test_a_name_that_the_swarm_does_not_know_is_not_found() -> None:
    for spec in (
        replace(BASE, secrets=(Mount("s", "s"),)),
        replace(BASE, configs=(Mount("c", "c"),)),
        replace(BASE, networks=("n",)),
    ):
        with pytest.raises(NotFound, match="is not there"):
            render_service(spec, Names())


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [
        ("2026-11-22T16:34:30.108351603Z", 108351),
        ("2026-11-22T16:34:30.1Z", 100000),
        ("2026-11-22T16:34:30Z", 0),
        ("2026-11-22T18:34:30.5+02:00", 500000),
    ],
)
def test_times_of_the_engine_are_read(text: str, microsecond: int) -> None:
    assert moment(text) == datetime(2026, 11, 22, 16, 34, 30, microsecond, UTC)


def test_nothing_we_make_belongs_to_a_stack() -> None:
    assert "com.docker.stack.namespace" not in str(render_service(BASE, Names()))
