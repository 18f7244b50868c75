"""A headless Chromium, driven over the Chrome DevTools Protocol: enough to look at a page."""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
_START_SECONDS = 60.0
_ANSWER_SECONDS = 30.0
_PAUSE_SECONDS = 0.05


def installed() -> str | None:
    """Path of a Chromium; None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """One tab. What the page asks of other places, and what it complains of, is kept."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reader = asyncio.create_task(self._read())
        #: Addresses of all requests.
        self.requested: list[str] = []
        #: Uncaught errors, and what stands in the console as an error.
        self.complaints: list[str] = []

    async def _read(self) -> None:
        async for message in self._socket:
            told = message.json()
            if answer := self._answers.pop(told.get("id", 0), None):
                answer.set_result(told)
            elif told.get("method") == "Network.requestWillBeSent":
                self.requested.append(told["params"]["request"]["url"])
            elif told.get("method") == "Runtime.exceptionThrown":
                self.complaints.append(str(told["params"]["exceptionDetails"]))
            elif told.get("method") == "Log.entryAdded":
                entry = told["params"]["entry"]
                if entry["level"] == "error":
                    self.complaints.append(f"{entry['text']} {entry.get('url', '')}")

    async def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command of the protocol; its result."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        told = await asyncio.wait_for(answer, _ANSWER_SECONDS)
        assert "error" not in told, f"{method}: {told['error']}"
        result: dict[str, Any] = told["result"]
        return result

    async def open(self, address: str) -> None:
        """Go to an address."""
        for domain in ("Page", "Runtime", "Network", "Log"):
            await self.command(f"{domain}.enable")
        await self.command("Page.navigate", url=address)

    async def evaluate(self, script: str) -> Any:
        """Value of an expression in the page; promises are awaited."""
        told = await self.command(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    async def until(self, script: str, seconds: float = 30.0) -> None:
        """Wait until an expression is truthy.

        Raises:
            AssertionError: it did not come true in time.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not await self.evaluate(f"Boolean({script})"):
            if loop.time() > deadline:
                text = await self.evaluate("document.body?.innerText")
                raise AssertionError(f"waited {seconds:g} s for {script}; the page says: {text}")
            await asyncio.sleep(_PAUSE_SECONDS)

    async def press(self, key: str, code: int, text: str = "") -> None:
        """Press and release a key of the keyboard."""
        told = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        await self.command("Input.dispatchKeyEvent", type="keyDown", text=text, **told)
        await self.command("Input.dispatchKeyEvent", type="keyUp", **told)

    async def resize(self, width: int, height: int, *, phone: bool = False) -> None:
        """Be a screen of this size, in CSS pixels."""
        await self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=2 if phone else 1, mobile=phone,
        )  # fmt: skip

    async def prefer(self, **features: str) -> None:
        """Have preferences, such as ``prefers_color_scheme="dark"``."""
        chosen = [
            {"name": name.replace("_", "-"), "value": value} for name, value in features.items()
        ]
        await self.command("Emulation.setEmulatedMedia", features=chosen)

    async def screenshot(self) -> bytes:
        """What is seen, as a PNG."""
        told = await self.command("Page.captureScreenshot", format="png")
        return base64.b64decode(told["data"])

    async def close(self) -> None:
        """Stop listening."""
        await self._socket.close()
        await self._reader


class Browser:
    """``async with Browser() as browser: page = await browser.page()``."""

    async def __aenter__(self) -> Self:
        executable = installed()
        if executable is None:
            if os.environ.get("CI") == "true" or os.geteuid() == 0:
                raise RuntimeError("no Chromium is installed")
            pytest.skip("no Chromium is installed")
        self._folder = Path(tempfile.mkdtemp(prefix="cxstream-browser-"))
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        self._process = await asyncio.create_subprocess_exec(
            executable, "--headless=new", "--remote-debugging-port=0", "--disable-gpu",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-dev-shm-usage", "--hide-scrollbars",
            f"--user-data-dir={self._folder}", *sandbox, "about:blank",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        port = await asyncio.wait_for(self._port(), _START_SECONDS)
        self._http = aiohttp.ClientSession(f"http://127.0.0.1:{port}")
        self._pages: list[Page] = []
        return self

    async def _port(self) -> int:
        told = self._folder / "DevToolsActivePort"
        while True:
            assert self._process.returncode is None, "Chromium ended at once"
            if told.exists() and (lines := told.read_text("ascii").splitlines()):
                return int(lines[0])
            await asyncio.sleep(_PAUSE_SECONDS)

    async def page(self) -> Page:
        """Open a tab."""
        async with self._http.put("/json/new?about:blank") as answer:
            target = await answer.json()
        # Screenshots of large screens are longer than what a message may be by default.
        socket = await self._http.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0)
        page = Page(socket)
        self._pages.append(page)
        return page

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for page in self._pages:
            await page.close()
        await self._http.close()
        self._process.terminate()
        await self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


@asynccontextmanager
async def opened(address: str) -> AsyncIterator[Page]:
    """A tab of a browser of its own, on an address."""
    async with Browser() as browser:
        page = await browser.page()
        await page.open(address)
        yield page
