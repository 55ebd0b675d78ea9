"""A service under test: real HTTP, real cache, log and metrics; its forecaster repeats the last price, or fails."""

import io
import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from timegpt_assets.adapters.tollama.probe import Health
from timegpt_assets.config.settings import load_settings
from timegpt_assets.core.tsfm.asked import Answered, Asked
from timegpt_assets.serving.tsfm.cache import Answers
from timegpt_assets.serving.tsfm.logs import logger
from timegpt_assets.serving.tsfm.metrics import Metrics
from timegpt_assets.serving.tsfm.monitor import Monitor
from timegpt_assets.serving.tsfm.promises import Promises
from timegpt_assets.serving.tsfm.replies import Adjusted, Wish
from timegpt_assets.serving.tsfm.service import Desk, keeps
from timegpt_assets.serving.tsfm.terms import Settled, terms
from timegpt_assets.serving.tsfm.windows import Window

NOW = datetime(2026, 2, 20, 12, 0, 30, tzinfo=UTC)
GOOD: dict[str, Any] = {"market_id": "m1", "as_of_ts": "2026-02-20T12:00:00Z", "y": [0.4, None, 0.5]}

WELL = Health(healthy=True, why="", latency_ms=1.0)


@dataclass(frozen=True, slots=True)
class Silent:
    """A market that nobody could answer."""

    reason: str = "baseline_error:too_few_points"


@dataclass
class Repeating:
    """Answers with the last price and .05 on either side; ``before`` runs first, ``reason`` makes it a fallback's."""

    metrics: Metrics | None = None
    reason: str | None = None
    before: Callable[[Asked], None] = lambda asked: None
    silent: bool = False
    asked: list[Asked] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def forecast(self, asked: Sequence[Asked]) -> list[Answered | Silent]:
        """Answer each."""
        with self.lock:
            self.asked += asked
        return [self._one(one) for one in asked]

    def _one(self, one: Asked) -> Answered | Silent:
        self.before(one)
        if self.silent:
            return Silent()
        last = float(one.y[np.isfinite(one.y)][-1])
        offsets = np.linspace(-0.05, 0.05, len(one.quantiles))
        values = np.clip(np.tile(last + offsets, (one.horizon, 1)), 0, 1)
        answered = Answered(
            market_id=one.market_id, as_of=one.as_of, quantiles=one.quantiles, values=values,
            baseline_values=np.clip(values + np.array([-0.01, 0, 0.01]), 0, 1) if len(offsets) == 3 else values,
            runtime="baseline" if self.reason else "tollama", model="EWMA" if self.reason else "chronos2",
            model_version=None if self.reason else "3", fallback_used=self.reason is not None, reason=self.reason,
            baseline="EWMA", crossed=1, width_flags=("",) * one.horizon, input_len=one.y.size,
            carried_share=1 - float(one.seen.mean()), latency_ms=150.0, warnings=("from the runner",),
        )  # fmt: skip
        if self.metrics:
            self.metrics.answered(answered)
        return answered


def adjusted(settled: Settled, answered: Answered) -> Adjusted:
    """Return a band .1 wider on both sides."""
    outer = answered.values[:, [0, answered.quantiles.index(0.5), -1]] + np.array([-0.1, 0, 0.1])
    return Adjusted(band=np.clip(outer, 0, 1), day="2026-02-20", pool="all", warnings=("from conformal",))


class Service:
    """A desk and what it is made of: ``forecaster``, ``lines()`` of its log, ``now`` of its clock that only goes on."""

    def __init__(self, **changed: Any) -> None:
        """Make a desk; ``changed`` replaces parts of it."""
        self.ahead, self.stream = 0.0, io.StringIO()
        settings = load_settings(profile="demo", config_dir=None, environment={})
        cache = settings.tsfm.cache
        window, log = Window(600, self.monotonic), logger(self.stream, lambda: NOW)
        limits = {"request_p95_ms": 300.0, "fallback_ms": 50.0, "error_rate_max": 0.05}
        self.metrics = Metrics(window, limits, lambda: {"breach_rate": 0.1})
        self.forecaster = Repeating(metrics=self.metrics)
        desk = Desk(
            terms=terms(settings), forecaster=lambda choice: self.forecaster, adjust=adjusted,
            wished=lambda market_id, day: Wish(source="tsfm_conformal"), metrics=self.metrics,
            monitor=Monitor(lambda: WELL, 30.0), promises=Promises(window, limits, log), mode=lambda: "model",
            answers=Answers(ttl_s=cache.ttl_s, entries=cache.entries, monotonic=self.monotonic, keeps=keeps),
            log=log, monotonic=self.monotonic, threads=8, max_body_bytes=100_000,
        )  # fmt: skip
        self.desk = replace(desk, **changed)

    def monotonic(self) -> float:
        """Return this machine's, moved by ``ahead``."""
        return time.monotonic() + self.ahead

    def lines(self) -> list[dict[str, Any]]:
        """Return what was logged."""
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]
