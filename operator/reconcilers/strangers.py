"""What carries our labels and is not ours: somebody else's, or left by somebody who is gone. Told, and left alone."""

from __future__ import annotations

from collections.abc import Collection

from skep.operator import names
from skep.operator.reconcilers.roster import Roster
from skep.operator.reconcilers.world import World


def strangers(world: World, roster: Roster, tenants: Collection[str]) -> tuple[str, ...]:
    """Objects as `kind name`, in order. *tenants* are declared, and may yet be traced by what they left."""
    records = roster.all()
    ours = {"", *(record.uid for record in records.values())}
    found = [
        f"config {config.name}"
        for config in world.of_kind("record")
        if config.name != names.record(dict(config.labels).get(names.TENANT, ""))
        or (roster.is_damaged(config) and dict(config.labels).get(names.TENANT) not in tenants)
    ]
    for kind, objects in (
        ("secret", [(each.name, dict(each.labels)) for each in world.secrets]),
        ("service", [(each.name, dict(each.spec.labels)) for each in world.services]),
    ):
        found += [
            f"{kind} {name}"
            for name, labels in objects
            if labels.get(names.UID, "") not in ours and labels.get(names.TENANT) not in tenants
        ]
    return tuple(sorted(found))
