"""A real browser, driven over its DevTools protocol: keys, mouse, and what stands in the document."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0", "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip
CODES = {"Enter": 13, "Escape": 27, "ArrowDown": 40, "ArrowUp": 38, " ": 32}
PATIENCE = 20.0


class Browser:
    """One process; ``page`` opens a tab."""

    def __init__(self, profile: Path) -> None:
        self.profile = profile
        asked = [str(CHROMIUM), *QUIET, f"--user-data-dir={profile}", "about:blank"]
        self.process = subprocess.Popen(asked, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.loop = asyncio.new_event_loop()
        file = profile / "DevToolsActivePort"
        wait(lambda: file.is_file() and len(file.read_text().splitlines()) == 2)
        port, path = file.read_text().splitlines()
        self.session = self.run(_session())
        self.socket = self.run(self.session.ws_connect(f"ws://127.0.0.1:{port}{path}", max_msg_size=1 << 28))
        self.number = 0
        self.events: list[dict[str, Any]] = []

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def send(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        self.number += 1
        said = {"id": self.number, "method": method, "params": params, **({"sessionId": session} if session else {})}
        return self.run(self._answer(said))

    async def _answer(self, said: dict[str, Any]) -> dict[str, Any]:
        await self.socket.send_json(said)
        while True:
            found = json.loads((await self.socket.receive(PATIENCE)).data)
            if found.get("id") == said["id"]:
                assert "error" not in found, found["error"]
                return dict(found["result"])
            self.events.append(found)

    def page(self, url: str, width: int = 1280, height: int = 800) -> Page:
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session, target)
        for domain in ("Page", "Runtime", "Log"):
            page.send(f"{domain}.enable")
        page.send("Emulation.setFocusEmulationEnabled", enabled=True)
        page.size(width, height)
        page.open(url)
        return page

    def targets(self) -> set[str]:
        """The tabs that are open."""
        return {target["targetId"] for target in self.send("Target.getTargets")["targetInfos"]}

    def close(self) -> None:
        self.run(self.socket.close())
        self.run(self.session.close())
        self.loop.close()
        self.process.terminate()
        self.process.wait(10)


async def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession()


class Page:
    def __init__(self, browser: Browser, session: str, target: str) -> None:
        self.browser, self.session, self.target = browser, session, target

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        return self.browser.send(method, self.session, **params)

    def open(self, url: str) -> None:
        self.send("Page.navigate", url=url)

    def size(self, width: int, height: int) -> None:
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def value(self, expression: str) -> Any:
        """What an expression comes to in the page; a promise is waited for."""
        said = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in said, said["exceptionDetails"]
        return said["result"].get("value")

    def text(self, selector: str) -> str:
        return str(self.value(f"(document.querySelector({json.dumps(selector)}) || {{}}).textContent || ''"))

    def until(self, expression: str) -> Any:
        """Wait until an expression is true in the page."""
        found: list[Any] = []

        def true() -> bool:
            try:
                found[:] = [self.value(expression)]
            except AssertionError:  # the page is being loaded
                found[:] = [None]
            return bool(found[0])

        wait(true, lambda: f"{expression}; the page says {self.value('document.body.innerText')[:2000]}")
        return found[0]

    def press(self, *keys: str) -> None:
        """Keys as a person presses them; one of several letters is a name, such as Enter, or Control+Enter."""
        for key in keys:
            held, _, name = key.rpartition("+") if len(key) > 1 else ("", "", key)
            code = CODES.get(name, ord(name[0].upper()))
            typed = {"Enter": "\r"}.get(name, name) if (len(name) == 1 or name == "Enter") and not held else ""
            shared = {"key": name, "windowsVirtualKeyCode": code, "modifiers": 2 if held == "Control" else 0}
            self.send("Input.dispatchKeyEvent", type="keyDown", **shared, **({"text": typed} if typed else {}))
            self.send("Input.dispatchKeyEvent", type="keyUp", **shared)

    def type(self, text: str) -> None:
        self.send("Input.insertText", text=text)

    def drag(self, selector: str, begin: float, end: float) -> None:
        """Press the mouse at a share of an element's width, and let it go at another."""
        box = self.value(f"document.querySelector({json.dumps(selector)}).getBoundingClientRect().toJSON()")
        y = box["y"] + box["height"] / 2
        steps = [begin + (end - begin) * i / 8 for i in range(9)]
        for kind, share in [("mousePressed", begin), *(("mouseMoved", s) for s in steps), ("mouseReleased", end)]:
            x = box["x"] + box["width"] * share
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def reload(self) -> None:
        self.send("Page.reload")

    def close(self) -> None:
        self.browser.send("Target.closeTarget", targetId=self.target)

    def picture(self, path: Path) -> None:
        import base64

        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"]))

    def complaints(self) -> list[str]:
        """What the console said was wrong, and what was thrown."""
        self.value("1")
        found = []
        for event in self.browser.events:
            if event.get("sessionId") != self.session:
                continue
            if event["method"] == "Runtime.exceptionThrown":
                found.append(json.dumps(event["params"]["exceptionDetails"]))
            elif event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
                found.append(event["params"]["entry"]["text"] + " " + event["params"]["entry"].get("url", ""))
            elif event["method"] == "Runtime.consoleAPICalled":
                found.append(json.dumps(event["params"]["args"]))
        return found


def wait(true: Callable[[], bool], what: Callable[[], str] = lambda: "") -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, what()
        time.sleep(0.03)
