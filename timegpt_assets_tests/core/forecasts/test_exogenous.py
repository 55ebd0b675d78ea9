"""What is sent beside y: the clock of history and horizon agree, and nothing of the horizon comes from bars."""

from datetime import date, timedelta

import polars as pl
import pytest

from timegpt_assets.core import calendar
from timegpt_assets.core.forecasts.exogenous import CLOCK, Exogenous

DAY, EVENT = date(2025, 1, 29), date(2025, 1, 29)


def test_the_minutes_ahead_are_counted_as_a_clerk_would_count_them() -> None:
    session = calendar.session(DAY)
    asked = Exogenous(
        future=("minutes_since_open", "minutes_to_close", "weekday", "event_x"), events={"event_x": (EVENT,)}
    )
    ahead = asked.ahead(DAY, session.open + timedelta(minutes=30), 15, ["B", "A"])
    assert ahead["symbol"].to_list() == ["A"] * 15 + ["B"] * 15
    for k, row in enumerate(ahead.head(15).iter_rows(named=True), start=1):
        assert row["ds"] == session.open + timedelta(minutes=30 + k)
        assert row["minutes_since_open"] == 30 + k
        assert row["minutes_to_close"] == 390 - 30 - k
        assert (row["weekday"], row["event_x"]) == (3, 1.0)


def test_history_and_horizon_are_the_same_function_of_the_moment() -> None:
    session = calendar.session(DAY)
    asked = Exogenous(future=tuple(CLOCK))
    moments = pl.DataFrame(
        {"day": [DAY] * 390, "known_at": [session.open + timedelta(minutes=m) for m in range(1, 391)]}
    )
    past = moments.with_columns(open=pl.lit(session.open), close=pl.lit(session.close)).select(
        "known_at", *asked.known()
    )
    ahead = asked.ahead(DAY, session.open, 390, ["A"])
    assert ahead.select(*CLOCK).equals(past.select(*CLOCK))


def test_what_is_known_ahead_comes_before_what_is_not() -> None:
    assert Exogenous(future=("weekday",), historic=("sigma_60m",)).names == ("weekday", "sigma_60m")


def test_another_day_does_not_carry_the_event() -> None:
    asked = Exogenous(future=("event_x",), events={"event_x": (EVENT,)})
    other = date(2025, 1, 30)
    assert asked.ahead(other, calendar.session(other).open, 3, ["A"])["event_x"].to_list() == [0.0] * 3


def test_a_name_that_nobody_knows_ahead_is_an_error() -> None:
    with pytest.raises(KeyError):
        Exogenous(future=("close",)).ahead(DAY, calendar.session(DAY).open, 3, ["A"])
