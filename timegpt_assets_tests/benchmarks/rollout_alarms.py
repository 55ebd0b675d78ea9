"""How often the alarm of coverage would have sent somebody back on real bars, and how often the control arm rang, too.

Run: python -m timegpt_assets_tests.benchmarks.rollout_alarms FOLDER [FOLDER ...]
Each folder is the storage root of a house that has evaluation/day_scores of the seats below beside ridge's; the shipped
settings of coverage drift are used.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.config import strategy_inputs
from timegpt_assets.config.settings import load_settings
from timegpt_assets.core.evaluation import intervals
from timegpt_assets.core.rollout.triggers import Evidence, coverage_drift
from timegpt_assets.core.tables.columns import CONTROL, WILDCARD
from timegpt_assets.core.tables.evaluation import COVERAGE_DRIFT

SEATS = ("size", "zero", "climatology")


def drifts(scores: pl.DataFrame) -> pl.DataFrame:
    """Return COVERAGE_DRIFT of all symbols pooled, of every session."""
    settings = load_settings(profile="demo", config_dir=None, environment={})
    drawn, tolerance = settings.calibration.evaluation.drift_days, settings.gates.trade_eligibility.coverage_tol
    months, last = sorted(scores["day"].dt.strftime("%Y-%m").unique()), scores["day"].max()
    found = (
        intervals.drift(scores, month=month, as_of=last, sessions=drawn, tolerance=tolerance)  # type: ignore[arg-type]
        for month in months
    )
    return pl.concat([COVERAGE_DRIFT.empty(), *found]).filter(symbol=WILDCARD)


def told(folder: Path) -> Iterator[str]:
    """Yield a row for each seat: sessions judged, alarms, and how many of them the control arm did not ring, too."""
    store = ParquetStore(LocalStore(folder))
    drift = drifts(store.read("evaluation/day_scores", store.files("evaluation/day_scores")).drop("lineage_id"))
    asked = strategy_inputs.rollout_triggers(load_settings(profile="demo", config_dir=None, environment={}))
    nothing = pl.DataFrame()
    for seat in SEATS:
        own = drift.filter(forecaster=seat, stage="calibrated", level=50)
        rest = dict.fromkeys(("symbol_gates", "day_scores", "portfolio", "last_prices", "feature_drift"), nothing)
        fired = [
            coverage_drift(
                Evidence(forecaster=seat, control=CONTROL, sessions=[day], coverage_drift=drift, **rest), asked
            ).fired
            for day in sorted(own["day"].unique())
        ]
        yield f"| {folder} | {seat} | {len(fired)} | {int(own['alarm'].sum())} | {sum(fired)} |"


def main() -> None:
    """Print the rows of every folder named."""
    print("| house | seat | sessions | alarms | not the control arm's, too |")
    print("|---|---|---|---|---|")
    for folder in map(Path, sys.argv[1:]):
        for line in told(folder):
            print(line, flush=True)


if __name__ == "__main__":
    main()
