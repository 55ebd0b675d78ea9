"""Every calibration method walked forward, out of sample, over real bars with the baseline: markdown tables.

Run: TIMEGPT_ASSETS_REAL_DATA=/path/to/data python -m timegpt_assets_tests.benchmarks.calibration_results [SET ...]
Counted are the last 25 sessions; a day's models see what lies before its embargo. Takes minutes; a set's outcomes are
kept in the folder CALIBRATION_OUTCOMES when that is set.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import polars as pl
from polars.testing import assert_frame_equal

from timegpt_assets.config import core_inputs
from timegpt_assets.core import calendar
from timegpt_assets.core.calibration import applied, models, samples
from timegpt_assets.core.calibration.methods import METHODS, CalibrationSpec
from timegpt_assets.core.evaluation import diagnostics, forecast
from timegpt_assets.core.pinball import pinballs
from timegpt_assets.core.tables.calibration import FORECASTS
from timegpt_assets.core.tables.columns import BANDS
from timegpt_assets_tests import outcome_sets

COUNTED = 25
"""Sessions judged: 600 forecasts a symbol."""
CLIMATOLOGY_DAYS = 20
"""Earlier sessions of the same symbol and time of day whose y are climatology."""
LEVELS = tuple(BANDS)
DRAWS = 1000
"""Day-cluster samples behind each interval."""


def outcomes(name: str) -> pl.DataFrame:
    """Return a set's outcomes, from the folder of kept ones where there is one."""
    kept = (
        Path(os.environ["CALIBRATION_OUTCOMES"]) / f"{name}.parquet" if "CALIBRATION_OUTCOMES" in os.environ else None
    )
    if kept is not None and kept.exists():
        return pl.read_parquet(kept)
    made = outcome_sets.real(Path(os.environ["TIMEGPT_ASSETS_REAL_DATA"]), name)
    if kept is not None:
        made.write_parquet(kept)
    return made


def walked(own: pl.DataFrame, rule: CalibrationSpec) -> pl.DataFrame:
    """Return every day's forecasts, calibrated by models of that day."""
    found = models.models(
        own, days=own["day"].unique(), keys=samples.snapshot_times(own), levels=LEVELS, calibration_spec=rule
    )
    return applied.calibrated(own.drop("y", "y_last"), found)


def scored(own: pl.DataFrame, made: pl.DataFrame) -> pl.DataFrame:
    """Return DAY_SCORES of calibrated forecasts."""
    labels = own.select("day", "symbol", "target_ts", "horizon_min", "y", ts=pl.col("snapshot_ts"))
    target = core_inputs.target(outcome_sets.settings())
    return forecast.day_scores(forecast.scores(made, labels, target=target), made)


def judged(day_scores: pl.DataFrame) -> pl.DataFrame:
    """Return FORECAST_DIAGNOSTICS of the counted sessions."""
    return diagnostics.diagnostics(day_scores, **_counted(day_scores), draws=DRAWS)


def against_climatology(day_scores: pl.DataFrame, prefix: str = "") -> dict[str, Any]:
    """Return rmae and rpinball of the counted sessions against the quantiles of the last y at the same time of day.

    Uncalibrated, of outcomes alone: what the baseline is measured against here, and not the forecaster of that name.
    """
    time = pl.col("snapshot_ts").dt.convert_time_zone(calendar.ZONE).dt.strftime("%H:%M")
    cells = day_scores.with_columns(_time=time).sort("day").partition_by("symbol", "_time")
    known = pl.concat([cell.with_columns(_climatology(cell["y"].to_numpy())) for cell in cells])
    counted = forecast.window(known, max(day_scores["day"]), COUNTED)
    days = np.unique(counted["day"].to_numpy(), return_inverse=True)[1]
    row: dict[str, Any] = {}
    for name, loss in {"rmae": "abs_error", "rpinball": "pinball"}.items():
        losses = (counted[f"{prefix}{loss}"].to_numpy(), counted[f"{loss}_climatology"].to_numpy())
        row |= forecast.relative(f"{name}_climatology", days, *losses)
    return row


def _climatology(y: np.ndarray) -> list[pl.Series]:
    """Return the absolute error and pinball loss of the quantiles of the values before each one."""
    losses = np.full((2, y.size), np.nan)
    if y.size > CLIMATOLOGY_DAYS:
        probabilities = np.array(list(forecast.PROBABILITIES.values()))[:, None]
        # The last window has no outcome after it to be compared with.
        past = np.lib.stride_tricks.sliding_window_view(y, CLIMATOLOGY_DAYS)[:-1]
        errors = y[CLIMATOLOGY_DAYS:] - np.quantile(past, probabilities[:, 0], axis=1)
        losses[0, CLIMATOLOGY_DAYS:] = np.abs(errors[list(forecast.PROBABILITIES).index("q50")])
        losses[1, CLIMATOLOGY_DAYS:] = pinballs(errors, probabilities).mean(axis=0)
    names = ("abs_error_climatology", "pinball_climatology")
    return [pl.Series(name, loss, nan_to_null=True) for name, loss in zip(names, losses, strict=True)]


def _counted(day_scores: pl.DataFrame) -> dict[str, Any]:
    return {"month": "all", "as_of": max(day_scores["day"]), "lookback_sessions": COUNTED}


