"""The funnel: at which rule each forecast of a day fell on its way to a trade.

Belongs here: counting. The rules and their order are signals.py and rules.py, event_loop.py, portfolio.py.
"""

import polars as pl

from timegpt_assets.core.backtest import rules as trading
from timegpt_assets.core.backtest import signals
from timegpt_assets.core.backtest.books import LIVE
from timegpt_assets.core.backtest.event_loop import NOT_ENTERED
from timegpt_assets.core.backtest.portfolio import LIMITS
from timegpt_assets.core.backtest.signals import TradingSpec
from timegpt_assets.core.tables.backtest import FUNNEL
from timegpt_assets.core.tables.columns import ORIGIN_KEY

TRADED = "traded"
FATES = trading.NO_SIGNAL | signals.TURNED_AWAY | NOT_ENTERED | LIMITS | {TRADED: "entered, admitted and left"}
"""What becomes of a forecast -> what that means, in the order in which it is asked."""


def funnel(forecasts: pl.DataFrame, bars: pl.DataFrame, portfolio: pl.DataFrame, spec: TradingSpec) -> pl.DataFrame:
    """Return FUNNEL: how many forecasts of each day and forecaster met which fate; every forecast has one.

    ``forecasts`` as signals.measured_in gives them, ``bars`` [day, symbol, ts, close, volume], ``portfolio`` of the
    same days: a forecast that is a signal has a row in its forecaster's book, which says what became of it.
    """
    fell = signals.unsignalled(forecasts, bars, spec).select("day", *ORIGIN_KEY, fate="reason")
    fate = pl.when("admitted").then(pl.lit(TRADED)).otherwise("refused_by")
    signalled = portfolio.filter(pl.col("book") != LIVE).select("day", *ORIGIN_KEY, fate=fate)
    counted = pl.concat([fell, signalled]).group_by("day", *ORIGIN_KEY, "fate").agg(n=pl.len().cast(pl.Int64))
    return FUNNEL.conformed(counted)
