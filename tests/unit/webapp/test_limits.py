"""What a process beside the site may take of the container's memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from skep.webapp.bounded import limits

MB = 1024 * 1024


@pytest.mark.parametrize(
    ("said", "mb"),
    [
        pytest.param("max\n", 384, id="no limit"),
        pytest.param(f"{2048 * MB}\n", 384, id="plenty"),
        pytest.param(f"{256 * MB}\n", 160, id="a small plan"),
        pytest.param(f"{128 * MB}\n", 96, id="too little: the kernel decides"),
        pytest.param(None, 384, id="no container"),
    ],
)
def test_a_worker_leaves_the_site_its_memory(tmp_path: Path, said: str | None, mb: int) -> None:
    path = tmp_path / "memory.max"
    if said is not None:
        path.write_text(said)
    assert limits.memory_bytes(path) == mb * MB


def test_a_worker_that_is_a_service_of_its_own_has_its_container(tmp_path: Path) -> None:
    path = tmp_path / "memory.max"
    path.write_text(f"{256 * MB}\n")
    assert limits.memory_bytes(path, alone=True) == 256 * MB * 9 // 10


def test_a_web_process_loads_no_library_for_files_or_mail() -> None:
    code = (
        "import sys, skep.webapp.server\n"
        "print([name for name in ('PIL', 'reportlab', 'aiosmtplib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert (done.stdout, done.returncode) == ("[]\n", 0)
