"""What the operator remembers about sources, in one config of its own, `skep.sources`: labels, by compare-and-set.

For each source the highest index ever seen (if the newest is lower now, the source has vanished: it was not rolled
back) and the index whose held deletions a person approved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

SEEN = "skep.seen."
APPROVED = "skep.approved."


@dataclass(frozen=True, slots=True)
class Ledger:
    seen: Mapping[str, int] = field(default_factory=dict)
    approved: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def from_labels(cls, labels: Mapping[str, str]) -> Ledger:
        def numbers(prefix: str) -> dict[str, int]:
            return {
                key.removeprefix(prefix): int(value)
                for key, value in labels.items()
                if key.startswith(prefix) and value.isdecimal()
            }

        return cls(numbers(SEEN), numbers(APPROVED))

    def labels(self) -> dict[str, str]:
        return {f"{SEEN}{source}": str(index) for source, index in sorted(self.seen.items())} | {
            f"{APPROVED}{source}": str(index) for source, index in sorted(self.approved.items())
        }

    def saw(self, newest: Mapping[str, int]) -> Ledger:
        """With each source's newest index, never lowered."""
        raised = {source: max(index, self.seen.get(source, 0)) for source, index in newest.items()}
        return replace(self, seen={**self.seen, **raised})

    def approve(self, source: str, index: int) -> Ledger:
        return replace(self, approved={**self.approved, source: index})
