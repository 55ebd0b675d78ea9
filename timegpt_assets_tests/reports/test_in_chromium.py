"""The report page in a browser that has no network: on a phone, on a screen, on paper, and without its script."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from timegpt_assets.reports.figures import Report
from timegpt_assets.reports.page import page
from timegpt_assets_tests import chromium
from timegpt_assets_tests.chromium import Tab
from timegpt_assets_tests.reports.pictures import newsrooms
from timegpt_assets_tests.reports.test_page import report as report

pytestmark = pytest.mark.skipif(chromium.PROGRAM is None, reason="no Chromium is installed")
PATIENCE_MS = 5_000
"""For what takes a tenth of it on an idle machine."""
ROWS = "[...document.querySelectorAll('#trades tbody tr')].filter((row) => !row.hidden)"
SEARCHED = """() => {
  const input = document.querySelector('#trades input');
  input.value = 'msft';
  input.dispatchEvent(new Event('input'));
}"""
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')"


@pytest.fixture(scope="module")
def file(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("report") / "report.html"
    found.write_text(page(replace(report, news=newsrooms.news())), encoding="utf-8")
    return found


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    with chromium.tab() as found:
        yield found


def test_on_a_phone_nothing_is_wider_than_the_screen_and_nothing_is_asked_for(tab: Tab, file: Path) -> None:
    tab.open(file, width=390, height=844)
    tab.until(f"{FIRST_PAINT}.length > 0")  # a page may be loaded a moment before it is painted
    assert tab.value(f"{FIRST_PAINT}[0].startTime") < PATIENCE_MS
    tab.value("document.querySelector('#money').scrollIntoView()")
    tab.until("document.querySelectorAll('.drawn .live svg').length > 0")
    for fold in ("false", "true"):
        tab.value(f"document.querySelectorAll('details').forEach((one) => {{ one.open = {fold}; }})")
        assert tab.value("document.documentElement.scrollWidth") <= 390
    tab.until(
        "document.querySelectorAll('#gates table').length === document.querySelectorAll('#gates .stacked').length"
    )
    smallest = (
        "Math.min(...[...document.querySelectorAll('td, p, b')].map((e) => parseFloat(getComputedStyle(e).fontSize)))"
    )
    assert tab.value(smallest) >= 12
    assert tab.asked_for == []
    assert tab.complaints == []


def test_on_a_screen_pictures_are_drawn_anew_and_tables_sort_and_are_searched(tab: Tab, file: Path) -> None:
    tab.open(file, width=900)
    tab.value("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert tab.value("document.documentElement.scrollWidth") <= 900
    tab.open(file, width=1440)
    tab.until("document.querySelectorAll('.drawn .live svg').length > 0")
    assert tab.value("document.documentElement.scrollWidth") <= 1440
    before = tab.value(f"{ROWS}.length")
    nets = f"{ROWS}.map((row) => parseFloat(row.cells[10].textContent))"
    tab.value("document.querySelectorAll('#trades th button')[10].click()")
    found = tab.value(nets)
    assert found == sorted(found)
    assert len(found) == before > 2
    tab.value(f"(({SEARCHED}))()")
    assert set(tab.value(f"{ROWS}.map((row) => row.cells[1].textContent)")) == {"MSFT"}
    assert tab.value("document.querySelectorAll('details[open]').length") == 0
    assert tab.complaints == []


def test_a_picture_says_its_figures_under_the_pointer_and_its_time_is_zoomed(tab: Tab, file: Path) -> None:
    tab.open(file, width=1440)
    drawn = (
        "document.querySelector('#{}').scrollIntoView(), document.querySelectorAll('#{} .drawn .live svg').length > 0"
    )
    tab.until(drawn.format("money", "money"))
    x, y = _centre(tab, "#money .live svg")
    labels = "[...document.querySelectorAll('#money .live .role-axis-label text')].map((e) => e.textContent).join()"
    before = tab.value(labels)
    tab.ask("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=-300, modifiers=SHIFT)
    tab.until(f"{labels} !== {before!r}")
    tab.until(drawn.format("calibration", "calibration"))
    x, y = _centre(tab, "#calibration .live .mark-rect path")
    tab.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    tab.until("document.querySelector('#vg-tooltip-element.visible') !== null")
    said = tab.value("document.querySelector('#vg-tooltip-element').textContent")
    assert "50 %" in said
    assert tab.complaints == []


def _centre(tab: Tab, what: str) -> tuple[float, float]:
    """Return the middle of an element in the window."""
    box = tab.value(f"(({BOX}))('{what}')")
    return box[0] + box[2] / 2, box[1] + box[3] / 2


BOX = """(what) => {
  const found = document.querySelector(what).getBoundingClientRect();
  return [found.x, found.y, found.width, found.height];
}"""
SHIFT = 8
"""The modifier of a mouse event."""


def test_on_paper_what_is_folded_is_opened_and_pictures_are_the_still_ones(tab: Tab, file: Path) -> None:
    tab.open(file, width=1440)
    tab.until("document.querySelectorAll('.drawn .live svg').length > 0")
    assert tab.paper().startswith(b"%PDF")
    tab.value("dispatchEvent(new Event('beforeprint'))")
    tab.ask("Emulation.setEmulatedMedia", media="print")
    assert tab.value("document.querySelectorAll('details:not([open], .unprinted)').length") == 0
    assert tab.value("document.querySelectorAll('details.unprinted:not([open])').length") == 2
    shown = "[...document.querySelectorAll('{}')].filter((e) => e.getClientRects().length).length"
    assert tab.value(shown.format(".live svg")) == 0
    assert tab.value(shown.format(".still > *")) == 16
    tab.value("dispatchEvent(new Event('afterprint'))")
    assert tab.value("document.querySelectorAll('details[open]').length") == 0
    tab.ask("Emulation.setEmulatedMedia", media="")


def test_without_a_script_every_picture_and_figure_is_there(tab: Tab, file: Path) -> None:
    tab.ask("Emulation.setScriptExecutionDisabled", value=True)
    try:
        tab.open(file, width=900)
        assert tab.value("document.querySelectorAll('.still > *').length") == 16
        assert tab.value("document.querySelectorAll('.live *').length") == 0
        assert tab.value(f"{ROWS}.length") > 2
    finally:
        tab.ask("Emulation.setScriptExecutionDisabled", value=False)
