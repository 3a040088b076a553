"""`python -m skep.webapp web | worker | schema | samples | quarantine | erase | invitation`."""

from __future__ import annotations

import sys

from skep.webapp.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
