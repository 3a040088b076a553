"""`python -m skep.webapp.api`: write the description anew. Refuses what would break programs, unless `--break`."""

from __future__ import annotations

import json
import sys

from skep.webapp.api.compatibility import breaks
from skep.webapp.api.description import describe, text
from skep.webapp.api.routes import DESCRIPTION


def main(arguments: list[str]) -> int:
    if DESCRIPTION.exists() and "--break" not in arguments and (
        found := breaks(json.loads(DESCRIPTION.read_bytes()), describe())
    ):  # fmt: skip
        print("this would break programs:", *found, sep="\n  ", file=sys.stderr)
        return 1
    DESCRIPTION.write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
