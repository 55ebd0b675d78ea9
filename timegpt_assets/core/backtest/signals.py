"""Signals: which forecasts ask for an entry, at what expected value, and what turns them away before the bars are read.

Belongs here: everything that is settled at the snapshot. What happens from the entry bar on is in event_loop.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.backtest import liquidity as depth
from timegpt_assets.core.backtest import rules as trading
from timegpt_assets.core.backtest.costs import Costs
from timegpt_assets.core.backtest.rules import Rules, TradingError
from timegpt_assets.core.events import EventCalendar, no_trade_windows, skip_days
from timegpt_assets.core.tables.columns import ORIGIN_KEY
from timegpt_assets.core.tables.gates import INSUFFICIENT

MINUTE = timedelta(minutes=1)
BOOTSTRAPS = ("trade", "block")
WEIGHED_BY = ("entry_lag_bars", "cap_per_trade")
"""Rules that decide what a forecast costs and whether it is turned away; the second where impact is charged."""
INELIGIBLE = "ineligible"
TURNED_AWAY = {
    "other_horizon": "the forecast's horizon is none that trading.horizons_min names for the symbol",
    INELIGIBLE: "symbol_gates found the symbol's earlier forecasts wanting",
    INSUFFICIENT: "symbol_gates have too little to judge by, and gates.bootstrap is block",
    "event_day": "an event of trading.skip_events falls on the day",
    "near_event": "within events.no_trade_buffer_min of a timed event",
    depth.THIN: "five-minute volume below trading.filters.min_volume_percentile of earlier sessions, same minute",
    depth.WIDE_RANGE: "range above trading.filters.max_range_percentile of earlier sessions, same minute",
    depth.UNKNOWN: "too few earlier sessions have the minute, and trading.filters.unjudged is block",
}
"""Reason for which a signal is turned away at the snapshot -> what it means; the first that holds is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingSpec:
    """Everything that decides a symbol's trades: rules, costs, money, and the events on whose days nobody trades."""

    rules: Rules
    costs: Costs
    capital: float
    """USD per symbol."""
    bootstrap: str
    """trade or block: what holds for a source triple on which symbol_gates is silent."""
    participation: float
    """Share of a minute's volume that ``capacity`` takes."""
    sigma_column: str
    """The feature that ``sigma`` of the forecasts is, once they are traded; copied into each row."""
    horizons_min: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Symbol -> the shortest and the longest horizon it is traded at; symbols not named: any."""
    skip_events: tuple[str, ...] = ()
    no_trade_buffer_min: int = 0
    """Minutes before and after a timed event in which nothing is entered."""
    unjudged: str = "block"
    """trade or block: what holds for a snapshot whose liquidity could not be judged."""

    def __post_init__(self) -> None:
        """Refuse an answer to what is not known that nobody wrote."""
        for setting, value in (("gates.bootstrap", self.bootstrap), ("trading.filters.unjudged", self.unjudged)):
            if value not in BOOTSTRAPS:
                raise TradingError(f"{setting} is {value!r}. Use one of {', '.join(BOOTSTRAPS)}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a backtest is made of, whichever engine serves: forecasts, and what the market and everybody else said."""

    forecasts: pl.DataFrame
    """FORECASTS; ``sigma`` is the volatility they are traded in."""
    bars: pl.DataFrame
    symbol_gates: pl.DataFrame
    events: EventCalendar
    liquidity: pl.DataFrame | None = None
    """liquidity.verdicts; None judges nobody."""


def measured_in(forecasts: pl.DataFrame, features: pl.DataFrame, *, column: str) -> pl.DataFrame:
    """Return the forecasts with ``sigma`` replaced by a volatility of FEATURES at the snapshot, scale of y.

    Their own is the scale their answer was asked and calibrated in, which no trading rule may change. Null where the
    snapshot's minute has no features.
    """
    sigma = features.select("day", "symbol", snapshot_ts="known_at", sigma=pl.col(column).cast(pl.Float64))
    return forecasts.drop("sigma").join(sigma, on=["day", "symbol", "snapshot_ts"], how="left")


