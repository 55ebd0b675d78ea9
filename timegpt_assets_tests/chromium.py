"""A page opened in headless Chromium, off the network: what it asked for, printed, threw, and how long it took.

Belongs here: the few words of the DevTools protocol the tests need. Without the program tests are skipped.
"""

import base64
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OFFLINE = (
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--disable-background-networking",
    "--no-first-run",
)
DEADLINE = 60.0
"""Seconds that anything may take on a busy machine."""


class Tab:
    """One tab: commands out, events in."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._sent = socket, 0
        self.events: list[dict[str, Any]] = []

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Return the answer to a command; events that come meanwhile are kept."""
        self._sent += 1
        self._socket.send(json.dumps({"id": self._sent, "method": method, "params": params}))
        while True:
            said = json.loads(self._socket.recv(timeout=DEADLINE))
            if said.get("id") == self._sent:
                assert "error" not in said, said
                return dict(said["result"])
            self.events.append(said)

    def value(self, script: str) -> Any:
        """Return what the script comes to, waiting for a promise."""
        found = self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def open(self, page: Path, *, width: int = 1440, height: int = 900) -> None:
        """Open a file at a width and wait until it is loaded; what was heard of an earlier page is forgotten."""
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.ask(f"{domain}.enable")
        mobile = width < 600
        self.events.clear()
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        self.ask("Page.navigate", url=page.resolve().as_uri())
        self.until("document.readyState === 'complete'")

    def until(self, script: str) -> None:
        """Wait until the script is true. Raises AssertionError after DEADLINE."""
        ends = time.monotonic() + DEADLINE
        while not self.value(script):
            assert time.monotonic() < ends, f"never so: {script}"
            time.sleep(0.05)

    @property
    def asked_for(self) -> list[str]:
        """Return every address the page asked for, its own and what it carries within it left out."""
        sent = [e["params"]["request"]["url"] for e in self.events if e.get("method") == "Network.requestWillBeSent"]
        return [url for url in sent[1:] if not url.startswith(("data:", "blob:"))]

    @property
    def complaints(self) -> list[str]:
        """Return what was printed to the console, thrown, or logged by the browser."""
        kinds = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        return [json.dumps(e["params"])[:400] for e in self.events if e.get("method") in kinds]

    def picture(self, *, whole: bool = True) -> bytes:
        """Return the page as PNG."""
        return base64.b64decode(self.ask("Page.captureScreenshot", captureBeyondViewport=whole)["data"])

    def paper(self) -> bytes:
        """Return the page as PDF."""
        return base64.b64decode(self.ask("Page.printToPDF", printBackground=True, preferCSSPageSize=True)["data"])


@contextmanager
def tab() -> Iterator[Tab]:
    """Yield a tab of a Chromium of its own, which is ended afterwards."""
    assert PROGRAM
    with tempfile.TemporaryDirectory() as home:
        words = [PROGRAM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", *OFFLINE]
        words += ["--remote-debugging-port=0", f"--user-data-dir={home}", "about:blank"]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            port = _port(Path(home) / "DevToolsActivePort")
            pages = httpx.get(f"http://127.0.0.1:{port}/json", timeout=DEADLINE, trust_env=False).json()
            address = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
            with connect(address, max_size=None, open_timeout=DEADLINE, proxy=None) as socket:
                yield Tab(socket)
        finally:
            process.terminate()
            process.wait(timeout=DEADLINE)


def _port(file: Path) -> int:
    ends = time.monotonic() + DEADLINE
    while not (file.exists() and file.read_text().strip()):
        assert time.monotonic() < ends, "Chromium opens no port"
        time.sleep(0.05)
    return int(file.read_text().split()[0])
