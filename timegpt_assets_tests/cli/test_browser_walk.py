"""A walk through the UI as ops see it, in headless Chromium: nothing of what is asked here takes a click more.

``python -m timegpt_assets_tests.cli.test_browser_walk --renew`` walks it, too, and stores the pictures of the docs.
"""

import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml
from typer.testing import CliRunner

from timegpt_assets.cli.app import app
from timegpt_assets_tests.browser import Page, browser
from timegpt_assets_tests.cli.test_ui import AT_ONCE, LAST_RUN, UI, webserver
from timegpt_assets_tests.engine.test_revisions import DAYS, HOUSE, REVISED, at, deliver
from timegpt_assets_tests.project import PROJECT
from timegpt_assets_tests.roads import TINY

KEY = f"{REVISED}|AAPL"
PARTITION = f"/assets/bars/bars?view=partitions&partition={quote(KEY)}"
QUALITY = "/assets/bars/bars?view=checks&checkDetail=quality"
CHOSEN = 'key:"bars/raw_bars" or key:"bars/bars"'
BOTH = f"/asset-groups~{quote(CHOSEN, safe='')}/"
DRAWN = "[...document.images].some(i => i.src.startsWith('data:image/svg') && i.naturalWidth > 0 && i.offsetParent)"
PICK_SYMBOL = """
[...document.querySelectorAll("*")].filter(e => e.innerText === "Select a partition or create one").pop()?.click()
"""

PARTITIONS_TAB = "[...document.querySelectorAll('[role=tab]')].filter(e => e.innerText === 'Partitions').pop().click()"

Shot = Callable[[str], None]


@pytest.mark.timeout(600)  # a webserver, its code server, a browser and two runs, each a process
def test_a_day_is_watched_damaged_mended_and_seen_to_be_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with browser() as page:
        walk(tmp_path / "house", monkeypatch, page, lambda _: None)


def walk(folder: Path, patched: pytest.MonkeyPatch, page: Page, shot: Shot) -> None:
    """Make a small house over delivered files by the command line, and walk through its pages."""
    made_by_a_command(folder, patched)
    with webserver(folder / "webserver.log") as ui:
        who_made_it(ui, page, shot)
        what_the_catalog_says(ui, page, shot)
        what_a_partition_says(ui, page, shot)
        deliver(folder / "source", revise=at(REVISED, 200, -1e6))
        materialised(ui, page, status="FAILURE")
        how_a_failure_reads(ui, page, shot)
        deliver(folder / "source")
        materialised(ui, page, status="SUCCESS")
        how_a_mended_day_reads(ui, page)
        where_days_are_picked(ui, page, shot)
    said = (folder / "webserver.log").read_text()
    assert "warning" not in said.lower(), said


def made_by_a_command(folder: Path, patched: pytest.MonkeyPatch) -> None:
    (folder / "configs").mkdir(parents=True)
    shipped = yaml.safe_load((PROJECT / "dagster.yaml").read_text())
    kept = {name: shipped[name] for name in ("event_log_storage", "run_launcher", "nux")}
    (folder / "dagster.yaml").write_text(yaml.safe_dump(kept) + AT_ONCE)
    deliver(folder / "source")
    words = ["backfill", "--start", f"{DAYS[0]}", "--end", f"{DAYS[3]}", "--assets", "bars", "--json"]
    patched.setenv("TIMEGPT_ASSETS_CONFIG_DIR", str(folder / "configs"))
    patched.setenv("TIMEGPT_ASSETS_SET", "\n".join([*TINY, *HOUSE, f"data.root={folder / 'source'}"]))
    patched.setenv("TIMEGPT_ASSETS_PROFILE", "dev")
    patched.setenv("DAGSTER_HOME", str(folder / "home"))
    patched.setattr(sys, "argv", ["timegpt-assets", *words])  # what its runs are tagged with
    made = CliRunner().invoke(app, words)
    assert made.exit_code == 0, made.output


