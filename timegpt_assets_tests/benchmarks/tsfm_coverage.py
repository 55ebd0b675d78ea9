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
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from timegpt_assets.adapters.prediction_markets.price_files import PriceFiles
from timegpt_assets.adapters.tollama.answers import ModelAnswers
from timegpt_assets.adapters.tollama.breaker import ModelBreaker
from timegpt_assets.adapters.tollama.breaker import Rules as BreakerRules
from timegpt_assets.adapters.tollama.in_process import InProcess
from timegpt_assets.adapters.tollama.probe import Probing
from timegpt_assets.adapters.tollama.runner import Model, Rules, Runner, counted
from timegpt_assets.config import tsfm_inputs
from timegpt_assets.config.settings import Settings, load_settings
from timegpt_assets.core.tables.tsfm import TSFM_OUTCOMES
from timegpt_assets.core.tsfm import forecasts, outcomes, selection, series, window
from timegpt_assets.core.tsfm.asked import Answered, Asked
from timegpt_assets.core.tsfm.baselines import BaselineSpec, baseline
from timegpt_assets.core.tsfm.evaluation import held_out
from timegpt_assets.core.tsfm.transform import Transform

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


def settings_of(cycle_min: int, folder: Path) -> Settings:
    """Return the settings of a replay of the set, without a floor."""
    told = (
        "tsfm.markets.source=files", f"tsfm.markets.path={folder}", "tsfm.markets.known_after_s=60",
        f"tsfm.cycle_min={cycle_min}", "tsfm.guards.min_width=0.0", f"tsfm.start_date={FIRST}",
        "tsfm.model.provider=in_process", "tsfm.model.model_name=fracast", "tsfm.tollama.batch_timeout_s=3600",
    )  # fmt: skip
    return load_settings(profile="demo", config_dir=None, overrides=told, environment={})


def model_of(arm: str, settings: Settings) -> Model:
    """Return who answers as the model."""
    if arm == "mock":
        return LastValue()
    if arm == "fracast":
        probing = Probing(points=32, horizon=12, quantiles=(0.1, 0.5, 0.9), freq_min=5, timeout_s=60.0, warm_up_s=60.0)
        return InProcess(version="auto", params={}, probing=probing, clock=lambda: datetime.now(UTC))
    return Baseline(arm, tsfm_inputs.baseline_spec(settings))


def runner_of(arm: str, settings: Settings) -> Runner:
    """Return the product's runner with the arm as its model."""
    tsfm = settings.tsfm
    rules = Rules(
        runtime="in_process",
        model=arm,
        transform=tsfm_inputs.transform(settings),
        guards=tsfm_inputs.guards_spec(settings),
        baselines=tsfm_inputs.baseline_spec(settings),
        asking=tsfm_inputs.asking_rules(settings),
        timeout_s=tsfm.tollama.timeout_s,
        batch_timeout_s=tsfm.tollama.batch_timeout_s,
        batch_series=tsfm.tollama.batch_series,
    )
    own = BreakerRules(failures=tsfm.breaker.failures, cooldown_s=tsfm.breaker.cooldown_s, probes=tsfm.breaker.probes)
    return Runner(rules=rules, model=model_of(arm, settings), breaker=ModelBreaker(rules=own, ticks=time.monotonic))


def made(arm: str, settings: Settings, folder: Path) -> pl.DataFrame:
    """Return TSFM_OUTCOMES of every day, made day by day as the assets make them."""
    spec, tsfm = tsfm_inputs.series_spec(settings), settings.tsfm
    files = PriceFiles(folder=folder, known_after_s=60.0, cycle_min=tsfm.cycle_min)
    runner, found, before = runner_of(arm, settings), [], None
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
        settings = settings_of(CYCLE_MIN.get(arm, OFTEN), folder)
        stored = Path(keep, f"{arm}.parquet") if keep else None
        came = pl.read_parquet(stored) if stored and stored.exists() else made(arm, settings, folder)
        if stored:
            came.write_parquet(stored)
        spec = replace(tsfm_inputs.evaluation_spec(settings), min_width=0.02)
        for floor in (False, True):
            began = time.process_time()
            rows = held_out(came, spec, floor=floor)
            sys.stderr.write(f"{arm} floor {floor}: {time.process_time() - began:.0f} s\n")
            if keep:
                rows.write_parquet(Path(keep, f"{arm}_{floor}_rows.parquet"))
            for row in rows.to_dicts():
                sys.stdout.write(json.dumps({"model": arm} | row, default=str) + "\n")


if __name__ == "__main__":
    main()