def judged(inputs: Inputs, spec: TradingSpec) -> pl.DataFrame:
    """Return every forecast with side, size, ev, entry_ts, eligibility, liquidity and ``reason``, by key.

    ``reason`` is one of rules.NO_SIGNAL or TURNED_AWAY, empty for a signal that is entered where the bars allow it.
    Costs are judged at the last price known at the snapshot: the close of the bar that ends then. Raises UnknownEvent
    for an event without days.
    """
    return decided(weighed(_known(inputs.forecasts, inputs.bars), inputs, spec), spec.rules).sort(
        "day", "symbol", "snapshot_ts", "forecaster"
    )


def unsignalled(forecasts: pl.DataFrame, bars: pl.DataFrame, spec: TradingSpec) -> pl.DataFrame:
    """Return the forecasts that are no signal, each with its ``reason`` of rules.NO_SIGNAL; as ``judged`` finds them.

    ``bars`` [day, symbol, ts, close, volume]: neither eligibility nor events can make a signal of a forecast.
    """
    frame = _known(forecasts, bars).with_columns(
        size=trading.size(spec.rules), entry_ts=pl.col("snapshot_ts") + spec.rules.entry_lag_bars * MINUTE
    )
    frame = _with_costs(frame, spec).with_columns(side=trading.side(spec.rules))
    frame = frame.with_columns(ev=trading.expected_value(spec.rules))
    return frame.with_columns(reason=trading.no_signal(spec.rules)).drop_nulls("reason")


def weighed(known: pl.DataFrame, inputs: Inputs, spec: TradingSpec) -> pl.DataFrame:
    """Return ``known`` with all of ``judged`` that is the same for either side, in the order it is in.

    ``known`` are the forecasts with last_price and volume_per_min; ``turned_away`` is one of TURNED_AWAY, or null. Of
    the rules it reads WEIGHED_BY alone.
    """
    frame = known.with_columns(
        size=trading.size(spec.rules),
        entry_ts=pl.col("snapshot_ts") + spec.rules.entry_lag_bars * MINUTE,
        sigma_column=pl.lit(spec.sigma_column),
        capacity=spec.participation * pl.col("volume_per_min") * pl.col("last_price"),
    )
    frame = _with_eligibility(_with_costs(frame, spec), inputs.symbol_gates, spec.bootstrap)
    return _with_liquidity(frame, inputs.liquidity).with_columns(turned_away=_turned_away(inputs.events, spec))


