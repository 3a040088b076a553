"""`python -m skep.operator.cli`: the `skep` command where only the interpreter's path is known."""

from __future__ import annotations

from skep.operator.cli import main

if __name__ == "__main__":
    main()
