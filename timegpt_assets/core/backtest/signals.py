"""Signals: which forecasts ask for an entry, at what expected value, and what turns them away before the bars are read.

Belongs here: everything that is settled at the snapshot. What happens from the entry bar on is in event_loop.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from timegpt_assets.core.backtest import liquidity as depth
from timegpt_assets.core.backtest import rules as trading
from timegpt_assets.core.backtest.costs import Costs, Leg
from timegpt_assets.core.backtest.rules import Rules, TradingError
from timegpt_assets.core.events import EventCalendar, no_trade_windows, skip_days
from timegpt_assets.core.tables.columns import ORIGIN_KEY
from timegpt_assets.core.tables.gates import INSUFFICIENT

MINUTE = timedelta(minutes=1)
BOOTSTRAPS = ("trade", "block")
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


def measured_in(forecasts: pl.DataFrame, features: pl.DataFrame, *, column: str) -> pl.DataFrame:
    """Return the forecasts with ``sigma`` replaced by a volatility of FEATURES at the snapshot, scale of y.

    Their own is the scale their answer was asked and calibrated in, which no trading rule may change. Null where the
    snapshot's minute has no features.
    """
    sigma = features.select("day", "symbol", snapshot_ts="known_at", sigma=pl.col(column).cast(pl.Float64))
    return forecasts.drop("sigma").join(sigma, on=["day", "symbol", "snapshot_ts"], how="left")


def judged(
    forecasts: pl.DataFrame,
    bars: pl.DataFrame,
    symbol_gates: pl.DataFrame,
    spec: TradingSpec,
    *,
    events: EventCalendar,
    liquidity: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return every forecast with side, size, ev, entry_ts, eligibility, liquidity and ``reason``, by key.

    ``reason`` is one of rules.NO_SIGNAL or TURNED_AWAY, empty for a signal that is entered where the bars allow it.
    Costs are judged at the last price known at the snapshot: the close of the bar that ends then. ``liquidity``:
    liquidity.verdicts; None judges nobody. Raises UnknownEvent for an event without days.
    """
    frame = _known(forecasts, bars).with_columns(
        size=trading.size(spec.rules),
        entry_ts=pl.col("snapshot_ts") + spec.rules.entry_lag_bars * MINUTE,
        sigma_column=pl.lit(spec.sigma_column),
        capacity=spec.participation * pl.col("volume_per_min") * pl.col("last_price"),
    )
    frame = _with_costs(frame, spec).with_columns(side=trading.side(spec.rules))
    frame = frame.with_columns(ev=trading.expected_value(spec.rules))
    frame = _with_liquidity(_with_eligibility(frame, symbol_gates, spec.bootstrap), liquidity)
    reason = pl.coalesce(trading.no_signal(spec.rules), _turned_away(events, spec), pl.lit(""))
    return frame.with_columns(reason=reason).sort("day", "symbol", "snapshot_ts", "forecaster")


def _known(forecasts: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
    """Return the forecasts with last_price (USD) and volume_per_min (shares, the session's mean so far); null: none."""
    own = bars.sort("day", "symbol", "ts").with_columns(
        volume_per_min=(pl.col("volume").cum_sum() / pl.col("volume").cum_count()).over("day", "symbol")
    )
    known = own.select("day", "symbol", pl.col("ts") + MINUTE, pl.col("close").alias("last_price"), "volume_per_min")
    return forecasts.join(known, left_on=["day", "symbol", "snapshot_ts"], right_on=["day", "symbol", "ts"], how="left")


def _with_costs(frame: pl.DataFrame, spec: TradingSpec) -> pl.DataFrame:
    """Return the rows with impact, round_trip and borrow (log returns); null where price, size or sigma are."""
    read = ("symbol", "last_price", "entry_ts", "horizon_min", "size", "sigma", "volume_per_min")
    found = [_costs_of(spec, **row) for row in frame.select(read).iter_rows(named=True)]
    return frame.with_columns(
        pl.DataFrame(found, dict.fromkeys(("impact", "round_trip", "borrow"), pl.Float64), orient="row")
    )


def _costs_of(
    spec: TradingSpec,
    *,
    symbol: str,
    last_price: float | None,
    entry_ts: datetime,
    horizon_min: int,
    size: float | None,
    sigma: float | None,
    volume_per_min: float | None,
) -> tuple[float | None, float | None, float | None]:
    if not last_price or size is None or sigma is None:
        return None, None, None
    impact = spec.costs.impact_share(
        sigma=sigma, shares=size * spec.capital / last_price, traded=(volume_per_min or 0.0) * horizon_min
    )
    round_trip = spec.costs.round_trip(symbol, Leg(last_price, entry_ts), impact=impact)
    return impact, round_trip, spec.costs.borrow(symbol)


def _with_eligibility(frame: pl.DataFrame, symbol_gates: pl.DataFrame, bootstrap: str) -> pl.DataFrame:
    """Return the rows with the verdict on their own origin, and what holds where there is none."""
    by = ["day", "symbol", *ORIGIN_KEY]
    verdicts = symbol_gates.filter(pl.col("criterion") == "eligibility").select(
        *by, pl.col("verdict").alias("eligibility"), "bootstrap"
    )
    return frame.join(verdicts, on=by, how="left").with_columns(
        pl.col("eligibility").fill_null(INSUFFICIENT), pl.col("bootstrap").fill_null(bootstrap)
    )


def _with_liquidity(frame: pl.DataFrame, liquidity: pl.DataFrame | None) -> pl.DataFrame:
    if liquidity is None:
        return frame.with_columns(liquidity=pl.lit(""))
    # A forecast that nobody judged is not known to be normal.
    joined = frame.join(liquidity, on=list(depth.KEY), how="left")
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
