"""What README tells people to type, typed."""

from __future__ import annotations

import http.client
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.hives import ROOT, SKEP
from tests.rig.fixtures import REQUIRED

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(400)]

# Tests of other files type these: the swarm's in test_swarm.py, and `make test` is what runs this.
ELSEWHERE = ("make test", "docker ", "SKEP_DOCKER_GID=", "skep init", "skep apply", "swarm/prepare")


def shown_commands() -> list[str]:
    """Each line of README's shell blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A clone of this tree as it is, with this environment in place of a fresh one: pip is tested by CI itself."""
    target = tmp_path / "skep"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        source = ROOT / name
        if source.exists() or source.is_symlink():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name, follow_symlinks=False)
    # Its own folder with a stamp of its own: `make` must neither renew nor clear the environment that runs this.
    (target / ".venv").mkdir()
    for entry in Path(sys.prefix).iterdir():
        (target / ".venv" / entry.name).symlink_to(entry)
    (target / ".venv" / ".installed").unlink(missing_ok=True)
    (target / ".venv" / ".installed").touch()
    return target


@pytest.fixture
def person(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of somebody at a terminal: nothing of the `make test` that may run this. They leave nothing on."""
    of_make = ("MAKE", "MFLAGS", "ARGS", "PYTHON", "SKEP_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(of_make)}
    environment = {**inherited, "SKEP_HOME": str(tmp_path / "home"), "NO_COLOR": "1"}
    yield environment
    subprocess.run([SKEP, "down"], env=environment, capture_output=True, check=False, timeout=120)


def test_every_command_of_the_readme_is_one_that_some_test_types() -> None:
    assert shown_commands()
    for line in shown_commands():
        known = line in FIRST_SCREEN or line.startswith(ELSEWHERE)
        assert known, f"README shows `{line}`, and no test types it"


FIRST_SCREEN = (
    "make up",
    "make up ARGS=--detach",
    "curl -H 'Host: acme.localhost' http://127.0.0.1:8080/",
    ".venv/bin/skep get tenants",
    ".venv/bin/skep diff manifests/demo --prune",
    ".venv/bin/skep seed acme",
    ".venv/bin/skep invite acme",
    "make down",
)


def test_the_first_screen_works_as_it_is_written(checkout: Path, person: dict[str, str], tmp_path: Path) -> None:
    _need_port()

    def type_in(line: str) -> subprocess.CompletedProcess[str]:
        assert line in shown_commands()
        return subprocess.run(
            ["bash", "-c", line],
            cwd=checkout,
            env=person,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    try:
        started = type_in("make up ARGS=--detach")
        assert started.returncode == 0, started.stdout + started.stderr
        for name in ("acme", "birch", "cedar"):
            assert f"http://{name}.localhost:8080" in started.stdout
            assert f"{name}: 4 sample events" in started.stdout
        page = type_in("curl -H 'Host: acme.localhost' http://127.0.0.1:8080/")
        assert "Acme Events" in page.stdout
        assert "Birch" not in page.stdout
        assert _status("unknown.localhost") == 404
        listed = type_in(".venv/bin/skep get tenants")
        assert listed.stdout.count("Ready") >= 3
        same = type_in(".venv/bin/skep diff manifests/demo --prune")
        assert (same.returncode, same.stdout) == (0, "")
        seeded = type_in(".venv/bin/skep seed acme")
        assert (seeded.returncode, seeded.stdout) == (0, "tenant acme has events already: nothing was changed\n")
        link = type_in(".venv/bin/skep invite acme").stdout.strip()
        assert re.fullmatch(r"http://acme\.localhost:8080/invite/[\w-]{20,}", link)
        again = type_in("make up ARGS=--detach")
        assert again.returncode == 0, again.stderr
    finally:
        stopped = type_in("make down")
    assert stopped.returncode == 0, stopped.stderr
    assert not _taken(8080)
    assert not _processes_of(tmp_path / "home"), "nothing is left running"


def test_make_up_in_the_foreground_prints_links_and_ctrl_c_stops_it(
    checkout: Path, person: dict[str, str], tmp_path: Path
) -> None:
    _need_port()
    process = subprocess.Popen(
        shlex.split("make up"),
        cwd=checkout,
        env=person,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    seen = []
    for line in process.stdout:  # ends with the process, which the test's time-out bounds
        seen.append(line)
        if all(f"http://{name}.localhost:8080" in "".join(seen) for name in ("acme", "birch", "cedar")) and all(
            f"{name}: 4 sample events" in "".join(seen) for name in ("acme", "birch", "cedar")
        ):
            break
    assert _status("acme.localhost") == 200
    os.killpg(process.pid, 2)  # as a terminal does
    with process.stdout:
        process.stdout.read()
    process.wait(timeout=60)
    assert not _taken(8080)
    assert not _processes_of(tmp_path / "home")


def _need_port() -> None:
    if _taken(8080):
        reason = "README's commands want port 8080, which something else holds here"
        pytest.fail(reason) if REQUIRED else pytest.skip(f"NOT TESTED: {reason}")


def _status(host: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=5)
    try:
        connection.request("GET", "/", headers={"Host": host})
        return connection.getresponse().status
    finally:
        connection.close()


def _taken(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _processes_of(home: Path) -> list[str]:
    """Command lines and environments of running processes that name *home*."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            said = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        if str(home).encode() in said and process.name != str(os.getpid()):
            found.append(said.decode(errors="replace")[:200])
    return found