def who_made_it(ui: UI, page: Page, shot: Shot) -> None:
    page.open(f"{ui.url}/overview/timeline")
    page.shows("Jobless asset materializations")
    page.open(f"{ui.url}/runs")
    page.shows(f"timegpt-assets backfill --start {DAYS[0]}")
    assert "Manually launched" not in page.text()
    shot("ui-runs")


def what_the_catalog_says(ui: UI, page: Page, shot: Shot) -> None:
    page.open(f"{ui.url}/assets/bars/bars")
    page.shows("Latest check results")
    said = page.shows("At 06:30 PM")
    for words in ("research", "Polars", "Parquet", "stage: bars", "regime: maintenance", "cost: free", "docs",
                  "daily_refresh", "refresh_bars", "2 sensors"):  # fmt: skip
        assert words in said, words
    assert "No automations found" not in said
    shot("ui-asset")


def what_a_partition_says(ui: UI, page: Page, shot: Shot) -> None:
    page.open(f"{ui.url}{PARTITION}")
    page.shows(f"AAPL on {REVISED}: ok")
    page.until(DRAWN, "a picture of the session")
    shot("ui-partition")


def materialised(ui: UI, page: Page, *, status: str) -> None:
    """Launch raw_bars and bars of the revised partition as a person does, and wait for the end of the run."""
    before = last_run(ui)
    page.open(f"{ui.url}{BOTH}")
    page.click("Materialize all")
    page.fill('input[placeholder^="ex:"]', f"{REVISED}")
    page.tab.value(PICK_SYMBOL)
    page.click("AAPL")
    page.press("Escape")
    page.click("Launch 1 run")
    while (run := last_run(ui)) == before:
        time.sleep(0.2)
    assert ui.ended(run)[0] == status


def last_run(ui: UI) -> str:
    return ui.asked(LAST_RUN)["runsOrError"]["results"][0]["runId"]


def how_a_failure_reads(ui: UI, page: Page, shot: Shot) -> None:
    page.open(f"{ui.url}/runs/{last_run(ui)}")
    said = page.shows(f"{KEY} has no usable bars: quarantined")
    assert "Mend what is named" in said
    assert "Stack Trace" not in said
    shot("ui-failure")
    page.open(f"{ui.url}{QUALITY}")
    assert "Failed" in page.shows("quarantined: "), "the sentence stands there without a click"
    shot("ui-check")
    page.tab.value(PARTITIONS_TAB)
    assert "Passed (11)" in page.shows("Failed (1)"), "the dots of the check say which partition it is"
    page.open(f"{ui.url}{PARTITION}")
    page.shows(f"AAPL on {REVISED}: quarantined")
    page.until(DRAWN, "a picture of the rows that are to blame")
    shot("ui-quarantined")


def how_a_mended_day_reads(ui: UI, page: Page) -> None:
    page.open(f"{ui.url}{QUALITY}")
    page.until("(t => t.includes('Passed') && !t.includes('quarantined: '))(document.body?.innerText || '')")
    page.open(f"{ui.url}{PARTITION}")
    page.shows(f"AAPL on {REVISED}: ok")


def where_days_are_picked(ui: UI, page: Page, shot: Shot) -> None:
    page.open(f"{ui.url}/locations/timegpt_assets/jobs/run_day/partitions")
    page.shows("25\nTotal partitions")
    shot("ui-run-day")
    page.click("Launch backfill")
    page.shows("Launch run_day backfill")
    page.fill('input[placeholder^="ex:"]', f"[{DAYS[0]}...{DAYS[3]}]")
    page.shows(f"Submit {len(DAYS)} runs")


def renew(pictures: Path) -> None:
    """Walk, and store what the pages look like."""
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patched,
        browser() as page,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        walk(Path(folder) / "house", patched, page, lambda name: page.picture(pictures / f"{name}.png"))


if __name__ == "__main__" and "--renew" in sys.argv:
    renew(PROJECT / "docs" / "pictures")
