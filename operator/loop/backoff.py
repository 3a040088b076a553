"""How long to wait after the n-th failure in a row."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Doubles from *first_s* to *ceiling_s*; each wait is drawn from the upper half, so that failures spread out."""

    first_s: float = 0.5
    ceiling_s: float = 120.0

    def delay(self, failures: int, draw: random.Random) -> float:
        """Seconds to wait after *failures* (1 or more) in a row."""
        whole = min(self.ceiling_s, self.first_s * 2.0 ** min(failures - 1, 32))
        return whole * draw.uniform(0.5, 1.0)
