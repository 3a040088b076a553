"""A real browser for tests: Debian's chromium, headless, driven through its DevTools protocol.

Only what the tests use: go somewhere, fill, click, read, look.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

TIMEOUT_S = 20.0


def find_chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._listeners: list[tuple[str, str, asyncio.Future[None]]] = []
        self._reader = asyncio.create_task(self._read())

    async def call(self, method: str, *, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        number = next(self._ids)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        message = {"id": number, "method": method, "params": parameters}
        await self._socket.send_json(message | ({"sessionId": session} if session else {}))
        async with asyncio.timeout(TIMEOUT_S):
            return await answer

    def event(self, method: str, session: str) -> asyncio.Future[None]:
        """Done at the next event of this name."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._listeners.append((method, session, future))
        return future

    async def _read(self) -> None:
        async for raw in self._socket:
            message = json.loads(raw.data)
            if "id" in message:
                answer = self._answers.pop(message["id"])
                if answer.done():
                    continue
                if "error" in message:
                    answer.set_exception(RuntimeError(message["error"]["message"]))
                else:
                    answer.set_result(message["result"])
                continue
            for listener in list(self._listeners):
                method, session, future = listener
                if method == message["method"] and session == message.get("sessionId"):
                    self._listeners.remove(listener)
                    if not future.done():
                        future.set_result(None)

    @asynccontextmanager
    async def page(
        self,
        *,
        width: int = 1280,
        height: int = 800,
        dark: bool = False,
        language: str = "en",
        headers: dict[str, str] | None = None,
        javascript: bool = True,
    ) -> AsyncIterator[Page]:
        """A fresh profile: nothing is shared with other pages."""
        context = (await self.call("Target.createBrowserContext"))["browserContextId"]
        target = await self.call("Target.createTarget", url="about:blank", browserContextId=context)
        attached = await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        page = Page(self, attached["sessionId"], width=width, height=height)
        try:
            for domain in ("Page", "Runtime", "Network"):
                await page.call(f"{domain}.enable")
            await page.resize(width, height)
            scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
            await page.call("Emulation.setEmulatedMedia", features=[scheme])
            await page.call("Emulation.setScriptExecutionDisabled", value=not javascript)
            extra = {"Accept-Language": language, **(headers or {})}
            await page.call("Network.setExtraHTTPHeaders", headers=extra)
            yield page
        finally:
            await self.call("Target.disposeBrowserContext", browserContextId=context)

    async def close(self) -> None:
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)


class Page:
    def __init__(self, browser: Browser, session: str, *, width: int, height: int) -> None:
        self._browser = browser
        self._session = session
        self._width = width
        self._height = height

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return await self._browser.call(method, session=self._session, **parameters)

    async def resize(self, width: int, height: int) -> None:
        self._width = width
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    async def go(self, url: str) -> None:
        loaded = self._browser.event("Page.loadEventFired", self._session)
        await self.call("Page.navigate", url=url)
        async with asyncio.timeout(TIMEOUT_S):
            await loaded

    async def evaluate(self, expression: str) -> Any:
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"]["exception"].get("description"))
        return answer["result"].get("value")

    async def fill(self, **fields: str) -> None:
        """Set fields by their id."""
        for name, value in fields.items():
            await self.evaluate(f"document.getElementById({json.dumps(name)}).value = {json.dumps(value)}")

    async def submit(self, selector: str = "main form button[type=submit]") -> None:
        """Click, and wait for the page that follows."""
        loaded = self._browser.event("Page.loadEventFired", self._session)
        await self.evaluate(f"document.querySelector({json.dumps(selector)}).click()")
        async with asyncio.timeout(TIMEOUT_S):
            await loaded

    async def text(self, selector: str = "body") -> str:
        text: str = await self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText")
        return text

    async def path(self) -> str:
        path: str = await self.evaluate("location.pathname")
        return path

    async def overflow_px(self) -> int:
        """How far the page can be scrolled sideways; 0 is right."""
        pixels: int = await self.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return pixels

    async def screenshot(self, path: Path) -> None:
        """The whole page, not only what fits the window, as PNG."""
        height = await self.evaluate("document.documentElement.scrollHeight")
        image = await self.call(
            "Page.captureScreenshot",
            captureBeyondViewport=True,
            clip={"x": 0, "y": 0, "width": self._width, "height": height, "scale": 1},
        )
        await asyncio.to_thread(path.write_bytes, base64.b64decode(image["data"]))


@asynccontextmanager
async def running_chromium(*more: str) -> AsyncIterator[Browser]:
    """*more* arguments of its own. Raises RuntimeError if there is none."""
    executable = find_chromium()
    if executable is None:
        raise RuntimeError("no chromium: apt-get install chromium")
    profile = Path(tempfile.mkdtemp(prefix="skep-test-chromium-"))
    arguments = ["--headless=new", "--remote-debugging-port=0", f"--user-data-dir={profile}", "--no-first-run",
                 "--hide-scrollbars", "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions",
                 "--no-proxy-server", "--disable-background-networking"]  # fmt: skip
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # Chromium refuses to start as root with it
    process = await asyncio.create_subprocess_exec(
        executable, *arguments, *more, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        endpoint = await _endpoint(process)
        async with aiohttp.ClientSession() as session, session.ws_connect(endpoint, max_msg_size=0) as socket:
            browser = Browser(socket)
            try:
                yield browser
            finally:
                await browser.close()
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()
        shutil.rmtree(profile, ignore_errors=True)


async def _endpoint(process: asyncio.subprocess.Process) -> str:
    """Chromium says on stderr where it listens."""
    assert process.stderr is not None
    said = []
    async with asyncio.timeout(TIMEOUT_S):
        async for line in process.stderr:
            said.append(line.decode(errors="replace"))
            if "DevTools listening on " in said[-1]:
                return said[-1].split("DevTools listening on ", 1)[1].strip()
    raise RuntimeError(f"chromium did not start:\n{''.join(said)}")
