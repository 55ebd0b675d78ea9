"""Alerts: prices that left their band, and how much speaks for it that somebody knows more.

Belongs here: the three gates, severity and cooldown: BANDS, MARKET_SERIES and MARKETS to ALERTS. Which band is used is
assignment.py. A row is made of what was known at its ``ts``, and of nothing later.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from timegpt_assets.core.tables.tsfm import ALERTS

HOUR = timedelta(hours=1)
DAY_S = 86_400
LATE = timedelta(minutes=30)
"""How much older than wanted a snapshot of a market may be: an older one tells nothing of the moment."""
HIGH, MED, FYI = "HIGH", "MED", "FYI"
CARRIED = "ffill"
"""A price carried forward is no news: it cannot leave a band."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSpec:
    """Section tsfm.alerts: which step a price is compared with, the thresholds of gates 2 and 3, seconds of silence."""

    horizon_step: int
    open_interest_change_max: float
    volume_velocity_min: float
    ambiguity_max: float
    cooldown_s: float

    @property
    def reach(self) -> int:
        """Return how many days before a day are looked at: whether the last alert rang hangs on the one before it."""
        return max(1, math.ceil(2 * self.cooldown_s / DAY_S))


def alerts(
    bands: pl.DataFrame, series: pl.DataFrame, markets: pl.DataFrame, day: date, spec: AlertSpec
) -> pl.DataFrame:
    """Return ALERTS of a UTC day, from rows of BANDS, MARKET_SERIES and MARKETS of it and of the days before.

    Gate 1: the price lies outside the used band forecast ``horizon_step`` steps before. Gate 2: open interest fell
    (2a), or an hour's volume is a multiple of the usual (2b). Gate 3: the question is not ambiguous. HIGH: every part;
    MED: every gate; else FYI. What nobody tells passes no gate, and stands in ``evidence`` as unknown.
    Of ``reach`` days before, with what those stand on, alerts are worked out again: a market may still be silent.
    """
    within = pl.col("day").is_between(day - timedelta(days=spec.reach), day)
    out = _cooled(breaches(bands, series, spec.horizon_step).filter(within), timedelta(seconds=spec.cooldown_s))
    kept = _gated(_told(out.filter(pl.col("day") == day), markets), spec).sort("ts", "market_id")
    rows = [
        {name: row.get(name) for name in ALERTS.columns} | {"evidence": _evidence(row, spec)}
        for row in kept.iter_rows(named=True)
    ]
    return ALERTS.conformed(pl.DataFrame(rows, ALERTS.schema))


def breaches(bands: pl.DataFrame, series: pl.DataFrame, step: int) -> pl.DataFrame:
    """Return rows of BANDS of a step whose price was seen outside the used band, with ``ts``, ``price``, ``side``.

    ``day`` is that of ``ts``. A price on the edge is inside.
    """
    seen = series.filter(pl.col("y").is_not_null(), pl.col("y_source") != CARRIED)
    prices = seen.select("day", "market_id", "ts", "y_source", price="y")
    made = bands.filter(step=step).drop("day").rename({"target_ts": "ts"}).join(prices, on=["market_id", "ts"])
    above, below = pl.col("price") > pl.col("upper"), pl.col("price") < pl.col("lower")
    return made.filter(above | below).with_columns(side=pl.when(above).then(pl.lit("above")).otherwise(pl.lit("below")))


