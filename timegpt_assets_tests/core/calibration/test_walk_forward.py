"""Walking forward: many days at once equal day by day, on made-up and real outcomes; nothing looks past the embargo."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.config import core_inputs
from timegpt_assets.core import calendar
from timegpt_assets.core.calibration import applied, models, samples
from timegpt_assets.core.calibration.methods import METHODS, CalibrationSpec
from timegpt_assets.core.tables.calibration import CALIBRATION_MODELS, FORECASTS
from timegpt_assets.core.tables.columns import QUANTILES
from timegpt_assets_tests import outcome_sets

LEVELS = (50, 80, 95)


@pytest.fixture(scope="module")
def made_up() -> pl.DataFrame:
    return outcome_sets.synthetic(3, symbols=("AAPL", "NVDA"), first=date(2025, 1, 2), last=date(2025, 1, 31))


def walked(outcomes: pl.DataFrame, days: list[date], rule: CalibrationSpec) -> tuple[pl.DataFrame, pl.DataFrame]:
    found = models.models(
        outcomes, days=days, keys=samples.snapshot_times(outcomes), levels=LEVELS, calibration_spec=rule
    )
    raw = outcomes.filter(pl.col("day").is_in(days)).drop("y", "y_last")
    return found, applied.calibrated(raw, found)


def by_day(
    outcomes: pl.DataFrame, days: list[date], rule: CalibrationSpec
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Walk day by day, handing over nothing but the day's own window and the day itself."""
    keys = samples.snapshot_times(outcomes)
    for day in days:
        first, last = samples.window(day, window_days=rule.window_days, embargo_days=rule.embargo_days)
        own = outcomes.filter(pl.col("day").is_between(first, last))
        found = models.models(own, days=[day], keys=keys, levels=LEVELS, calibration_spec=rule)
        raw = outcomes.filter(pl.col("day") == day).drop("y", "y_last")
        yield found, applied.calibrated(raw, found)


def same_road(outcomes: pl.DataFrame, days: list[date], rule: CalibrationSpec) -> pl.DataFrame:
    together = walked(outcomes, days, rule)
    apart = [pl.concat(parts) for parts in zip(*by_day(outcomes, days, rule), strict=True)]
    for one, other, table in zip(together, apart, (CALIBRATION_MODELS, FORECASTS), strict=True):
        assert_frame_equal(one, other.sort(table.key), check_exact=True)
    return together[1]


def shipped(method: str) -> CalibrationSpec:
    return replace(core_inputs.calibration_spec(outcome_sets.settings()), method=method, window_days=12)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_all_days_at_once_equal_day_by_day_row_for_row(method: str, made_up: pl.DataFrame) -> None:
    days = made_up["day"].unique().sort().to_list()[-6:]
    found = same_road(made_up, days, shipped(method))
    assert (found["calibration"] != "none").all()
    shuffled = walked(made_up.sample(fraction=1, shuffle=True, seed=1), days, shipped(method))[1]
    assert_frame_equal(shuffled.sort(FORECASTS.key), found, check_exact=True)


@pytest.mark.whole
def test_they_are_equal_on_real_outcomes_too(real_data: Path) -> None:
    for name, symbols, last in (
        ("mag7_spy_2025", ("MSFT", "SPY"), date(2025, 1, 24)),
        ("us_large_cap_2018", ("AAPL", "XOM"), date(2018, 3, 6)),
    ):
        outcomes = outcome_sets.real(real_data, name, symbols=symbols, last=last)
        found = same_road(outcomes, outcomes["day"].unique().sort().to_list()[-4:], shipped("affine"))
        assert (found["calibration"] != "none").all()


@pytest.mark.parametrize("method", sorted(METHODS))
def test_nothing_after_the_window_moves_a_days_models(method: str, made_up: pl.DataFrame) -> None:
    days = made_up["day"].unique().sort().to_list()
    day, rule = days[-2], shipped(method)
    first, last = samples.window(day, window_days=rule.window_days, embargo_days=rule.embargo_days)
    outside = ~pl.col("day").is_between(first, last)
    changed = made_up.with_columns(y=pl.when(outside).then(0.5).otherwise("y"))
    assert_frame_equal(walked(made_up, [day], rule)[0], walked(changed, [day], rule)[0], check_exact=True)
    inside = made_up.with_columns(y=pl.when(pl.col("day") == last).then(0.5).otherwise("y"))
    assert not walked(inside, [day], rule)[0].equals(walked(made_up, [day], rule)[0])


