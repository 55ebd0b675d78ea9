"""What was known of each symbol at each minute of a session: how much news, of which kind, how weighty, how old.

Belongs here: which events are behind a number at a minute (known_at <= the minute's end, none later), and the numbers.
Whose news an event is and what it counts is said by scored_news; what each column is called stands in
core/features/news.py.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.tables.columns import WILDCARD
from timegpt_assets.core.tables.news import NEWS_FEATURES

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
TYPES = ("headline", "value", "release")
WINDOWS: Mapping[str, int] = {"30m": 30, "1d": 1440}
"""Window -> its minutes. A day before any minute comes after the close two sessions before: scored_news holds it."""
SURPRISED = 1.0
"""Deviations from what was expected from which on a value is a surprise."""
ADDED = (
    *(f"news_{kind}_{what}_{window}" for window in WINDOWS for kind in TYPES for what in ("count", "weight")),
    *(f"news_first_count_{window}" for window in WINDOWS),
)
"""Columns to which every event of the window adds."""
FLAGS = tuple(f"news_surprise_{side}_{window}" for window in WINDOWS for side in ("above", "below"))
"""Columns that are 1 where any event of the window is one."""
SOURCES = tuple(f"news_sources_{window}" for window in WINDOWS)
AGES = ("news_own_age", "news_market_age")
NAMES = (*ADDED, *FLAGS, *SOURCES, *AGES)
"""The columns that are numbers, in table order."""
TELLERS: Mapping[str, frozenset[str]] = {
    "headline": frozenset({"own", "gdelt_files", "gdelt_doc"}),
    "value": frozenset({"fred"}),
    "release": frozenset({"fred", "calendar"}),
}
"""Kind of event -> sources of which any tells it: where none of them answered, nobody knows whether there was one."""
NEEDED: Mapping[str, frozenset[str]] = {
    **{name: frozenset({kind}) for kind in TYPES for name in ADDED if name.startswith(f"news_{kind}_")},
    **dict.fromkeys(FLAGS, frozenset({"value"})),
    **dict.fromkeys(
        (name for name in NAMES if name.startswith(("news_first_", "news_sources_"))), frozenset({"headline"})
    ),
    "news_own_age": frozenset({"headline"}),
    "news_market_age": frozenset({"value", "release"}),
}
"""Column -> kinds of event of which any must have been told for it to be known."""
MISSING = {"news_missing": TYPES, **{f"news_{kind}_missing": (kind,) for kind in TYPES}}
"""Flag -> kinds of event of which none was told by anybody."""
MINUTE, _MILLION = 60_000_000, 1_000_000
"""Microseconds of a minute; quality is added up in millionths, whole numbers: the same sum in any order."""


@dataclass(frozen=True, slots=True)
class Stream:
    """The events of one session's looking back that are a symbol's own, or the market's, by known_at.

    ``at`` known_at in microseconds; ``once`` 0 where the market's stream has the event, too, else 1; ``weight`` its
    quality in millionths, of such an event what it has above the market's; ``first`` 1 for the first of its story;
    ``surprise`` of a value, NaN where nobody can say.
    """

    at: Ints
    once: Ints
    weight: Ints
    first: Ints
    surprise: Floats
    types: npt.NDArray[np.str_]
    sources: npt.NDArray[np.str_]

    def sums(self, values: Ints, ends: Ints, minutes: int) -> Ints:
        """Return the sum of the values known in (end - minutes, end] of each end."""
        until = np.concatenate([np.zeros(1, np.int64), np.cumsum(values)])
        begun, ended = (np.searchsorted(self.at, edge, side="right") for edge in (ends - minutes * MINUTE, ends))
        found: Ints = until[ended] - until[begun]
        return found

    def age(self, ends: Ints) -> Floats:
        """Return the minutes from the newest event that is known at each end; NaN where none is."""
        known = np.searchsorted(self.at, ends, side="right")
        newest = np.concatenate([np.zeros(1, np.int64), self.at])[known]
        return np.where(known > 0, (ends - newest) / MINUTE, np.nan)


def projected(
    scored: pl.DataFrame, raw: pl.DataFrame, *, days: Collection[date], symbols: Collection[str]
) -> pl.DataFrame:
    """Return NEWS_FEATURES of each minute of the sessions and symbols; columns as core/features/news.py lists them.

    ``scored`` SCORED_NEWS and ``raw`` RAW_NEWS of ``days``. What no source that was asked of a day answered about
    is null, and a flag of MISSING true; of what one did a number that is 0 says that nothing was known.
    """
    chosen, names = sorted(set(days)), sorted(set(symbols))
    told = streams(scored, names)
    kinds = answered(raw)
    made = [_session(day, names, told, kinds.get(day, frozenset())) for day in chosen]
    return NEWS_FEATURES.conformed(pl.concat([_nothing(), *made]))


def answered(raw: pl.DataFrame) -> dict[date, frozenset[str]]:
    """Return the days of RAW_NEWS on which any source that was asked answered, and the kinds of event it tells."""
    sources = raw.filter(pl.col("failed").is_null()).group_by("day").agg("source").iter_rows()
    return {day: frozenset(kind for kind in TYPES if TELLERS[kind] & set(own)) for day, own in sources}


def known(name: str, kinds: frozenset[str]) -> bool:
    """Return whether a column is known on a day on which these kinds of event were told of."""
    return bool(NEEDED[name] & kinds)


def streams(scored: pl.DataFrame, symbols: Collection[str]) -> dict[tuple[date, str], Stream]:
    """Return by (day, symbol), and (day, *) for the market's, the events that count. Whoever has none is absent."""
    own = applying(scored, symbols)
    parts = own.partition_by("day", "whose", as_dict=True, maintain_order=True)
    return {(day, whose): _stream(part) for (day, whose), part in parts.items()}