def decided(weighed: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """Return the forecasts with side, ev and ``reason``."""
    reason = pl.coalesce(trading.no_signal(rules), "turned_away", pl.lit(""))
    return _directed(weighed, rules).with_columns(reason=reason)


def free(weighed: pl.DataFrame) -> pl.DataFrame:
    """Return the forecasts with ``free``: whether nothing but the rules of ``sides`` can stand against an entry."""
    return weighed.with_columns(free=trading.is_sound() & pl.col("turned_away").is_null())


def sides(weighed: pl.DataFrame, rules: Rules) -> pl.Series:
    """Return the side of each forecast whose ``reason`` would be empty, 0 for the others: no words, for the sweep.

    ``weighed`` has ``free``.
    """
    frame = weighed.with_columns(side=trading.side(rules))
    if rules.require_positive_ev:
        frame = frame.with_columns(ev=trading.expected_value(rules))
    signal = pl.col("free") & trading.is_signal(rules)
    return frame.select(pl.when(signal).then("side").otherwise(0).cast(pl.Int8)).to_series()


def _directed(weighed: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    return weighed.with_columns(side=trading.side(rules)).with_columns(ev=trading.expected_value(rules))


def _known(forecasts: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
    """Return the forecasts with last_price (USD) and volume_per_min (shares, the session's mean so far); null: none."""
    own = bars.sort("day", "symbol", "ts").with_columns(
        volume_per_min=(pl.col("volume").cum_sum() / pl.col("volume").cum_count()).over("day", "symbol")
    )
    known = own.select("day", "symbol", pl.col("ts") + MINUTE, pl.col("close").alias("last_price"), "volume_per_min")
    return forecasts.join(known, left_on=["day", "symbol", "snapshot_ts"], right_on=["day", "symbol", "ts"], how="left")


def _with_costs(frame: pl.DataFrame, spec: TradingSpec) -> pl.DataFrame:
    """Return the rows with impact, round_trip and borrow (log returns); null where price, size or sigma are."""
    costs, price = spec.costs, pl.col("last_price")
    costed = ~(price == 0) & pl.all_horizontal(pl.col("last_price", "size", "sigma").is_not_null())
    hour = pl.lit(0, pl.Int64)  # any, where they cost the same
    if costs.hourly:
        hour = pl.col("entry_ts").dt.convert_time_zone(calendar.ZONE).dt.hour().cast(pl.Int64)
    frame = frame.with_columns(hour=pl.when(costed).then(hour))
    shares = pl.col("size") * spec.capital / price
    traded = pl.col("volume_per_min").fill_null(0.0) * pl.col("horizon_min")
    return (
        frame.join(_rates(frame, costs), on=["symbol", "hour"], how="left", maintain_order="left")
        .with_columns(impact=pl.when(costed).then(costs.impact_share(pl.col("sigma"), shares=shares, traded=traded)))
        .with_columns(round_trip=costs.round_trip(price))
        .drop("hour", "share", "per_share")
    )


def _rates(frame: pl.DataFrame, costs: Costs) -> pl.DataFrame:
    """Return share, per_share and borrow of each symbol and hour. Raises TradingError without a rate."""
    pairs = frame.select("symbol", "hour").drop_nulls().unique().sort("symbol", "hour").rows()
    rows = [(s, h, costs.share(s, h), costs.per_share(s, h), costs.borrow(s)) for s, h in pairs]
    schema = pl.Schema(dict.fromkeys(("share", "per_share", "borrow"), pl.Float64()))
    return pl.DataFrame(rows, {"symbol": pl.String(), "hour": pl.Int64(), **schema}, orient="row")


def _with_eligibility(frame: pl.DataFrame, symbol_gates: pl.DataFrame, bootstrap: str) -> pl.DataFrame:
    """Return the rows with the verdict on their own origin, and what holds where there is none."""
    by = ["day", "symbol", *ORIGIN_KEY]
    verdicts = symbol_gates.filter(pl.col("criterion") == "eligibility").select(
        *by, pl.col("verdict").alias("eligibility"), "bootstrap"
    )
    return frame.join(verdicts, on=by, how="left", maintain_order="left").with_columns(
        pl.col("eligibility").fill_null(INSUFFICIENT), pl.col("bootstrap").fill_null(bootstrap)
    )


def _with_liquidity(frame: pl.DataFrame, liquidity: pl.DataFrame | None) -> pl.DataFrame:
    if liquidity is None:
        return frame.with_columns(liquidity=pl.lit(""))
    # A forecast that nobody judged is not known to be normal.
    joined = frame.join(liquidity, on=list(depth.KEY), how="left", maintain_order="left")
    return joined.with_columns(pl.col("liquidity").fill_null(depth.UNKNOWN))


def _turned_away(events: EventCalendar, spec: TradingSpec) -> pl.Expr:
    """Return the reason of TURNED_AWAY for each row of eligibility, liquidity and entry_ts; null: none."""
    spans = no_trade_windows(events, buffer_min=spec.no_trade_buffer_min).select("start", "end").rows()
    # The literals stand where nothing is named: any_horizontal needs a column.
    unseen = pl.col("eligibility") == INSUFFICIENT
    other = [
        (pl.col("symbol") == symbol) & ~pl.col("horizon_min").is_between(*span)
        for symbol, span in spec.horizons_min.items()
    ]
    holds = {
        "other_horizon": pl.any_horizontal(pl.lit(False), *other),
        INELIGIBLE: ~unseen & (pl.col("eligibility") != "eligible"),
        INSUFFICIENT: unseen & (pl.col("bootstrap") != "trade"),
        "event_day": pl.col("day").is_in(skip_days(events, spec.skip_events)),
        "near_event": pl.any_horizontal(pl.lit(False), *(pl.col("entry_ts").is_between(*span) for span in spans)),
        depth.THIN: pl.col("liquidity") == depth.THIN,
        depth.WIDE_RANGE: pl.col("liquidity") == depth.WIDE_RANGE,
        depth.UNKNOWN: (pl.col("liquidity") == depth.UNKNOWN) & pl.lit(spec.unjudged == "block"),
    }
    return pl.coalesce(pl.when(holds[reason]).then(pl.lit(reason)) for reason in TURNED_AWAY)
