"""Tables of the second system: markets, their prices on a grid, who was chosen, bands, what came, alerts, how good.

Belongs here: declarations only. ``day`` is a UTC day, ``as_of`` the moment of a cycle, ``step`` counts steps of the
grid from it; prices are probabilities.
"""

import polars as pl

from timegpt_assets.core.schema import TIME, Column, Table

UTC_DAY = {"day": Column(pl.Date, "UTC day")}
UTC_MONTH = {"month": Column(pl.String, "UTC month, YYYY-MM"), "as_of": Column(pl.Date, "last day counted")}
MARKET = {"market_id": Column(pl.String, "the market's name at its venue")}
EVENT = {"event_id": Column(pl.String, "the event that it belongs to: markets of one event exclude each other")}
AS_OF = {"as_of": Column(TIME, "moment of the cycle, UTC; nothing known later is in the row")}
SEGMENT = {
    "liquidity_bucket": Column(pl.String, "LOW, MID or HIGH by the volume of 24 hours; UNKNOWN: it is not told"),
    "tte_bucket": Column(pl.String, "hours to the end, as <1h, 1-6h, ..., >168h; UNKNOWN: no end is told"),
    "category": Column(pl.String, "the venue's category; UNKNOWN: it tells none"),
}
PRICE = {"price_bucket": Column(pl.String, "last price at as_of, as <=.001, .001-.01, ..., >.95; UNKNOWN: none")}
CUTS = PRICE | SEGMENT
"""What pools of conformal parameters are cut by."""
_P = pl.Float64


def _band(name: str, meaning: str, nullable: bool = False) -> dict[str, Column]:
    return {
        f"{name}lower": Column(_P, f"lowest quantile of {meaning}, a probability", nullable),
        f"{name}median": Column(_P, f"median of {meaning}, a probability", nullable),
        f"{name}upper": Column(_P, f"highest quantile of {meaning}, a probability", nullable),
    }


_ROW = ("day", "market_id", "as_of", "step")
_STEP = {
    "step": Column(pl.Int64, "steps of the grid after as_of, from 1"),
    "target_ts": Column(TIME, "what is forecast: the price at this moment"),
}

MARKETS = Table(
    name="markets",
    columns=UTC_DAY
    | AS_OF
    | MARKET
    | EVENT
    | {
        "question": Column(pl.String, "what is asked"),
        "category": Column(pl.String, "the venue's category; UNKNOWN: it tells none"),
        "token_id": Column(pl.String, "token of Yes, whose price is the probability"),
        "end_ts": Column(TIME, "when it ends, as told", True),
        "active": Column(pl.Boolean, "it is traded"),
        "volume_24h": Column(_P, "USD traded in 24 hours; null: it is not told", True),
        "open_interest": Column(_P, "USD; null: it is not told", True),
        "bid": Column(_P, "best bid", True),
        "ask": Column(_P, "best ask", True),
        "last_trade": Column(_P, "price of the last trade", True),
        "last_trade_ts": Column(TIME, "when that was; null: it is not told", True),
        "ambiguity": Column(_P, "how ambiguous the question is, 0 to 1; null: nobody said", True),
        "resolved_yes": Column(pl.Boolean, "how it ended, as far as it was known then; null: open", True),
        "live": Column(pl.Boolean, "looked at in its cycle; false: from stored prices, later"),
    },
    key=("day", "as_of", "market_id"),
)

MARKET_SERIES = Table(
    name="market_series",
    columns=UTC_DAY
    | {"ts": Column(TIME, "moment on the grid; the price is what was known then")}
    | MARKET
    | {
        "y": Column(_P, "price, a probability; null where the last one is too old", True),
        "y_source": Column(pl.String, "mid, last_trade, ffill, history; null without a price", True),
        "age_min": Column(_P, "minutes since the price was seen"),
        "gap_min": Column(_P, "longest stretch without a price that ends in this step, or lasts in it; minutes"),
    },
    key=("day", "ts", "market_id"),
)

SELECTION = Table(
    name="selection",
    columns=UTC_DAY
    | AS_OF
    | MARKET
    | EVENT
    | SEGMENT
    | {
        "end_ts": Column(TIME, "when it ends, as told", True),
        "volume_24h": Column(_P, "USD traded in 24 hours; null: it is not told", True),
        "open_interest": Column(_P, "USD; null: it is not told", True),
        "score": Column(_P, "weighted z of volume and open interest among the markets of the cycle"),
        "rank": Column(pl.Int64, "from 1, the highest score; ties by market_id"),
        "selected": Column(pl.Boolean, "it is forecast in this cycle"),
    },
    key=("day", "as_of", "market_id"),
)

TSFM_FORECASTS = Table(
    name="tsfm_forecasts",
    columns=UTC_DAY
    | MARKET
    | EVENT
    | AS_OF
    | _STEP
    | SEGMENT
    | {"last_price": Column(_P, "price at as_of", True)}
    | _band("", "the answer as served: the model's, or the fallback's, after the guards")
    | _band("baseline_", "the baseline's answer, whoever was served")
    | {
        "score_source": Column(pl.String, "who made the numbers: model, fallback"),
        "runtime": Column(pl.String, "tollama, in_process or baseline"),
        "model": Column(pl.String, "model, or the fallback's name"),
        "model_version": Column(pl.String, "as the server tells it", True),
        "fallback_used": Column(pl.Boolean, "the model did not answer"),
        "reason": Column(pl.String, "why it did not", True),
        "baseline": Column(pl.String, "EWMA, KALMAN or ROLLING_QUANTILE: the baseline's name"),
        "crossed": Column(pl.Boolean, "its quantiles crossed on arrival and were sorted"),
        "width_flag": Column(pl.String, "narrow or wide: the guards adjusted it", True),
        "input_len": Column(pl.Int64, "points that were seen"),
        "carried_share": Column(_P, "share of them that was carried forward"),
        "live": Column(pl.Boolean, "asked in its cycle; false: later, from stored prices"),
    },
    key=_ROW,
)
"""A market without any valid answer has no row: baseline_error stands in the notes of the day."""

