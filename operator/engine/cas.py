"""Compare-and-set on a config's labels: read, change, write if nobody wrote in between, else again."""

from __future__ import annotations

from collections.abc import Callable

from skep.operator.engine.port import Configs
from skep.operator.engine.spec import Pairs, pairs
from skep.operator.errors import VersionConflict

ATTEMPTS = 5  # a foreign writer in a tight loop must not hold us for ever: the queue's backoff is the next defence


async def relabel(engine: Configs, ref: str, change: Callable[[dict[str, str]], dict[str, str] | None]) -> Pairs:
    """The labels that config *ref* has in the end.

    *change* gets a copy of the current labels and returns what they shall be, or None to leave them; it is called
    again after each conflict, so it decides anew on what the other writer left. Equal labels are not written.
    Raises NotFound; VersionConflict after ATTEMPTS lost races; and whatever *change* raises.
    """
    for attempt in range(1, ATTEMPTS + 1):
        config = await engine.inspect_config(ref)
        wanted = change(dict(config.labels))
        if wanted is None or pairs(wanted) == config.labels:
            return config.labels
        try:
            await engine.label_config(config.id, config.version, wanted)
        except VersionConflict:
            if attempt == ATTEMPTS:
                raise
        else:
            return pairs(wanted)
    raise AssertionError("unreachable: the last attempt returns or raises")
