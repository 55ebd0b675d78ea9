"""All features of the day in one table, and the panel that forecasters read.

Belongs here: computing what the spec lists, chunk by chunk of days so that memory is bounded, and its joining.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.features import context as market
from timegpt_assets.core.features import events, news, price, sector, volatility, volume
from timegpt_assets.core.features.clock import clock
from timegpt_assets.core.features.feature import Feature
from timegpt_assets.core.features.feature_spec import FeatureSpec
from timegpt_assets.core.features.minutes import Minutes
from timegpt_assets.core.features.volatility import EwmState
from timegpt_assets.core.features.volume import Measured
from timegpt_assets.core.features.windows import Floats, Grid, Ints, grid_of
from timegpt_assets.core.schema import TableError
from timegpt_assets.core.tables.features import FEATURES, PANEL
from timegpt_assets.core.tables.news import NEWS_FEATURES

KNOWN_AT = pl.col("ts") + pl.duration(minutes=1)
CHUNK_DAYS, CHUNK_CELLS, CACHED_CELLS = 20, 1_000_000, 80_000
"""Days and minutes made at a time, to bound memory; minutes computed at a time, to fit the processor's cache."""
FramesOf: TypeAlias = Callable[[Sequence[date]], pl.DataFrame]
"""Returns the rows of some sessions, with or without those of others; sessions that have none are absent."""
DROPPED = {"day": pl.Date, "symbol": pl.String, "dropped": pl.Int64}


@dataclass(frozen=True, slots=True)
class Made:
    """Features of ``days``, and [day, symbol, dropped]: rows left out because too much was missing in them."""

    days: tuple[date, ...]
    frame: pl.DataFrame
    dropped: pl.DataFrame


def features(
    bars: pl.DataFrame,
    context: pl.DataFrame,
    *,
    days: Collection[date],
    spec: FeatureSpec,
    told: pl.DataFrame | None = None,
) -> Made:
    """Return FEATURES of ``days``: everything known of each bar at ``known_at``, less rows with too much missing.

    ``bars`` BARS of ``days`` and of the ``spec.sessions`` sessions before each (others are not looked at);
    ``context`` MARKET_CONTEXT of ``days``, ``told`` NEWS_FEATURES of them or None. Nothing is NaN or infinite: what
    cannot be known is null.
    """
    symbols = bars["symbol"].unique()
    known = NEWS_FEATURES.empty() if told is None else told
    made = list(chunks(lambda _: bars, context, days=days, symbols=symbols, spec=spec, told_of=lambda _: known))
    return Made(tuple(sorted(set(days))), pl.concat([m.frame for m in made]), pl.concat([m.dropped for m in made]))


def nothing_told(days: Sequence[date]) -> pl.DataFrame:
    """Return NEWS_FEATURES of no minute: whatever days are asked for, nothing is known of their news."""
    return NEWS_FEATURES.empty()


