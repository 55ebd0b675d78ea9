"""Features: against pandas, against the disk, and as symbols and days grow.

Prints one JSON line per figure. CPU seconds throughout, for the machine is shared; each measurement is a process of its
own, so that its memory is its own. Options: ``--growth`` adds 500 symbols x 60 sessions; ``--oracle`` compares every
column with pandas on all sessions of both real sets (TIMEGPT_ASSETS_REAL_DATA) and prints the largest differences;
``--only NAME`` makes one of the measurements.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.core import calendar
from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.features.context import market_context
from timegpt_assets.core.features.feature_spec import FeatureSpec
from timegpt_assets.core.features.matrix import chunks, features
from timegpt_assets.core.tables.bars import BARS

CONTEXT = ("SPY", "QQQ")
SESSIONS = tuple(session.day for session in calendar.sessions(date(2024, 1, 2), date(2025, 6, 30)))
VIX = pl.DataFrame({"date": SESSIONS, "close": 15.0 + np.random.default_rng(1).normal(0, 1, len(SESSIONS))})
CALENDAR = EventCalendar({"event_cpi": SESSIONS[30::21], "event_fomc": SESSIONS[40::30]})
SPEC = FeatureSpec(context=CONTEXT, vix=True, calendar=CALENDAR)
KEYS = ("day", "symbol", "ts")


def made_up(days: Sequence[date], symbols: int) -> pl.DataFrame:
    """Return BARS of random walks: ``symbols`` of them, the context symbols among them."""
    names = [f"S{n:03}" for n in range(symbols - len(CONTEXT))] + list(CONTEXT)
    frames = []
    for day in days:
        minutes = calendar.minutes([day])
        random = np.random.default_rng(day.toordinal())
        steps = random.normal(0.0, 5e-4, (symbols, minutes.height)).astype(np.float64)
        close = np.round(100.0 * np.exp(np.cumsum(steps, axis=1)), 2)
        start = np.concatenate([np.full((symbols, 1), 100.0), close[:, :-1]], axis=1)
        high, low = np.maximum(start, close) + 0.02, np.minimum(start, close) - 0.02
        volume = random.integers(100, 100_000, close.shape).astype(np.float64)
        for n in np.argsort(names):
            frame = minutes.select("day", symbol=pl.lit(names[n]), ts=pl.col("ts"))
            columns = {"open": start, "high": high, "low": low, "close": close, "volume": volume}
            frames.append(
                frame.with_columns(*(pl.Series(k, v[n]) for k, v in columns.items()), is_filled=pl.lit(False))
            )
    return pl.concat(frames)


def stored_bars(folder: Path, days: Sequence[date], symbols: int) -> ParquetStore:
    """Return a store that holds the bars and the market around them."""
    store = ParquetStore(LocalStore(folder))
    for day in days:
        own = made_up([day], symbols)
        market = market_context(own, days=[day], context=CONTEXT, vix=VIX)
        store.write("bars/bars", day, own, keys=own["symbol"].unique())
        store.write("features/market_context", day, market)
    return store


def read(store: ParquetStore, days: Sequence[date]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the bars and the market around them."""
    return store.read("bars/bars", days), store.read("features/market_context", days)


def write(store: ParquetStore, frame: pl.DataFrame) -> None:
    """Store features as the IO manager does, a file a day."""
    for (day,), part in frame.partition_by("day", as_dict=True, maintain_order=True).items():
        store.write("features/features", day, part, keys=part["symbol"].unique())


def road(store: ParquetStore, days: Sequence[date]) -> None:
    """Read, compute and write the features of these days, chunk by chunk."""
    market = store.read("features/market_context", days)
    symbols = {symbol for _, symbol in store.read_facts("bars/bars", days)}

    def bars_of(own: Sequence[date]) -> pl.DataFrame:
        return store.read("bars/bars", own, missing="ok", empty=BARS.empty())

    for made in chunks(bars_of, market, days=days, symbols=symbols, spec=SPEC):
        write(store, made.frame)


