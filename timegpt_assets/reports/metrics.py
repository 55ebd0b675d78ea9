"""What Prometheus reads of a house: minute bars, sources of news and stored bands, as text exposition.

Belongs here: metrics of news, and how all of them are written. Those of minute bars are metrics_house.py. They are
rendered by prometheus-client, of the extra news, which is imported when it is first needed.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from types import ModuleType
from typing import Any

import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.explained import Explained
from timegpt_assets.core.tsfm.figures import means
from timegpt_assets.reports.metrics_house import NOTHING, House, families

PREFIX = "timegpt_assets_news"
COUNTED = {
    "attempts": "Questions sent, those again too.",
    "success": "Answers that could be used.",
    "failure": "Answers that could not be used, and none.",
    "empty_result_count": "Answers without anything where there usually is something.",
    "rate_limit_count": "Refusals for being asked too often.",
}
"""Column of SOURCE_HEALTH -> help of its counter, which adds up every session that is stored."""
NAMED = {"empty_result_count": "empty_results", "rate_limit_count": "rate_limits"}
"""Columns whose metric has another name than theirs."""
BREAKERS = ("closed", "open", "probing")
_QUANTILES = {"0.5": "fetch_latency_p50_s", "0.95": "fetch_latency_p95_s"}


class LibraryAbsent(Explained, ImportError):
    """Raised where prometheus-client is not installed; says how to install it."""


def exposition(health: pl.DataFrame, bands: Mapping[str, float], house: House = NOTHING) -> str:
    """Return the text exposition of SOURCE_HEALTH: counters over all its sessions, gauges of each source's newest.

    ``house``: what there is of minute bars, calls and gates; a gauge each.

    ``bands``: figures of core/tsfm/figures.py, a gauge each under the name that the service gives it.

    Counters never fall while sessions are added, so that rate() and increase() mean what they say. Without a row there
    are no samples. Raises LibraryAbsent.
    """
    library = _library()
    registry = library.CollectorRegistry(auto_describe=False)
    registry.register(_Sources(health))
    registry.register(_Bands(bands))
    registry.register(_Told(house))
    text: str = library.generate_latest(registry).decode()
    return text


class _Sources:
    """What prometheus-client asks for metrics (its protocol of a collector)."""

    def __init__(self, health: pl.DataFrame) -> None:
        self.health = health.sort("source", "day")
        self.newest = self.health.group_by("source", maintain_order=True).last()

    def collect(self) -> Iterator[Any]:
        """Yield every family of metrics."""
        yield from self._counters()
        yield from self._gauges()

    def _counters(self) -> Iterator[Any]:
        totals = self.health.group_by("source", maintain_order=True).agg(pl.col(*COUNTED).sum())
        for column, told in COUNTED.items():
            family = _core().CounterMetricFamily(f"{PREFIX}_{NAMED.get(column, column)}", told, labels=["source"])
            for source, value in totals.select("source", column).iter_rows():
                family.add_metric([source], value)
            yield family

    def _gauges(self) -> Iterator[Any]:
        yield self._gauge("answered_ratio", "Share of the newest session's questions that have an answer.", "answered")
        delay = "Seconds from published to fetched, of 95 in 100, in the newest session."
        yield self._gauge("publish_to_ingest_p95_seconds", delay, "publish_to_ingest_p95_s")
        yield self._gauge("source_primary", "1: the source's goals are watched.", "primary")
        yield self._gauge("source_good", "1: the source met its goals in the newest session.", "good")
        latency = _family("fetch_latency_seconds", "Seconds an answer took in the newest session.", "quantile")
        breaker = _family("breaker_state", "1 for the state its breaker was left in.", "state")
        session = _family("session_timestamp_seconds", "Close of the newest session, which the gauges are of.")
        for row in self.newest.iter_rows(named=True):
            for quantile, column in _QUANTILES.items():
                if row[column] is not None:
                    latency.add_metric([row["source"], quantile], row[column])
            for state in BREAKERS:
                breaker.add_metric([row["source"], state], float(row["breaker"] == state))
            session.add_metric([row["source"]], _closed(row["day"]))
        yield from (latency, breaker, session)

    def _gauge(self, name: str, told: str, column: str) -> Any:
        family = _family(name, told)
        for source, value in self.newest.select("source", column).drop_nulls().iter_rows():
            family.add_metric([source], float(value))
        return family


class _Bands:
    """The same for figures of stored bands."""

    def __init__(self, figures: Mapping[str, float]) -> None:
        self.figures = figures

    def collect(self) -> Iterator[Any]:
        """Yield a gauge for each figure there is."""
        for name, value in sorted(self.figures.items()):
            yield _core().GaugeMetricFamily(name, means(name), value=value)


class _Told:
    """The same for families that are told in full."""

    def __init__(self, house: House) -> None:
        self.house = house

    def collect(self) -> Iterator[Any]:
        """Yield a gauge for each family."""
        for one in families(self.house):
            family = _core().GaugeMetricFamily(one.name, one.told, labels=one.labels)
            for labels, value in sorted(one.values.items()):
                family.add_metric(labels, value)
            yield family


def _family(name: str, told: str, *labels: str) -> Any:
    return _core().GaugeMetricFamily(f"{PREFIX}_{name}", told, labels=["source", *labels])


def _closed(day: date) -> float:
    return calendar.session(day).close.timestamp()


def _core() -> Any:
    return _library().core


def _library() -> ModuleType:
    try:
        import prometheus_client
        import prometheus_client.core
    except ImportError as error:
        raise LibraryAbsent(
            "prometheus-client is not installed: metrics are written with it. Install the extra timegpt-assets[news] "
            "(make setup does)."
        ) from error
    found: ModuleType = prometheus_client
    return found
