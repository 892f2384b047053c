"""Headless Chromium, driven through its own pipe: https://chromedevtools.github.io/devtools-protocol/."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MISSING = "needs Chromium: apt-get install chromium"
PATIENCE = 60.0  # seconds


class Page:
    """One tab. Everything that the site's page can be asked goes through `evaluate`."""

    def __init__(self, reader: int, writer: int) -> None:
        self._reader, self._writer = reader, writer
        self._received = b""
        self._numbers = itertools.count(1)
        self._session = ""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._call("Page.enable")

    def _call(self, method: str, **parameters: object) -> dict[str, Any]:
        """The result of one command. Raises AssertionError when Chromium refuses it."""
        number = next(self._numbers)
        command = {"id": number, "method": method, "params": parameters}
        command |= {"sessionId": self._session} if self._session else {}
        os.write(self._writer, json.dumps(command).encode() + b"\0")
        until = time.monotonic() + PATIENCE
        while True:
            message = self._next_message(until)
            if message.get("id") == number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result

    def _next_message(self, until: float) -> dict[str, Any]:
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._reader], [], [], max(0.0, until - time.monotonic()))
            assert ready, "Chromium didn't answer in time"
            data = os.read(self._reader, 65536)
            assert data, "Chromium has ended"
            self._received += data
        message, _, self._received = self._received.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True, userGesture=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Until the expression is true, in this page or the next one."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with contextlib.suppress(AssertionError):  # between two pages there is nobody to ask
                if self.evaluate(f"document.readyState === 'complete' && Boolean({expression})"):
                    return
            time.sleep(0.05)
        raise AssertionError(f"never true: {expression}\n{self.evaluate('document.documentElement.outerHTML')[:2000]}")

    def go(self, address: str) -> None:
        """Type an address, and wait until its page is there."""
        result = self._call("Page.navigate", url=address)
        assert not result.get("errorText"), result
        self.wait_for("true")

    def type(self, selector: str, text: str) -> None:
        """Click into a field and type."""
        self.evaluate(f"document.querySelector({json.dumps(selector)}).focus()")
        self._call("Input.insertText", text=text)

    def click(self, selector: str) -> None:
        self.evaluate(f"document.querySelector({json.dumps(selector)}).click()")

    def cookies(self) -> dict[str, dict[str, Any]]:
        """Those of the page's address, by name."""
        return {cookie["name"]: cookie for cookie in self._call("Network.getCookies")["cookies"]}

    def picture(self, width: int, height: int) -> bytes:
        """A PNG of the page in a window of that size."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        return base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])


@contextlib.contextmanager
def browser(folder: Path, hosts: Mapping[str, int]) -> Iterator[Page]:
    """A browser that finds each `host:port` of `hosts` at a port of the loopback and takes any certificate.

    `folder` has its profile and its log. It can reach nothing else: every other name is unknown.
    """
    assert PROGRAM, MISSING
    rules = [f"MAP {place} 127.0.0.1:{port}" for place, port in hosts.items()]
    options = [
        "--headless=new",
        "--no-sandbox",  # which root, and many containers, can't have
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--ignore-certificate-errors",
        "--remote-debugging-pipe",
        f"--user-data-dir={folder}",
        f"--host-resolver-rules={', '.join([*rules, 'MAP * ~NOTFOUND'])}",
    ]
    commands, results = os.pipe(), os.pipe()
    # Chromium reads from descriptor 3 and writes to 4.
    shell = f'exec "$@" 3<&{commands[0]} 4>&{results[1]}'
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-c", shell, "-", PROGRAM, *options],
            pass_fds=(commands[0], results[1]),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        )
    os.close(commands[0])
    os.close(results[1])
    try:
        yield Page(results[0], commands[1])
    finally:
        os.close(commands[1])  # Chromium ends when nobody commands it
        os.close(results[0])
        try:
            process.wait(PATIENCE)
        finally:
            process.kill()
            process.wait()