def applying(scored: pl.DataFrame, symbols: Collection[str]) -> pl.DataFrame:
    """Return [day, whose, event_id, known_at, type, source, tier, surprise, first, quality,
    once, weight], by day, whose and known_at.

    ``whose``: a symbol, or * for what is told of the market and is everybody's. What is linked to a symbol in several
    ways counts once, with the best of its links; see Stream for once and weight.
    """
    whose = pl.when(pl.col("entity_kind") == "macro").then(pl.lit(WILDCARD)).otherwise("symbol")
    event = ["day", "event_id"]
    rows = scored.filter("used").with_columns(whose=whose).filter(pl.col("whose").is_in([WILDCARD, *symbols]))
    links = rows.group_by(*event, "whose").agg(
        pl.col("known_at", "type", "source", "tier", "surprise").first(),
        first=(pl.col("novelty").first() >= 1.0).cast(pl.Int64),
        quality=pl.col("quality").max(),
    )
    quality = (pl.col("quality") * _MILLION).round().cast(pl.Int64)
    everybodys = links.filter(whose=WILDCARD).select(*event, everybodys=quality)
    own = links.join(everybodys, on=event, how="left")
    told_twice = (pl.col("whose") != WILDCARD) & pl.col("everybodys").is_not_null()
    return own.with_columns(
        once=(~told_twice).cast(pl.Int64),
        weight=pl.when(told_twice).then((quality - pl.col("everybodys")).clip(0)).otherwise(quality),
    ).sort("day", "whose", "known_at", "event_id")


def _stream(part: pl.DataFrame) -> Stream:
    return Stream(
        at=part["known_at"].to_physical().to_numpy(),
        once=part["once"].to_numpy(),
        weight=part["weight"].to_numpy(),
        first=(part["first"] * part["once"]).to_numpy(),
        surprise=part["surprise"].fill_null(float("nan")).to_numpy(),
        types=part["type"].to_numpy(),
        sources=part["source"].to_numpy(),
    )


def _session(
    day: date, symbols: Sequence[str], told: Mapping[tuple[date, str], Stream], kinds: frozenset[str]
) -> pl.DataFrame:
    """Return the rows of a session, symbol by symbol."""
    minutes = calendar.minutes([day]).select("day", "ts", "known_at")
    ends = minutes["known_at"].to_physical().to_numpy()
    everybodys = _Sums.of(told.get((day, WILDCARD)), ends)
    parts = [_nothing()]
    for symbol in symbols:
        values = _columns(_Sums.of(told.get((day, symbol)), ends), everybodys)
        shown = {name: values[name] if known(name, kinds) else np.full(ends.size, np.nan) for name in NAMES}
        numbers = (pl.Series(name, shown[name], nan_to_null=True).cast(pl.Float32) for name in NAMES)
        flags = (pl.lit(kinds.isdisjoint(of)).alias(name) for name, of in MISSING.items())
        own = minutes.with_columns(pl.lit(symbol).alias("symbol"), *numbers, *flags)
        parts.append(own.select(parts[0].columns))
    return pl.concat(parts)


@dataclass(frozen=True, slots=True)
class _Sums:
    """What a stream adds at each end: to columns, by their names, and to sources, by window; and its age."""

    added: Mapping[str, Ints]
    heard: Mapping[tuple[str, str], Ints]
    age: Floats

    @staticmethod
    def of(told: Stream | None, ends: Ints) -> "_Sums":
        """Return the sums of a stream; of none, nothing."""
        if told is None:
            return _Sums({}, {}, np.full(ends.size, np.nan))
        added, heard = {}, {}
        for window, minutes in WINDOWS.items():
            for kind in TYPES:
                own = told.types == kind
                added[f"news_{kind}_count_{window}"] = told.sums(told.once * own, ends, minutes)
                added[f"news_{kind}_weight_{window}"] = told.sums(told.weight * own, ends, minutes)
            added[f"news_first_count_{window}"] = told.sums(told.first, ends, minutes)
            for side, is_one in (("above", told.surprise >= SURPRISED), ("below", told.surprise <= -SURPRISED)):
                added[f"news_surprise_{side}_{window}"] = told.sums(is_one.astype(np.int64), ends, minutes)
            for source in set(told.sources):
                heard[window, source] = told.sums((told.sources == source).astype(np.int64), ends, minutes)
        return _Sums(added, heard, told.age(ends))


def _columns(own: _Sums, everybodys: _Sums) -> dict[str, Floats]:
    """Return each column's values at the ends of the minutes."""
    nothing = np.zeros(own.age.size, np.int64)
    found: dict[str, Floats] = {"news_own_age": own.age, "news_market_age": everybodys.age}
    for name in (*ADDED, *FLAGS):
        total = own.added.get(name, nothing) + everybodys.added.get(name, nothing)
        found[name] = total / _MILLION if "_weight_" in name else np.minimum(total, 1.0 if name in FLAGS else np.inf)
    for window in WINDOWS:
        told = {source for at, source in (*own.heard, *everybodys.heard) if at == window}
        heard = [own.heard.get((window, s), nothing) + everybodys.heard.get((window, s), nothing) > 0 for s in told]
        found[f"news_sources_{window}"] = np.sum([nothing, *heard], axis=0, dtype=np.float64)
    return found


def _nothing() -> pl.DataFrame:
    """Return NEWS_FEATURES without rows, with every column."""
    further = [*((name, pl.Float32) for name in NAMES), *((name, pl.Boolean) for name in MISSING)]
    return pl.DataFrame(schema={**NEWS_FEATURES.schema, **dict(further)})
