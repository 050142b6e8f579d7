"""A real Chromium, driven over its debugging pipe: pages as their readers get them."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--hide-scrollbars", "--remote-debugging-pipe",
)  # fmt: skip


class Browser:
    """One tab. ``seen`` holds the events that Chromium told on the way."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._left, self._number, self._session = b"", 0, ""
        self.seen: list[dict[str, Any]] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **params: object) -> dict[str, Any]:
        """The answer to a command of the DevTools protocol."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self.seen.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def open(self, page: Path, *, width: int = 1280, dark: bool = False) -> None:
        """Load a page from the disk as a screen of that width shows it."""
        self.seen.clear()
        self.look(width=width, dark=dark)
        self.ask("Page.navigate", url=page.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.seen):
            self.seen.append(self._next())

    def look(self, *, width: int = 1280, dark: bool = False) -> None:
        """Show the page on another screen."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", media="screen", features=[theme])

    @contextlib.contextmanager
    def grey(self) -> Iterator[None]:
        """Show everything without colour, as a grey printer or a reader without colour vision has it."""
        self.ask("Emulation.setEmulatedVisionDeficiency", type="achromatopsia")
        yield
        self.ask("Emulation.setEmulatedVisionDeficiency", type="none")

    def run(self, script: str) -> Any:
        """The value of an expression; a promise is waited for. A page's own policy does not bind the debugger."""
        found = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(json.dumps(found["exceptionDetails"])[:800])
        return found["result"].get("value")

    def press(self, key: str) -> None:
        """A key, down and up."""
        for kind in ("rawKeyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=9)

    def picture(self, *, height: int | None = None) -> bytes:
        """The page as PNG: from its top to ``height``, or all of it."""
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": height or size["height"], "scale": 1}
        found = self.ask("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        return base64.b64decode(found["data"])

    def printed(self) -> bytes:
        """The page as a PDF on the paper that its style sheet asks for."""
        self.ask("Emulation.setEmulatedMedia", media="print", features=[])
        found = self.ask("Page.printToPDF", preferCSSPageSize=True, printBackground=False)
        return base64.b64decode(found["data"])

    @property
    def asked_for(self) -> list[str]:
        """The addresses of everything that was requested."""
        sent = [event["params"] for event in self.seen if event.get("method") == "Network.requestWillBeSent"]
        return [params["request"]["url"] for params in sent]

    @property
    def complaints(self) -> list[str]:
        """What Chromium wrote to its log: a refused script, a broken style."""
        return [event["params"]["entry"]["text"] for event in self.seen if event.get("method") == "Log.entryAdded"]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._left:
            part = os.read(self._answers, 1 << 20)
            if not part:
                raise RuntimeError("Chromium has ended")
            self._left += part
        message, _, self._left = self._left.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found


def _above_ten(end: int) -> int:
    """The same end of a pipe under a number that giving out 3 and 4 does not overwrite."""
    moved = fcntl.fcntl(end, fcntl.F_DUPFD, 10)
    os.close(end)
    return moved


@contextlib.contextmanager
def browsing(room: Path) -> Iterator[Browser]:
    """A Chromium with a profile of its own in ``room``, until the block ends."""
    assert CHROMIUM
    low_command_end, commands = os.pipe()
    answers, low_answer_end = os.pipe()
    command_end, answer_end = (_above_ten(end) for end in (low_command_end, low_answer_end))
    inside = f'exec "$@" 3<&{command_end} 4>&{answer_end}'  # bash: dash knows no descriptor beyond 9
    words = ["bash", "-c", inside, "chromium", CHROMIUM, *_FLAGS, f"--user-data-dir={room}"]
    process = subprocess.Popen(words, pass_fds=(command_end, answer_end), stderr=subprocess.DEVNULL)
    os.close(command_end)
    os.close(answer_end)
    try:
        browser = Browser(commands, answers)
        yield browser
        browser.ask("Page.close")
    finally:
        process.terminate()
        process.wait(20)
        os.close(commands)
        os.close(answers)
