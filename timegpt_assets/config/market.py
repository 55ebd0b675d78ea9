"""Sections about the market: where bars come from, when they are good enough, who is in the universe, which events.

Belongs here: data, importing, dq_policy, universe, events. What each key means stands in configs/<section>.yaml.
"""

from collections.abc import Mapping
from datetime import date, time
from typing import Annotated, Literal

from pydantic import AliasChoices, Field

from timegpt_assets.config.base import (
    ADDED,
    PLACE,
    Count,
    CountOrZero,
    EventName,
    Name,
    Positive,
    Section,
    Share,
)
from timegpt_assets.config.errors import ConfigError, Fault

Place = Annotated[str, Field(min_length=1), PLACE]
OptionalPlace = Annotated[str | None, PLACE]


class Synthetic(Section):
    """The made-up market of ``data.source: synthetic``."""

    seed: int
    predictability: Annotated[float, Field(ge=0, le=0.85)]
    interaction: Annotated[float, Field(ge=0, lt=1), ADDED]
    missing_rate: Annotated[float, Field(ge=0, lt=1)]


class FileLimits(Section):
    """The most a month file may have before it is read."""

    file_mb: Positive
    rows: Count
    unpacked_mb: Positive


class Data(Section):
    """Where bars come from, how their stamps are read, and where everything is stored."""

    source: Literal["synthetic", "local", "gcs"]
    root: OptionalPlace
    bucket: OptionalPlace
    template: Place
    stamp: Literal["start", "end"]
    timezone: Name
    start_date: Annotated[date, PLACE]  # the grid's ends: what a window loses there shows in the records' ages
    end_date: Annotated[date | None, PLACE]
    recent_sessions: Annotated[Count, PLACE]
    vix_path: OptionalPlace
    storage_root: Place
    artifacts_root: Place
    dagster_home: Place
    limits: FileLimits
    synthetic: Synthetic

    @property
    def required_root(self) -> str:
        """Return ``root``; ConfigError with the remedy when it is not set."""
        if self.root is None:
            raise ConfigError([_unset("data.root", "the folder that holds the bars", _ROOT_REMEDY)])
        return self.root

    @property
    def required_bucket(self) -> str:
        """Return ``bucket``; ConfigError with the remedy when it is not set."""
        if self.bucket is None:
            raise ConfigError([_unset("data.bucket", "the name of the bucket", _BUCKET_REMEDY)])
        return self.bucket


_ROOT_REMEDY = "Set data.root, e.g. --set data.root=/path/to/bars, or the environment's TIMEGPT_ASSETS_REAL_DATA."
_BUCKET_REMEDY = "Set data.bucket, e.g. --set data.bucket=my-bars."


def _unset(key: str, allowed: str, remedy: str) -> Fault:
    return Fault(file="configs/data.yaml", key=key, value=None, allowed=allowed, remedy=remedy)


Severity = Literal["fail", "quarantine", "warn", "ignore"]


class Severities(Section):
    """What breaking each rule does to a (day, symbol)."""

    unreadable: Severity
    oversized: Severity
    columns: Severity
    foreign: Severity
    timeless: Severity
    other_month: Severity
    holiday: Severity
    shifted: Severity
    incomplete: Severity
    impossible: Severity
    absurd_volume: Severity
    absurd_price: Severity
    conflicts: Severity
    off_minute: Severity
    jump: Severity
    split: Severity
    overnight: Severity
    sustained_fill: Severity
    too_filled: Severity
    duplicates: Severity
    unsorted: Severity
    outliers: Severity
    wicks: Severity
    zero_volume: Severity
    auction: Severity
    outside: Severity


class DqPolicy(Section):
    """Limits of the quality rules and their severities."""

    min_completeness: Share
    sustained_ffill_run: CountOrZero = Field(validation_alias=AliasChoices("sustained_ffill_run", "sustained_fill_run"))
    max_fill_share: Share
    outlier_z: Positive
    max_minute_move: Positive
    max_wick: Positive
    wick_moves: Positive
    wicks: Literal["hold", "keep"]
    max_zero_volume_share: Share
    max_minute_volume: Positive
    max_price: Positive
    max_overnight_move: Positive
    split_ratios: tuple[Annotated[float, Field(gt=1)], ...]
    split_tolerance: Annotated[float, Field(gt=0, lt=0.2)]
    auction_open: Literal["merge", "keep", "drop"]
    auction_close: Literal["merge", "keep", "drop"]
    max_offenders: CountOrZero
    late_after_min: Annotated[CountOrZero, PLACE]
    deadline_sessions: Annotated[CountOrZero, PLACE]
    severity: Severities = Field(validation_alias=AliasChoices("severity", "severities"))


class Importing(Section):
    """How much of a vendor's file import-bars takes in."""

    max_bytes: Annotated[Count, PLACE]
    max_expansion: Annotated[Positive, PLACE]
    max_rows: Annotated[Count, PLACE]
    max_members: Annotated[Count, PLACE]
    max_unreadable_share: Share


class Universe(Section):
    """Who is forecast, who is context only."""

    tickers: tuple[Name, ...] = Field(validation_alias=AliasChoices("tickers", "symbols"))
    context: tuple[Name, ...]
    sectors: Mapping[Name, Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]]

    @property
    def everyone(self) -> tuple[str, ...]:
        """Return every symbol, sorted: the tickers that are forecast and the context."""
        return tuple(sorted({*self.tickers, *self.context}))


class Split(Section):
    """One share split: prices before ``day`` are divided by ``ratio``; 1 says that the jump of that day is real."""

    symbol: Name
    day: date
    ratio: Positive


class Halt(Section):
    """A day on which trading of one stock was halted: minutes without a print are no fault of its bars then."""

    symbol: Name
    day: date


class Events(Section):
    """Days and times of scheduled events, splits and halts."""

    dates: Mapping[EventName, tuple[date, ...]]
    times: Mapping[EventName, time]
    calendar_path: OptionalPlace
    calendar_names: Mapping[EventName, Name]
    earnings_path: OptionalPlace
    no_trade_buffer_min: CountOrZero
    splits: tuple[Split, ...]
    halts: tuple[Halt, ...]


FeatureGroup = Literal["price", "volatility", "volume", "clock", "context", "sector", "events", "news"]


class Liquidity(Section):
    """The percentiles that bound a normal liquidity."""

    low: Share
    high: Share


class Features(Section):
    """Which features are built, from how much history."""

    groups: Annotated[tuple[FeatureGroup, ...], Field(min_length=1)]
    warmup_sessions: Count
    max_nan_row_frac: Share
    liquidity: Liquidity
