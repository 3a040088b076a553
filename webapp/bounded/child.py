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
    limits.go_first()
    limits.bound_memory()
    limits.bound_cpu(CPU_S)
    order = sys.stdin.buffer.read()
    if task == "tickets":
        from skep.webapp.bounded.ticket_file import draw

        sys.stdout.buffer.write(draw(json.loads(order)))
        return 0
    if task == "invoice":
        from skep.webapp.bounded.invoice_file import draw as draw_invoice

        sys.stdout.buffer.write(draw_invoice(json.loads(order)))
        return 0
    if task == "picture":
        return _picture(order)
    if task == "code":
        from skep.webapp.bounded.code_path import draw_code

        sys.stdout.write(draw_code(order.decode()))
        return 0
    return 2


def _picture(upload: bytes) -> int:
    """Answers with a line of JSON, `[{"format", "width", "height", "size"}]`, and then the files one after the other."""
    from skep.webapp.bounded.pictures import PictureRefused, variants

    try:
        made = variants(upload)
    except PictureRefused as refused:
        sys.stdout.write(str(refused.args[0]))
        return REFUSED
    except MemoryError:
        sys.stdout.write("large")
        return REFUSED
    head = [{"format": v.format, "width": v.width, "height": v.height, "size": len(v.body)} for v in made]
    sys.stdout.buffer.write(json.dumps(head).encode() + b"\n" + b"".join(v.body for v in made))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
