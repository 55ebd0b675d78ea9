"""Stress phases: what the admitted trades earned when markets were at their hardest, apart from all other times.

Belongs here: which trades belong to which phase. A trade may belong to several; what is read of the window is looked at
from its end, for nothing is decided by it.
"""

import math
from collections.abc import Collection
from datetime import date, timedelta

import polars as pl

from timegpt_assets.core import calendar, significance
from timegpt_assets.core.evaluation import trading
from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.significance import Sampling
from timegpt_assets.core.tables.evaluation import STRESS_PHASES

TAIL = 0.90
HALF_HOUR = timedelta(minutes=30)
PHASES = {
    "event_day": "a dated event falls on the day, or one of the company",
    "top_volatility": "sigma in the top tenth of the symbol's signals of the window",
    "gap": "the session opened further from the last close than on nine of ten of the symbol's in the window",
    "first_half_hour": "entered within half an hour of the open",
    "last_half_hour": "entered within half an hour of the close",
}
"""Phase -> which trades belong to it; ``calm`` are those of none, ``all`` every one."""


def stress_phases(
    portfolio: pl.DataFrame,
    day_scores: pl.DataFrame,
    quality: pl.DataFrame,
    *,
    month: str,
    as_of: date,
    sessions: Collection[date],
    lookback_sessions: int,
    events: EventCalendar,
    sampling: Sampling,
) -> pl.DataFrame:
    """Return STRESS_PHASES of the ``lookback_sessions`` up to ``as_of``, a row per book and phase, empty ones too.

    ``quality``: QUALITY, read for the gaps. Books and sessions are those of trading.trading_scores.
    """
    window = trading.counted_sessions(sessions, as_of, lookback_sessions)
    gaps = quality.filter(pl.col("day").is_in(window)).select("day", "symbol", _far(pl.col("gap").abs()).alias("gap"))
    rows = [
        {"month": month, "as_of": as_of, **sources, "phase": phase} | _figures(admitted.filter(phase), sampling)
        for sources, _, own in trading.by_book(portfolio, day_scores, window)
        for admitted in [_marked(own, gaps, events).filter("admitted")]
        for phase in ("all", *PHASES, "calm")
    ]
    return STRESS_PHASES.conformed(pl.DataFrame(rows, schema=STRESS_PHASES.schema))


def _far(values: pl.Expr) -> pl.Expr:
    """Return whether a value lies in the symbol's upper tail; a value of nothing never does."""
    return ((values >= values.quantile(TAIL, "higher").over("symbol")) & (values > 0)).fill_null(False)


def _marked(own: pl.DataFrame, gaps: pl.DataFrame, events: EventCalendar) -> pl.DataFrame:
    """Return the rows with a boolean column for each phase, ``all`` and ``calm``."""
    hours = calendar.sessions_frame(own["day"].unique()).select("day", "open", "close")
    dated = sorted({day for days in events.days.values() for day in days})
    named = [(symbol, list(days)) for event in events.symbols.values() for symbol, days in event.items()]
    frame = own.join(hours, on="day", how="left").join(gaps, on=["day", "symbol"], how="left")
    company = [(pl.col("symbol") == symbol) & pl.col("day").is_in(days) for symbol, days in named]
    marked = frame.with_columns(
        pl.any_horizontal(pl.col("day").is_in(dated), *company).alias("event_day"),
        _far(pl.col("sigma")).alias("top_volatility"),
        pl.col("gap").fill_null(False),
        (pl.col("entry_ts") < pl.col("open") + HALF_HOUR).alias("first_half_hour"),
        (pl.col("entry_ts") >= pl.col("close") - HALF_HOUR).alias("last_half_hour"),
        pl.lit(True).alias("all"),
    )
    return marked.with_columns(calm=~pl.any_horizontal(PHASES.keys()))


def _figures(trades: pl.DataFrame, sampling: Sampling) -> dict[str, object]:
    net = trades["net_pnl"]
    daily = trades.group_by("day").agg(hits=(pl.col("net_pnl") > 0).sum(), trades=pl.len()).sort("day")
    hits = significance.bootstrap(
        *(daily[name].cast(pl.Float64).to_numpy() for name in ("hits", "trades")),
        draws=sampling.draws,
        cluster_days=sampling.cluster_days,
    )
    return {
        "trades": len(net),
        "observation_days": trades["day"].n_unique(),
        "hit_rate": hits.value,
        "hit_rate_low": hits.low,
        "hit_rate_high": hits.high,
        **{name: math.fsum(trades[name]) for name in ("gross_pnl", "cost", "net_pnl")},
        "worst": net.min(),
    }
