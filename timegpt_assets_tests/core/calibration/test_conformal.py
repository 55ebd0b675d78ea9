"""Split-conformal calibration: ranks, pools, windows and what a calibrated row looks like."""

import math
from collections.abc import Sequence
from datetime import date, datetime, time
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from timegpt_assets.core import calendar
from timegpt_assets.core.calibration import applied, methods, samples
from timegpt_assets.core.calibration import models as fitted
from timegpt_assets.core.calibration.methods import CalibrationSpec
from timegpt_assets.core.tables.calibration import CALIBRATION_MODELS
from timegpt_assets.core.tables.columns import BANDS, MAKER_KEY, QUANTILES
from timegpt_assets.core.tables.forecasts import OUTCOMES, RAW_FORECASTS

DAY = date(2025, 2, 21)
TIMES = ("10:00", "14:30")
LEVELS = (50, 80, 95)
RIDGE = ("ridge", "baseline", "ridge", "baseline")
SETTINGS = {
    "method": "conformal",
    "window_days": 5,
    "embargo_days": 1,
    "min_samples_cell": 25,
    "min_samples": 40,
    "score": "sigma",
    "max_width_multiple": 1000.0,
}


def _instant(day: date, clock: str, minutes: int = 0) -> datetime:
    hour, minute = map(int, clock.split(":"))
    local = datetime.combine(day, time(hour, minute), tzinfo=ZoneInfo(calendar.ZONE))
    return datetime.fromtimestamp(local.timestamp() + 60 * minutes, tz=ZoneInfo("UTC"))


def _sessions(n: int, last: date = DAY) -> list[date]:
    return [calendar.shifted(last, -back) for back in range(n - 1, -1, -1)]


def forecasts(
    days: Sequence[date], symbols: Sequence[str] = ("AAA", "BBB"), *, seed: int = 0, sigma: float | None = 0.002
) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    rows = []
    for day in days:
        for symbol in symbols:
            for clock in TIMES:
                q50 = float(rng.normal(0, 1e-4))
                row = {
                    "day": day,
                    "symbol": symbol,
                    "snapshot_ts": _instant(day, clock),
                    "target_ts": _instant(day, clock, 15),
                    "horizon_min": 15,
                    "asked_at": _instant(day, clock),
                    "sigma": sigma,
                    "forecaster": "ridge",
                    "backend": "baseline",
                    "model": "ridge",
                    "score_source": "baseline",
                    "run_source": "maintenance",
                    "data_regime": "maintenance_replay",
                    "request_hash": "",
                    "stale_input": False,
                    "label_aligned": True,
                    "crossings": 0,
                    "calibration": "none",
                    "y": float(rng.normal(0, 0.002)),
                    "y_last": 0.0,
                }
                steps = dict(zip(QUANTILES, (-3, -2, -1, 0, 1, 2, 3), strict=True))
                row |= {q: q50 + 1e-4 * step for q, step in steps.items()}
                row |= {
                    f"{side}_{level}": row[q]
                    for level, band in BANDS.items()
                    for side, q in zip(("lo", "hi"), band, strict=True)
                }
                rows.append(row)
    return OUTCOMES.conformed(pl.DataFrame(rows, schema=OUTCOMES.schema))


