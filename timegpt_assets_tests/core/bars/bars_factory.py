"""Small seeded bars for tests of bars, features and targets; the real sets when the environment names their folder."""

import os
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from timegpt_assets.core import calendar
from timegpt_assets.core.bars import session_grid
from timegpt_assets.core.bars.quality_rules import DEFAULT_SEVERITY, QualityPolicy
from timegpt_assets.core.schema import TIME

DAYS = (date(2024, 11, 26), date(2024, 11, 27), date(2024, 11, 29), date(2024, 12, 2))
"""Four sessions in a row; 11-28 is a holiday and 11-29 a half day of 210 minutes."""
SYMBOLS = ("AAA", "BBB", "SPY")
LENIENT = QualityPolicy(severity=dict.fromkeys(DEFAULT_SEVERITY, "warn"))

REAL_DATA = os.environ.get("TIMEGPT_ASSETS_REAL_DATA", "")
needs_real_data = pytest.mark.skipif(
    not REAL_DATA, reason="TIMEGPT_ASSETS_REAL_DATA does not name the folder of the real bar sets"
)


def raw_bars(*, days: Sequence[date] = DAYS, symbols: Sequence[str] = SYMBOLS, seed: int = 7) -> pl.DataFrame:
    """Return RAW_BARS of complete sessions: a random walk in steps of 5 bp, each (seed, symbol) with its own stream."""
    minutes = calendar.minutes(days).select("day", "ts")
    return pl.concat(_walk(minutes, symbol, np.random.default_rng([seed, n])) for n, symbol in enumerate(symbols))


def _walk(minutes: pl.DataFrame, symbol: str, random: np.random.Generator) -> pl.DataFrame:
    n = minutes.height
    close = 100.0 * np.exp(np.cumsum(random.normal(0.0, 5e-4, n)))
    start = np.concatenate([[100.0], close[:-1]]) * np.exp(random.normal(0.0, 1e-4, n))
    spread = np.exp(np.abs(random.normal(0.0, 2e-4, (2, n))))
    return minutes.with_columns(
        symbol=pl.lit(symbol),
        row=pl.int_range(n, dtype=pl.Int64),
        open=pl.Series(start),
        high=pl.Series(np.maximum(start, close) * spread[0]),
        low=pl.Series(np.minimum(start, close) / spread[1]),
        close=pl.Series(close),
        volume=pl.Series(random.integers(100, 100_000, n).astype(np.float64)),
    )


def with_extended_hours(raw: pl.DataFrame, seed: int = 5) -> pl.DataFrame:
    """Return the rows inside a made feed from 04:00 to 20:00: flat prices, a twentieth of the volume each minute."""
    local = pl.col("ts").dt.convert_time_zone(calendar.ZONE).dt.date()
    symbol = [name for name in ("symbol",) if name in raw.columns]
    rows = raw.with_columns(day=local).sort("day", *symbol, "ts")
    days = rows.group_by("day", *symbol, maintain_order=True).agg(
        before=pl.col("open").first(), after=pl.col("close").last(), usual=pl.col("volume").median()
    )
    hours = days.join(calendar.sessions_frame(rows["day"].unique()).rename({"open": "o", "close": "c"}), on="day")
    spans = {"before": (pl.col("o") - pl.duration(minutes=330), pl.col("o")),
             "after": (pl.col("c"), pl.col("c") + pl.duration(minutes=240))}  # fmt: skip
    made = pl.concat([
        hours.with_columns(ts=pl.datetime_ranges(*span, "1m", closed="left"), price=pl.col(edge)).explode("ts")
        for edge, span in spans.items()
    ])  # fmt: skip
    random = np.random.default_rng(seed)
    price = pl.col("price") * pl.Series(np.exp(random.normal(0.0, 0.002, made.height)))
    volume = (pl.col("usual") * pl.Series(random.lognormal(-3.0, 1.0, made.height))).round()
    made = made.with_columns(volume=volume, **dict.fromkeys(("open", "high", "low", "close"), price))
    columns = [c for c in raw.columns if c != "row"]
    whole = pl.concat([raw.select(columns), made.select(columns)], how="vertical_relaxed").sort(*symbol, "ts")
    return whole.with_columns(row=pl.int_range(pl.len(), dtype=pl.Int64)) if "row" in raw.columns else whole