def chunks(
    bars_of: FramesOf,
    context: pl.DataFrame,
    *,
    days: Collection[date],
    symbols: Collection[str],
    spec: FeatureSpec,
    told_of: FramesOf = nothing_told,
) -> Iterator[Made]:
    """Yield ``features`` of these symbols a few days at a time, oldest first: the same rows, without holding them all.

    ``bars_of`` is asked for the bars of each chunk as it comes, and for those of the sessions before the first;
    ``told_of`` for their NEWS_FEATURES, where the group is on. Without any day one empty chunk is yielded.
    """
    names = tuple(sorted(set(symbols)))
    size = max(1, min(CHUNK_DAYS, CHUNK_CELLS // max(1, len(names) * 390)))
    # What the sessions before leave behind is handed from chunk to chunk; behind a gap it is made anew from bars.
    for run in _runs(sorted(set(days))) or [[]]:
        past = _warmed_up(bars_of, run, names, spec)
        for start in range(0, max(1, len(run)), size):
            chunk = run[start : start + size]
            grid = grid_of(bars_of(chunk), chunk, names)
            market = _minute_frame(chunk, context, spec)
            made, past = _own_columns(grid, past, market, spec)
            told = told_of(chunk) if spec.has("news") else nothing_told(chunk)
            yield _assembled(grid, made, market, told, spec)


def panel(features: pl.DataFrame, bars: pl.DataFrame, *, days: Collection[date]) -> pl.DataFrame:
    """Return PANEL: every bar of ``days`` with clock_price = P(known_at), clock_open = P(open), and its features.

    Prices stay Float64: a forecaster's y is made of them. Features of a bar whose row was dropped are null; features
    without their bar raise TableError.
    """
    wanted = pl.col("day").is_in(list(days))
    prices = bars.filter(wanted).sort("day", "symbol", "ts").select(
        "day", "symbol", "ts", "is_filled",
        known_at=KNOWN_AT,
        clock_price=pl.col("close"),
        clock_open=pl.col("open").first().over("day", "symbol"),
    )  # fmt: skip
    own = features.filter(wanted).drop("known_at")
    # Prices of dropped rows stay: y is made of them, and a session's first quarter of an hour must not go missing.
    joined = prices.join(own.with_columns(_=pl.lit(True)), on=["day", "symbol", "ts"], how="left")
    if joined["_"].sum() != own.height:
        raise TableError(
            f"panel: {own.height - joined['_'].sum()} rows of features have no bar. Materialise bars and features of "
            "these days again."
        )
    return PANEL.conformed(joined.drop("_"))


@dataclass(frozen=True, slots=True)
class _Past:
    """What the sessions before a chunk leave to it."""

    measured: Measured
    ewm: EwmState


def _runs(days: list[date]) -> list[list[date]]:
    """Return the days cut where a session between them is not asked for."""
    runs: list[list[date]] = []
    for day in days:
        if runs and calendar.shifted(runs[-1][-1], 1) == day:
            runs[-1].append(day)
        else:
            runs.append([day])
    return runs


def _warmed_up(bars_of: FramesOf, run: list[date], symbols: tuple[str, ...], spec: FeatureSpec) -> _Past:
    """Return what the sessions before the run's first day leave to it, from bars alone."""
    before = [calendar.shifted(run[0], -back) for back in range(spec.sessions, 0, -1)] if run else []
    bars = bars_of(before)
    minutes = Minutes(grid_of(bars, before, symbols))
    last = Minutes(grid_of(bars, before[-1:], symbols))
    # NaN stands for null, so a division by nothing known is no fault.
    with np.errstate(all="ignore"):
        _, state = volatility.ewms(last, EwmState.empty(len(symbols)), horizon_min=spec.horizon_min)
        return _Past(volume.measured(minutes), state)


def _minute_frame(days: Collection[date], context: pl.DataFrame, spec: FeatureSpec) -> pl.DataFrame:
    """Return one row per minute of the sessions with what is the same for all symbols: clock, market, gaps in it.

    ``_gaps`` counts the market's missing features, ``_asked`` how many count; neither does when context_missing.
    """
    own = context.filter(pl.col("day").is_in(list(days)))
    made = clock(days).join(own.drop("known_at", "lineage_id", strict=False), on=["day", "ts"], how="left")
    made = made.sort("ts").with_columns(pl.col("context_missing").fill_null(True))
    market_features = [f for f in spec.features if f.name in context.columns and f.counts]
    # Counted as missing, they would take the whole day away for want of a symbol that context_missing tells of.
    asked = pl.when("context_missing").then(0).otherwise(len(market_features))
    gaps = pl.sum_horizontal(pl.lit(0), *(pl.col(f.name).is_null() for f in market_features))
    return made.with_columns(_gaps=pl.when("context_missing").then(0).otherwise(gaps), _asked=asked)


def _own_columns(
    grid: Grid, past: _Past, market: pl.DataFrame, spec: FeatureSpec
) -> tuple[dict[str, npt.NDArray[np.generic]], _Past]:
    """Return every feature of the symbols' own bars on the grid, and what this chunk leaves to the next."""
    minutes = Minutes(grid)
    lagged, means = _lagged_returns(grid, market, spec), _sector_means(grid, market, spec)
    wanted = {f.name: f for f in spec.features}
    out: dict[str, npt.NDArray[np.generic]] = {}
    states, seen = [], []
    step = max(1, CACHED_CELLS // max(1, grid.shape[0] * grid.length))
    for start in range(0, max(1, grid.shape[1]), step):
        part = slice(start, start + step)
        with np.errstate(all="ignore"):
            found, state, own = _part(minutes.part(part), past, part, lagged, spec)
            if spec.has("sector"):
                found |= sector.columns(minutes.part(part), grid.symbols[part], spec.sectors, means)
        for name in found.keys() & wanted.keys():
            if name not in out:
                out[name] = np.empty(grid.shape, dtype=_stored(wanted[name]))
            out[name][:, part] = found[name]
        states.append(state)
        seen.append(own)
    return out, _Past(_kept(past, seen, spec), _side_by_side(states))


def _part(
    minutes: Minutes, past: _Past, part: slice, lagged: Mapping[str, Floats], spec: FeatureSpec
) -> tuple[dict[str, Floats], EwmState, Measured]:
    """Return the features of some symbols, the state they end in, and what later days will be compared with."""
    found: dict[str, Floats] = {}
    before = EwmState(past.ewm.seen[part], past.ewm.total[:, part], past.ewm.squares[:, part])
    state, own = before, volume.measured(minutes)
    if spec.has("price"):
        found |= price.columns(minutes)
    if spec.has("volatility"):
        found |= volatility.columns(minutes, horizon_min=spec.horizon_min)
        weighted, state = volatility.ewms(minutes, before, horizon_min=spec.horizon_min)
        found |= weighted
    if spec.has("volume"):
        history = Measured.joined(past.measured.days(0, part), own)
        found |= volume.columns(minutes, own, history, low=spec.low, high=spec.high)
    if spec.has("context"):
        found |= market.relations(minutes, lagged)
    return found, state, own


def _lagged_returns(grid: Grid, market: pl.DataFrame, spec: FeatureSpec) -> dict[str, Floats]:
    """Return <sym>_ret_1m of each context symbol on the grid, of shape (days, 1, minutes)."""
    stood = np.arange(grid.length) < grid.minutes[:, None]
    found = {}
    for name in (symbol.lower() for symbol in spec.context):
        values = np.full((len(grid.days), 1, grid.length), np.nan)
        if f"{name}_ret_1m" in market.columns:
            values[:, 0][stood] = market[f"{name}_ret_1m"].cast(pl.Float64).to_numpy()
        found[name] = values
    return found


def _sector_means(grid: Grid, market: pl.DataFrame, spec: FeatureSpec) -> dict[str, Floats]:
    """Return what the market holds of each sector on the grid, of shape (days, minutes)."""
    stood = np.arange(grid.length) < grid.minutes[:, None]
    found = {}
    for name in (f.name for f in sector.means_of(spec.sectors) if f.name in market.columns):
        found[name] = np.full((len(grid.days), grid.length), np.nan)
        found[name][stood] = market[name].to_numpy()
    return found


def _kept(past: _Past, seen: list[Measured], spec: FeatureSpec) -> Measured:
    """Return the last ``spec.sessions`` sessions of what is compared, this chunk's included."""
    own = Measured(*(np.concatenate(v, axis=1) for v in zip(*((m.volume, m.norm, m.span) for m in seen), strict=True)))
    return Measured.joined(past.measured, own).days(-spec.sessions)


def _side_by_side(states: list[EwmState]) -> EwmState:
    return EwmState(
        np.concatenate([s.seen for s in states]),
        np.concatenate([s.total for s in states], axis=1),
        np.concatenate([s.squares for s in states], axis=1),
    )


def _stored(feature: Feature) -> type[np.floating]:
    # Computed in float64, stored in float32: computing in it cost up to 7e-3 deviations on the moments and beta.
    return np.float64 if feature.dtype == pl.Float64 else np.float32


def _assembled(
    grid: Grid,
    made: Mapping[str, npt.NDArray[np.generic]],
    market: pl.DataFrame,
    told: pl.DataFrame,
    spec: FeatureSpec,
) -> Made:
    """Return the chunk's rows with every feature in table order, rows with too much missing left out and counted."""
    cells = np.arange(np.prod(grid.shape)) if grid.cells is None else grid.cells
    of_minute, of_session = _places(grid, cells)
    usable = _usable(cells, made, market[["_gaps", "_asked"]], of_minute, spec)
    shared = market.select("ts", *(f.name for f in spec.features if f.name in market.columns))[of_minute[usable]]
    kept, kept_session = cells[usable], of_session[usable]
    flags = events.columns(spec.calendar, grid.days, grid.symbols) if spec.has("events") else {}
    keys = grid.bars.select("day", "symbol", "ts", known_at=KNOWN_AT).filter(pl.Series(usable))
    of_news = news.placed(keys, told) if spec.has("news") else keys.select()
    columns = []
    for feature in spec.features:
        if feature.name in made:
            columns.append(_series(feature, made[feature.name].reshape(-1).take(kept)))
        elif feature.name in flags:
            columns.append(_series(feature, flags[feature.name].reshape(-1).take(kept_session)))
        elif feature.name in shared.columns:
            columns.append(shared[feature.name].cast(feature.dtype))
        elif feature.name in of_news.columns:
            columns.append(of_news[feature.name])
        else:
            columns.append(pl.Series(feature.name, [None] * len(kept), dtype=feature.dtype))
    frame = keys.with_columns(columns).select(*FEATURES.columns, *(f.name for f in spec.features))
    return Made(grid.days, frame, _dropped(grid, of_session, usable))


def _places(grid: Grid, cells: Ints) -> tuple[Ints, Ints]:
    """Return for each bar the row of its minute in the minute frame, and its session counted over days and symbols."""
    sessions = cells // grid.length
    begins = np.concatenate([[0], np.cumsum(grid.minutes)])[:-1] if len(grid.days) else np.zeros(1, dtype=np.int64)
    return begins[sessions // max(1, grid.shape[1])] + cells % grid.length, sessions


def _usable(
    cells: Ints,
    made: Mapping[str, npt.NDArray[np.generic]],
    market_gaps: pl.DataFrame,
    of_minute: Ints,
    spec: FeatureSpec,
) -> npt.NDArray[np.bool_]:
    """Return which bars have no more missing features than ``spec.max_missing`` allows."""
    counted = {f.name for f in spec.features if f.counts}
    own = [values for name, values in made.items() if name in counted]
    missing = np.zeros(own[0].size if own else int(cells.max(initial=-1)) + 1, dtype=np.int16)
    for values in own:
        missing += np.isnan(values).reshape(-1)
    always = sum(1 for f in spec.features if f.counts and f.name not in made and f.name not in _market(spec))
    asked = len(own) + always + market_gaps["_asked"].to_numpy()[of_minute]
    gaps = missing[cells] + market_gaps["_gaps"].to_numpy()[of_minute]
    # A hair more: asked x max_missing may come out just under the whole number that is meant.
    usable: npt.NDArray[np.bool_] = gaps <= asked * spec.max_missing + 1e-9
    return usable


def _market(spec: FeatureSpec) -> set[str]:
    return {f.name for f in market.features_of(spec.context, vix=spec.vix)}


def _series(feature: Feature, values: npt.NDArray[np.generic]) -> pl.Series:
    """Return one value per bar; whatever is not finite becomes null."""
    finite = np.isfinite(values)
    if not finite.all():
        values = np.where(finite, values, np.nan)
    return pl.Series(feature.name, values, nan_to_null=True).cast(feature.dtype)


def _dropped(grid: Grid, of_session: Ints, usable: npt.NDArray[np.bool_]) -> pl.DataFrame:
    """Return how many rows of each session were left out; sessions that lost none are absent."""
    counts = np.bincount(of_session[~usable], minlength=len(grid.days) * len(grid.symbols))
    sessions = np.flatnonzero(counts)
    width = max(1, len(grid.symbols))
    rows = [(grid.days[n // width], grid.symbols[n % width], int(counts[n])) for n in sessions]
    return pl.DataFrame(rows, schema=DROPPED, orient="row")
