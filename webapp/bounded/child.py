"""The child's side: `python -m skep.webapp.bounded.child TASK`, its order on standard input, its answer on standard
output. It bounds itself before it looks at what it was given, and knows no database and no secret.

Exit code 3: the order was refused, and standard output says why in one word.
"""

from __future__ import annotations

import json
import sys

from skep.webapp.bounded import limits

CPU_S = 20
REFUSED = 3


def main(task: str) -> int:
    limits.bound_memory()
    limits.bound_cpu(CPU_S)
    order = sys.stdin.buffer.read()
    if task == "tickets":
        from skep.webapp.bounded.ticket_file import draw

        sys.stdout.buffer.write(draw(json.loads(order)))
        return 0
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
