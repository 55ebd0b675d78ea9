"""Features of the news: how much was known of a symbol and of the market, of which kind, how weighty, how old.

Belongs here: what each column means, and its place beside the bars' minutes. Which events are behind a number, and the
numbers, are core/news/project.py. None counts as missing against a row: a silent source takes no forecast away.
"""

from collections.abc import Mapping

import polars as pl

from timegpt_assets.core.features.feature import Feature
from timegpt_assets.core.news.project import MISSING, NAMES, SURPRISED, TYPES, WINDOWS

VERSION = 1
_WINDOW = {name: f"{minutes:,} min up to known_at, by the clock" for name, minutes in WINDOWS.items()}
_SINCE = "since the close before the previous session"
_KINDS = {
    "headline": "headlines",
    "value": "new values of economic series",
    "release": "scheduled releases",
}
_TOLD: Mapping[tuple[str, ...], str] = {TYPES: "any news"} | {(kind,): told for kind, told in _KINDS.items()}


def _number(name: str, formula: str, window: str, unit: str) -> Feature:
    return Feature(name, formula, window, unit, "scored_news", counts=False)


_BY_KIND = (
    feature
    for window, told in _WINDOW.items()
    for kind in TYPES
    for feature in (
        _number(f"news_{kind}_count_{window}", f"{_KINDS[kind]} about the symbol or the market", told, "events"),
        _number(f"news_{kind}_weight_{window}", f"sum of the quality of these {_KINDS[kind]}", told, "quality"),
    )
)
FEATURES = (
    *_BY_KIND,
    *(
        _number(f"news_first_count_{w}", "events that told their story first", told, "events")
        for w, told in _WINDOW.items()
    ),
    *(
        _number(
            f"news_surprise_{side}_{w}",
            f"1: a value {SURPRISED:g} deviation or more {side} what was expected of its series", told, "0 or 1",
        )
        for w, told in _WINDOW.items() for side in ("above", "below")
    ),
    *(_number(f"news_sources_{w}", "sources that told any of it", told, "sources") for w, told in _WINDOW.items()),
    _number("news_own_age", "minutes from the newest event about the symbol itself; null: none", _SINCE, "min"),
    _number("news_market_age", "minutes from the newest event about the market; null: none", _SINCE, "min"),
    *(
        Feature(
            name, f"no source that tells {_TOLD[of]} answered about the day: what stands on them is null", "1 session",
            "flag", "raw_news", pl.Boolean, counts=False,
        )
        for name, of in MISSING.items()
    ),
)  # fmt: skip

OF_THE_MARKET = frozenset(
    f.name
    for f in FEATURES
    if f.name.startswith(("news_value_", "news_surprise_", "news_market_")) or f.dtype == pl.Boolean
)
"""Names of the features that are the same for every symbol at a moment."""


def placed(minutes: pl.DataFrame, news: pl.DataFrame) -> pl.DataFrame:
    """Return FEATURES of each of the minutes (day, symbol, ts), in their order; ``news`` NEWS_FEATURES.

    A minute that the news does not know is missing.
    """
    key = ["day", "symbol", "ts"]
    own = [name for name in (*NAMES, *MISSING) if name in news.columns]
    found = minutes.select(key).join(news.select(*key, *own), on=key, how="left", maintain_order="left")
    absent = [pl.lit(None, f.dtype).alias(f.name) for f in FEATURES if f.name not in own]
    return found.with_columns(absent).with_columns(pl.col(*MISSING).fill_null(True)).select(f.name for f in FEATURES)
