"""Pages of the UI as a person uses them, in a tab of Chromium: reading, waiting for words, pressing, filling in.

Belongs here: what the tests of Dagster's UI need beyond the tab itself.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from timegpt_assets_tests.chromium import PROGRAM, Tab, tab

WAIT_SEC = 90.0
"""How long a page may take to show something: it asks a webserver, and the machine may be busy."""
SIZE = {"width": 1280, "height": 800, "deviceScaleFactor": 1, "mobile": False}
CLICK = """
(words => {
  const kinds = "button, a, [role=button], [role=tab], [role=menuitem], [role=checkbox]";
  const found = [...document.querySelectorAll(kinds)].filter(
    e => e.offsetParent !== null && !e.disabled && (e.innerText || "").trim().startsWith(words)
  );
  found.at(-1)?.click();
  return found.length > 0;
})
"""


class Page:
    """One page, in a tab."""

    def __init__(self, shown: Tab) -> None:
        self.tab = shown

    def open(self, url: str) -> None:
        """Go to a page."""
        self.tab.ask("Page.navigate", url=url)

    def text(self) -> str:
        """Return what can be read on the page now."""
        return str(self.tab.value("document.body?.innerText || ''"))

    def until(self, expression: str, words: str = "") -> Any:
        """Wait until a JavaScript expression is true, and return its value."""
        deadline = time.monotonic() + WAIT_SEC
        while not (found := self.tab.value(expression)):
            assert time.monotonic() < deadline, f"{words or expression} did not come; the page says:\n{self.text()}"
            time.sleep(0.2)
        return found

    def shows(self, words: str) -> str:
        """Wait until the page says these words, and return all that it says."""
        self.until(f"(document.body?.innerText || '').includes({json.dumps(words)})", words)
        return self.text()

    def click(self, words: str) -> None:
        """Press the last button, link or tab whose text begins with these words, as soon as there is one."""
        self.until(f"{CLICK}({json.dumps(words)})", f"a button {words!r}")

    def press(self, key: str) -> None:
        """Press and let go a key that has a name."""
        code = {"Enter": 13, "Escape": 27}[key]
        for kind in ("rawKeyDown", "keyUp"):
            self.tab.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def fill(self, field: str, words: str) -> None:
        """Type words over what stands in the field that a CSS selector names, and press Enter."""
        self.until(f"(e => e && (e.focus(), e.select(), true))(document.querySelector({json.dumps(field)}))", field)
        self.tab.ask("Input.insertText", text=words)
        self.press("Enter")

    def picture(self, file: Path) -> None:
        """Store what is seen of the page as PNG."""
        file.write_bytes(self.tab.picture(whole=False))


@contextmanager
def browser() -> Iterator[Page]:
    """Yield a page of a browser of its own; skip the test, saying why, where there is none."""
    if PROGRAM is None:
        pytest.skip("no Chromium on this machine: install the package chromium")
    with tab() as shown:
        shown.ask("Page.enable")
        shown.ask("Emulation.setDeviceMetricsOverride", **SIZE)
        yield Page(shown)
