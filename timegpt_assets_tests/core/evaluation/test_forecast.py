"""Forecast scores against a clerk's loop; diagnostics by window, source triple and stage."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.core import calendar, significance
from timegpt_assets.core.evaluation import diagnostics, forecast
from timegpt_assets.core.tables.calibration import FORECASTS
from timegpt_assets.core.tables.columns import QUANTILES
from timegpt_assets.core.tables.evaluation import DAY_SCORES
from timegpt_assets.core.tables.features import LABELS
from timegpt_assets.core.targets import Target

AS_OF = date(2025, 2, 21)
TARGET = Target()
WINDOW = {"month": "2025-02", "as_of": AS_OF, "lookback_sessions": 10}


def days(n: int, last: date = AS_OF) -> list[date]:
    return [calendar.shifted(last, -back) for back in range(n - 1, -1, -1)]


def forecasts(
    sessions: Sequence[date], symbols: Sequence[str] = ("AAA", "BBB"), source: str = "baseline"
) -> pl.DataFrame:
    rng = np.random.default_rng(5)
    rows = []
    for day in sessions:
        for symbol in symbols:
            for minute in (30, 300):
                snapshot = calendar.session(day).open + timedelta(minutes=minute)
                row: dict[str, Any] = {
                    "day": day,
                    "symbol": symbol,
                    "snapshot_ts": snapshot,
                    "target_ts": snapshot + timedelta(minutes=15),
                    "horizon_min": 15,
                    "asked_at": snapshot,
                    "sigma": 0.002,
                    "forecaster": "ridge",
                    "backend": "baseline",
                    "model": "ridge",
                    "score_source": source,
                    "run_source": "smoke",
                    "data_regime": "maintenance_replay",
                    "request_hash": "",
                    "stale_input": False,
                    "label_aligned": True,
                    "crossings": 0,
                    "calibration": "conformal" if minute == 30 else "none",
                    "calibration_pool": "all",
                    "calibration_n": 500,
                    "calibration_reason": "",
                }
                centre = rng.normal(0, 0.001)
                for i, q in enumerate(QUANTILES):
                    row |= {f"raw_{q}": centre + 0.0005 * (i - 3), q: centre + 0.001 * (i - 3)}
                rows.append(row)
    return FORECASTS.conformed(pl.DataFrame(rows, schema=FORECASTS.schema))


def labels(sessions: Sequence[date], symbols: Sequence[str] = ("AAA", "BBB")) -> pl.DataFrame:
    rng = np.random.default_rng(6)
    rows = [
        {
            "day": day,
            "symbol": symbol,
            "ts": end - timedelta(minutes=h + 1),
            "target_ts": end,
            "horizon_min": h,
            "y": rng.normal(0, 0.002),
        }
        for day in sessions
        for symbol in symbols
        for minute in (30, 45, 300, 315)
        for h in (1, 15)
        if not (minute == 30 and day == sessions[0])
        for end in [calendar.session(day).open + timedelta(minutes=minute)]
    ]
    return LABELS.conformed(pl.DataFrame(rows, schema=LABELS.schema).with_columns(y_bp=pl.col("y") * 1e4))


def scored(sessions: Sequence[date], **kwargs: Any) -> pl.DataFrame:
    made = forecasts(sessions, **kwargs)
    return forecast.day_scores(forecast.scores(made, labels(sessions), target=TARGET), made)


def test_every_score_equals_a_clerks() -> None:
    sessions = days(2)
    frame = scored(sessions)
    truth = {
        (r["symbol"], r["target_ts"]): r["y"] for r in labels(sessions).filter(horizon_min=15).iter_rows(named=True)
    }
    assert frame.height == 8
    for row in frame.iter_rows(named=True):
        y, last = truth[row["symbol"], row["target_ts"]], truth.get((row["symbol"], row["snapshot_ts"]))
        assert (row["y"], row["y_last"]) == (y, last)
        assert row["abs_error"] == pytest.approx(abs(y - row["q50"]))
        assert row["sq_error_last"] == (None if last is None else pytest.approx((y - last) ** 2))
        assert row["abs_error_zero"] == abs(y)
        for prefix in ("", "raw_"):
            losses = [
                max(p * (y - row[f"{prefix}{q}"]), (p - 1) * (y - row[f"{prefix}{q}"]))
                for q, p in (("q10", 0.1), ("q25", 0.25), ("q50", 0.5), ("q75", 0.75), ("q90", 0.9))
            ]
            assert row[f"{prefix}pinball"] == pytest.approx(sum(losses) / 5)
            assert row[f"{prefix}covered_50"] == (row[f"{prefix}q25"] <= y <= row[f"{prefix}q75"])
            assert row[f"{prefix}covered_95"] == (row[f"{prefix}q025"] <= y <= row[f"{prefix}q975"])
    assert frame["y_last"].null_count() == 2


def test_forecasts_are_scored_against_their_own_label_only() -> None:
    sessions = days(1)
    one_minute = forecast.scores(
        forecasts(sessions), labels(sessions), target=Target(mode="log_return", horizon_min=15)
    )
    own = labels(sessions).filter(horizon_min=1).select("symbol", "target_ts", "y")
    assert one_minute.height == 4
    assert_frame_equal(
        one_minute.select("symbol", "target_ts", "y").join(own, on=["symbol", "target_ts", "y"]),
        one_minute.select("symbol", "target_ts", "y"),
    )


def test_a_band_that_was_not_promised_is_neither_covered_nor_missed() -> None:
    sessions = days(1)
    made = forecasts(sessions).with_columns(q025=pl.lit(None, pl.Float64), q975=pl.lit(None, pl.Float64))
    assert forecast.scores(made, labels(sessions), target=TARGET)["covered_95"].null_count() == 4


def found(frame: pl.DataFrame, **changes: Any) -> pl.DataFrame:
    return diagnostics.diagnostics(frame, **(WINDOW | {"draws": 100} | changes))


def test_diagnostics_equal_plain_sums_over_the_window() -> None:
    frame = scored(days(14))
    row = found(frame).filter(symbol="AAA", stage="calibrated").row(0, named=True)
    own = frame.filter(pl.col("symbol") == "AAA", pl.col("day") >= days(10)[0])
    known = own.filter(pl.col("y_last").is_not_null())
    assert row["n"] == own.height == 20
    assert row["mae"] == pytest.approx(own["abs_error"].mean())
    assert row["rmae"] == pytest.approx(known["abs_error"].sum() / known["abs_error_last"].sum())
    assert row["rrmse"] == pytest.approx((known["sq_error"].sum() / known["sq_error_last"].sum()) ** 0.5)
    assert row["rmae_zero_return"] == pytest.approx(own["abs_error"].sum() / own["abs_error_zero"].sum())
    assert row["coverage_50"] == pytest.approx(own["covered_50"].mean())
    assert row["pit_deviation"] == pytest.approx(abs(row["coverage_50"] - 0.5))
    assert row["calibrated_share"] == 0.5
    assert row["rmae_low"] < row["rmae"] < row["rmae_high"]
    raw = found(frame).filter(symbol="AAA", stage="raw").row(0, named=True)
    assert raw["coverage_80"] == pytest.approx(own["raw_covered_80"].mean())
    assert (raw["calibrated_share"], raw["mae"]) == (0.0, row["mae"])
    assert raw["coverage_80"] < row["coverage_80"]


def test_source_triples_are_never_averaged_together() -> None:
    sessions = days(4)
    mixed = pl.concat([scored(sessions[:2]), scored(sessions[2:], source="model")])
    rows = found(mixed).filter(symbol="*", stage="raw")
    assert dict(rows.select("score_source", "n").iter_rows()) == {"baseline": 8, "model": 8}
    own = found(mixed.filter(score_source="model")).filter(symbol="*")
    assert_frame_equal(found(mixed).filter(symbol="*", score_source="model"), own)


def test_sessions_after_as_of_or_before_the_window_do_not_count() -> None:
    frame = scored(days(30, last=calendar.shifted(AS_OF, 5)))
    own = frame.filter(pl.col("day").is_between(days(10)[0], AS_OF))
    assert own["day"].n_unique() == 10
    assert_frame_equal(found(frame), found(own))
    assert_frame_equal(found(frame.sample(fraction=1, shuffle=True, seed=3)), found(own))
    reliability = forecast.reliability(frame, **WINDOW, draws=100)
    assert_frame_equal(reliability, forecast.reliability(own, **WINDOW, draws=100))
    assert set(reliability["n"]) == {40, 20}


def test_reliability_is_the_share_at_or_below_each_stored_quantile() -> None:
    frame = scored(days(10))
    rows = forecast.reliability(frame, **WINDOW, draws=100).filter(symbol="BBB", stage="calibrated")
    assert rows["quantile"].to_list() == [0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975]
    own = frame.filter(symbol="BBB")
    for name, observed in zip(QUANTILES, rows["observed"], strict=True):
        assert observed == pytest.approx(sum(y <= q for y, q in own.select("y", name).iter_rows()) / own.height)
    assert rows["observed"].is_sorted()


def test_the_p_of_reliability_is_that_of_the_bins_between_stored_quantiles() -> None:
    frame, window = scored(days(52)), WINDOW | {"lookback_sessions": 52}
    (p,) = forecast.reliability(frame, **window, draws=100).filter(symbol="*", stage="calibrated")["uniform_p"].unique()
    daily = {day: [0.0] * 8 for day in days(52)}
    for day, y, *quantiles in frame.select("day", "y", *QUANTILES).iter_rows():
        daily[day][sum(y > q for q in quantiles)] += 1
    nominal = np.array([0.025, 0.075, 0.15, 0.25, 0.25, 0.15, 0.075, 0.025])
    told = significance.uniformity(np.array(list(daily.values())), nominal, draws=100, cluster_days=1)
    assert p is not None
    assert p == told


def test_nothing_scored_gives_empty_tables() -> None:
    empty = DAY_SCORES.empty()
    assert found(empty).is_empty()
    assert forecast.reliability(empty, **WINDOW, draws=100).is_empty()
    assert forecast.scores(FORECASTS.empty(), LABELS.empty(), target=TARGET).is_empty()


def test_reliability_draws_each_session_alone_unless_told_otherwise() -> None:
    frame, window = scored(days(52)), WINDOW | {"lookback_sessions": 52, "draws": 100}
    near = np.random.default_rng(2).normal(0, 0.0015, frame.height)  # the stored quantiles are about those of this
    frame = frame.with_columns(y=pl.col("q50") + pl.Series(near))
    alone, pairs = (forecast.reliability(frame, **window, cluster_days=n)["uniform_p"].to_list() for n in (1, 2))  # type: ignore[arg-type]
    assert forecast.reliability(frame, **window)["uniform_p"].to_list() == alone != pairs  # type: ignore[arg-type]


def test_a_summary_of_nothing_has_no_means() -> None:
    row = forecast.summary(DAY_SCORES.empty(), "calibrated")
    assert (row["n"], row["calibrated_share"], row["coverage_50"], row["pit_deviation"]) == (0, 0.0, None, None)
    assert (row["rmae"], row["rmae_n"], row["rmae_p"]) == (None, 0, None)
    assert np.isnan([row["mae"], row["rmse"], row["pinball"]]).all()


def test_the_root_of_a_negative_end_is_zero() -> None:
    """The normal interval of a ratio of squares can reach below zero; of nothing there is none."""
    own = scored(days(6)).drop_nulls("sq_error_last")
    skewed = own.with_columns(sq_error=pl.when(pl.col("day") == AS_OF).then(pl.lit(1.0)).otherwise(0.0))
    row = forecast.summary(skewed, "calibrated")
    assert row["rrmse_low"] == 0.0
    assert row["rrmse"] == pytest.approx((skewed["sq_error"].sum() / skewed["sq_error_last"].sum()) ** 0.5)


def test_a_window_is_as_many_sessions_as_asked_and_ends_with_its_day() -> None:
    frame = scored(days(5, last=calendar.shifted(AS_OF, 1)))
    assert forecast.window(frame, AS_OF, 3)["day"].unique().sort().to_list() == days(3)
    assert forecast.window(frame, AS_OF, 1)["day"].unique().to_list() == [AS_OF]
