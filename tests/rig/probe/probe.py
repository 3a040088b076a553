"""The smallest app that keeps docs/app-contract.md as far as an engine cares; its argument says how it behaves.

web        serves /healthz, /readyz, /.well-known/skep, /files (what it was given) and 404; ends on SIGTERM
unhealthy  the same, but /healthz answers 503
schema     prints one line of JSON and ends with 0
fail       says so on stderr and ends with 3
sleep      does nothing for an hour
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MODE = sys.argv[1] if len(sys.argv) > 1 else "web"


def files(variable: str, default: str) -> dict[str, str]:
    folder = Path(os.environ.get(variable, default))
    return {file.name: file.read_text() for file in sorted(folder.glob("*"))} if folder.is_dir() else {}


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        match self.path:
            case "/healthz":
                self.answer(503 if MODE == "unhealthy" else 200, {})
            case "/readyz":
                self.answer(200, {})
            case "/.well-known/skep":
                tenant = self.headers.get("X-Skep-Tenant", "")
                revision = os.environ.get("SKEP_REVISION", "")
                self.answer(200, {"tenant": tenant, "uid": tenant, "revision": revision})
            case "/files":
                configs = files("SKEP_CONFIGS_DIR", "/run/configs")
                self.answer(200, {"configs": configs, "secrets": files("SKEP_SECRETS_DIR", "/run/secrets")})
            case _:
                self.answer(404, {})

    def answer(self, status: int, body: dict[str, object]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Silent: the tests read this app's lines."""


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    match MODE:
        case "schema":
            print(json.dumps({"migrations": "0000", "applied": []}), flush=True)
            return 0
        case "fail":
            print("no luck", file=sys.stderr, flush=True)
            return 3
        case "chatter":
            lines = [f"line {number}" for number in range(10_000)]
            print(*lines, "x" * 40_000, "the end", sep="\n", flush=True)
            return 0
        case "sleep":
            time.sleep(3600)
            return 0
        case _:
            port = int(os.environ.get("SKEP_PORT", "8080"))
            server = ThreadingHTTPServer(("", port), Answers)
            print("probe: serving", flush=True)
            server.serve_forever()
            return 0


if __name__ == "__main__":
    sys.exit(main())