def raw(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.drop("y", "y_last")


def models(outcomes: pl.DataFrame, day: date = DAY, **changes: object) -> pl.DataFrame:
    keys = pl.DataFrame(
        [(s, t) for s in ("AAA", "BBB") for t in TIMES], schema=["symbol", "snapshot_time"], orient="row"
    )
    calibration_spec = CalibrationSpec(**(SETTINGS | changes))  # type: ignore[arg-type]
    return fitted.models(outcomes, days=[day], keys=keys, levels=LEVELS, calibration_spec=calibration_spec)


def clerk(outcomes: pl.DataFrame, day: date, symbol: str, clock: str, level: int) -> tuple[str, int, float | None]:
    """Count by hand: walk the window, fill the four pools, take the first that is full enough."""
    last_sessions = {calendar.shifted(day, -back) for back in range(2, 7)}
    pools: dict[str, list[float]] = {"cell": [], "symbol": [], "time": [], "all": []}
    for row in outcomes.iter_rows(named=True):
        if row["day"] not in last_sessions:
            continue
        score = abs(row["y"] - row["q50"]) / row["sigma"]
        same_time = row["snapshot_ts"] == _instant(row["day"], clock)
        pools["all"].append(score)
        if row["symbol"] == symbol:
            pools["symbol"].append(score)
        if same_time:
            pools["time"].append(score)
        if same_time and row["symbol"] == symbol:
            pools["cell"].append(score)
    for name, scores in pools.items():
        if len(scores) >= (25 if name == "cell" else 40):
            seat = math.ceil(round((len(scores) + 1) * level / 100, 9))
            return name, len(scores), sorted(scores)[seat - 1] if seat <= len(scores) else None
    return "", len(pools["all"]), None


@pytest.mark.parametrize(
    ("symbols", "pool"),
    [(("AAA",), ""), (("AAA", "BBB"), ""), (tuple(f"S{i}" for i in range(8)), "time"), (("AAA", "B", "C", "D"), "all")],
)
def test_the_model_equals_a_clerks_count(symbols: tuple[str, ...], pool: str) -> None:
    outcomes = forecasts(_sessions(9), symbols)
    found = models(outcomes)
    for row in found.iter_rows(named=True):
        name, n, half_width = clerk(outcomes, DAY, row["symbol"], row["snapshot_time"], row["level"])
        assert (row["calibration_pool"], row["calibration_n"], row["half_width"]) == (name, n, half_width)
        assert name == pool
    assert found.height == 12


def test_a_full_cell_is_preferred_to_every_larger_pool() -> None:
    outcomes = forecasts(_sessions(40), ("AAA",))
    found = models(outcomes, window_days=25)
    assert set(found.filter(pl.col("symbol") == "AAA")["calibration_pool"]) == {"cell"}
    assert set(found.filter(pl.col("symbol") == "AAA")["calibration_n"]) == {25}
    assert set(found.filter(pl.col("symbol") == "BBB")["calibration_pool"]) == {"all"}


def test_the_symbols_own_pool_comes_second() -> None:
    outcomes = forecasts(_sessions(24), ("AAA", "BBB"))
    assert set(models(outcomes, window_days=20)["calibration_pool"]) == {"symbol"}


@pytest.mark.parametrize(
    ("n", "level", "expected"),
    [(19, 95, 19), (18, 95, 19), (99, 80, 80), (24, 80, 20), (3, 50, 2), (4, 50, 3), (1, 50, 1)],
)
def test_the_rank_is_the_ceiling_of_n_plus_one_times_p(n: int, level: int, expected: int) -> None:
    assert methods.rank(n, level=level) == expected


def test_the_literal_quantile_of_the_seed_can_be_chosen() -> None:
    assert methods.rank(99, level=50, delta_quantile=0.25) == 25


def test_a_band_that_needs_more_samples_than_there_are_is_null_with_a_reason() -> None:
    outcomes = forecasts(_sessions(20), ("AAA",))
    found = models(outcomes, window_days=18, min_samples_cell=10).filter(pl.col("symbol") == "AAA")
    assert found.filter(pl.col("level") == 95)["half_width"].null_count() == 2
    assert found.filter(pl.col("level") == 95)["calibration_reason"].unique().to_list() == ["95 %: rank 19 > n 18"]
    assert found.filter(pl.col("level") == 80)["half_width"].null_count() == 0
    row = applied.calibrated(raw(forecasts([DAY], ("AAA",))), found).row(0, named=True)
    assert row["q025"] is row["lo_95"] is row["q975"] is None
    assert row["calibration"] == "conformal"
    assert row["calibration_reason"] == "95 %: rank 19 > n 18"
    assert row["q10"] < row["raw_q10"]


def test_nineteen_outcomes_promise_ninety_five_percent() -> None:
    outcomes = forecasts(_sessions(21), ("AAA",))
    found = models(outcomes, window_days=19, min_samples_cell=10).filter(pl.col("symbol") == "AAA")
    assert found["half_width"].null_count() == 0


def test_too_few_outcomes_leave_the_raw_quantiles_and_say_so() -> None:
    found = models(forecasts(_sessions(5), ("AAA",)))
    assert set(found["method"]) == {"none"}
    assert found["calibration_reason"].str.starts_with("insufficient_history: 6 outcomes").all()
    today = raw(forecasts([DAY]))
    calibrated = applied.calibrated(today, found)
    assert_frame_equal(calibrated.select(QUANTILES), today.select(QUANTILES))
    assert set(calibrated["calibration"]) == {"none"}
    assert calibrated["calibration_reason"].str.starts_with("insufficient_history").all()


def test_outcomes_that_teach_nothing_are_told_apart_from_those_that_are_missing() -> None:
    outcomes = forecasts(_sessions(9), tuple("ABCDEF")).with_columns(lo_50=pl.col("q50"), hi_50=pl.col("q50"))
    words = "insufficient_history: 0 outcomes in the window (60 more have a band of no width or no sigma), 40 needed"
    assert set(models(outcomes, method="affine")["calibration_reason"]) == {words}


def test_outcomes_outside_the_days_own_window_are_ignored_even_when_handed_in() -> None:
    days = _sessions(12)
    outcomes = forecasts(days, tuple("ABCDEF"))
    own = outcomes.filter(pl.col("day").is_between(calendar.shifted(DAY, -6), calendar.shifted(DAY, -2)))
    assert own["day"].n_unique() == 5
    poisoned = outcomes.with_columns(y=pl.when(pl.col("day").is_in(own["day"].implode())).then("y").otherwise(1e6))
    assert_frame_equal(models(poisoned), models(own))
    assert models(own)["half_width"].null_count() == 0


def test_the_window_ends_one_embargo_before_the_day() -> None:
    last = calendar.shifted(DAY, -2)
    outcomes = forecasts(_sessions(12), tuple("ABCDEF"))
    changed = outcomes.with_columns(y=pl.when(pl.col("day") == last).then(1e6).otherwise("y"))
    assert not models(changed).equals(models(outcomes))
    assert samples.window(DAY, window_days=5, embargo_days=1) == (calendar.shifted(DAY, -6), last)


def test_the_window_counts_sessions_across_holidays() -> None:
    first, last = samples.window(date(2025, 1, 10), window_days=2, embargo_days=1)
    assert (first, last) == (date(2025, 1, 6), date(2025, 1, 7))


@pytest.mark.parametrize("embargo", [0, -1])
def test_an_embargo_of_less_than_one_session_is_refused_with_the_dates(embargo: int) -> None:
    with pytest.raises(
        samples.CalibrationError, match=r"2025-02-2\d of 2025-02-21 leaves .* Set calibration\.embargo_days"
    ):
        models(forecasts(_sessions(3)), embargo_days=embargo)


def test_unknown_methods_and_scores_are_refused_with_the_remedy() -> None:
    with pytest.raises(
        samples.CalibrationError, match=r"quadratic.*Use one of affine, isotonic, conformal, widen, adaptive, none"
    ):
        models(forecasts(_sessions(3)), method="quadratic")
    with pytest.raises(samples.CalibrationError, match="Use one of sigma, absolute"):
        models(forecasts(_sessions(3)), score="z")


def test_day_by_day_equals_all_at_once_and_symbol_by_symbol() -> None:
    days = _sessions(14)
    outcomes = forecasts(days, (*"ABCDEF", "AAA", "BBB"))
    for day in days[-3:]:
        own = outcomes.filter(pl.col("day").is_between(calendar.shifted(day, -6), calendar.shifted(day, -2)))
        assert_frame_equal(models(outcomes, day), models(own, day))
        assert_frame_equal(models(outcomes.sample(fraction=1, shuffle=True, seed=1), day), models(own, day))
        single = [
            fitted.models(
                own,
                days=[day],
                keys=pl.DataFrame({"symbol": [s] * 2, "snapshot_time": list(TIMES)}),
                levels=LEVELS,
                calibration_spec=CalibrationSpec(**SETTINGS),  # type: ignore[arg-type]
            )
            for s in ("AAA", "BBB")
        ]
        assert_frame_equal(pl.concat(single), models(own, day))
        assert models(own, day)["half_width"].null_count() == 0


def answered_by(frame: pl.DataFrame, *, errors: float = 1.0, **maker: str) -> pl.DataFrame:
    """Return the rows as another maker's, whose errors are so many times as large."""
    wider = pl.col("q50") + errors * (pl.col("y") - pl.col("q50"))
    return frame.with_columns(y=wider, **{name: pl.lit(value) for name, value in maker.items()})


OTHERS = [{"forecaster": "zero"}, {"backend": "nixtla"}, {"model": "timegpt-1"}, {"score_source": "simulated"}]


@pytest.mark.parametrize("other", OTHERS, ids=lambda other: next(iter(other)))
@pytest.mark.parametrize("method", ["conformal", "affine", "adaptive"])
def test_every_maker_learns_from_its_own_outcomes_alone(other: dict[str, str], method: str) -> None:
    own = forecasts(_sessions(14), (*"ABCDEF", "AAA", "BBB"))
    strange = answered_by(own, errors=7.0, **other)
    alone, apart = models(own, method=method), models(strange, method=method)
    both = models(pl.concat([strange, own]), method=method)
    mine = pl.struct(MAKER_KEY) == pl.struct(**{n: pl.lit(v) for n, v in zip(MAKER_KEY, RIDGE, strict=True)})
    assert_frame_equal(both.filter(mine), alone)
    assert_frame_equal(both.filter(~mine), apart.filter(~mine))
    assert not both.filter(~mine)["half_width"].equals(alone["half_width"])
    today = forecasts([DAY])
    columns = ["q10", "q90", "calibration_n", "calibration_pool"]
    assert_frame_equal(
        applied.calibrated(raw(today), both).select(columns), applied.calibrated(raw(today), alone).select(columns)
    )
    theirs = applied.calibrated(raw(answered_by(today, **other)), both)
    assert theirs["q90"].to_list() != applied.calibrated(raw(today), both)["q90"].to_list()


def test_a_maker_without_outcomes_of_its_own_is_told_so_in_models_and_forecasts() -> None:
    asked_now = ("timegpt", "nixtla", "timegpt-1", "model")
    found = models(forecasts(_sessions(14), tuple("ABCDEF")), makers=(RIDGE, asked_now))
    new = found.filter(backend="nixtla")
    assert set(new["calibration_reason"]) == {"insufficient_history: 0 outcomes in the window, 40 needed"}
    assert new.height == found.filter(backend="baseline").height
    today = answered_by(
        forecasts([DAY]), forecaster="timegpt", backend="nixtla", model="timegpt-1", score_source="model"
    )
    assert applied.calibrated(raw(today), found)["calibration_reason"].unique().to_list() == [
        "insufficient_history: 0 outcomes in the window, 40 needed"
    ]
    unknown = answered_by(forecasts([DAY]), model="timegpt-9")
    assert applied.calibrated(raw(unknown), found)["calibration_reason"].unique().to_list() == [
        "no_model: no calibration model for this symbol, snapshot time and maker"
    ]


def test_bands_stand_symmetrically_around_the_kept_median() -> None:
    outcomes = forecasts(_sessions(12), tuple("ABCDEF"))
    found = models(outcomes)
    row = applied.calibrated(raw(forecasts([DAY], ("AAA",))), found).row(0, named=True)
    for level, (low, high) in BANDS.items():
        key = (pl.col("symbol") == "AAA") & (pl.col("snapshot_time") == "10:00") & (pl.col("level") == level)
        half = found.filter(key)["half_width"].item() * row["sigma"]
        assert row[low] == pytest.approx(row["q50"] - half, abs=1e-15)
        assert row[high] == pytest.approx(row["q50"] + half, abs=1e-15)
        assert (row[f"lo_{level}"], row[f"hi_{level}"]) == (row[low], row[high])
    assert row["q50"] == row["raw_q50"]
    assert (row["calibration"], row["calibration_pool"], row["calibration_reason"]) == (
        "conformal",
        "all" if row["calibration_n"] > 40 else "time",
        "",
    )


def test_affine_learns_from_the_latest_sessions_of_the_window_alone() -> None:
    outcomes = forecasts(_sessions(30))
    rule = {"method": "affine", "window_days": 25, "recent_samples": 20, "recent_days": 10}
    rule |= {"pit_deviation_threshold": 0.5}
    changed = outcomes.with_columns(y=pl.when(pl.col("day") < calendar.shifted(DAY, -11)).then(0.5).otherwise("y"))
    found = models(outcomes, **rule)
    assert set(found.select("calibration_pool", "calibration_n", "rank_n").rows()) == {("symbol", 50, 20)}
    assert_frame_equal(found.select("half_width", "slope"), models(changed, **rule).select("half_width", "slope"))


def test_validation_keeps_the_embargo_between_what_it_fits_and_what_it_judges() -> None:
    outcomes = forecasts(_sessions(30))
    rule = {"method": "affine", "window_days": 25, "recent_samples": 4, "recent_days": 2, "min_samples": 30}
    between = calendar.shifted(DAY, -9)  # of 25 sessions the newest 7 judge, the oldest 17 are fitted on
    found = models(outcomes, **rule)
    assert set(found["validation_n"]) == {14}
    for day, same in ((between, True), (calendar.shifted(between, -1), False)):
        changed = outcomes.with_columns(y=pl.when(pl.col("day") == day).then(1e6).otherwise("y"))
        told = models(changed, **rule)["validation_deviation"]
        assert told.equals(found["validation_deviation"]) == same


@pytest.mark.parametrize("method", ["affine", "widen"])
def test_a_band_of_no_width_is_not_called_calibrated(method: str) -> None:
    flat = raw(forecasts([DAY], ("AAA",))).with_columns(pl.col("q50").alias(c) for c in (*QUANTILES, "lo_50", "hi_50"))
    found = models(forecasts(_sessions(12), tuple("ABCDEF")), method=method)
    assert found["half_width"].null_count() == 0
    calibrated = applied.calibrated(flat, found)
    assert set(calibrated["calibration"]) == {"none"}
    assert calibrated["calibration_reason"].str.starts_with("no_width").all()


def test_a_row_without_sigma_stays_raw() -> None:
    today = raw(forecasts([DAY], sigma=None))
    calibrated = applied.calibrated(today, models(forecasts(_sessions(12), tuple("ABCDEF"))))
    assert_frame_equal(calibrated.select(QUANTILES), today.select(QUANTILES))
    assert calibrated["calibration_reason"].unique().to_list() == ["no_variance: sigma is null"]
    assert set(calibrated["calibration"]) == {"none"}


def test_absolute_scores_are_applied_in_log_returns_and_need_no_sigma() -> None:
    found = models(forecasts(_sessions(12), tuple("ABCDEF")), score="absolute")
    row = applied.calibrated(raw(forecasts([DAY], ("AAA",), sigma=None)), found).row(0, named=True)
    half = found.filter((pl.col("symbol") == "AAA") & (pl.col("level") == 80))["half_width"][0]
    assert row["q90"] == pytest.approx(row["q50"] + half, abs=1e-15)


def test_no_band_grows_beyond_the_multiple_of_its_raw_width() -> None:
    found = models(forecasts(_sessions(12), tuple("ABCDEF")), max_width_multiple=5.0)
    row = applied.calibrated(raw(forecasts([DAY], ("AAA",))), found).row(0, named=True)
    assert row["q75"] - row["q25"] == pytest.approx(5 * (row["raw_q75"] - row["raw_q25"]))
    assert "50 %: width held at 5.0 x raw" in row["calibration_reason"]


def test_a_forecast_without_a_model_says_so() -> None:
    calibrated = applied.calibrated(raw(forecasts([DAY])), CALIBRATION_MODELS.empty())
    assert calibrated["calibration_reason"].str.starts_with("no_model").all()
    assert calibrated.height == 4


def test_method_none_leaves_everything_raw() -> None:
    found = models(forecasts(_sessions(12), tuple("ABCDEF")), method="none")
    calibrated = applied.calibrated(raw(forecasts([DAY])), found)
    assert set(calibrated["calibration_reason"]) == {"calibration.method is none"}


def test_an_empty_day_gives_empty_tables() -> None:
    empty = RAW_FORECASTS.empty()
    assert applied.calibrated(empty, CALIBRATION_MODELS.empty()).height == 0
    calibration_spec = CalibrationSpec(**SETTINGS)  # type: ignore[arg-type]
    keys = samples.snapshot_times(empty)
    assert fitted.models(
        OUTCOMES.empty(), days=[DAY], keys=keys, levels=LEVELS, calibration_spec=calibration_spec
    ).is_empty()


@settings(max_examples=40, deadline=None)
@given(
    quantiles=st.lists(st.floats(-0.05, 0.05), min_size=7, max_size=7).map(sorted),
    widths=st.lists(st.one_of(st.none(), st.floats(0, 50)), min_size=3, max_size=3),
    multiple=st.floats(0.1, 10),
)
def test_quantiles_never_cross_and_the_median_is_kept(
    quantiles: list[float], widths: list[float | None], multiple: float
) -> None:
    today = raw(forecasts([DAY], ("AAA",))).with_columns(
        pl.lit(value).alias(q) for q, value in zip(QUANTILES, quantiles, strict=True)
    )
    found = models(forecasts(_sessions(12), tuple("ABCDEF"))).with_columns(
        half_width=pl.col("level").replace_strict(
            dict(zip((50, 80, 95), widths, strict=True)), return_dtype=pl.Float64
        ),
        max_width_multiple=multiple,
    )
    for row in applied.calibrated(today, found).iter_rows(named=True):
        present = [row[q] for q in QUANTILES if row[q] is not None]
        assert all(low <= high for low, high in pairwise(present))
        assert row["q50"] == quantiles[3]


def test_exchangeable_coverage_lies_in_the_binomial_band_of_the_promise() -> None:
    days = _sessions(46)
    symbols = tuple("ABCDEFGH")
    outcomes = forecasts(days, symbols, seed=7)
    keys = samples.snapshot_times(outcomes)
    calibrated = pl.concat(
        applied.calibrated(
            raw(outcomes.filter(pl.col("day") == day)),
            fitted.models(outcomes, days=[day], keys=keys, levels=LEVELS, calibration_spec=CalibrationSpec(**SETTINGS)),  # type: ignore[arg-type]
        )
        for day in days[8:]
    ).join(outcomes.select("day", "symbol", "snapshot_ts", "y"), on=["day", "symbol", "snapshot_ts"])
    n = calibrated.height
    assert n == 38 * 16
    for level, (low, high) in BANDS.items():
        p = level / 100
        covered = calibrated.select(pl.col("y").is_between(low, high).mean()).item()
        raw_covered = calibrated.select(pl.col("y").is_between(f"raw_{low}", f"raw_{high}").mean()).item()
        assert abs(covered - p) <= 3.3 * math.sqrt(p * (1 - p) / n) + 0.02, (level, covered)
        assert raw_covered < p - 0.2
