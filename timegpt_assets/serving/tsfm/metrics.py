"""What Prometheus reads of the service, under the names of the seed, and of the tables that lie behind it.

Belongs here: names, help and what is counted. Figures of stored tables are those of core/tsfm/figures.py.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily

from timegpt_assets.adapters.storage.object_store import ObjectStoreError
from timegpt_assets.adapters.storage.parquet_files import StoreError
from timegpt_assets.core.tsfm.asked import Answered
from timegpt_assets.core.tsfm.figures import means
from timegpt_assets.core.tsfm.reasons import is_model_error
from timegpt_assets.serving.tsfm.promises import FALLBACK, REQUEST
from timegpt_assets.serving.tsfm.windows import Window

Offline = Callable[[], Mapping[str, float]]
"""Returns figures of stored bands by name. Raises whatever keeps the tables from being read."""
LATENCIES = (5.0, 10.0, 25.0, 50.0, 100.0, 150.0, 200.0, 300.0, 500.0, 1000.0, 2000.0, 5000.0)
MODEL, IN_VAIN, CACHE, NOBODY = "model", "in_vain", "cache", "nobody"
"""Who was served by, beside FALLBACK."""
TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counters of one process and rates over its last minutes; a runner's listener. Any thread may tell.

    ``limits``: what is promised, by setting below tsfm.slo.
    """

    def __init__(self, window: Window, limits: Mapping[str, float], offline: Offline) -> None:
        """Register every metric in a registry of its own: two services in one process do not share one."""
        registry = CollectorRegistry()
        self._window, self._registry = window, registry
        self._latency = Histogram(
            "tollama_latency_ms", "Milliseconds of a model's answer.", buckets=LATENCIES, registry=registry
        )
        self._request = Histogram(
            "tsfm_request_latency_ms", "Milliseconds of a request, by who was served.", ["served"],
            buckets=LATENCIES, registry=registry,
        )  # fmt: skip
        self._requests = Counter(
            "tsfm_requests", "Requests for a forecast by HTTP status.", ["status"], registry=registry
        )
        self._answers = Counter(
            "tsfm_answers", "Forecasts made, by why the model did not answer.", ["reason"], registry=registry
        )
        self._gauge("tollama_error_rate", "Share of forecasts asked of the model that failed.", "failed", "asked")
        self._gauge("fallback_rate", "Share of forecasts that the baseline answered.", "fallback", "made")
        self._gauge("quantile_crossing_rate", "Share of steps whose quantiles crossed on arrival.", "crossed", "steps")
        self._p95("tsfm_request_p95_ms", "Milliseconds that 95 of 100 answered requests stayed within.", REQUEST)
        self._p95("tsfm_fallback_p95_ms", "The same of those that no model was asked for.", FALLBACK)
        for name, limit in limits.items():
            Gauge(f"tsfm_slo_{name}", f"What is promised: tsfm.slo.{name}.", registry=registry).set(limit)
        self._registry.register(_Stored(offline))

    def answered(self, answered: Answered) -> None:
        """Count what a runner answered, whoever made the numbers."""
        failed = is_model_error(answered.reason)
        self._answers.labels(reason=answered.reason or "none").inc()
        self._window.add(made=1, fallback=answered.fallback_used, failed=failed)
        if failed or not answered.fallback_used:
            self._window.add(asked=1, steps=len(answered.values), crossed=answered.crossed)
        if not answered.fallback_used:
            self._latency.observe(answered.latency_ms)

    def served(self, status: int, milliseconds: float, who: str) -> None:
        """Count a request; ``who`` was served by: model, fallback, in_vain, cache or nobody.

        A fallback is what no model was asked for, in_vain what one was asked for and did not answer.
        """
        self._requests.labels(status=str(status)).inc()
        self._request.labels(served=who).observe(milliseconds)
        if who != NOBODY:
            self._window.took(REQUEST, milliseconds)
        if who == FALLBACK:
            self._window.took(FALLBACK, milliseconds)

    def exposition(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        return generate_latest(self._registry)

    def _gauge(self, name: str, told: str, part: str, whole: str) -> None:
        gauge = Gauge(name, f"{told} Over tsfm.slo.window_min; NaN: there was none.", registry=self._registry)
        gauge.set_function(lambda: self._window.share(part, whole))

    def _p95(self, name: str, told: str, kind: str) -> None:
        gauge = Gauge(name, f"{told} Over tsfm.slo.window_min; NaN: there was none.", registry=self._registry)
        gauge.set_function(lambda: self._window.p95(kind))


class _Stored:
    """Yields what stored tables say, read when Prometheus asks (prometheus-client's protocol of a collector)."""

    def __init__(self, offline: Offline) -> None:
        self._offline = offline

    def describe(self) -> Iterable[Any]:
        """Return nothing: the tables are not read to register this."""
        return ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield a gauge for each figure there is, and whether the tables could be read."""
        try:
            found = self._offline()
        except (StoreError, ObjectStoreError, OSError):
            found = None
        for name, value in sorted((found or {}).items()):
            yield GaugeMetricFamily(name, means(name), value=value)
        yield GaugeMetricFamily("tsfm_stored_readable", "0: a stored table cannot be read.", value=found is not None)