def flows(markets: pl.DataFrame) -> pl.DataFrame:
    """Return [market_id, snapshot, open_interest_change, volume_velocity, ambiguity, question] of each row of MARKETS.

    Both compare with the market's last snapshot at least an hour older (at most LATE more). The change of open interest
    is a share. Venues tell volume as the sum of 24 hours, so what an hour adds to it is its own volume less that of the
    same hour the day before; the usual hour is a 24th of the older sum: velocity = 1 + growth per hour / usual, not
    below 0; 1 is a usual hour. Null where either is not told or the older one is 0.
    """
    told = markets.select(
        "market_id", "question", "ambiguity", "open_interest", "volume_24h", pl.col("as_of").alias("snapshot")
    )
    then = told.select(
        "market_id", "snapshot", was="snapshot", open_interest_then="open_interest", volume_then="volume_24h"
    )
    wanted = told.with_columns(wanted=pl.col("snapshot") - HOUR).sort("wanted")
    pairs = wanted.join_asof(
        then.sort("snapshot"), left_on="wanted", right_on="snapshot", by="market_id", tolerance=LATE,
        check_sortedness=False,
    )  # fmt: skip
    hours = (pl.col("snapshot") - pl.col("was")).dt.total_microseconds() / 3.6e9
    usual = _above_zero("volume_then") / 24.0
    growth = (pl.col("volume_24h") - pl.col("volume_then")) / hours
    return pairs.select(
        "market_id",
        "snapshot",
        "question",
        "ambiguity",
        open_interest_change=(pl.col("open_interest") / _above_zero("open_interest_then") - 1.0).fill_nan(None),
        volume_velocity=(1.0 + growth / usual).clip(0.0).fill_nan(None),
    )


def _above_zero(name: str) -> pl.Expr:
    return pl.when(pl.col(name) > 0.0).then(pl.col(name))


def _told(found: pl.DataFrame, markets: pl.DataFrame) -> pl.DataFrame:
    """Return breaches with what the market's last snapshot told by then."""
    known = flows(markets).sort("snapshot").with_columns(at=pl.col("snapshot"))
    return found.sort("ts").join_asof(
        known, left_on="ts", right_on="at", by="market_id", tolerance=LATE, check_sortedness=False
    )


def _gated(found: pl.DataFrame, spec: AlertSpec) -> pl.DataFrame:
    """Return breaches with ``gates`` and ``severity``; a null passes no gate."""
    gated = found.with_columns(
        fell=(pl.col("open_interest_change") <= spec.open_interest_change_max).fill_null(False),
        fast=(pl.col("volume_velocity") >= spec.volume_velocity_min).fill_null(False),
        clear=(pl.col("ambiguity") <= spec.ambiguity_max).fill_null(False),
    )
    passed = [pl.when(name).then(pl.lit(word)) for name, word in (("fell", "2a"), ("fast", "2b"), ("clear", "3"))]
    both, either = pl.col("fell") & pl.col("fast"), pl.col("fell") | pl.col("fast")
    severity = (
        pl.when(pl.col("clear") & both).then(pl.lit(HIGH))
        .when(pl.col("clear") & either).then(pl.lit(MED))
        .otherwise(pl.lit(FYI))
    )  # fmt: skip
    return gated.with_columns(
        gates=pl.concat_str(pl.lit("1"), *passed, separator="+", ignore_nulls=True), severity=severity
    )


def _cooled(found: pl.DataFrame, cooldown: timedelta) -> pl.DataFrame:
    """Return the breaches less those within the cooldown of their market's last alert."""
    last: dict[str, datetime] = {}
    rings = []
    ordered = found.sort("ts", "market_id")
    for market, ts in ordered.select("market_id", "ts").iter_rows():
        rings.append(market not in last or ts - last[market] >= cooldown)
        if rings[-1]:
            last[market] = ts
    return ordered.filter(pl.Series(rings, dtype=pl.Boolean))


def _evidence(row: Mapping[str, Any], spec: AlertSpec) -> str:
    """Return what an alert is made of, as JSON with sorted keys."""
    measured = ("open_interest_change", "volume_velocity", "ambiguity")
    return json.dumps(
        {
            "question": row["question"],
            "model": row["model"],
            "parameters_day": row["parameters_day"] and str(row["parameters_day"]),
            "pool": row["pool"],
            "y_source": row["y_source"],
            "step": row["step"],
            "snapshot": row["snapshot"] and row["snapshot"].isoformat(),
            "unknown": [name for name in measured if row[name] is None],
            "thresholds": {
                "open_interest_change_max": spec.open_interest_change_max,
                "volume_velocity_min": spec.volume_velocity_min,
                "ambiguity_max": spec.ambiguity_max,
                "cooldown_s": spec.cooldown_s,
            },
        },
        sort_keys=True,
    )
