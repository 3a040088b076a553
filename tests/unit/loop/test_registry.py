from __future__ import annotations

import pytest

from skep.operator.loop.registry import DONE, Registry, Result


def registry(*entries: tuple[str, tuple[str, ...]]) -> Registry[str]:
    made: Registry[str] = Registry("tenant")
    for name, after in entries:

        async def handle(_: str) -> Result:
            return DONE

        made.reconciler(name, after=after)(handle)
    return made


@pytest.mark.parametrize(
    ("entries", "order"),
    [
        pytest.param([], [], id="none"),
        pytest.param([("a", ())], ["a"], id="one"),
        pytest.param([("b", ("a",)), ("a", ())], ["a", "b"], id="registered backwards"),
        pytest.param([("a", ()), ("b", ()), ("c", ())], ["a", "b", "c"], id="ties as registered"),
        pytest.param(
            [("app", ("schema",)), ("record", ()), ("schema", ("database", "secrets")), ("secrets", ("record",)),
             ("database", ("record",))],
            ["record", "secrets", "database", "schema", "app"], id="a diamond",
        ),
    ],
)  # fmt: skip
def test_each_comes_after_what_it_stands_on(entries: list[tuple[str, tuple[str, ...]]], order: list[str]) -> None:
    got = [each.name for each in registry(*entries).in_order()]
    assert sorted(got) == sorted(order)
    if len(order) < 5:
        assert got == order
    for name, after in entries:
        assert all(got.index(needed) < got.index(name) for needed in after)


def test_a_gap_names_both_sides() -> None:
    with pytest.raises(ValueError, match="reconciler app stands on schema, which nobody registered"):
        registry(("app", ("schema",))).in_order()


def test_a_circle_is_refused() -> None:
    with pytest.raises(ValueError, match="stand on each other"):
        registry(("a", ("b",)), ("b", ("a",))).in_order()


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ValueError, match="two reconcilers of tenant are called a"):
        registry(("a", ()), ("a", ()))


def test_the_tenant_registry_has_the_order_of_the_design() -> None:
    from skep.operator import turn
    from skep.operator.reconcilers.subject import tenants

    assert turn.RECONCILERS
    order = [each.name for each in tenants.in_order()]
    assert order == ["record", "secrets", "settings", "database", "schema", "cache", "app", "judge", "worker"]
