"""Formats of what is kept in an engine's objects, so that an older operator does not guess at a newer one's.

An object without a version is of format 1, as every object was before formats had numbers; it is still written
without one, so that taking over from the first release writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from skep.operator.errors import TerminalError

LABEL = "skep.format"
FIRST = "1"


def check(name: str, labels: Mapping[str, str], *, known: str = FIRST) -> None:
    """Raises TerminalError if object *name* is of another format than *known*: it is neither read nor written then."""
    found = labels.get(LABEL, FIRST)
    if found != known:
        raise TerminalError(
            f"{name} has format {found!r} in label {LABEL}, this skep knows {known}: it is left alone",
            reason="UnknownFormat",
            remedy="run the skep that wrote it, or a newer one",
        )
