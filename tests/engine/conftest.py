"""`subject` is one engine, `bench` the means to make things on it that are gone after the test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.engine.adapters import ADAPTERS, Subject
from tests.engine.bench import Bench, bench_on


@pytest.fixture(params=[pytest.param(name, id=name, marks=marks) for name, (_, marks) in ADAPTERS.items()])
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    adapter, _ = ADAPTERS[request.param]
    async with adapter(request) as subject:
        yield subject


@pytest.fixture
async def bench(subject: Subject) -> AsyncIterator[Bench]:
    async with bench_on(subject) as bench:
        yield bench
