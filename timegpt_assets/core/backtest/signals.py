"""Signals: which forecasts ask for an entry, at what expected value, and what turns them away before the bars are read.

Belongs here: everything that is settled at the snapshot. What happens from the entry bar on is in event_loop.py.
"""

from datetime import timedelta

import polars as pl

from timegpt_assets.core.backtest import liquidity as depth
from timegpt_assets.core.backtest import rules as trading
from timegpt_assets.core.backtest.rules import Costs, TradingSpec
from timegpt_assets.core.events import EventCalendar, no_trade_windows, skip_days
from timegpt_assets.core.tables.columns import ORIGIN_KEY
from timegpt_assets.core.tables.gates import INSUFFICIENT

MINUTE = timedelta(minutes=1)
INELIGIBLE = "ineligible"
TURNED_AWAY = {
    INELIGIBLE: "symbol_gates found the symbol's earlier forecasts wanting",
    INSUFFICIENT: "symbol_gates have too little to judge by, and gates.bootstrap is block",
    "event_day": "an event of trading.skip_events falls on the day",
    "near_event": "within events.no_trade_buffer_min of a timed event",
    depth.THIN: "five-minute volume below trading.filters.min_volume_percentile of earlier sessions, same minute",
    depth.WIDE_RANGE: "range above trading.filters.max_range_percentile of earlier sessions, same minute",
    depth.UNKNOWN: "too few earlier sessions have the minute, and trading.filters.unjudged is block",
}
"""Reason for which a signal is turned away at the snapshot -> what it means; the first that holds is given."""


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
    frame = _priced(forecasts, bars, spec.costs).with_columns(
        side=trading.side(spec.rules),
        size=trading.size(spec.rules),
        entry_ts=pl.col("snapshot_ts") + spec.rules.entry_lag_bars * MINUTE,
    )
    frame = frame.with_columns(ev=trading.expected_value(spec.rules))
    frame = _with_liquidity(_with_eligibility(frame, symbol_gates, spec.bootstrap), liquidity)
    reason = pl.coalesce(trading.no_signal(spec.rules), _turned_away(events, spec), pl.lit(""))
    return frame.with_columns(reason=reason).sort("day", "symbol", "snapshot_ts", "forecaster")


def _priced(forecasts: pl.DataFrame, bars: pl.DataFrame, costs: Costs) -> pl.DataFrame:
    """Return the forecasts with last_price (USD) and round_trip (log return); null where no price is known."""
    known = bars.select("day", "symbol", pl.col("ts") + MINUTE, pl.col("close").alias("last_price"))
    frame = forecasts.join(
        known, left_on=["day", "symbol", "snapshot_ts"], right_on=["day", "symbol", "ts"], how="left"
    )
    prices = frame.select("symbol", "last_price").iter_rows()
    paid = [costs.round_trip(symbol, price) if price else None for symbol, price in prices]
    return frame.with_columns(pl.Series("round_trip", paid, dtype=pl.Float64))


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
    unseen = pl.col("eligibility") == INSUFFICIENT
    holds = {
        INELIGIBLE: ~unseen & (pl.col("eligibility") != "eligible"),
        INSUFFICIENT: unseen & (pl.col("bootstrap") != "trade"),
        "event_day": pl.col("day").is_in(skip_days(events, spec.skip_events)),
        # The literal stands where no event is timed: any_horizontal needs a column.
        "near_event": pl.any_horizontal(pl.lit(False), *(pl.col("entry_ts").is_between(*span) for span in spans)),
        depth.THIN: pl.col("liquidity") == depth.THIN,
        depth.WIDE_RANGE: pl.col("liquidity") == depth.WIDE_RANGE,
        depth.UNKNOWN: (pl.col("liquidity") == depth.UNKNOWN) & pl.lit(spec.unjudged == "block"),
    }
    return pl.coalesce(pl.when(holds[reason]).then(pl.lit(reason)) for reason in TURNED_AWAY)
