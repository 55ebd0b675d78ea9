"""A model of statsforecast in a seat: what the package itself says of the same returns, and nothing from afterwards."""

import subprocess
import sys
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from statsforecast.models import AutoARIMA, AutoETS, AutoTheta

from timegpt_assets.core.forecasts.framing import Frame
from timegpt_assets.core.forecasts.local.statistical import Statistical
from timegpt_assets_tests.core.forecasts.local.made import (
    DAY,
    LEVELS,
    PANEL,
    RETURNS,
    SYMBOLS,
    agree,
    answers,
    framed,
    frames_in,
    in_sigma,
    lessons,
    said,
    usual_frames,
    with_history,
)  # fmt: skip

SES = Statistical(model="ses", window_min=60, min_residuals=40)
MODELS: dict[str, Callable[[], Any]] = {
    "ses": lambda: AutoETS(season_length=1, model="ANN"),
    "ets": lambda: AutoETS(season_length=1, model="ZZN"),
    "theta": lambda: AutoTheta(season_length=1),
    "arima": lambda: AutoARIMA(season_length=1, seasonal=False),
}


def oracle(frame: Frame, symbol: str, model: str = "ses") -> tuple[float, ...]:
    """Return mean, lo_50, hi_50 by plain loops over the frame's rows and the package itself."""
    learnt, now = lessons(frame, symbol)
    rows = frame.history.filter(pl.col("symbol") == symbol).sort("ds").to_dicts()
    on_step = [row for row in rows if row["minute"] % 15 == now["minute"] % 15 and row["sigma"]]
    series = {(row["day"], row["minute"]): in_sigma(row)[0] for row in on_step}
    earlier = [key for key in series if key[0] < frame.day]
    fit = MODELS[model]().fit(np.array([series[key] for key in earlier]))
    expected: dict[tuple[date, int], float] = dict(zip(earlier, fit.predict_in_sample()["fitted"], strict=True))
    centre = fit.forward(np.array(list(series.values())), h=1)["mean"][0]
    errors = [
        one.z - expected[one.day, one.minute + 15]
        for one in learnt
        if abs(one.minute - now["minute"]) <= 60 and (one.day, one.minute + 15) in expected
    ]
    low, middle, high = np.quantile(errors, [0.25, 0.5, 0.75])
    return tuple(v * now["sigma"] for v in (centre, centre + low - middle, centre + high - middle))


def test_the_answer_is_the_package_s_own_in_every_target_unit() -> None:
    agree(SES, oracle)


@pytest.mark.parametrize("model", MODELS)
def test_each_model_says_what_the_package_says(model: str) -> None:
    frame = frames_in("log_return_15m")[1]
    rows = answers([frame], Statistical(model=model, window_min=60, min_residuals=40), levels=(50,))
    for symbol in SYMBOLS:
        row = rows.row(by_predicate=pl.col("symbol") == symbol)
        assert row[3:] == pytest.approx(oracle(frame, symbol, model), rel=1e-9, abs=1e-12)
    assert answers([frame], Statistical(model=model, window_min=60, min_residuals=40), levels=(50,)).equals(rows)


def test_earlier_returns_of_the_day_are_known_and_teach_nothing() -> None:
    made = usual_frames()[12]
    today = (pl.col("day") == made.day) & (pl.col("known_at") < made.snapshot_ts)
    tripled = [pl.when(today).then(pl.col(c) * 3).otherwise(c).alias(c) for c in RETURNS]
    other = with_history(made, lambda rows: rows.with_columns(tripled))
    usual, found = answers([made], SES), answers([other], SES)
    assert not found["mean"].equals(usual["mean"])
    widths = [pl.col(f"{end}_{level}") - pl.col("mean") for level in LEVELS for end in ("lo", "hi")]
    assert_frame_equal(found.select(widths), usual.select(widths), rel_tol=1e-9, abs_tol=1e-15)


def test_minutes_between_the_steps_are_not_looked_at() -> None:
    made = usual_frames()[12]
    between = (pl.col("minute") - pl.col("minute").max()) % 15 != 0
    tripled = [pl.when(between).then(pl.col(c) * 3).otherwise(c).alias(c) for c in RETURNS]
    other = with_history(made, lambda rows: rows.with_columns(tripled))
    assert answers([other], SES).equals(answers([made], SES))


def test_a_day_that_knows_no_volatility_on_the_steps_is_refused() -> None:
    on_step = (pl.col("known_at").dt.minute() % 15 == 0) & (pl.col("day") < DAY)
    found = said(framed(PANEL.with_columns(sigma_60m=pl.when(on_step).then(None).otherwise("sigma_60m"))), SES)
    assert found.rows.is_empty()
    assert set(found.refused["reason"]) == {"short history: 0 residuals near this time, at least 40"}


@pytest.mark.parametrize("model", MODELS)
def test_a_symbol_that_never_moved_is_answered_without_a_stir(model: str) -> None:
    still = [pl.when(pl.col("symbol") == "AAA").then(0.0).otherwise(c).alias(c) for c in RETURNS]
    frame = with_history(usual_frames()[12], lambda rows: rows.with_columns(still))
    rows = answers([frame], Statistical(model=model, window_min=60, min_residuals=40))
    assert rows.filter(pl.col("symbol") == "AAA").select("mean", "lo_95", "hi_95").row(0) == (0.0, 0.0, 0.0)


def test_nothing_of_it_is_imported_before_a_seat_learns() -> None:
    load = "import sys; import timegpt_assets.definitions; sys.exit('statsforecast' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", load], check=False).returncode == 0