def test_an_outcome_whose_label_reaches_out_of_the_window_is_purged(made_up: pl.DataFrame) -> None:
    day, rule = made_up["day"].max(), shipped("conformal")
    assert isinstance(day, date)
    first, last = samples.window(day, window_days=rule.window_days, embargo_days=rule.embargo_days)
    late = (pl.col("day") == last) & (pl.col("snapshot_ts") == pl.col("snapshot_ts").max().over("day"))
    early = (pl.col("day") == first) & (pl.col("snapshot_ts") == pl.col("snapshot_ts").min().over("day"))
    stretched = made_up.with_columns(
        target_ts=pl.when(late).then(pl.col("target_ts") + pl.duration(days=1)).otherwise("target_ts"),
        snapshot_ts=pl.when(early).then(pl.col("snapshot_ts") - pl.duration(days=4)).otherwise("snapshot_ts"),
    )
    own = samples.samples(stretched, LEVELS).within(first, last)
    assert len(own) == samples.samples(made_up, LEVELS).within(first, last).y.size - 4


def test_a_window_that_saw_too_much_is_told_with_its_dates(made_up: pl.DataFrame) -> None:
    day, rule = made_up["day"].max(), shipped("affine")
    assert isinstance(day, date)
    found = walked(made_up, [day], rule)[0]
    spans = {"window_days": rule.window_days, "embargo_days": rule.embargo_days}
    assert samples.breaches(found, **spans) == []
    first, last = samples.window(day, **spans)
    assert found["last_target_ts"].dt.date().max() == last
    told = samples.breaches(found.with_columns(pl.col("last_target_ts") + pl.duration(days=1)), **spans)
    assert len(told) == 1
    assert f"allowed are {first}..{last}" in told[0]
    assert str(day) in told[0]
    assert samples.breaches(found, window_days=rule.window_days, embargo_days=2) != []


BAD = {
    "a constant y": lambda f: f.with_columns(y=pl.lit(0.001)),
    "all forecasts equal": lambda f: f.with_columns(pl.lit(v).alias(c) for c, v in FLAT.items()),
    "a day without y": lambda f: f.with_columns(
        y=pl.when(pl.col("day") == f["day"].unique().sort()[-5]).then(None).otherwise("y")
    ),
    "infinite bands": lambda f: f.with_columns(
        hi_50=pl.when(pl.col("symbol") == "AAPL").then(float("inf")).otherwise("hi_50")
    ),
    "bands the wrong way round": lambda f: f.with_columns(lo_80=pl.col("hi_80"), hi_80=pl.col("lo_80")),
    "ties everywhere": lambda f: f.with_columns(pl.col("y").round(3), pl.col("q50").round(3)),
    "a window with gaps": lambda f: f.filter(pl.col("day").dt.day() % 3 != 0),
}
FLAT = {"q50": 0.0, "lo_50": -1e-3, "hi_50": 1e-3, "lo_80": -2e-3, "hi_80": 2e-3, "lo_95": -3e-3, "hi_95": 3e-3}


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("bad", sorted(BAD))
def test_strange_outcomes_leave_finite_ascending_quantiles_or_a_reason(
    method: str, bad: str, made_up: pl.DataFrame
) -> None:
    day = made_up["day"].max()
    found, _ = walked(BAD[bad](made_up), [day], shipped(method))
    raw = made_up.filter(pl.col("day") == day).drop("y", "y_last")
    made = applied.calibrated(raw, found)
    assert FORECASTS.errors(made) == []
    plain = (made["calibration"] == "none") & (made["calibration_reason"] == "")
    assert not plain.any()
    assert made.select(pl.any_horizontal(pl.col(QUANTILES).is_null()).sum()).item() == 0 or "n " in str(
        made["calibration_reason"][0]
    )


def test_one_sample_is_insufficient_history(made_up: pl.DataFrame) -> None:
    day = made_up["day"].max()
    assert isinstance(day, date)
    one = made_up.filter(pl.col("day") < calendar.shifted(day, -3)).head(1)
    for method in METHODS:
        found, _ = walked(one, [day], shipped(method))
        assert set(found["calibration_reason"]) == {
            "insufficient_history: 0 outcomes in the window, 120 needed"
        } or set(found["calibration_reason"]) == {"insufficient_history: 1 outcomes in the window, 120 needed"}
