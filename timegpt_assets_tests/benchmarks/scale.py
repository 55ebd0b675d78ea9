"""The arithmetic of 10, 500 and 5,000 symbols over a year: partitions, files, events, requests, bytes on their way.

Counted from the definitions, the settings and the planner of the product, nothing is run but eight sessions of a small
house, whose events and files are counted. Prints one JSON line per figure.
"""

import json
import tempfile
from collections import Counter
from datetime import date
from pathlib import Path

import dagster as dg

from timegpt_assets.config.settings import Settings, load_settings
from timegpt_assets.core import calendar
from timegpt_assets.engine.call_budget import budget_planner
from timegpt_assets.engine.engine import asset_nodes
from timegpt_assets.engine.plans import AssetNode
from timegpt_assets.engine.stages import everyday
from timegpt_assets.runtime import Runtime, size
from timegpt_assets_tests.roads import TINY, road, sessions

COUNTS = (10, 500, 5000)
YEAR = [session.day for session in calendar.sessions(date(2024, 1, 1), date(2024, 12, 31))]
WALKED = tuple(sessions(date(2025, 1, 28), date(2025, 2, 6)))
MADE = {"data.start_date": "2024-01-02", "data.end_date": "2024-12-31", "data.source": "synthetic"}


def settings_of(symbols: int, folder: Path) -> Settings:
    """Return the settings of profile prod with so many symbols, its places below the folder."""
    names = [f"S{n:04d}" for n in range(symbols)]
    places = {"data.storage_root": folder / "tables", "data.artifacts_root": folder / "artifacts"}
    books = {"forecast.cache_dir": folder / "cache", "forecast.api_budget.ledger_file": folder / "ledger.sqlite"}
    said = MADE | {"universe.tickers": json.dumps(names), "universe.context": "[SPY]"} | places | books
    said |= {"forecast.backend": "nixtla", "forecast.base_url": "http://127.0.0.1:9"}  # nobody is asked
    return load_settings(
        profile="dev", config_dir=None, overrides=[f"{name}={value}" for name, value in said.items()], environment={}
    )


def partitions(nodes: dict[dg.AssetKey, AssetNode], names: tuple[str, ...], symbols: int) -> Counter[str]:
    """Return how many partitions a year of every day's assets has, and how many files they lie in."""
    found: Counter[str] = Counter()
    for key, node in nodes.items():
        if key.path[-1] not in names:
            continue
        if node.is_monthly:
            found.update(partitions=12, files=12)
        else:
            a_day = len(node.partitions([YEAR[0]], [str(n) for n in range(symbols)]))
            found.update(partitions=len(YEAR) * a_day, files=len(YEAR))
    return found


def records() -> dict[str, float]:
    """Return what eight sessions of a small house leave behind: events, and stored bytes, for each partition."""
    with tempfile.TemporaryDirectory() as folder, road(Path(folder), base=TINY, pictures=False) as of:
        outcome = of.run(WALKED)
        storage = of.engine.instance.event_log_storage
        runs = of.engine.instance.get_runs()
        events = sum(len(storage.get_logs_for_run(run.run_id)) for run in runs)
        return {"events_a_partition": events / outcome.made, "partitions_walked": outcome.made}


def main() -> None:
    """Print the figures."""
    a_budget_day = load_settings(profile="demo", config_dir=None, environment={}).forecast.api_budget.per_day
    with tempfile.TemporaryDirectory() as folder:
        with road(Path(folder), base=TINY, pictures=False) as of:
            nodes = asset_nodes(of.engine.repository)
        walked = records()
        show("events_a_partition", walked["events_a_partition"], None)
        for symbols in COUNTS:
            settings = settings_of(symbols, Path(folder) / str(symbols))
            counted = partitions(nodes, everyday(settings), symbols + 1)
            show("partitions_a_year", counted["partitions"], symbols)
            show("files_a_year", counted["files"], symbols)
            show("events_a_year", round(counted["partitions"] * walked["events_a_partition"]), symbols)
            weight, rows = size(settings), settings.forecast.history_days * 390
            show("symbols_a_request", weight.batch, symbols)
            show("rows_of_each_in_a_request", min(rows, weight.rows(min(symbols, max(1, weight.batch)))), symbols)
            show("megabytes_of_all_history_at_once", weight.bytes(symbols, rows) / 1e6, symbols)
            planner = budget_planner(Runtime(settings=settings, root=Path(folder), environment={}))
            assert planner is not None
            days = YEAR[60:80]
            calls = planner.day_calls(days)
            a_day = sum(one.needed for one in calls) / len(days)
            show("calls_a_session", a_day, symbols)
            show("calls_a_year", round(a_day * len(YEAR)), symbols)
            show("budget_days_a_year_takes", round(a_day * len(YEAR) / a_budget_day, 1), symbols)
            show("megabytes_sent_a_session", max(one.max_bytes for one in calls) * a_day / 1e6, symbols)
            show("bars_a_year", (symbols + 1) * 390 * len(YEAR), symbols)


def show(name: str, value: float, symbols: int | None) -> None:
    """Print one figure."""
    print(json.dumps({"name": name, "symbols": symbols, "value": round(value, 3), "goal": None, "baseline": None}))


if __name__ == "__main__":
    main()
