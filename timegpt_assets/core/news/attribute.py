"""Which events are behind each feature of the news that a forecast was made with, and how much of it is each one's.

Belongs here: shares of features, and what an event added to a forecast by way of them. Which events count at a moment
is project.py's to say; what each feature added is core/models/attribution.py's.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from timegpt_assets.core.news.project import (
    AGES,
    MINUTE,
    SURPRISED,
    TYPES,
    WINDOWS,
    Floats,
    Ints,
    answered,
    applying,
    known,
)
from timegpt_assets.core.schema import TIME
from timegpt_assets.core.tables.columns import WILDCARD
from timegpt_assets.core.tables.news import EVENT_ATTRIBUTION


def attributed(
    scored: pl.DataFrame,
    raw: pl.DataFrame,
    snapshots: pl.DataFrame,
    *,
    days: Collection[date],
    symbols: Collection[str],
    top: int,
) -> pl.DataFrame:
    """Return EVENT_ATTRIBUTION: the ``top`` events of each feature at each snapshot, and all others in one more row.

    ``scored`` SCORED_NEWS, ``raw`` RAW_NEWS and ``snapshots`` SNAPSHOTS of ``days``; those that were not asked are
    passed over. Of equal shares the newest come first. A feature that is 0 or null has no event behind it.
    """
    told = applying(scored, symbols).partition_by("day", "whose", as_dict=True, maintain_order=True)
    asked = snapshots.filter("asked").sort("snapshot_ts")
    rows = [EVENT_ATTRIBUTION.empty()]
    kinds = answered(raw)
    for day in sorted(set(days) & kinds.keys()):
        moments = asked.filter(day=day)["snapshot_ts"].to_list()
        everybodys = told.get((day, WILDCARD))
        for symbol in sorted(set(symbols)):
            told_of = [part for part in (told.get((day, symbol)), everybodys) if part is not None]
            if told_of and moments:
                own = _of_symbol(pl.concat(told_of), moments, kinds[day], top).with_columns(
                    day=pl.lit(day), symbol=pl.lit(symbol)
                )
                rows.append(own.select(*EVENT_ATTRIBUTION.columns))
    return EVENT_ATTRIBUTION.conformed(pl.concat(rows))


def added(moved: pl.DataFrame, behind: pl.DataFrame) -> pl.DataFrame:
    """Return [forecaster, snapshot_ts, part, event_id, added, features], who added most first.

    ``moved`` ATTRIBUTION and ``behind`` EVENT_ATTRIBUTION of one symbol and day. ``added``: in volatilities, the sum
    over the features named in ``moved`` of what each added x the event's share of it; ``features``: their names.
    Events that are not named are left out: * is nobody.
    """
    key = ["forecaster", "snapshot_ts", "part"]
    shares = behind.filter(pl.col("event_id") != WILDCARD).select("snapshot_ts", "feature", "event_id", "weight")
    rows = moved.select(*key, "feature", "contribution").join(shares, on=["snapshot_ts", "feature"])
    found = rows.sort(*key, "event_id", "feature").group_by(*key, "event_id", maintain_order=True).agg(
        # cum_sum: a group's sum is added in another order from run to run
        added=(pl.col("contribution") * pl.col("weight")).cum_sum().last(),
        features=pl.col("feature"),
    )  # fmt: skip
    return found.sort(*key, -pl.col("added").abs(), "event_id")


@dataclass(frozen=True, slots=True)
class _Behind:
    """The events of a symbol and of the market, one each, by known_at.

    ``adding``: stem of a column -> what each event adds to it, or 1 where it is one that counts; ``newest``: column of
    an age -> whether the event is one whose age it may be.
    """

    at: Ints
    sources: npt.NDArray[np.str_]
    adding: Mapping[str, Ints]
    newest: Mapping[str, npt.NDArray[np.bool_]]

    def parts(self, moment: int) -> Iterator[tuple[str, int, Floats]]:
        """Yield each feature at a moment, the place of the first event looked at, and the part of each from there."""
        ended = int(np.searchsorted(self.at, moment, side="right"))
        for window, minutes in WINDOWS.items():
            begun = int(np.searchsorted(self.at, moment - minutes * MINUTE, side="right"))
            for stem, values in self.adding.items():
                yield f"{stem}_{window}", begun, values[begun:ended].astype(np.float64)
            _, source, counts = np.unique(self.sources[begun:ended], return_inverse=True, return_counts=True)
            yield f"news_sources_{window}", begun, 1.0 / counts[source]
        for name, may in self.newest.items():
            at, its_own = self.at[:ended], may[:ended]
            yield name, 0, (its_own & (at == at[its_own].max(initial=-1))).astype(np.float64)


def _of_symbol(told: pl.DataFrame, moments: Sequence[datetime], kinds: frozenset[str], top: int) -> pl.DataFrame:
    """Return snapshot_ts, feature, event_id, weight, tier and age_min of every feature that is known and something."""
    events = _once(told)
    behind, rows = _behind(events), []
    for moment, at in zip(moments, pl.Series(moments, dtype=TIME).to_physical().to_list(), strict=True):
        for feature, begun, values in behind.parts(at):
            if known(feature, kinds):
                rows += [(moment, feature, place, share) for place, share in _largest(values, begun, top)]
    schema = pl.Schema({"snapshot_ts": TIME, "feature": pl.String(), "place": pl.Int64(), "weight": pl.Float64()})
    found = pl.DataFrame(rows, schema=schema, orient="row")
    named = found.join(events.with_row_index("place").cast({"place": pl.Int64}), on="place", how="left")
    age = (pl.col("snapshot_ts") - pl.col("known_at")).dt.total_microseconds() / MINUTE
    return named.with_columns(pl.col("event_id").fill_null(WILDCARD), age_min=age)


def _once(told: pl.DataFrame) -> pl.DataFrame:
    """Return the events of both streams, each once, by known_at; a column for each age says whose they are."""
    whose = {
        name: (pl.col("whose") == WILDCARD) == is_market for name, is_market in zip(AGES, (False, True), strict=True)
    }
    events = told.with_columns(**whose).group_by("event_id").agg(
        pl.col("known_at", "type", "source", "tier", "surprise", "first").first(),
        pl.col("weight").sum(),
        pl.col(AGES).any(),
    )  # fmt: skip
    return events.sort("known_at", "event_id")


def _behind(events: pl.DataFrame) -> _Behind:
    kinds, weight = events["type"].to_numpy(), events["weight"].to_numpy()
    adding: dict[str, Ints] = {}
    for kind in TYPES:
        adding[f"news_{kind}_count"] = (kinds == kind).astype(np.int64)
        adding[f"news_{kind}_weight"] = weight * (kinds == kind)
    surprise = events["surprise"].fill_null(float("nan")).to_numpy()
    adding["news_first_count"] = events["first"].to_numpy()
    adding["news_surprise_above"] = (surprise >= SURPRISED).astype(np.int64)
    adding["news_surprise_below"] = (surprise <= -SURPRISED).astype(np.int64)
    return _Behind(
        at=events["known_at"].to_physical().to_numpy(),
        sources=events["source"].to_numpy(),
        adding=adding,
        newest={name: events[name].to_numpy() for name in AGES},
    )


def _largest(values: Floats, begun: int, top: int) -> Iterator[tuple[int, float]]:
    """Yield place and share of the largest parts, of equal ones the newest; last, at -1, all others together."""
    total = float(values.sum())
    if total > 0:
        newest_first = np.flatnonzero(values)[::-1]
        order = newest_first[np.argsort(-values[newest_first], kind="stable")]
        for place in order[:top]:
            yield int(place) + begun, float(values[place]) / total
        if order.size > top:
            yield -1, float(values[order[top:]].sum()) / total