TSFM_OUTCOMES = Table(
    name="tsfm_outcomes",
    columns=UTC_DAY
    | {"made_on": Column(pl.Date, "UTC day of as_of: the forecast lies there")}
    | MARKET
    | EVENT
    | AS_OF
    | _STEP
    | SEGMENT
    | _band("", "the answer as served, before conformal")
    | _band("baseline_", "the baseline's answer")
    | {
        "fallback_used": Column(pl.Boolean, "the model did not answer"),
        "last_price": Column(_P, "price at as_of", True),
        "y": Column(_P, "price at target_ts"),
        "rise": Column(_P, "most that it rose from target_ts in tsfm.evaluation.follow_through_hours", True),
        "fall": Column(_P, "most that it fell; both null where these hours reach beyond the day", True),
    },
    key=_ROW,
)
"""``day`` is the day of target_ts: what a later day learns from is known when that day ends."""

CONFORMAL_PARAMETERS = Table(
    name="conformal_parameters",
    columns=UTC_DAY
    | {
        "level": Column(_P, "share of prices that the band is to hold"),
        "band": Column(pl.String, "whose: tsfm, or baseline"),
        "pool": Column(pl.String, "what it is cut by, as price_bucket+liquidity_bucket; all: everything"),
    }
    | {name: Column(pl.String, f"{column.meaning}; *: any") for name, column in CUTS.items()}
    | {
        "step": Column(pl.Int64, "steps of the grid after as_of, from 1"),
        "samples": Column(pl.Int64, "scores behind it"),
        "first_day": Column(pl.Date, "first day they come from"),
        "last_day": Column(pl.Date, "last day they come from"),
        "adjustment": Column(
            _P, "what both sides are widened by, in widths of the baseline's band; below zero: narrowed"
        ),
    },
    key=("day", "level", "band", "pool", *CUTS, "step"),
)
"""Valid from the day on, for forecasts made on it: everything behind it was known before the day began."""

BANDS = Table(
    name="bands",
    columns=UTC_DAY
    | MARKET
    | EVENT
    | AS_OF
    | _STEP
    | SEGMENT
    | _band("raw_", "the answer before conformal")
    | _band("adjusted_", "the answer after conformal", True)
    | _band("baseline_", "the baseline's answer")
    | _band("", "the band that is used")
    | {
        "band_source": Column(pl.String, "which it is: tsfm_conformal, tsfm_raw, baseline"),
        "parameters_day": Column(pl.Date, "day of the conformal parameters; null: none were there", True),
        "pool": Column(pl.String, "pool that spoke for the segment", True),
        "fallback_used": Column(pl.Boolean, "the model did not answer"),
        "reason": Column(pl.String, "why it did not", True),
        "model": Column(pl.String, "model, or the fallback's name"),
    },
    key=_ROW,
)

ALERTS = Table(
    name="alerts",
    columns=UTC_DAY
    | {"ts": Column(TIME, "when the price left the band")}
    | MARKET
    | EVENT
    | AS_OF
    | {
        "severity": Column(pl.String, "HIGH, MED or FYI"),
        "price": Column(_P, "price at ts"),
        "lower": Column(_P, "lower end of the band"),
        "upper": Column(_P, "upper end of the band"),
        "side": Column(pl.String, "above or below the band"),
        "band_source": Column(pl.String, "which band: tsfm_conformal, tsfm_raw, baseline"),
        "fallback_used": Column(pl.Boolean, "the model did not answer"),
        "reason": Column(pl.String, "why it did not", True),
        "open_interest_change": Column(_P, "in an hour, a share; null: nobody knows", True),
        "volume_velocity": Column(_P, "volume of an hour over its usual one; null: nobody knows", True),
        "ambiguity": Column(_P, "of the question, 0 to 1; null: nobody said", True),
        "gates": Column(pl.String, "gates passed, as 1+2a+2b+3"),
        "evidence": Column(pl.String, "JSON: question, model, parameters_day, thresholds"),
    },
    key=("day", "ts", "market_id"),
)

TSFM_EVALUATION = Table(
    name="tsfm_evaluation",
    columns=UTC_MONTH
    | {
        "split": Column(pl.String, "all: what was served; time, time_rolling, event: what was held out"),
        "arm": Column(pl.String, "raw, conformal, baseline or baseline_conformal"),
        "floor": Column(pl.Boolean, "with the width floor of the guards"),
        "segment": Column(pl.String, "what is pooled, as liquidity_bucket=LOW; all: everything"),
        "level": Column(_P, "share of prices that the band promises"),
        "samples": Column(pl.Int64, "forecast prices"),
        "events": Column(pl.Int64, "events behind them"),
        "coverage": Column(_P, "share of prices inside"),
        "coverage_lo": Column(_P, "its interval by events, low", True),
        "coverage_hi": Column(_P, "its interval by events, high", True),
        "width": Column(_P, "mean width"),
        "pinball": Column(_P, "mean pinball loss of the quantiles"),
        "winkler": Column(_P, "mean Winkler score"),
        "breach_rate": Column(_P, "share of prices outside"),
        "follow_through_rate": Column(_P, "share of breaches that moved on; null: no breach", True),
        "within_tolerance": Column(pl.Boolean, "coverage lies within tsfm.conformal.coverage_tolerance"),
    },
    key=("month", "split", "arm", "floor", "segment", "level"),
)
