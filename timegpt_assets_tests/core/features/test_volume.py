"""Volume features against loops over the bars."""

import statistics

import polars as pl
import pytest

from timegpt_assets.core.features.volume import signed_volume, volume_norm, vwap_z
from timegpt_assets.core.features.windows import change, log_clock_prices, sessions_of
from timegpt_assets_tests.core.bars_factory import troubled_bars


def each_session():
    """Yield the bars of each session with its three volume features as columns."""
    sessions = sessions_of(troubled_bars())
    returns = change(log_clock_prices(sessions), 1)
    frame = sessions.bars.with_columns(
        sessions.series("z", vwap_z(sessions), pl.Float64),
        sessions.series("norm", volume_norm(sessions), pl.Float64),
        sessions.series("signed", signed_volume(sessions, returns), pl.Float64),
        sessions.series("ret", returns, pl.Float64),
    )
    yield from (session.to_dicts() for session in frame.partition_by("day", "symbol", maintain_order=True))


def test_vwap_z_is_the_distance_from_the_volume_weighted_price_in_deviations_of_the_close():
    compared = 0
    for bars in each_session():
        for t, bar in enumerate(bars):
            seen = [b for b in bars[max(0, t - 29) : t + 1] if b["close"] is not None]
            volume = sum(b["volume"] for b in seen)
            spread = statistics.stdev(b["close"] for b in seen) if len(seen) >= 10 else 0.0
            if spread == 0.0 or volume == 0.0:
                assert bar["z"] is None
                continue
            vwap = sum(b["volume"] * (b["high"] + b["low"] + b["close"]) / 3 for b in seen) / volume
            assert bar["z"] == pytest.approx((bar["close"] - vwap) / spread, rel=1e-7, abs=1e-7)
            compared += 1
    assert compared > 3_000


def test_volume_norm_compares_five_minutes_with_the_session_so_far():
    compared = 0
    for bars in each_session():
        for t, bar in enumerate(bars):
            so_far = [b["volume"] for b in bars[: t + 1]]
            if t < 4 or sum(so_far) == 0:
                assert bar["norm"] is None
                continue
            assert bar["norm"] == pytest.approx(statistics.fmean(so_far[-5:]) / statistics.fmean(so_far), rel=1e-9)
            compared += 1
    assert compared > 3_000


def test_signed_volume_has_the_sign_of_the_minutes_return():
    rows = [bar for bars in each_session() for bar in bars if bar["ret"] is not None]
    for bar in rows:
        sign = (bar["ret"] > 0) - (bar["ret"] < 0)
        assert bar["signed"] == sign * bar["volume"]
    assert {-1, 0, 1} == {(bar["signed"] > 0) - (bar["signed"] < 0) for bar in rows}
    assert len(rows) > 3_000
