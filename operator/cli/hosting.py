"""What `skep up` and `skep down` do: be the supervisor, or start one in the background, or talk to the one that runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import aiohttp

from skep.crds.reader import Reading, read_path
from skep.operator import logs
from skep.operator.cli.command import EXIT_FAILED
from skep.operator.cli.declare import DEFAULT_SOURCE, count, publish_reading, tell, wait_ready
from skep.operator.cli.output import say
from skep.operator.cli.samples import fill_when_ready
from skep.operator.cli.standing import Standing
from skep.operator.cli.view import look
from skep.operator.cli.watch import follow, settle
from skep.operator.engine.embedded.children import Children, born
from skep.operator.engine.embedded.client import EmbeddedClient
from skep.operator.engine.embedded.home import Home, read_json
from skep.operator.engine.embedded.supervisor import Supervisor
from skep.operator.engine.embedded.traefik import refuse_taken
from skep.operator.engine.port import Engine
from skep.operator.errors import EngineUnavailable, SkepError, UsageError

STOP_S = 60.0  # PostgreSQL may have to write a long checkpoint
LOOK_S = 0.05
LOG_BYTES = 2 * 1024 * 1024


# In the foreground


async def serve(
    home: Home, path: Path | None, listen: str, port: int, *, timeout_s: float, samples: bool = False
) -> int:
    """Be the supervisor until a signal says to stop. *samples*: of who is Ready within *timeout_s*."""
    path = _found(path)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopping.set)
    home.prepare()
    say(_mail_line(home))
    supervisor = Supervisor(home, port=port, listen=listen, path=path)
    with _logging_to(home.logs / "skep.log"):
        async with supervisor.running() as engine:
            waiting = asyncio.create_task(stopping.wait())
            work = [asyncio.create_task(Standing(engine, supervisor.status).show(), name="show")]
            if path is not None:
                work.append(
                    asyncio.create_task(
                        _keep_published(engine, supervisor, path, timeout_s if samples else 0.0), name="publish"
                    )
                )
            try:
                done, _ = await asyncio.wait({waiting, *work}, return_when=asyncio.FIRST_COMPLETED)
                for task in done - {waiting}:
                    task.result()  # neither ends by itself: an error should be seen
            finally:
                for task in (waiting, *work):
                    task.cancel()
                await asyncio.gather(waiting, *work, return_exceptions=True)
            say("stopping ...")
    say("stopped; `skep up` goes on where this ended")
    return 0


def _found(path: Path | None) -> Path | None:
    """Absolute. Raises UsageError at once for what a person at a terminal would otherwise wait for."""
    if path is not None and not path.exists():
        raise UsageError(f"there is no {path}", remedy="name a YAML file or a directory of them")
    return _absolute(path)


def _absolute(path: Path | None) -> Path | None:
    return path.absolute() if path is not None else None


@contextlib.contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """The terminal is for people; the log is for whoever looks for a reason."""
    handler = RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=1)
    handler.setFormatter(logs.JsonFormatter())
    root, ours = logging.getLogger(), logging.getLogger("skep")
    before = root.handlers[:], ours.level
    root.handlers[:] = [handler]
    ours.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.handlers[:], level = before
        ours.setLevel(level)
        handler.close()


async def _keep_published(engine: Engine, supervisor: Supervisor, path: Path, samples_s: float) -> None:
    """*samples_s*: how long to wait for who is to get sample events; 0 for none."""
    await supervisor.healthy()
    known, reading = await settle(path)
    filling: asyncio.Task[None] | None = None
    if await _publish(engine, reading, path) and samples_s:
        filling = asyncio.create_task(fill_when_ready(engine, _tenants(reading), timeout_s=samples_s))
    try:
        async for changed in follow(path, known):
            await _publish(engine, changed, path)
    finally:
        if filling is not None:
            filling.cancel()
            await asyncio.gather(filling, return_exceptions=True)


def _tenants(reading: Reading) -> list[str]:
    return [document.name for document in reading.documents if document.kind == "Tenant"]


async def _publish(engine: Engine, reading: Reading, path: Path) -> bool:
    """Publish *reading* if it is valid; what is wrong is told, and what was published last stays."""
    if reading.problems:
        tell(reading.problems)
        say(f"{count(len(reading.problems), 'problem')} in {path}; what was published last stays", err=True)
        return False
    try:
        return await publish_reading(engine, reading, source=DEFAULT_SOURCE, prune=True) is not None
    except SkepError as error:
        say(f"skep: {error}", err=True)
        return False


# In the background


async def detach(
    home: Home, path: Path | None, listen: str, port: int, deadline: float, *, samples: bool = False
) -> int:
    home.prepare()
    refuse_taken(listen, port)
    background = _start_background(home, path, listen, port)
    client = EmbeddedClient(home.socket)
    try:
        if not await _wait_healthy(client, deadline, background=background):
            return EXIT_FAILED
        return _told(home, await _apply_and_wait(client, path, deadline, samples=samples))
    finally:
        await client.close()


@dataclass(frozen=True, slots=True)
class _Background:
    process: subprocess.Popen[bytes]
    said: Path  # its output

    def tell(self) -> None:
        say(self.said.read_text(errors="replace").rstrip(), err=True)


def _start_background(home: Home, path: Path | None, listen: str, port: int) -> _Background:
    path = _found(path)
    said = home.logs / "up.log"
    with said.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [
                sys.executable, "-P", "-m", "skep.operator.cli", "--home", str(home.path), "up",
                "--listen", listen, "--port", str(port),
                *([str(path)] if path is not None else []),
            ],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True,
        )  # fmt: skip
    return _Background(process, said)


async def join(home: Home, path: Path | None, port: int | None, deadline: float, *, samples: bool = False) -> int:
    """Another `skep up` runs here: say so, publish, wait."""
    client = EmbeddedClient(home.socket)
    try:
        if not await _wait_healthy(client, deadline):
            return EXIT_FAILED
        status = await client.status()
        follows = f", follows {status['path']}" if status["path"] else ""
        say(f"already running in {home.path} (process {status['pid']}, port {status['port']}{follows})")
        if port not in (None, status["port"]):
            raise UsageError(f"it answers on port {status['port']}, not {port}", remedy="`skep down` stops it")
        if path is not None and status["path"] not in (None, str(_absolute(path))):
            say(f"{path} is published once; `skep down` and `skep up {path}` would follow it", err=True)
        return _told(home, await _apply_and_wait(client, path, deadline, samples=samples))
    finally:
        await client.close()


async def _wait_healthy(
    client: EmbeddedClient,
    deadline: float,
    *,
    background: _Background | None = None,
) -> bool:
    """Until PostgreSQL, Traefik and the operator answer; False, with the reasons told, if they do not in time."""
    open_: dict[str, str] = {"skep up": "it has not begun to answer"}
    while time.monotonic() < deadline:
        if background is not None and background.process.poll() is not None:
            background.tell()
            return False
        try:
            parts = (await client.status())["parts"]
        except EngineUnavailable:
            await asyncio.sleep(LOOK_S)
            continue
        now = {name: trouble for name, trouble in parts.items() if trouble}
        for name in open_.keys() & parts.keys() - now.keys():
            say(f"{name}: up")
        if parts and not now:
            return True
        open_ = now
        await asyncio.sleep(LOOK_S)
    for name, trouble in open_.items():
        say(f"{name} does not come up: {trouble}", err=True)
    return False


async def _apply_and_wait(client: EmbeddedClient, path: Path | None, deadline: float, *, samples: bool) -> int:
    tenants: list[str] = []
    if path is not None:
        reading = await asyncio.to_thread(read_path, path)
        if not await _publish(client, reading, path):
            return EXIT_FAILED
        tenants = _tenants(reading)
    else:
        tenants = list((await look(client)).tenants)
    code = await wait_ready(client, tenants, timeout_s=max(0.0, deadline - time.monotonic()))
    if samples and code == 0:
        await fill_when_ready(client, tenants, timeout_s=max(0.0, deadline - time.monotonic()))
    statuses = (await look(client)).statuses
    urls = [
        url for name in tenants if name in statuses and statuses[name].phase == "Ready" for url in statuses[name].urls
    ]
    if code == 0 and (wrong := await _wait_reached(urls, (await client.status())["edge"], deadline)):
        say(wrong, err=True)
        code = EXIT_FAILED
    for url in urls:
        say(url)
    return code


def _told(home: Home, code: int) -> int:
    if code == 0:
        say(_mail_line(home))
    return code


def _mail_line(home: Home) -> str:
    return f"mails of sites without a mail server: {home.mail}/<tenant>/*.eml"


async def _wait_reached(urls: list[str], edge: str, deadline: float) -> str | None:
    """None once every site answers; else what one of them did. A status may be older than this start, an answer not."""
    wrong: str | None = None
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3.0)) as session:
        for url in urls:
            while True:
                try:
                    # The name is not asked for: not every resolver knows that *.localhost is here.
                    async with session.get(
                        f"{edge}/.well-known/skep", headers={"Host": urlsplit(url).netloc}
                    ) as answer:
                        if answer.status == 200:
                            break
                        wrong = f"{url} answers {answer.status}"
                except (aiohttp.ClientError, OSError, TimeoutError) as error:
                    wrong = f"{url} does not answer: {error or type(error).__name__}"
                if time.monotonic() > deadline:
                    return wrong
                await asyncio.sleep(LOOK_S)
    return None


# Stopping


async def stop(home: Home, *, purge: bool) -> None:
    """Stop what runs in *home*, end what an earlier run left there, and with *purge* forget its data."""
    if not home.path.is_dir():
        say(f"nothing runs in {home.path}")
        return
    ran = home.is_running()
    lock = await _stop(home)
    try:  # with the lock in hand nobody else can start here meanwhile
        if home.children.is_dir():
            await asyncio.to_thread(Children(home.children).end_stale)
        for left in (home.socket, home.supervisor):
            left.unlink(missing_ok=True)
        say("stopped" if ran else f"nothing runs in {home.path}")
        if purge:
            await asyncio.to_thread(home.purge)
            say(f"{home.path} is empty")
    finally:
        lock.close()


async def _stop(home: Home) -> IO[bytes]:
    """Ask the supervisor to stop and see it go; one that does not is ended, and its children with it. The lock."""
    deadline = time.monotonic() + STOP_S
    asked = False
    pid, at = 0, None
    while (lock := home.take_lock()) is None:
        note = read_json(home.supervisor)
        if note:
            pid, at = int(note["pid"]), note["born"]
        if pid and born(pid) == at:
            late = time.monotonic() > deadline
            if late or not asked:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
            asked = True
        elif time.monotonic() > deadline:
            raise SkepError(f"{home.path} is held by a process that left no note of itself")
        await asyncio.sleep(LOOK_S)
    # It gave up the lock and is about to be gone; no event tells of another process.
    while pid and born(pid) == at and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(LOOK_S)
    return lock
