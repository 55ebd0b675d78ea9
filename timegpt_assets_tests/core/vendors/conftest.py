"""Seven sessions of made bars of one share, and the same with the hours around them."""

from datetime import date

import pytest

from timegpt_assets.adapters.market.synthetic_market import SyntheticMarket
from timegpt_assets.core import calendar
from timegpt_assets_tests.core.vendors.wall_clocks import Bars
from timegpt_assets_tests.extended_hours import extended

DAYS = tuple(s.day for s in calendar.sessions(date(2025, 3, 5), date(2025, 3, 13)))
"""Seven sessions, New York's clocks change after the third, Europe's not at all."""
COLUMNS = ("symbol", "ts", "open", "high", "low", "close", "volume")


@pytest.fixture(scope="package")
def session() -> Bars:
    return SyntheticMarket(symbols=("AAPL",)).bars(("AAPL",), DAYS).select(COLUMNS)


@pytest.fixture(scope="package")
def long_day(session: Bars) -> Bars:
    return extended(session)