def floor(store: ParquetStore, days: Sequence[date]) -> None:
    """Read what ``road`` reads and write what it writes, computed beforehand: no feature is made."""
    read(store, days)
    for start in range(0, len(days), 20):
        write(store, store.read("features/features", days[start : start + 20]))


def plain(store: ParquetStore, days: Sequence[date]) -> None:
    """Read and write the same rows as plain parquet files, a file a day, with neither locks nor facts."""
    read(store, days)
    folder = Path(tempfile.mkdtemp(dir=os.environ["BENCH_FOLDER"]))
    for start in range(0, len(days), 20):
        rows = store.read("features/features", days[start : start + 20])
        for (day,), part in rows.partition_by("day", as_dict=True, maintain_order=True).items():
            part.write_parquet(folder / f"{day}.parquet", compression="lz4", statistics=False)


def reread(store: ParquetStore, days: Sequence[date]) -> None:
    """Read the features alone: what ``floor`` and ``plain`` read beyond what the road reads."""
    for start in range(0, len(days), 20):
        store.read("features/features", days[start : start + 20])


ROADS: dict[str, Callable[[ParquetStore, Sequence[date]], None]] = {
    "road": road, "floor": floor, "plain": plain, "reread": reread,
}  # fmt: skip


def child(name: str, folder: Path, days: int) -> dict[str, float]:
    """Return CPU seconds and peak memory of one road in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "timegpt_assets_tests.benchmarks.features",
        "--child",
        name,
        str(folder),
        str(days),
    ]
    environment = os.environ | {"BENCH_FOLDER": str(folder)}
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found: dict[str, float] = json.loads(ran.stdout)
    return found


def run_child(name: str, folder: Path, days: int) -> None:
    """Run one road and print what it took; the imports and the calendar are not counted."""
    calendar.sessions(SESSIONS[0], SESSIONS[1])
    before = time.process_time()
    ROADS[name](ParquetStore(LocalStore(folder)), SESSIONS[:days])
    used = time.process_time() - before
    print(json.dumps({"cpu": used, "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def figure(name: str, value: float, unit: str, goal: float | None = None, baseline: float | None = None) -> None:
    """Print one figure to four digits."""
    said = {"name": name, "value": float(f"{value:.4g}"), "unit": unit, "goal": goal}
    print(json.dumps(said | {"baseline": None if baseline is None else float(f"{baseline:.4g}")}), flush=True)


def against_the_disk() -> None:
    """P3: ten symbols, a year."""
    with tempfile.TemporaryDirectory() as folder:
        stored_bars(Path(folder), SESSIONS[:252], 10)
        best: dict[str, dict[str, float]] = {}
        for name in ("road", *(("road", "floor", "plain", "reread") * 3)):
            found = child(name, Path(folder), 252)
            best[name] = found if name not in best or found["cpu"] < best[name]["cpu"] else best[name]
    again = best["reread"]["cpu"]
    ours, floors = best["road"]["cpu"], {n: best[n]["cpu"] - again for n in ("floor", "plain")}
    figure("features_year_cpu", ours, "s", baseline=floors["floor"])
    figure("features_over_read_and_write", ours / floors["floor"], "ratio", 1.5)
    figure("features_over_plain_parquet", ours / floors["plain"], "ratio", 2.8)
    figure("features_year_rss", best["road"]["rss_mb"], "MB", 700)
    figure("features_columns", len(SPEC.features), "columns", 48)


def against_pandas() -> None:
    """P0: the same features with pandas, session by session; both read from the store and write to it."""
    from timegpt_assets_tests.benchmarks._pandas_features import oracle

    warnings.simplefilter("ignore")
    days = SESSIONS[:30]
    with tempfile.TemporaryDirectory() as folder:
        store = stored_bars(Path(folder), days, 10)
        calendar.sessions(SESSIONS[0], SESSIONS[1])
        times = []
        for _ in range(3):
            began = time.process_time()
            road(store, days)
            times.append(time.process_time() - began)
        began = time.process_time()
        bars, _ = read(store, days)
        found = oracle(bars, VIX, days=days, spec=SPEC)
        kept = found[~found["dropped"]].drop(columns="dropped")
        write(store, pl.from_pandas(kept.astype({f.name: "float32" for f in SPEC.features})))
        pandas = time.process_time() - began
    rows = len(found)
    figure("features_rows_per_second", rows / min(times), "rows/s", baseline=rows / pandas)
    figure("features_over_pandas", pandas / min(times), "times", 15)


def growth(cases: Sequence[tuple[int, int]]) -> None:
    """P10: CPU seconds per million bars and peak memory as symbols and days grow."""
    for symbols, days in cases:
        with tempfile.TemporaryDirectory() as folder:
            stored_bars(Path(folder), SESSIONS[:days], symbols)
            found = child("road", Path(folder), days)
        bars = symbols * days * 390
        figure(f"features_{symbols}x{days}_cpu_per_million", found["cpu"] / bars * 1e6, "s")
        figure(f"features_{symbols}x{days}_rss", found["rss_mb"], "MB", 4096)


def against_the_oracle() -> None:
    """Print the largest difference of each column from pandas, in standard deviations, on all real sessions."""
    from timegpt_assets_tests.benchmarks._pandas_features import oracle
    from timegpt_assets_tests.core.bars.bars_factory import REAL_DATA, grid_of, real_raw

    warnings.simplefilter("ignore")
    vix = pl.read_parquet(Path(REAL_DATA) / "extras" / "vix_daily.parquet").select("date", "close")
    for name, context in (("mag7_spy_2025", ("SPY",)), ("us_large_cap_2018", ("AAPL", "MSFT"))):
        bars = grid_of(real_raw(name))
        days = bars["day"].unique().sort().to_list()
        spec = FeatureSpec(context=context, vix=True, calendar=EventCalendar({"event_cpi": tuple(days[5::20])}))
        market = market_context(bars, days=days, context=context, vix=vix)
        ours = features(bars, market, days=days, spec=spec)
        theirs = oracle(bars, vix, days=days, spec=spec)
        kept = theirs[~theirs["dropped"]]
        same = list(kept["symbol"]) == ours.frame["symbol"].to_list()
        figure(f"oracle_{name}_sessions", len(theirs.groupby(["day", "symbol"])), "symbol sessions")
        figure(f"oracle_{name}_rows_alike", float(same) * len(kept), "rows", baseline=float(ours.frame.height))
        for feature in spec.features:
            own = ours.frame[feature.name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
            other = kept[feature.name].to_numpy(dtype=float)
            missing = int((np.isnan(own) != np.isnan(other)).sum())
            spread = float(np.nanstd(other)) or 1.0
            error = float(np.nanmax(np.abs(own - other))) / spread
            figure(f"oracle_{name}_{feature.name}", error if missing == 0 else float("inf"), "sd", 2e-5)


def main() -> None:
    """Print the figures asked for."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--child", nargs=3)
    options.add_argument("--growth", action="store_true")
    options.add_argument("--oracle", action="store_true")
    options.add_argument("--only", choices=("pandas", "disk", "growth", "oracle"))
    asked = options.parse_args(sys.argv[1:] if sys.argv[0].endswith("features.py") else [])
    if asked.child:
        run_child(asked.child[0], Path(asked.child[1]), int(asked.child[2]))
        return
    everything = asked.only is None
    if everything or asked.only == "pandas":
        against_pandas()
    if everything or asked.only == "disk":
        against_the_disk()
    if everything or asked.only == "growth":
        growth([(50, 12), (500, 12), *([(500, 60)] if asked.growth else [])])
    if asked.oracle or asked.only == "oracle":
        against_the_oracle()


if __name__ == "__main__":
    main()
