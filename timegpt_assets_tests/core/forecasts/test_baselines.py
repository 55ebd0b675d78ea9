"""What the local forecaster must do: learn what is there, invent nothing, and know earlier days alone."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, time, timedelta
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.core import calendar, targets
from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.forecasts import baselines
from timegpt_assets.core.forecasts.baselines import RidgeSpec
from timegpt_assets.core.forecasts.framing import Frame, FrameSpec, frames
from timegpt_assets.core.forecasts.quantiles import violations
from timegpt_assets.core.forecasts.snapshots import Preset, SnapshotSpec, snapshots
from timegpt_assets.core.targets import Target
from timegpt_assets_tests.core.panels import panel

DAYS = (calendar.month_sessions("2025-03") + calendar.month_sessions("2025-04"))[:25]
DAY, SYMBOLS, LEVELS = DAYS[10], ("AAA", "BBB"), (50, 80, 95)
MANY = tuple("ABCDEFGH")
HOURS = Preset(name="p", times=tuple(time(h) for h in range(10, 16)))
HALF_HOURS = Preset(name="p", times=tuple(time(h, m) for h in range(9, 16) for m in (0, 15, 30, 45)))
RIDGE = RidgeSpec(ridge=0.25, residual_window_min=30, min_residuals=120)
PANEL = panel(DAYS[:11], SYMBOLS, momentum=0.3)


def framed(
    rows: pl.DataFrame = PANEL, *, day: date = DAY, preset: Preset = HALF_HOURS, **changed: Any
) -> tuple[Frame, ...]:
    asked = snapshots([day], SnapshotSpec(preset=preset, horizon_min=15, calendar=EventCalendar({})))
    usual = {"symbols": SYMBOLS, "target": Target(), "history_days": 10, "sigma_column": "sigma_60m"}
    return frames(rows, asked, FrameSpec(**(usual | changed)), day=day)


def answers(frames: Iterable[Frame], *, levels: Sequence[int], **changed: Any) -> pl.DataFrame:
    return baselines.answers(frames, replace(RIDGE, **changed), levels=levels)


def refusals(frames: Iterable[Frame], **changed: Any) -> pl.DataFrame:
    return baselines.refusals(frames, replace(RIDGE, **changed))


@cache
def usual_frames() -> tuple[Frame, ...]:
    return framed()


def judged(momentum: float) -> pl.DataFrame:
    """Return answers of the days after the first ten with the y that came true and the y known at the snapshot."""
    rows = panel(DAYS, MANY, momentum=momentum)
    days = [framed(rows, day=day, preset=HOURS, symbols=MANY) for day in DAYS[10:]]
    made = answers([frame for day in days for frame in day], levels=LEVELS)
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
    rows = frame.history.filter(pl.col("symbol") == symbol).to_dicts()
    by_time = {row["known_at"]: row for row in rows}

    def predictors(row: dict[str, Any]) -> list[float]:
        returns = [row["y"] * row["target_scale"], row["past_1m"], row["past_5m"], row["past_30m"]]
        return [value / row["sigma"] for value in returns]

    lessons = []
    for row in rows:
        came = by_time.get(row["known_at"] + timedelta(minutes=15))
        if row["day"] < frame.day and came is not None and row["sigma"]:
            lessons.append((row["minute"], predictors(row), came["y"] * came["target_scale"] / row["sigma"]))
    x, z = np.array([lesson[1] for lesson in lessons]), np.array([lesson[2] for lesson in lessons])
    gram = x.T @ x
    beta = np.linalg.inv(gram + ridge * np.diag(np.diag(gram))) @ (x.T @ z)
    now = rows[-1]
    near = [
        value - sum(b * p for b, p in zip(beta, past, strict=True))
        for minute, past, value in lessons
        if abs(minute - now["minute"]) <= window
    ]
    mean = sum(b * p for b, p in zip(beta, predictors(now), strict=True))
    low, middle, high = np.quantile(near, [0.25, 0.5, 0.75])
    return tuple(v * now["sigma"] / now["target_scale"] for v in (mean, mean + low - middle, mean + high - middle))


@pytest.mark.parametrize("mode", ["log_return_15m", "bp", "volatility_z"])
def test_the_answer_is_the_oracle_loop_s_in_every_target_unit(mode: str) -> None:
    made = framed(target=Target(mode=mode))[::8]
    rows = answers(made, levels=(50,), ridge=0.4, residual_window_min=20)
    assert rows.height == len(made) * len(SYMBOLS)
    for frame in made:
        for symbol in SYMBOLS:
            (row,) = rows.filter((pl.col("snapshot_ts") == frame.snapshot_ts) & (pl.col("symbol") == symbol)).to_dicts()
            expected = oracle(frame, symbol, ridge=0.4, window=20)
            assert (row["mean"], row["lo_50"], row["hi_50"]) == pytest.approx(expected, rel=1e-9)
            assert row["step"] == 15


def test_the_answer_in_other_units_is_the_same_return() -> None:
    plain, bp = (answers(framed(target=Target(mode=mode)), levels=LEVELS) for mode in ("log_return_15m", "bp"))
    assert_frame_equal(bp.with_columns(pl.exclude("snapshot_ts", "symbol", "step") / 10_000), plain, rel_tol=1e-9)


def test_frames_one_at_a_time_reversed_or_together_answer_bit_for_bit_alike() -> None:
    made = usual_frames()
    assert len(made) == 25
    together = answers(made, levels=LEVELS)
    assert_frame_equal(pl.concat(answers([f], levels=LEVELS) for f in made), together, check_exact=True)
    assert_frame_equal(answers(made[::-1], levels=LEVELS[::-1]), together, check_exact=True)
    parts = [answers(framed(PANEL, symbols=[s]), levels=LEVELS) for s in SYMBOLS]
    assert_frame_equal(pl.concat(parts).sort("snapshot_ts", "symbol"), together, check_exact=True)


def test_days_together_answer_as_each_alone() -> None:
    rows = panel(DAYS[:12], SYMBOLS, momentum=0.3)
    days = [framed(rows, day=day) for day in DAYS[10:12]]
    alone = pl.concat(answers(made, levels=LEVELS) for made in days)
    assert_frame_equal(answers([*days[1], *days[0]], levels=LEVELS), alone, check_exact=True)


def test_frames_of_one_day_with_longer_and_shorter_history_do_not_borrow_each_other_s_fit() -> None:
    short, long = framed(history_days=5)[9:10], usual_frames()[10:11]
    alone = pl.concat([answers(short, levels=LEVELS), answers(long, levels=LEVELS)])
    assert_frame_equal(answers([*short, *long], levels=LEVELS), alone, check_exact=True)
    assert_frame_equal(answers([*long, *short], levels=LEVELS), alone, check_exact=True)


def test_a_symbol_left_out_of_the_first_frame_is_fitted_when_it_appears() -> None:
    first = (pl.col("symbol") == "AAA") & (pl.col("known_at") == usual_frames()[0].snapshot_ts)
    gone = PANEL.with_columns(sigma_60m=pl.when(first).then(None).otherwise("sigma_60m"))
    made, usual = framed(gone), answers(usual_frames(), levels=LEVELS)
    assert "AAA" in made[0].left_out
    later = pl.col("snapshot_ts") > made[0].snapshot_ts
    assert_frame_equal(answers(made, levels=LEVELS).filter(later), usual.filter(later), check_exact=True)


def test_only_earlier_days_teach_and_only_the_snapshot_is_answered() -> None:
    made = usual_frames()[12]
    today = (pl.col("day") == made.day) & (pl.col("known_at") < made.snapshot_ts)
    columns = ["y", "sigma", "past_1m", "past_5m", "past_30m"]
    shaken = made.history.with_columns(pl.when(today).then(pl.col(c) * 3).otherwise(c).alias(c) for c in columns)
    other = Frame(**{name: getattr(made, name) for name in Frame.__slots__} | {"history": shaken})
    usual = answers([made], levels=LEVELS)
    assert_frame_equal(answers([other], levels=LEVELS), usual, check_exact=True)
    earlier = made.history.with_columns(y=pl.when(pl.col("day") < made.day).then(pl.col("y") * 3).otherwise("y"))
    third = Frame(**{name: getattr(made, name) for name in Frame.__slots__} | {"history": earlier})
    assert not answers([third], levels=LEVELS).equals(usual)


def test_no_bar_after_the_snapshot_changes_the_answer() -> None:
    for n, made in enumerate(framed(preset=HOURS)):
        late = pl.col("known_at") > made.snapshot_ts
        shaken = PANEL.with_columns(
            pl.when(late).then(pl.col(c) * 1.5).otherwise(c).alias(c) for c in ("clock_price", "sigma_60m")
        )
        assert_frame_equal(
            answers([framed(shaken, preset=HOURS)[n]], levels=LEVELS), answers([made], levels=LEVELS), check_exact=True
        )


def test_short_history_is_refused_with_a_reason_and_never_answered() -> None:
    made = framed(history_days=2)
    at_open = made[0]  # half of the window lies before the first y: 31 minutes of each day remain
    few = answers(made, levels=LEVELS, min_residuals=63)
    refused = refusals(made, min_residuals=63)
    assert at_open.snapshot_ts not in few["snapshot_ts"].to_list()
    assert refused.filter(pl.col("snapshot_ts") == at_open.snapshot_ts).rows() == [
        (at_open.snapshot_ts, s, "short history: 62 residuals near this time, at least 63") for s in SYMBOLS
    ]
    assert few.height + refused.height == len(made) * len(SYMBOLS)
    assert few.join(refused, on=["snapshot_ts", "symbol"]).is_empty()
    assert refusals(made, min_residuals=62).is_empty()
    assert answers(made, levels=LEVELS, min_residuals=62).height == len(made) * len(SYMBOLS)


def test_without_earlier_days_everything_is_refused_and_the_frames_stay_typed() -> None:
    made = framed(history_days=0, min_history_samples=1)
    empty = answers(made, levels=LEVELS)
    assert empty.is_empty()
    assert empty.schema == answers(usual_frames(), levels=LEVELS).schema
    assert refusals(made).height == len(made) * len(SYMBOLS)
    assert answers([], levels=LEVELS).schema == empty.schema


def test_moments_without_volatility_teach_nothing() -> None:
    odd = PANEL["known_at"].dt.minute() % 2 == 1
    holes = PANEL.with_columns(sigma_60m=pl.when(odd & (pl.col("day") < DAY)).then(None).otherwise("sigma_60m"))
    rows = answers(framed(holes), levels=LEVELS)
    assert rows.height == 25 * len(SYMBOLS)
    assert not rows.equals(answers(usual_frames(), levels=LEVELS))


def test_answers_keep_the_contract_of_a_local_request() -> None:
    for frame in usual_frames():
        asked = {"symbols": sorted(set(frame.history["symbol"])), "steps": [frame.horizon_min], "levels": LEVELS}
        assert violations(answers([frame], levels=LEVELS), **asked) == []


def test_an_early_close_is_matched_by_minutes_since_the_open() -> None:
    days = calendar.month_sessions("2025-07")
    rows = panel(days[:12], SYMBOLS)
    assert date(2025, 7, 3) in days[1:11]
    made = framed(rows, day=days[11], preset=Preset(name="p", times=(time(14),)))
    full = refusals(made, min_residuals=10_000)["reason"][0]
    assert full == "short history: 549 residuals near this time, at least 10000"  # 9 full days x 61, none on July 3
