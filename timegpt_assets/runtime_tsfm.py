"""What the second system is made with, of a runtime: who is asked for markets, who forecasts, and who may be asked.

Belongs here: one plain factory per adapter of tsfm, as runtime.py has them for the rest. Keys come from the environment
and are looked up when something is asked.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

from timegpt_assets.config import tsfm_inputs
from timegpt_assets.core.explained import Explained
from timegpt_assets.runtime import Runtime

if TYPE_CHECKING:
    from timegpt_assets.adapters.prediction_markets.price_files import PriceFiles
    from timegpt_assets.adapters.prediction_markets.source import MarketDays, MarketSource
    from timegpt_assets.adapters.prediction_markets.tape import Tape
    from timegpt_assets.adapters.storage.band_figures import BandFigures
    from timegpt_assets.adapters.tollama.answer_store import Remembered
    from timegpt_assets.adapters.tollama.breaker import ModelBreaker
    from timegpt_assets.adapters.tollama.client import Tollama
    from timegpt_assets.adapters.tollama.in_process import InProcess
    from timegpt_assets.adapters.tollama.probe import Health, Probing
    from timegpt_assets.adapters.tollama.runner import Runner
    from timegpt_assets.adapters.tollama.watch import Watch, Watched

SHAPING = (*tsfm_inputs.ANSWERED, "tsfm.series")
"""What an answer hangs on beside its question: the service lays its series out itself."""


class ModelNotHere(Explained, RuntimeError):
    """Raised for a model that is to run in this process and cannot."""


def market_source(runtime: Runtime) -> "MarketSource":
    """Return who is asked for markets and their prices."""
    return price_files(runtime) if runtime.settings.tsfm.markets.source == "files" else _polymarket(runtime)


def market_days(runtime: Runtime) -> "MarketDays":
    """Return the days that assets are made of: the tape of a live source, or the files of a replay."""
    return price_files(runtime) if runtime.settings.tsfm.markets.source == "files" else tape(runtime)


def tape(runtime: Runtime) -> "Tape":
    """Return what a live source said, cycle by cycle."""
    from timegpt_assets.adapters.prediction_markets.tape import Tape

    return Tape(runtime.storage, cycle=timedelta(minutes=runtime.settings.tsfm.cycle_min))


def price_files(runtime: Runtime) -> "PriceFiles":
    """Return the files that a replay reads."""
    from timegpt_assets.adapters.prediction_markets.price_files import PriceFiles

    asked = runtime.settings.tsfm.markets
    if asked.path is None:
        raise ValueError("tsfm.markets.path is null. Name a folder: config/tsfm_checks.py refuses files without one.")
    return PriceFiles(
        folder=runtime.path(asked.path),
        known_after_s=asked.known_after_s,
        cycle_min=runtime.settings.tsfm.cycle_min,
    )


def _polymarket(runtime: Runtime) -> "MarketSource":
    from timegpt_assets.adapters.prediction_markets import polymarket
    from timegpt_assets.adapters.prediction_markets.asking import VenueQuestions

    asked = runtime.settings.tsfm.markets
    return polymarket.Polymarket(
        ask=VenueQuestions(
            timeout_s=asked.timeout_s,
            max_attempts=asked.max_attempts,
            budget_s=asked.budget_s,
            spacing_s=asked.spacing_s,
            clock=runtime.clock,
        ),
        max_candidates=asked.max_candidates,
        fidelity_min=runtime.settings.tsfm.series.freq_min,
        known_after_s=asked.known_after_s,
        gamma_url=asked.gamma_url or polymarket.GAMMA,
        clob_url=asked.clob_url or polymarket.CLOB,
        data_url=asked.data_url or polymarket.DATA,
    )


def tollama(runtime: Runtime) -> "Tollama":
    """Return the model server."""
    from timegpt_assets.adapters.tollama import client

    tsfm = runtime.settings.tsfm
    server, asked = tsfm.tollama, tsfm.model
    return client.Tollama(
        base_url=server.base_url,
        model=asked.model_name,
        version=asked.model_version,
        params=asked.params,
        auth=server.auth_mode,
        patience=client.Patience(
            retries=server.retry_count,
            backoff_s=server.retry_backoff_ms / 1000,
            jitter_s=server.retry_jitter_ms / 1000,
        ),
        probing=_probing(runtime),
        key=lambda: runtime.environment.get(client.KEY),
        clock=runtime.clock,
    )


def in_process(runtime: Runtime) -> "InProcess":
    """Return the model that runs in this process. Raises ModelNotHere for the name of another."""
    from timegpt_assets.adapters.tollama.in_process import NAME, InProcess

    asked = runtime.settings.tsfm.model
    if asked.model_name != NAME:
        raise ModelNotHere(
            f"tsfm.model.provider is in_process, and {asked.model_name} does not run in this process. "
            f"Set tsfm.model.model_name={NAME}, or tsfm.model.provider=tollama."
        )
    return InProcess(version=asked.model_version, params=asked.params, probing=_probing(runtime), clock=runtime.clock)


def model(runtime: Runtime) -> "Tollama | InProcess":
    """Return who forecasts. Raises ModelNotHere."""
    return in_process(runtime) if runtime.settings.tsfm.model.provider == "in_process" else tollama(runtime)


def _probing(runtime: Runtime) -> "Probing":
    from timegpt_assets.adapters.tollama.probe import Probing

    tsfm = runtime.settings.tsfm
    return Probing(
        points=tsfm.series.min_points,
        horizon=tsfm.series.horizon_steps,
        quantiles=tsfm.quantiles,
        freq_min=tsfm.series.freq_min,
        timeout_s=tsfm.tollama.timeout_s,
        warm_up_s=tsfm.tollama.batch_timeout_s,
    )


def breaker(runtime: Runtime) -> "ModelBreaker":
    """Return whether the model server may be asked: one for each process, which forgets it when it ends."""
    from timegpt_assets.adapters.tollama.breaker import ModelBreaker, Rules

    rules = runtime.settings.tsfm.breaker
    return ModelBreaker(
        rules=Rules(failures=rules.failures, cooldown_s=rules.cooldown_s, probes=rules.probes), ticks=time.monotonic
    )


def runner(runtime: Runtime) -> "Runner":
    """Return who answers about markets: the model while it may be asked, else the baseline."""
    from timegpt_assets.adapters.tollama.runner import Rules, Runner

    tsfm = runtime.settings.tsfm
    rules = Rules(
        runtime=tsfm.model.provider,
        model=tsfm.model.model_name,
        transform=tsfm_inputs.transform(runtime.settings),
        guards=tsfm_inputs.guards_spec(runtime.settings),
        baselines=tsfm_inputs.baseline_spec(runtime.settings),
        asking=tsfm_inputs.asking_rules(runtime.settings),
        timeout_s=tsfm.tollama.timeout_s,
        batch_timeout_s=tsfm.tollama.batch_timeout_s,
        batch_series=tsfm.tollama.batch_series,
    )
    return Runner(rules=rules, model=model(runtime), breaker=breaker(runtime))


def watched(runtime: Runtime) -> "Watched":
    """Return a runner that goes on from what other processes saw of the model's health, and tells the next one."""
    from timegpt_assets.adapters.tollama.watch import KeptWatch, Watched

    rules = tsfm_inputs.degradation_rules(runtime.settings)
    kept = KeptWatch(objects=runtime.storage, rules=rules, probe=model(runtime).probe, clock=runtime.clock)
    return Watched(runner=runner(runtime), kept=kept)


