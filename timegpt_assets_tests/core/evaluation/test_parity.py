"""An account's figures against jquantstats, a library of others: the same numbers of the same days.

The library compounds returns and reads dates by the calendar. Our capital stays what it is: it gets exp(return) - 1,
whose compounded prices rise and fall in proportion as our sums do by amounts, and a session is a day of its calendar.
Its first day is its first peak; ours is the start, hence the day of nothing before all.
"""

import math
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from jquantstats import Data

from timegpt_assets.core import calendar
from timegpt_assets_tests.core.evaluation.test_trading import ACCOUNT, AS_OF, LIVE, asked, portfolio, scores

CAPITAL = ACCOUNT.capital * len(set(ACCOUNT.symbols))
FIRST = date(2024, 1, 1)
CENTS = st.integers(-5_000, 5_000).filter(bool)
"""What a day earned: never nothing, for the library leaves such days out of its hit rate, and we call them no hits."""


def library(returns: np.ndarray) -> Data:
    days = [FIRST + timedelta(days=i) for i in range(returns.size)]
    return Data.from_returns(returns=pl.DataFrame({"day": days, "own": returns}), date_col="day")


def own(cents: list[int]) -> dict[str, float]:
    """The account's figures of a trade a day."""
    days = [calendar.shifted(AS_OF, 1 - len(cents) + i) for i in range(len(cents))]
    rows = portfolio(*({"day": day, "gross_pnl": cent / 100} for day, cent in zip(days, cents, strict=True)))
    window = {"sessions": days, "lookback_sessions": len(days)}
    return scores(rows, asked(dict.fromkeys(days, LIVE)), **window).filter(symbol="*").row(0, named=True)


@settings(max_examples=20, deadline=None)
@example(cents=[-437, -1029, 117, 1348])
@given(cents=st.lists(CENTS, min_size=3, max_size=40))
def test_sharpe_volatility_hit_rate_and_the_depth_and_length_of_drawdowns_are_the_librarys(cents: list[int]) -> None:
    assume(len(set(cents)) > 1)
    # a peak regained to the cent: rounding would decide, in the library's products and in our sums
    assume(len({0, *np.cumsum(cents).tolist()}) == len(cents) + 1)
    row, returns = own(cents), np.array(cents) / 100 / CAPITAL
    plain, compounded = library(returns).stats, library(np.expm1([0.0, *returns])).stats
    assert row["sharpe_daily"] == pytest.approx(plain.sharpe(periods=252)["own"], rel=1e-9)
    assert row["volatility"] == pytest.approx(plain.volatility(periods=252)["own"], rel=1e-9)
    assert row["hit_rate"] == pytest.approx(plain.win_rate()["own"], rel=1e-12)
    assert row["max_drawdown"] == pytest.approx(-math.log1p(compounded.max_drawdown()["own"]), rel=1e-9, abs=1e-15)
    summed = library(np.array([0.0, *returns])).stats  # as the library does for a duration, and for it alone
    assert row["drawdown_days"] == (summed.max_drawdown_duration()["own"] or 0)