def row(name: str, found: pl.DataFrame, climatology: dict[str, Any]) -> str:
    """Return one method's line of the table."""
    pooled = found.filter(symbol="*").row(0, named=True) | climatology
    symbols = found.filter(pl.col("symbol") != "*")
    inside = [
        each[f"coverage_{level}_day_low"] <= level / 100 <= each[f"coverage_{level}_day_high"]
        for each in symbols.iter_rows(named=True)
        for level in LEVELS
    ]
    cells = [name, f"{pooled['n']:,}"]
    for level in LEVELS:
        low, high = pooled[f"coverage_{level}_day_low"], pooled[f"coverage_{level}_day_high"]
        mark = "" if low <= level / 100 <= high else " **out**"
        cells.append(f"{pooled[f'coverage_{level}']:.3f} [{low:.3f}, {high:.3f}]{mark}")
    cells += [f"{sum(inside)} of {len(inside)} ({sum(inside) / len(inside):.3f})"]
    cells += [f"{median(symbols['pit_deviation']):.4f}", _ratio(pooled, "rpinball_climatology")]
    cells += [_ratio(pooled, "rpinball_raw") if name != "raw" else "", f"{pooled['wis'] * 1e4:.3f}"]
    return "| " + " | ".join(cells) + " |"


def _ratio(pooled: dict[str, Any], name: str) -> str:
    value, low, high = (f"{pooled[name + end]:.4f}" for end in ("", "_low", "_high"))
    return f"{value} [{low}, {high}] (p {pooled[f'{name}_p']:.1g})"


def lines(own: pl.DataFrame) -> Iterator[str]:
    """Yield the table of one set, and what there is to say of the method shipped."""
    titles = ["method", "n", "50 %", "80 %", "95 %", "pairs inside", "median PIT deviation"]
    titles += ["pinball / climatology", "pinball / raw", "WIS, bp"]
    yield "| " + " | ".join(titles) + " |"
    yield "|" + "---|" * len(titles)
    base, said = core_inputs.calibration_spec(outcome_sets.settings()), list[str]()
    for at, method in enumerate(METHODS):
        told = scored(own, walked(own, replace(base, method=method)))
        found = judged(told)
        if at == 0:
            yield row("raw", found.filter(stage="raw"), against_climatology(told, "raw_"))
        yield row(method, found.filter(stage="calibrated"), against_climatology(told))
        if method == base.method:
            said = facts(told, found)
    yield from (f"\n{sentence}" for sentence in said)


def facts(told: pl.DataFrame, found: pl.DataFrame) -> list[str]:
    """Return in words what the table has no column for."""
    counted, calibrated = forecast.window(told, max(told["day"]), COUNTED), found.filter(stage="calibrated")
    pooled = calibrated.filter(symbol="*").row(0, named=True) | against_climatology(told)
    naive = {"persistence": "rmae", "zero return": "rmae_zero_return", "climatology": "rmae_climatology"}
    errors = "; ".join(f"{words} {_ratio(pooled, name)}" for words, name in naive.items())
    outside = [
        f"{each['symbol']} {each[f'coverage_{level}']:.3f} of {level} %"
        for each in calibrated.filter(pl.col("symbol") != "*").iter_rows(named=True)
        for level in LEVELS
        if not each[f"coverage_{level}_day_low"] <= level / 100 <= each[f"coverage_{level}_day_high"]
    ]
    daily = counted.group_by("day").agg(pl.col("covered_50").mean())["covered_50"]
    shares = forecast.reliability(told, **_counted(told), draws=DRAWS).filter(symbol="*")
    spread = dict(shares.select("stage", "uniform_p").unique().rows())
    instead = (counted["calibration"] == "conformal").mean()
    return [
        f"Mean absolute error of q50 against: {errors}.",
        f"Climatology is known for {pooled['rpinball_climatology_n']:,} of the forecasts.",
        f"PIT histogram as promised: p {spread['raw']:.2g} raw, {spread['calibrated']:.2g} calibrated.",
        f"Single days' 50 % coverage: {daily.min():.3f} to {daily.max():.3f}.",
        f"Conformal stood in for {instead:.3f} of the forecasts.",
        f"Pairs outside: {', '.join(outside) or 'none'}.",
    ]


def same_road(own: pl.DataFrame, rule: CalibrationSpec) -> int:
    """Return the rows compared, all days at once against day by day; raise AssertionError where they differ."""
    apart = []
    for day in own["day"].unique().sort():
        first, _ = samples.window(day, window_days=rule.window_days, embargo_days=rule.embargo_days)
        seen = own.filter(pl.col("day").is_between(first, day))
        apart.append(walked(seen, rule).filter(pl.col("day") == day))
    together = walked(own, rule)
    assert_frame_equal(together, pl.concat(apart).sort(FORECASTS.key), check_exact=True)
    return together.height


def main() -> None:
    """Print the tables of the sets named, or of all."""
    for name in sys.argv[1:] or list(outcome_sets.REAL):
        own = outcomes(name)
        days = own["day"].unique().sort()
        print(f"\n## {name}: {own['symbol'].n_unique()} symbols, {days.len()} sessions, {days[0]} to {days[-1]}\n")
        for line in lines(own):
            print(line, flush=True)
        rows = same_road(own, core_inputs.calibration_spec(outcome_sets.settings()))
        print(f"\nThe method shipped, all days at once = day by day: {rows:,} rows equal bit for bit.", flush=True)


if __name__ == "__main__":
    main()
