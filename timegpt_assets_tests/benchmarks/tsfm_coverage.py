"""Do bands hold what they promise on real prices: 728 markets of 81 events, held-out days and held-out events.

Run: ``TIMEGPT_ASSETS_REAL_DATA=... python -m timegpt_assets_tests.benchmarks.tsfm_coverage [ARM...]``. Every step is
the product's: files to MARKETS, the grid, selection, the runner, outcomes, conformal parameters, evaluation. An arm is
what answers as the model: mock (the last value, as tollama's mock), EWMA, KALMAN, ROLLING_QUANTILE, and fracast where
make setup-neural ran. Bands are made without the floor of their width; with it, it is put on before anything is learnt.
Prints a line of JSON for each row of TSFM_EVALUATION; TSFM_COVERAGE_KEEP names a folder that keeps outcomes and rows.
"""

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from timegpt_assets import runtime_tsfm
from timegpt_assets.adapters.tollama.answers import ModelAnswers
from timegpt_assets.adapters.tollama.runner import Model, Runner, counted
from timegpt_assets.config import tsfm_inputs
from timegpt_assets.core.tables.tsfm import TSFM_OUTCOMES
from timegpt_assets.core.tsfm import forecasts, outcomes, selection, series, window
from timegpt_assets.core.tsfm.asked import Answered, Asked
from timegpt_assets.core.tsfm.baselines import BaselineSpec, baseline
from timegpt_assets.core.tsfm.evaluation import with_and_without_floor
from timegpt_assets.core.tsfm.transform import Transform
from timegpt_assets.runtime import Runtime, load_runtime

FIRST, LAST = date(2025, 10, 31), date(2026, 1, 21)
CYCLE_MIN = {"fracast": 240}
"""Minutes between two cycles: a model of .15 s a forecast is asked less often."""
OFTEN = 15
ARMS = ("mock", "KALMAN", "ROLLING_QUANTILE", "fracast")
"""Beside each stands the baseline EWMA on the same rows."""


class LastValue:
    """Answers as tollama's mock does: every quantile of every step is the last price."""

    def forecast(self, asked: Sequence[Asked], *, timeout_s: float, request_id: str) -> ModelAnswers:
        """Return the last value of each series."""
        told = {one.market_id: np.full((one.horizon, len(one.quantiles)), one.y[-1]) for one in asked}
        return ModelAnswers(values=told, faults={}, model_version="last value", latency_ms=0.0)


class Baseline:
    """Answers as one of the baselines does, for a place beside the first of them."""

    def __init__(self, name: str, spec: BaselineSpec) -> None:
        """Keep whose answer it is."""
        self.spec = replace(spec, order=(name,))  # type: ignore[arg-type]  # one of its names

    def forecast(self, asked: Sequence[Asked], *, timeout_s: float, request_id: str) -> ModelAnswers:
        """Return its answer to each series, in the space it is handed in."""
        told = {one.market_id: self._said(one) for one in asked}
        return ModelAnswers(values=told, faults={}, model_version=None, latency_ms=0.0)

    def _said(self, one: Asked) -> np.ndarray:
        space = Transform("logit", 1e-6)
        return space.forward(baseline(replace(one, y=space.back(one.y)), self.spec, space).values)


def runtime_of(cycle_min: int, folder: Path) -> Runtime:
    """Return the runtime of a replay of the set, without a floor."""
    told = (
        "tsfm.markets.source=files", f"tsfm.markets.path={folder}", "tsfm.markets.known_after_s=60",
        f"tsfm.cycle_min={cycle_min}", "tsfm.guards.min_width=0.0", f"tsfm.start_date={FIRST}",
        "tsfm.model.provider=in_process", "tsfm.model.model_name=fracast", "tsfm.tollama.timeout_s=60",
        "tsfm.tollama.batch_timeout_s=3600",
    )  # fmt: skip
    return load_runtime(told, profile="demo", environ={})


def runner_of(arm: str, runtime: Runtime) -> Runner:
    """Return the product's runner with the arm as its model."""
    own = runtime_tsfm.runner(runtime)
    return replace(own, rules=replace(own.rules, model=arm), model=model_of(arm, own))


def model_of(arm: str, own: Runner) -> Model:
    """Return who answers as the model."""
    if arm == "mock":
        return LastValue()
    return own.model if arm == "fracast" else Baseline(arm, own.rules.baselines)


def made(arm: str, runtime: Runtime) -> pl.DataFrame:
    """Return TSFM_OUTCOMES of every day, made day by day as the assets make them."""
    settings = runtime.settings
    spec, tsfm = tsfm_inputs.series_spec(settings), settings.tsfm
    files = runtime_tsfm.price_files(runtime)
    runner, found, before = runner_of(arm, runtime), [], None
    kept: list[pl.DataFrame] = []
    day = FIRST
    while day <= LAST:
        told = files.day(day)
        rows = series.series(told.markets, told.prices, [day], spec).rows
        past = rows if before is None else pl.concat([before, rows])
        chosen = selection.selection(
            told.markets, tsfm_inputs.selection_spec(settings), tsfm_inputs.segment_spec(settings)
        )
        asked = window.asked(chosen, past, spec, tsfm.quantiles)
        answers = runner.forecast(asked)
        good = {(one.market_id, one.as_of): one for one in answers if isinstance(one, Answered)}
        live = told.markets.select("market_id", "as_of", "live")
        kept = [*kept[-1:], forecasts.forecasts(chosen.join(live, on=["market_id", "as_of"]), asked, good)]
        hours = tsfm.evaluation.follow_through_hours
        found.append(outcomes.outcomes(pl.concat(kept), rows, [day], follow_through_hours=hours))
        sys.stderr.write(f"{arm} {day} {len(asked)} asked {dict(counted(answers))}\n")
        before, day = rows, day + timedelta(days=1)
    return TSFM_OUTCOMES.conformed(pl.concat(found))


def main() -> None:
    """Make and judge each arm, and print the rows."""
    data, keep = os.environ.get("TIMEGPT_ASSETS_REAL_DATA"), os.environ.get("TSFM_COVERAGE_KEEP")
    if data is None:
        sys.stdout.write(json.dumps({"left_out": "no real data: set TIMEGPT_ASSETS_REAL_DATA"}) + "\n")
        return
    folder = Path(data, "extras", "polymarket_btc_range_1m")
    for arm in sys.argv[1:] or ARMS:
        runtime = runtime_of(CYCLE_MIN.get(arm, OFTEN), folder)
        stored = Path(keep, f"{arm}.parquet") if keep else None
        came = pl.read_parquet(stored) if stored and stored.exists() else made(arm, runtime)
        if stored:
            came.write_parquet(stored)
        spec = replace(tsfm_inputs.evaluation_spec(runtime.settings), min_width=0.02)
        began = time.process_time()
        rows = with_and_without_floor(came, spec)
        sys.stderr.write(f"{arm}: {time.process_time() - began:.0f} s\n")
        if keep:
            rows.write_parquet(Path(keep, f"{arm}_rows.parquet"))
        for row in rows.to_dicts():
            sys.stdout.write(json.dumps({"model": arm} | row, default=str) + "\n")


if __name__ == "__main__":
    main()
