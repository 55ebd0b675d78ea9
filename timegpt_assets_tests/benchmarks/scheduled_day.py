"""The day by itself: from new bars to the stored report, under a daemon in a process of its own (P7).

Run: python -m timegpt_assets_tests.benchmarks.scheduled_day
Profile dev, eight symbols and two of context of a made-up vendor's month files, free forecasters; the two sessions
before are made. Then the vendor's files get the next session, and the sensor ``new_session`` sees them, asks for a run,
the daemon starts a process for it, and that makes everything from bars to report. The sensor looks every second here,
and not every ``automation.look_every_sec``: what it rests is a setting. One JSON line per figure, seconds since the
bars were there.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date, datetime
from datetime import time as time_of_day
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

import dagster as dg
import polars as pl

from timegpt_assets.adapters.market.market_data import TEMPLATE, template_path
from timegpt_assets.adapters.market.synthetic_market import SyntheticMarket
from timegpt_assets.core import calendar
from timegpt_assets_tests.automation.daemon_process import daemon
from timegpt_assets_tests.roads import sessions

TICKERS, CONTEXT = ("AAPL", "AMZN", "AVGO", "GOOGL", "META", "MSFT", "NVDA", "TSLA"), ("QQQ", "SPY")
DAY = date(2025, 2, 20)
DAYS = sessions(date(2025, 1, 2), DAY)
REPORT = dg.AssetKey(["reports", "report"])
PATIENCE_S = 900
Found = TypeVar("Found")


def deliver(folder: Path, last: date) -> None:
    """Write each symbol's month files up to a day, as a vendor does whose files grow."""
    market = SyntheticMarket(symbols=TICKERS, context=CONTEXT, seed=7, predictability=0.0, missing_rate=0.0)
    bars = market.bars([*TICKERS, *CONTEXT], [day for day in DAYS if day <= last]).drop("row")
    by_month = bars.with_columns(month=pl.col("day").dt.truncate("1mo")).partition_by("symbol", "month", as_dict=True)
    for (symbol, month), part in by_month.items():
        path = folder / template_path(TEMPLATE, str(symbol), month)
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_name("half")
        part.drop("day", "month").write_parquet(half)
        half.replace(path)


def until(found: Callable[[], Found | None], log: Path) -> Found:
    """Return what is found, once it is."""
    last = time.monotonic() + PATIENCE_S
    while time.monotonic() < last:
        if (one := found()) is not None:
            return one
        time.sleep(0.2)
    sys.exit(f"it never came:\n{log.read_text()[-3000:]}")


def settings(folder: Path) -> list[str]:
    """Return what is said of the house in ``folder``."""
    places = [f"data.{name}={folder / name}" for name in ("storage_root", "artifacts_root", "dagster_home")]
    people = [f"universe.tickers=[{', '.join(TICKERS)}]", f"universe.context=[{', '.join(CONTEXT)}]"]
    return [*places, *people, f"data.root={folder / 'source'}", "automation.look_every_sec=1"]


def at_five(folder: Path, day: date) -> None:
    """Set the house's clock to an hour after the close."""
    told = datetime.combine(day, time_of_day(17), ZoneInfo(calendar.ZONE)).isoformat()
    (folder / "half").write_text(told)
    (folder / "half").replace(folder / "clock")


def rested(instance: dg.DagsterInstance) -> bool | None:
    """Return True once the sensor has looked and found nothing to do."""
    for state in instance.all_instigator_state():
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
        if state.instigator_name == "new_session" and ticks and ticks[0].is_completed:
            return True
    return None


def daily_run(instance: dg.DagsterInstance) -> dg.RunRecord | None:
    """Return the day's run once it is over."""
    found = instance.get_run_records(dg.RunsFilter(job_name="daily_refresh"), limit=1)
    return found[0] if found and found[0].dagster_run.is_finished else None


def measured(folder: Path) -> Sequence[tuple[str, float]]:
    """Return when what happened, in seconds since the bars were there."""
    log, home = folder / "daemon.log", folder / "dagster_home"
    log.touch()
    deliver(folder / "source", DAYS[-2])
    at_five(folder, DAYS[-2])
    command = [sys.executable, "-m", "timegpt_assets.cli.app", "backfill", "--json"]
    subprocess.run([*command, "--start", f"{DAYS[-3]}", "--end", f"{DAYS[-2]}"], check=True, capture_output=True)
    with dg.DagsterInstance.from_config(str(home)) as instance, daemon(folder):
        until(lambda: rested(instance), log)
        deliver(folder / "source", DAY)
        began = time.time()
        at_five(folder, DAY)
        record = until(lambda: daily_run(instance), log)
        made = instance.fetch_materializations(REPORT, limit=1).records[0].timestamp
    if record.dagster_run.status != dg.DagsterRunStatus.SUCCESS or made < began:
        sys.exit(f"the day was not made:\n{log.read_text()[-3000:]}")
    asked, started, ended = record.create_timestamp.timestamp(), record.start_time, record.end_time
    moments = {"asked": asked, "started": started, "report": made, "over": ended}
    return [(f"scheduled_day_{name}", float(at or began) - began) for name, at in moments.items()]


def main() -> None:
    """Measure the day and print the figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ |= {
            "TIMEGPT_ASSETS_SET": "\n".join(settings(folder)),
            "TIMEGPT_ASSETS_PROFILE": "dev",
            "DAGSTER_HOME": f"{folder / 'dagster_home'}",
            "MOVED_CLOCK": f"{folder / 'clock'}",
        }
        figures = measured(folder)
    for name, value in figures:
        figure = {"name": name, "value": round(value, 1), "unit": "s", "baseline": None, "load": os.getloadavg()[0]}
        print(json.dumps(figure | {"goal": 60.0 if name.endswith("report") else None}))


if __name__ == "__main__":
    main()
