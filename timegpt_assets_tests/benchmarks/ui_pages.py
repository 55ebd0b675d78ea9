"""How long the UI's pages take in headless Chromium: on the demo's records, and on 60 symbols x 250 sessions of bars.

Prints one JSON line a page: seconds until it says what it was opened for, the first time and the least of two more.
Both houses are made by the command line, which takes some minutes. Wall time: other work on the machine is in it.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from timegpt_assets_tests.browser import Page, browser
from timegpt_assets_tests.cli.test_ui import LAST_RUN, webserver
from timegpt_assets_tests.project import PROJECT

AGAIN = 2
SYMBOLS = ",".join(f"S{n:02d}" for n in range(60))
HOUSES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "demo": (("demo",), ()),
    "60 symbols x 250 sessions, bars": (
        ("backfill", "--profile", "demo", "--start", "2024-01-02", "--end", "2024-12-27", "--assets", "bars"),
        (
            f"universe.tickers=[{SYMBOLS}]",
            "universe.context=[]",
            "data.start_date=2024-01-02",
            "data.end_date=2024-12-31",
        ),
    ),
}  # fmt: skip


def main() -> None:
    """Print the figures of both houses."""
    for name, (words, settings) in HOUSES.items():
        with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
            made(Path(folder), patched, words, settings)
            with webserver(Path(folder) / "webserver.log") as ui, browser() as page:
                run = ui.asked(LAST_RUN)["runsOrError"]["results"][0]["runId"]
                pages = {
                    "overview": ("/overview/timeline", "Jobless asset materializations"),
                    "asset graph": ("/asset-groups", "evaluation"),
                    "partitions of bars": ("/assets/bars/bars?view=partitions", "Materialized ("),
                    "run": (f"/runs/{run}", "RUN_SUCCESS"),
                }
                for title, (path, said) in pages.items():
                    times = [seconds(page, ui.url + path, said) for _ in range(1 + AGAIN)]
                    figures = {"first_s": round(times[0], 2), "again_s": round(min(times[1:]), 2)}
                    sys.stdout.write(
                        json.dumps({"benchmark": "ui_pages", "house": name, "page": title} | figures) + "\n"
                    )
                    sys.stdout.flush()


def made(folder: Path, patched: pytest.MonkeyPatch, words: tuple[str, ...], settings: tuple[str, ...]) -> None:
    """Make a house in a folder by the command line, and let the environment name it."""
    places = {f"data.{name}": name for name in ("storage_root", "artifacts_root", "dagster_home")}
    places |= {"forecast.cache_dir": "cache", "search.folder": "search"}
    said = [*settings, *(f"{key}={folder / name}" for key, name in places.items())]
    said.append(f"forecast.api_budget.ledger_file={folder / 'ledger.sqlite'}")
    patched.setenv("TIMEGPT_ASSETS_SET", "\n".join(said))
    patched.setenv("TIMEGPT_ASSETS_PROFILE", "demo")
    patched.setenv("DAGSTER_HOME", str(folder / "dagster_home"))
    command = [sys.executable, "-m", "timegpt_assets.cli.app", *words, "--json"]
    subprocess.run(command, check=True, capture_output=True, cwd=PROJECT, env=dict(os.environ))


def seconds(page: Page, url: str, said: str) -> float:
    """Return how long a page takes until it says these words."""
    page.open("about:blank")
    page.until("location.href === 'about:blank' && document.readyState === 'complete'")
    began = time.perf_counter()
    page.open(url)
    page.shows(said)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
