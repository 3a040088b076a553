"""What carries our labels and is not ours: somebody else's, or left by somebody who is gone. Told, and left alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from skep.operator import names
from skep.operator.engine.spec import Config, Secret, Service
from skep.operator.reconcilers.record import Record


def strangers(
    records: Mapping[str, Record],
    *,
    configs: Iterable[Config],
    secrets: Iterable[Secret],
    services: Iterable[Service],
    tenants: Collection[str],
    is_damaged: Callable[[Config], bool],
) -> tuple[str, ...]:
    """Objects as `kind name`, in order, of all that carry our labels.

    *records* are those that can be read, *is_damaged* says it of a config that should be one and cannot. *tenants* are
    declared, and may yet be traced by what they left.
    """
    ours = {"", *(record.uid for record in records.values())}
    found = [
        f"config {config.name}"
        for config in configs
        if (labels := dict(config.labels)).get(names.KIND) == "record"
        and (
            config.name != names.record(labels.get(names.TENANT, ""))
            or (is_damaged(config) and labels.get(names.TENANT) not in tenants)
        )
    ]
    for kind, objects in (
        ("secret", [(each.name, dict(each.labels)) for each in secrets]),
        ("service", [(each.name, dict(each.spec.labels)) for each in services]),
    ):
        found += [
            f"{kind} {name}"
            for name, labels in objects
            if labels.get(names.UID, "") not in ours and labels.get(names.TENANT) not in tenants
        ]
    return tuple(sorted(found))
