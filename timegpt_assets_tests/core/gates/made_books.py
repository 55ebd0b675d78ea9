"""Books of which only what they earned matters: a trade a day, and the days on which somebody was asked."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.gates.counted import LIVE
from timegpt_assets.core.tables.backtest import PORTFOLIO

NOTHING: dict[Any, Any] = {pl.Float64: 0.0, pl.Int64: 0, pl.String: "", pl.Boolean: False}


def portfolio(
    net: Mapping[date, float], sources: Mapping[str, str] = LIVE, book: str = "timegpt", cost: float = 0.0
) -> pl.DataFrame:
    """Return one admitted trade of AAA a day with this net P&L after this cost."""
    opens = [calendar.session(day).open for day in net]
    plain = {name: pl.lit(NOTHING.get(column.dtype), column.dtype) for name, column in PORTFOLIO.columns.items()}
    times = {name: pl.Series(opens) for name in ("snapshot_ts", "target_ts", "entry_ts", "exit_ts")}
    own = {"symbol": "AAA", "admitted": True, "book": book, "forecaster": book, "cost": cost, "fees": cost, **sources}
    money = {"net_pnl": pl.Series(list(net.values()), dtype=pl.Float64)}
    frame = pl.DataFrame({"day": list(net)}).with_columns(
        **{name: value for name, value in plain.items() if name != "day"} | times | money
    )
    frame = frame.with_columns(**{name: pl.lit(value) for name, value in own.items()})
    return PORTFOLIO.conformed(frame.with_columns(gross_pnl=pl.col("net_pnl") + cost))


def asked_on(days: Sequence[date], sources: Mapping[str, str] = LIVE, book: str = "timegpt") -> pl.DataFrame:
    """Return on which days somebody was asked: what is read of DAY_SCORES, with its book."""
    return pl.DataFrame([{"day": day, **sources, "book": book} for day in days])
