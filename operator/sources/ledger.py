"""What the operator remembers about sources, in one config of its own, `skep.sources`: labels, by compare-and-set.

For each source the highest index ever seen (if the newest is lower now, the source has vanished: it was not rolled
back) and the index whose held deletions a person approved. For a tenant that a person deleted although a source
declares it: the hash of the declaration that is overruled, until it changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from skep.operator import formats, names

SEEN = "skep.seen."
APPROVED = "skep.approved."
FORCED = "skep.forced."


@dataclass(frozen=True, slots=True)
class Ledger:
    seen: Mapping[str, int] = field(default_factory=dict)
    approved: Mapping[str, int] = field(default_factory=dict)
    forced: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_labels(cls, labels: Mapping[str, str]) -> Ledger:
        """Raises TerminalError for a newer format."""
        formats.check(names.SOURCES, labels)

        def numbers(prefix: str) -> dict[str, int]:
            return {
                key.removeprefix(prefix): int(value)
                for key, value in labels.items()
                if key.startswith(prefix) and value.isdecimal()
            }

        forced = {key.removeprefix(FORCED): value for key, value in labels.items() if key.startswith(FORCED)}
        return cls(numbers(SEEN), numbers(APPROVED), forced)

    def labels(self) -> dict[str, str]:
        return (
            {f"{SEEN}{source}": str(index) for source, index in sorted(self.seen.items())}
            | {f"{APPROVED}{source}": str(index) for source, index in sorted(self.approved.items())}
            | {f"{FORCED}{tenant}": digest for tenant, digest in sorted(self.forced.items())}
        )

    def saw(self, newest: Mapping[str, int]) -> Ledger:
        """With each source's newest index, never lowered."""
        raised = {source: max(index, self.seen.get(source, 0)) for source, index in newest.items()}
        return replace(self, seen={**self.seen, **raised})

    def approve(self, source: str, index: int) -> Ledger:
        return replace(self, approved={**self.approved, source: index})

    def force(self, tenant: str, digest: str) -> Ledger:
        return replace(self, forced={**self.forced, tenant: digest})
