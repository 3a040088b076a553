"""One `skep up` of its own for a test: a home, a port, a directory to declare tenants in, and a visitor."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

PLATFORM = """\
apiVersion: skep/v1
kind: Platform
metadata: {name: test}
spec:
  baseDomain: localhost
  tls: off
  databases: [{name: main, host: postgres}]
  app: {image: "skep:1"}
"""

PLAN = """\
apiVersion: skep/v1
kind: Plan
metadata: {name: free}
spec:
  database: {connectionLimit: 10}
"""


def tenant(name: str, **spec: object) -> str:
    """A tenant's document, as JSON, which is YAML."""
    body = {
        "apiVersion": "skep/v1",
        "kind": "Tenant",
        "metadata": {"name": name},
        "spec": {"displayName": name.title(), "plan": "free", "owner": f"owner@{name}.example"} | spec,
    }
    return json.dumps(body) + "\n"


@dataclass
class Hive:
    home: Path
    declared: Path
    port: int
    command: tuple[str, ...] = (sys.executable, "-P", "-m", "skep.operator.cli")
    user: int | None = None
    environment: dict[str, str] = field(default_factory=dict)

    def declare(self, **tenants: str | None) -> None:
        """Write these tenants' documents; None removes one."""
        for name, text in {"platform": PLATFORM, "plan": PLAN, **tenants}.items():
            path = self.declared / f"{name}.yaml"
            if text is None:
                path.unlink()
            elif not path.exists() or path.read_text() != text:
                path.write_text(text)

    def skep(self, *arguments: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.command, "--home", str(self.home), *arguments],
            capture_output=True, text=True, timeout=timeout_s, check=False, cwd="/", user=self.user, group=self.user,
            extra_groups=[] if self.user is not None else None,
            env={"PATH": os.environ["PATH"], "NO_COLOR": "1", **self.environment},
        )  # fmt: skip

    def up(self, *more: str) -> subprocess.CompletedProcess[str]:
        return self.skep("up", str(self.declared), "--detach", "--port", str(self.port), "--timeout", "45", *more)

    def must_up(self) -> str:
        done = self.up()
        assert done.returncode == 0, self.evidence(done)
        return done.stdout

    def evidence(self, done: subprocess.CompletedProcess[str]) -> str:
        logs = [f"--- {path.name}\n{path.read_text(errors='replace')[-2000:]}" for path in self.home.glob("logs/*.log")]
        return "\n".join([f"exit code {done.returncode}", done.stdout, done.stderr, *logs])

    @property
    def supervisor(self) -> int:
        return int(json.loads((self.home / "supervisor.json").read_text())["pid"])

    def kill_supervisor(self) -> None:
        """As a crash would: at once, with no chance to say a word."""
        pid = self.supervisor
        os.kill(pid, signal.SIGKILL)
        until(lambda: not alive(pid))

    def processes(self) -> dict[int, list[str]]:
        """What runs for this home, by what each process says of itself, not by skep's own records."""
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                    told = (entry / "environ").read_bytes().decode(errors="replace") + " ".join(words)
                except OSError:
                    continue
                if str(self.home) in told and alive(int(entry.name)):
                    found[int(entry.name)] = words
        return found

    def apps(self) -> dict[int, list[str]]:
        """Those that serve a tenant: begun as `web`, or a spare one that took a task and went to its folder."""

        def serves(pid: int, words: list[str]) -> bool:
            with contextlib.suppress(OSError):
                taken = Path(os.readlink(f"/proc/{pid}/cwd")).parent.name == "tasks"
                return "skep.webapp" in words and ("web" in words or ("standby" in words and taken))
            return False

        return {pid: words for pid, words in self.processes().items() if serves(pid, words)}

    def get(self, host: str, path: str = "/", **headers: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path, headers={"Host": f"{host}.localhost:{self.port}", **headers})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except OSError as error:
            return 0, str(error)
        finally:
            connection.close()

    def post(self, host: str, path: str, fields: dict[str, str]) -> int:
        """A form of one of our pages; the answer's status."""
        address = f"{host}.localhost:{self.port}"
        headers = {"Host": address, "Origin": f"http://{address}", "Content-Type": "application/x-www-form-urlencoded"}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("POST", path, urlencode(fields), headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def sql(self, name: str, query: str) -> str:
        done = self.skep("psql", name, "-X", "-At", "-c", query)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def items(self) -> dict[str, dict[str, Any]]:
        """`skep get tenants -o json`, by name."""
        done = self.skep("get", "tenants", "-o", "json")
        assert done.returncode == 0, done.stderr
        return {item["metadata"]["name"]: item for item in json.loads(done.stdout)["items"]}

    def close(self) -> None:
        self.skep("down", "--purge", "--yes")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def until(is_so: Callable[[], bool], *, within_s: float = 30.0) -> None:
    """Wait for what no event tells."""
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, "it did not become so"
        time.sleep(0.05)
