"""Storage against one single file (P5): ten symbols x 252 sessions of bars and of features, written and scanned.

Prints one JSON line per figure: our store's CPU time over polars' for one file of the same rows, and beside it what
polars itself takes for one file a day. CPU of all threads, the least of several rounds, since the machine is shared.
"""

import json
import resource
import shutil
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from timegpt_assets.adapters.market.synthetic_market import SyntheticMarket
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.core import calendar

SYMBOLS = ("AAPL", "AMZN", "AVGO", "GOOGL", "META", "MSFT", "NVDA", "QQQ", "SPY", "TSLA")
SESSIONS, FEATURES, ROUNDS = 252, 48, 3
WRITE_GOAL, SCAN_GOAL = 1.2, 1.5


def cpu_seconds(work: Callable[[], Any]) -> float:
    """Return the least CPU time of some rounds, system time included."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = resource.getrusage(resource.RUSAGE_SELF)
        work()
        ended = resource.getrusage(resource.RUSAGE_SELF)
        best = min(best, ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime)
    return best


def bars() -> pl.DataFrame:
    """Return the synthetic market's minutes as the bars table holds them, lineage included."""
    days = [s.day for s in calendar.sessions(datetime(2024, 1, 2, tzinfo=UTC).date(), calendar.LAST_DAY)][:SESSIONS]
    market = SyntheticMarket(symbols=SYMBOLS, context=("QQQ", "SPY"), seed=7, predictability=0.0, missing_rate=0.0)
    frame = market.bars(SYMBOLS, days).drop("row")
    return frame.with_columns(is_filled=pl.lit(False), lineage_id=pl.lit("0123456789abcdef")).sort(
        "day", "symbol", "ts"
    )


def features(frame: pl.DataFrame) -> pl.DataFrame:
    """Return as many float32 columns as the features table has, for the same rows."""
    noise = np.random.default_rng(7).normal(size=(FEATURES, frame.height)).astype(np.float32)
    columns = {f"feature_{i:02d}": pl.Series(column) for i, column in enumerate(noise)}
    return frame.select("day", "symbol", "ts", known_at=pl.col("ts")).with_columns(
        **columns, lineage_id=frame["lineage_id"]
    )


def measured(name: str, frame: pl.DataFrame, folder: Path) -> None:
    """Print the figures of one table."""
    asset, keys = f"benchmark/{name}", list(SYMBOLS)
    days = [str(day) for day in frame["day"].unique().sort()]
    store, one, bare = ParquetStore(LocalStore(folder / "store")), folder / "one.parquet", folder / "bare"
    bare.mkdir()

    def ours() -> None:
        for (day,), part in frame.partition_by("day", as_dict=True).items():
            store.write(asset, str(day), part, keys=keys, facts={key: {"verdict": "ok"} for key in keys})

    def theirs() -> None:
        for (day,), part in frame.partition_by("day", as_dict=True).items():
            part.write_parquet(bare / f"{day}.parquet")

    single = cpu_seconds(lambda: frame.write_parquet(one))
    show(f"{name}_write_polars_a_file_a_day", cpu_seconds(theirs) / single, single, None)
    show(
        f"{name}_write_first",
        cpu_seconds(lambda: (shutil.rmtree(folder / "store", True), ours())) / single,
        single,
        WRITE_GOAL,
    )
    show(f"{name}_write_again", cpu_seconds(ours) / single, single, WRITE_GOAL)
    scan = cpu_seconds(lambda: pl.scan_parquet(one).collect())
    show(
        f"{name}_scan_polars_a_file_a_day",
        cpu_seconds(lambda: pl.scan_parquet(bare / "*.parquet").collect()) / scan,
        scan,
        None,
    )
    show(f"{name}_scan", cpu_seconds(lambda: store.read(asset, days)) / scan, scan, SCAN_GOAL)
    scan = cpu_seconds(lambda: pl.scan_parquet(one).filter(pl.col("symbol") == "META").collect())
    show(f"{name}_scan_one_symbol", cpu_seconds(lambda: store.read(asset, days, ["META"])) / scan, scan, SCAN_GOAL)
    if store.read(asset, days).height != frame.height:
        sys.exit("rows were lost")


def show(name: str, ratio: float, baseline_s: float, goal: float | None) -> None:
    """Print one ratio of CPU times; the baseline is one single file's CPU seconds."""
    print(
        json.dumps(
            {"name": name, "value": round(ratio, 2), "unit": "x", "goal": goal, "baseline": round(baseline_s, 3)}
        )
    )


def main() -> None:
    """Measure the bars table, then the features table."""
    minutes = bars()
    for name, frame in (("bars", minutes), ("features", features(minutes))):
        with tempfile.TemporaryDirectory() as folder:
            measured(name, frame, Path(folder))


if __name__ == "__main__":
    main()
