"""The ridge: it learns what is there, invents nothing, and answers what plain loops answer."""

from datetime import date, time
from functools import partial

import numpy as np
import polars as pl
import pytest

from timegpt_assets.core import calendar, targets
from timegpt_assets.core.forecasts.framing import Frame
from timegpt_assets.core.forecasts.local.ridge import Ridge
from timegpt_assets.core.forecasts.snapshots import Preset
from timegpt_assets_tests.core.forecasts.local.made import (
    DAYS,
    HOURS,
    LEVELS,
    SYMBOLS,
    agree,
    answers,
    framed,
    in_sigma,
    lessons,
    said,
)  # fmt: skip
from timegpt_assets_tests.core.panels import panel

MANY = tuple("ABCDEFGH")


def judged(momentum: float) -> pl.DataFrame:
    """Return answers of the days after the first ten with the y that came true and the y known at the snapshot."""
    rows = panel(DAYS, MANY, momentum=momentum)
    days = [framed(rows, day=day, preset=HOURS, symbols=MANY) for day in DAYS[10:]]
    made = answers([frame for day in days for frame in day])
    returns = targets.known_returns(rows, horizon_min=15)
    last = returns.select("symbol", snapshot_ts="known_at", y_last="y")
    truth = returns.select("symbol", "y", snapshot_ts=pl.col("known_at").dt.offset_by("-15m"))
    sigma = rows.select("symbol", "sigma_60m", snapshot_ts="known_at")
    key = ["symbol", "snapshot_ts"]
    joined = made.join(truth, on=key).join(last, on=key).join(sigma, on=key)
    assert joined.height == made.height == 15 * len(HOURS.times) * len(MANY)
    return joined


@pytest.fixture(scope="module")
def trending() -> pl.DataFrame:
    return judged(momentum=0.36)


@pytest.fixture(scope="module")
def martingale() -> pl.DataFrame:
    return judged(momentum=0.0)


def correlation(rows: pl.DataFrame, left: str, right: str) -> float:
    return float(rows.select(pl.corr(left, right)).item())


def test_planted_momentum_is_found_out_of_sample(trending: pl.DataFrame) -> None:
    assert 0.5 < correlation(trending, "y_last", "y") < 0.7
    assert correlation(trending, "mean", "y") > 0.5
    error, nothing = trending.select((pl.col("y") - pl.col("mean")).abs().mean(), zero=pl.col("y").abs().mean()).row(0)
    assert error < 0.9 * nothing


def test_on_a_martingale_almost_nothing_is_forecast(martingale: pl.DataFrame) -> None:
    in_sigma = martingale.select((pl.col("mean") / pl.col("sigma_60m")).abs().mean()).item()
    assert 0 < in_sigma < 0.15
    assert abs(correlation(martingale, "mean", "y")) < 0.1


@pytest.mark.parametrize("market", ["trending", "martingale"])
def test_bands_cover_about_their_level_out_of_sample(market: str, request: pytest.FixtureRequest) -> None:
    rows = request.getfixturevalue(market)
    for level in LEVELS:
        covered = rows.select(pl.col("y").is_between(f"lo_{level}", f"hi_{level}").mean()).item()
        assert covered == pytest.approx(level / 100, abs=0.05)


def oracle(frame: Frame, symbol: str, *, ridge: float, window: int) -> tuple[float, ...]:
    """Return mean, lo_50, hi_50 by plain loops over the frame's rows."""
    learnt, now = lessons(frame, symbol)
    x, z = np.array([lesson.past for lesson in learnt]), np.array([lesson.z for lesson in learnt])
    gram = x.T @ x
    beta = np.linalg.inv(gram + ridge * np.diag(np.diag(gram))) @ (x.T @ z)
    near = [
        lesson.z - sum(b * p for b, p in zip(beta, lesson.past, strict=True))
        for lesson in learnt
        if abs(lesson.minute - now["minute"]) <= window
    ]
    mean = sum(b * p for b, p in zip(beta, in_sigma(now), strict=True))
    low, middle, high = np.quantile(near, [0.25, 0.5, 0.75])
    return tuple(v * now["sigma"] for v in (mean, mean + low - middle, mean + high - middle))


def test_the_answer_is_the_oracle_loop_s_in_every_target_unit() -> None:
    agree(Ridge(ridge=0.4, residual_window_min=20, min_residuals=120), partial(oracle, ridge=0.4, window=20))


def test_short_history_is_refused_with_a_reason_and_never_answered() -> None:
    made = framed(history_days=2)
    at_open = made[0]  # half of the window lies before the first y: 31 minutes of each day remain
    found = said(made, min_residuals=63)
    few, refused = found.rows, found.refused
    assert at_open.snapshot_ts not in few["snapshot_ts"].to_list()
    assert refused.filter(pl.col("snapshot_ts") == at_open.snapshot_ts).rows() == [
        (at_open.snapshot_ts, s, "short history: 62 residuals near this time, at least 63") for s in SYMBOLS
    ]
    assert few.height + refused.height == len(made) * len(SYMBOLS)
    assert few.join(refused, on=["snapshot_ts", "symbol"]).is_empty()
    just = said(made, min_residuals=62)
    assert just.refused.is_empty()
    assert just.rows.height == len(made) * len(SYMBOLS)


def test_an_early_close_is_matched_by_minutes_since_the_open() -> None:
    days = calendar.month_sessions("2025-07")
    rows = panel(days[:12], SYMBOLS)
    assert date(2025, 7, 3) in days[1:11]
    made = framed(rows, day=days[11], preset=Preset(name="p", times=(time(14),)))
    full = said(made, min_residuals=10_000).refused["reason"][0]
    assert full == "short history: 549 residuals near this time, at least 10000"  # 9 full days x 61, none on July 3
