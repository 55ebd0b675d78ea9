"""What Prometheus reads of the service, under the names of the seed, and of the tables that lie behind it.

Belongs here: names, help and what is counted. Figures of stored tables (coverage, width, breaches) come from whoever
is given as ``offline``: their names are Offline's.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily

from timegpt_assets.core.tsfm.asked import Answered
from timegpt_assets.core.tsfm.reasons import is_model_error
from timegpt_assets.serving.tsfm.windows import Window

Offline = Callable[[], Mapping[str, float]]
"""Name -> value of coverage_rolling_<bucket>, interval_width_<bucket>, breach_rate, breach_followthrough_rate."""
HELP = {
    "coverage_rolling": "Share of prices inside the used band, latest stored days, liquidity bucket of the name.",
    "interval_width": "Mean width of the used band, latest stored days, liquidity bucket of the name.",
    "breach_rate": "Share of prices outside the used band, latest stored days.",
    "breach_followthrough_rate": "Share of breaches that moved on in their direction, latest stored days.",
}
LATENCIES = (5.0, 10.0, 25.0, 50.0, 100.0, 150.0, 200.0, 300.0, 500.0, 1000.0, 2000.0, 5000.0)
TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counters of one process and rates over its last minutes; a runner's listener. Any thread may tell.

    ``limits``: what is promised: request_p95_ms and error_rate_max.
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
        p95 = Gauge("tsfm_request_p95_ms", "Milliseconds that 95 of 100 requests stayed within.", registry=registry)
        p95.set_function(window.p95)
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
        """Count a request that was answered, ``who``: model, fallback, cache or nobody."""
        self._requests.labels(status=str(status)).inc()
        self._request.labels(served=who).observe(milliseconds)
        self._window.took(milliseconds)

    def exposition(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        return generate_latest(self._registry)

    def _gauge(self, name: str, told: str, part: str, whole: str) -> None:
        gauge = Gauge(name, f"{told} Over tsfm.slo.window_min; NaN: there was none.", registry=self._registry)
        gauge.set_function(lambda: self._window.share(part, whole))


class _Stored:
    """Yields what stored tables say, read when Prometheus asks (prometheus-client's protocol of a collector)."""

    def __init__(self, offline: Offline) -> None:
        self._offline = offline

    def describe(self) -> Iterable[Any]:
        """Return nothing: the tables are not read to register this."""
        return ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield a gauge for each figure there is."""
        for name, value in sorted(self._offline().items()):
            told = next((told for begins, told in HELP.items() if name.startswith(begins)), name)
            yield GaugeMetricFamily(name, told, value=value)
