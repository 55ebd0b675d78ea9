"""What news needs of the settings, in the shapes of core/news.

Belongs here: one function per spec of core/news, made of settings and the event calendar.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from timegpt_assets.config.settings import Settings
from timegpt_assets.core import calendar
from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.news.cluster import ClusterSpec
from timegpt_assets.core.news.formats import calendar as scheduled
from timegpt_assets.core.news.formats import fred, gdelt_doc, gdelt_export, own
from timegpt_assets.core.news.formats.fred import FredSpec
from timegpt_assets.core.news.health import Goals
from timegpt_assets.core.news.normalise import ClockSpec, Reader
from timegpt_assets.core.news.quality import QualitySpec


def fred_spec(settings: Settings, events: EventCalendar) -> FredSpec:
    """Return what FRED's answers alone do not say: when its series and releases of a date come."""
    news = settings.news
    return FredSpec(
        moments={series: _moments(events, event) for series, event in news.fred_series.items()},
        releases={
            int(name.removeprefix("release_")): _moments(events, event) for name, event in news.fred_releases.items()
        },
        changes=news.surprise_changes,
    )


def readers(settings: Settings, events: EventCalendar) -> Mapping[str, Reader]:
    """Return who reads what each source delivers."""
    spec = fred_spec(settings, events)
    return {
        "fred": lambda one: fred.told(one.body, asked=one.asked, fetched_at=one.fetched_at, spec=spec),
        "calendar": lambda one: scheduled.told(one.body),
        "own": lambda one: own.told(one.body, asked=one.asked),
        "gdelt_files": lambda one: gdelt_export.told(one.body),
        "gdelt_doc": lambda one: gdelt_doc.told(one.body),
    }


def goals(settings: Settings) -> Goals:
    """Return who is watched, and what is demanded of each."""
    news = settings.news
    return Goals(
        sources=news.sources,
        primaries=frozenset(name for name in news.sources if news.source[name].primary),
        success_min=news.goals.success_min,
        publish_to_ingest_p95_s=news.goals.publish_to_ingest_p95_s,
        live=news.clock == "live",
    )


def clock_spec(settings: Settings) -> ClockSpec:
    """Return when an event is known."""
    news = settings.news
    return ClockSpec(
        clock=news.clock,
        latency={name: timedelta(seconds=source.latency_s) for name, source in news.source.items()},
        tolerance=timedelta(seconds=news.ahead_tolerance_s),
    )


def cluster_spec(settings: Settings) -> ClusterSpec:
    """Return which events tell the same story."""
    cluster = settings.news.cluster
    return ClusterSpec(similarity=cluster.similarity, window_min=cluster.window_min)


def quality_spec(settings: Settings) -> QualitySpec:
    """Return what each source's word is worth."""
    news = settings.news
    return QualitySpec(
        tiers={name: source.tier for name, source in news.source.items()},
        confidence={name: source.confidence for name, source in news.source.items()},
        weights={1: news.tier_weights.tier_1, 2: news.tier_weights.tier_2, 3: news.tier_weights.tier_3},
        min_quality=news.min_quality,
        exclude_synthetic=news.exclude_synthetic,
    )


def _moments(events: EventCalendar, event: str | None) -> Mapping[date, datetime]:
    """Return New York date -> moment of each day of an event whose time of day is known."""
    return {at.astimezone(ZoneInfo(calendar.ZONE)).date(): at for at in events.times.get(event or "", ())}