def watch(runtime: Runtime, probe: "Callable[[], Health]") -> "Watch":
    """Return the watcher of the model's health for a process that stays, and nothing is known of the model yet."""
    from timegpt_assets.adapters.tollama.watch import Watch

    return Watch(rules=tsfm_inputs.degradation_rules(runtime.settings), probe=probe, clock=runtime.clock)


def band_figures(runtime: Runtime, monotonic: Callable[[], float] = time.monotonic) -> "BandFigures":
    """Return the figures of stored bands, over as many days as conformal learns from."""
    from timegpt_assets.adapters.storage.band_figures import BandFigures
    from timegpt_assets.adapters.storage.parquet_store import ParquetStore

    tsfm = runtime.settings.tsfm
    return BandFigures(
        store=ParquetStore(runtime.storage),
        days=tsfm.conformal.rolling_window_days,
        follow_through_move=tsfm.evaluation.follow_through_move,
        monotonic=monotonic,
    )


def band_forecaster(runtime: Runtime) -> "Remembered":
    """Return a runner that is asked only what it did not answer before, under settings that could change an answer."""
    from timegpt_assets.adapters.tollama.answer_store import Remembered

    return Remembered(
        runner=cache(lambda: watched(runtime)),
        objects=runtime.storage,
        settings=runtime.settings.digest(SHAPING)[:16],
        clock=runtime.clock,
        live_for=timedelta(minutes=2 * runtime.settings.tsfm.cycle_min),
    )
