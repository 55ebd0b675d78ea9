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

import polars as pl
from polars.testing import assert_frame_equal

from timegpt_assets.config import core_values
from timegpt_assets.core.calibration import applied, models, samples
from timegpt_assets.core.calibration.methods import METHODS, Recipe
from timegpt_assets.core.metrics import diagnostics, forecast
from timegpt_assets.core.tables.calibration import FORECASTS
from timegpt_assets.core.tables.columns import BANDS
from timegpt_assets_tests import outcome_sets

COUNTED = 25
"""Sessions judged: 600 forecasts a symbol."""
LEVELS = tuple(BANDS)


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


def walked(own: pl.DataFrame, rule: Recipe) -> pl.DataFrame:
    """Return every day's forecasts, calibrated by models of that day."""
    found = models.models(own, days=own["day"].unique(), keys=samples.snapshot_times(own), levels=LEVELS, recipe=rule)
    return applied.calibrated(own.drop("y", "y_last"), found)


def judged(own: pl.DataFrame, made: pl.DataFrame) -> pl.DataFrame:
    """Return FORECAST_DIAGNOSTICS of the counted sessions."""
    under = outcome_sets.settings()
    labels = own.select("day", "symbol", "target_ts", "horizon_min", "y", ts=pl.col("snapshot_ts"))
    scored = forecast.scores(made, labels, target=core_values.target(under))
    return diagnostics.diagnostics(
        forecast.day_scores(scored, made),
        month="all",
        as_of=max(own["day"]),
        lookback_sessions=COUNTED,
        climatology_days=under.gates.climatology_days,
        draws=1000,
    )


def row(name: str, found: pl.DataFrame) -> str:
    """Return one method's line of the table."""
    pooled = found.filter(symbol="*").row(0, named=True)
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
    return f"{pooled[name]:.4f} (p {pooled[f'{name}_p']:.1g})"


def lines(own: pl.DataFrame) -> Iterator[str]:
    """Yield the table of one set."""
    titles = ["method", "n", "50 %", "80 %", "95 %", "pairs inside", "median PIT deviation"]
    titles += ["pinball / climatology", "pinball / raw", "WIS, bp"]
    yield "| " + " | ".join(titles) + " |"
    yield "|" + "---|" * len(titles)
    base = core_values.recipe(outcome_sets.settings())
    for at, method in enumerate(METHODS):
        found = judged(own, walked(own, replace(base, method=method)))
        if at == 0:
            yield row("raw", found.filter(stage="raw"))
        yield row(method, found.filter(stage="calibrated"))


def same_road(own: pl.DataFrame, rule: Recipe) -> int:
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
        rows = same_road(own, core_values.recipe(outcome_sets.settings()))
        print(f"\nAffine, all days at once = day by day: {rows:,} rows equal bit for bit.", flush=True)


if __name__ == "__main__":
    main()
