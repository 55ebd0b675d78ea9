"""ATR, realised volatility, Parkinson, Garman-Klass and VWAP, minute by minute, as published, with a clerk's loops."""

from itertools import pairwise
from math import log, sqrt

import polars as pl
import pytest

from timegpt_assets_tests.core.bars.bars_factory import DAYS, troubled_bars
from timegpt_assets_tests.core.features.made import made

CLOSE_TO = {"rel": 2e-6, "abs": 1e-12}
"""Stored as float32."""


@pytest.fixture(scope="module")
def sessions() -> list[tuple[list[dict], dict[int, dict]]]:
    """Return each session's bars and, by minute, its stored features."""
    bars, features = troubled_bars(), made(troubled_bars()).frame
    found = []
    for key, session in bars.partition_by("day", "symbol", as_dict=True, maintain_order=True).items():
        own = features.filter(pl.col("day") == key[0], pl.col("symbol") == key[1])
        found.append((session.to_dicts(), {int(row["minute_index"]): row for row in own.to_dicts()}))
    return found


def last(bars: list[dict], minute: int, window: int) -> list[dict]:
    """Return the printed bars among the last ``window`` up to a minute."""
    return [bar for bar in bars[max(0, minute - window + 1) : minute + 1] if bar["close"] is not None]


def clock_prices(bars: list[dict]) -> list[float | None]:
    return [bars[0]["open"], *(bar["close"] for bar in bars)]


def checked(sessions, name: str, formula) -> int:
    """Compare a stored feature with a formula of (bars, minute); return how many were known."""
    known = 0
    for bars, stored in sessions:
        for minute, row in stored.items():
            expected = formula(bars, minute)
            assert (row[name] is None) == (expected is None), (name, minute)
            if expected is not None:
                assert row[name] == pytest.approx(expected, **CLOSE_TO)
                known += 1
    return known


@pytest.mark.parametrize("window", [5, 15, 30])
def test_realised_volatility_is_the_root_of_the_sum_of_squared_minute_returns(sessions, window: int):
    def realised(bars, minute):
        prices = clock_prices(bars)[max(0, minute + 1 - window) : minute + 2]
        if len(prices) <= window or None in prices:
            return None
        return sqrt(sum(log(b / a) ** 2 for a, b in pairwise(prices)))

    assert checked(sessions, f"rv_{window}m", realised) > 3_000


def test_atr_is_the_mean_of_wilders_true_ranges(sessions):
    def atr(bars, minute):
        if len(last(bars, minute, 390)) < 10:
            return None
        ranges = []
        for at in range(max(0, minute - 13), minute + 1):
            bar, before = bars[at], bars[at - 1]["close"] if at else None
            if bar["close"] is not None:
                gaps = [] if before is None else [abs(bar["high"] - before), abs(bar["low"] - before)]
                ranges.append(max([bar["high"] - bar["low"], *gaps]))
        return sum(ranges) / len(ranges) / bars[minute]["close"]

    assert checked(sessions, "atr_14m", atr) > 3_000


def test_parkinson_is_the_range_estimator_of_1980(sessions):
    def parkinson(bars, minute):
        seen = last(bars, minute, 30)
        if len(last(bars, minute, 390)) < 10:
            return None
        return sqrt(sum(log(b["high"] / b["low"]) ** 2 for b in seen) / (4 * len(seen) * log(2)))

    assert checked(sessions, "parkinson_30m", parkinson) > 3_000


def test_garman_klass_is_the_practical_estimator_of_1980(sessions):
    def garman_klass(bars, minute):
        seen = last(bars, minute, 30)
        if len(last(bars, minute, 390)) < 10:
            return None
        terms = [
            0.5 * log(b["high"] / b["low"]) ** 2 - (2 * log(2) - 1) * log(b["close"] / b["open"]) ** 2 for b in seen
        ]
        return sqrt(max(sum(terms) / len(seen), 0.0))

    assert checked(sessions, "garman_klass_30m", garman_klass) > 3_000


def test_vwap_is_the_turnover_over_the_shares(sessions):
    def vwap(bars, minute):
        seen = last(bars, minute, 30)
        shares = sum(b["volume"] for b in seen)
        if len(last(bars, minute, 390)) < 10 or shares == 0:
            return None
        return sum(b["volume"] * (b["high"] + b["low"] + b["close"]) / 3 for b in seen) / shares

    assert checked(sessions, "vwap_30m", vwap) > 3_000


def test_the_weighted_deviation_runs_on_from_the_session_before(sessions):
    frame = made(troubled_bars()).frame.filter(pl.col("symbol") == "AAA", pl.col("day") == DAYS[1])
    day_before, today = ([b for b, _ in sessions if b[0]["symbol"] == "AAA"][n] for n in (0, 1))

    def minute_returns(bars):
        prices = clock_prices(bars)
        return [log(b / a) for a, b in pairwise(prices) if a is not None and b is not None]

    for row in frame.filter(pl.col("minute_index") % 37 == 20).iter_rows(named=True):
        minute = int(row["minute_index"])
        seen = minute_returns(day_before) + minute_returns(today[: minute + 1])
        weights = [(1 - 2 / 61) ** k for k in range(len(seen) - 1, -1, -1)]
        total = sum(weights)
        mean = sum(w * r for w, r in zip(weights, seen, strict=True)) / total
        spread = sum(w * (r - mean) ** 2 for w, r in zip(weights, seen, strict=True))
        unbiased = total / (total**2 - sum(w * w for w in weights))
        assert row["vol_ewm_60m"] == pytest.approx(sqrt(spread * unbiased * 15), rel=1e-9)