def keys_of(raw: pl.DataFrame) -> pl.DataFrame:
    """Return [day, symbol] of every session between the first and the last day with every symbol."""
    days = [s.day for s in calendar.sessions(raw["day"].min(), raw["day"].max())]
    return pl.DataFrame({"day": days}).join(raw.select(pl.col("symbol").unique()), how="cross")


def grid_of(raw: pl.DataFrame, policy: QualityPolicy = LENIENT) -> pl.DataFrame:
    """Return BARS of the raw rows; the default policy lets everything through that is a bar at all."""
    sessions = calendar.sessions_frame(raw["day"].unique())
    verdicts = session_grid.quality(raw, keys=keys_of(raw), sessions=sessions, policy=policy)
    return session_grid.grid(raw, verdicts, sessions=sessions, policy=policy)


def without(raw: pl.DataFrame, symbol: str, day: date, minutes: range) -> pl.DataFrame:
    """Return the rows less those of the given 0-based minutes of one session."""
    minute = (pl.col("ts") - pl.lit(calendar.session(day).open)).dt.total_minutes()
    return raw.filter(~((pl.col("symbol") == symbol) & (pl.col("day") == day) & minute.is_in(list(minutes))))


def troubled_bars(seed: int = 7) -> pl.DataFrame:
    """Return BARS with a missing first minute, a late first print, a halt and a stretch without movement or volume."""
    raw = raw_bars(seed=seed)
    raw = without(raw, "AAA", DAYS[1], range(0, 1))
    raw = without(raw, "BBB", DAYS[1], range(0, 7))
    raw = without(raw, "AAA", DAYS[3], range(100, 140))
    still = (pl.col("symbol") == "BBB") & (pl.col("day") == DAYS[3]) & pl.col("row").is_between(1000, 1150)
    prices = [pl.when(still).then(123.45).otherwise(c).alias(c) for c in ("open", "high", "low", "close")]
    return grid_of(raw.with_columns(*prices, pl.when(still).then(0.0).otherwise("volume").alias("volume")))


def perturbed(frame: pl.DataFrame, moment: object, seed: int) -> pl.DataFrame:
    """Return the bars with every price and volume of the bars that end after ``moment`` changed at random."""
    later = pl.col("ts") + pl.duration(minutes=1) > pl.lit(moment, TIME)
    random = np.random.default_rng(seed)
    factor = pl.Series(np.exp(random.normal(0.0, 0.05, frame.height)))
    more = pl.Series(random.integers(1, 1000, frame.height).astype(np.float64))
    prices = [pl.when(later).then(pl.col(c) * factor).otherwise(c).alias(c) for c in ("open", "high", "low", "close")]
    moved = frame.with_columns(
        *prices, pl.when(later).then(pl.col("volume") + more).otherwise("volume").alias("volume")
    )
    return moved.with_columns(high=pl.when(later).then(pl.col("high") * 1.01).otherwise("high"))


def real_raw(name: str) -> pl.DataFrame:
    """Return RAW_BARS of one of the real sets."""
    files = Path(REAL_DATA) / name / "stocks" / "1m" / "*" / "*" / "*.parquet"
    local = pl.col("ts").dt.convert_time_zone(calendar.ZONE)
    frame = pl.read_parquet(files).with_columns(
        day=local.dt.date(), ts=pl.col("ts").cast(TIME), volume=pl.col("volume").cast(pl.Float64)
    )
    return frame.with_columns(row=pl.int_range(pl.len(), dtype=pl.Int64).over("symbol"))
