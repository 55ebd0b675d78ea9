"""A process's desk: everything that the service answers with, made once of the runtime's settings.

Belongs here: the putting together. Each part is another module's.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TextIO

from timegpt_assets import runtime_tsfm
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.adapters.storage.rollout_record import TSFM_NAME, RolloutRecord
from timegpt_assets.adapters.tollama.probe import Health
from timegpt_assets.adapters.tollama.runner import Runner, RunnerListener
from timegpt_assets.adapters.tollama.watch import Watch
from timegpt_assets.config import tsfm_inputs
from timegpt_assets.core.tsfm.asked import Answered
from timegpt_assets.runtime import Runtime
from timegpt_assets.serving.tsfm.adjusting import Adjusting
from timegpt_assets.serving.tsfm.cache import Answers
from timegpt_assets.serving.tsfm.identity import TOKEN
from timegpt_assets.serving.tsfm.logs import logger
from timegpt_assets.serving.tsfm.metrics import Metrics
from timegpt_assets.serving.tsfm.monitor import Monitor
from timegpt_assets.serving.tsfm.parameters import Parameters
from timegpt_assets.serving.tsfm.promises import Promises
from timegpt_assets.serving.tsfm.service import Desk, keeps
from timegpt_assets.serving.tsfm.shares import Shares
from timegpt_assets.serving.tsfm.terms import Choice, terms
from timegpt_assets.serving.tsfm.windows import Window


def token(runtime: Runtime) -> str | None:
    """Return what callers must bear, None where nobody must."""
    return runtime.environment.get(TOKEN)


def desk(runtime: Runtime, stream: TextIO, monotonic: Callable[[], float] = time.monotonic) -> Desk:
    """Return the desk; its log goes to the stream."""
    tsfm, slo = runtime.settings.tsfm, runtime.settings.tsfm.slo
    limits = {
        "request_p95_ms": slo.request_p95_ms,
        "fallback_ms": slo.fallback_ms,
        "error_rate_max": slo.error_rate_max,
    }
    window, log = Window(60 * slo.window_min, monotonic), logger(stream, runtime.clock, runtime.redacted)
    conformal = tsfm_inputs.conformal_spec(runtime.settings)
    metrics = Metrics(window, limits, runtime_tsfm.band_figures(runtime, monotonic))
    probe, allowed = runtime_tsfm.model(runtime).probe, terms(runtime.settings)
    watch = runtime_tsfm.watch(runtime, probe)
    return Desk(
        terms=allowed,
        forecaster=Runners(runtime=runtime, watch=watch, metrics=metrics),
        adjust=Adjusting(
            parameters=Parameters(ParquetStore(runtime.storage), conformal.target, monotonic),
            spec=conformal,
            terms=allowed,
            enabled=tsfm.conformal.enabled,
        ),
        wished=Shares(RolloutRecord(runtime.storage, TSFM_NAME), tsfm.alerts.band_source, monotonic),
        metrics=metrics,
        monitor=Monitor(_Probe(watch, probe), tsfm.degradation.probe_interval_s),
        promises=Promises(window, limits, log),
        mode=lambda: "baseline_only" if watch.degraded() else "model",
        answers=Answers(ttl_s=tsfm.cache.ttl_s, entries=tsfm.cache.entries, monotonic=monotonic, keeps=keeps),
        log=log,
        monotonic=monotonic,
        threads=tsfm.serve.threads,
        max_body_bytes=tsfm.serve.max_body_bytes,
        token=token(runtime),
    )


@dataclass(frozen=True)
class _Probe:
    """Probes the model: in the watch's stead where it is left alone, for a healthy one is what ends that."""

    watch: Watch
    plain: Callable[[], Health]

    def __call__(self) -> Health:
        """Return what was found; a probe whose turn has not come for the watch is one for readiness alone."""
        return self.watch.probe_if_due() or self.plain()


@dataclass(frozen=True)
class _Both:
    """Tells two listeners of every answer."""

    listeners: Sequence[RunnerListener]

    def answered(self, answered: Answered) -> None:
        """Tell each."""
        for one in self.listeners:
            one.answered(answered)


@dataclass(frozen=True, kw_only=True)
class Runners:
    """A runner for each choice of model and space, made when it is first asked; any thread may ask.

    There are as many at most as models are listed, twice. All stand still where the configured model is left alone; its
    answers alone say whether it is.
    """

    runtime: Runtime
    watch: Watch
    metrics: Metrics
    made: dict[Choice, Runner] = field(default_factory=dict, repr=False)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __call__(self, choice: Choice) -> Runner:
        """Return the choice's runner."""
        with self.lock:
            if choice not in self.made:
                self.made[choice] = self._made(choice)
            return self.made[choice]

    def _made(self, choice: Choice) -> Runner:
        settings = self.runtime.settings
        tsfm = settings.tsfm
        model = tsfm.model.model_copy(update={"model_name": choice.model})
        transform = tsfm.transform.model_copy(update={"space": choice.space})
        chosen = tsfm.model_copy(update={"model": model, "transform": transform})
        made = runtime_tsfm.runner(replace(self.runtime, settings=replace(settings, tsfm=chosen)))
        own = choice == Choice(model=tsfm.model.model_name, space=tsfm.transform.space)
        return replace(
            made, degraded=self.watch.degraded, listener=_Both((self.metrics, self.watch) if own else (self.metrics,))
        )
