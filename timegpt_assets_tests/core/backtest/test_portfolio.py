"""Portfolio limits: what is refused, in which order, and that the past of the day alone decides."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.core import calendar
from timegpt_assets.core.backtest import portfolio
from timegpt_assets.core.backtest.costs import PARTS
from timegpt_assets.core.backtest.rules import Risk
from timegpt_assets.core.tables.backtest import BOOK

DAY = date(2025, 2, 21)
SYMBOLS = ("AAA", "BBB", "CCC", "DDD")
CAPITAL = 1000.0
OFF = Risk(lookback_sessions=5, max_positions=None, max_daily_volatility=None, max_drawdown=None)


def back(sessions: int) -> date:
    return calendar.shifted(DAY, -sessions)


def book(*rows: Mapping[str, Any]) -> pl.DataFrame:
    full = []
    for row in rows:
        day = row.get("day", DAY)
        entry: datetime = calendar.session(day).open + timedelta(minutes=31 + row.get("minute", 0))
        base: dict[str, Any] = {
            "day": day,
            "symbol": "AAA",
            "snapshot_ts": entry - timedelta(minutes=1),
            "target_ts": entry + timedelta(minutes=14),
            "entry_ts": entry,
            "entry_price": 100.0,
            "exit_ts": entry + timedelta(minutes=14),
            "exit_price": 101.0,
            "side": 1,
            "size": 1.0,
            "quantity": 10.0,
            **dict.fromkeys(PARTS, 0.2),
            "cost": 1.0,
            "net_pnl": 9.0,
            "ev": 0.001,
            "sigma": 0.002,
            "sigma_column": "sigma_60m",
            "entry_reason": "enhancement",
            "exit_reason": "forecast_ts",
            "holding_min": 14,
            "mae": -0.001,
            "mfe": 0.002,
            "capacity": 1e6,
            "eligibility": "eligible",
            "liquidity": "normal",
            "forecaster": "ridge",
            "book": "ridge",
            "score_source": "baseline",
            "run_source": "smoke",
            "data_regime": "maintenance_replay",
        }
        made = base | {k: v for k, v in row.items() if k != "minute"}
        full.append(made | {"gross_pnl": made["net_pnl"] + made["cost"]})
    return BOOK.conformed(pl.DataFrame(full, schema=BOOK.schema))


def judged(frame: pl.DataFrame, risk: Risk = OFF, **changes: Any) -> pl.DataFrame:
    sessions = [back(n) for n in range(9)]
    given = {"day": DAY, "risk": risk, "capital": CAPITAL, "symbols": SYMBOLS, "sessions": sessions} | changes
    return portfolio.portfolio(frame, **given)


def refusals(frame: pl.DataFrame) -> dict[str, str]:
    return dict(frame.select("symbol", "refused_by").iter_rows())


def test_without_limits_every_filled_trade_of_the_day_is_admitted() -> None:
    found = judged(book({}, {"symbol": "BBB"}, {"day": back(1)}))
    assert found["day"].unique().to_list() == [DAY]
    assert found["admitted"].to_list() == [True, True]
    assert set(found["refused_by"]) == {""}


def test_entries_of_one_minute_are_seated_by_ev_over_sigma_then_symbol() -> None:
    frame = book(
        {"symbol": "AAA", "ev": 0.001},
        {"symbol": "BBB", "ev": 0.003, "sigma": 0.01},
        {"symbol": "CCC", "ev": 0.002},
        {"symbol": "DDD", "ev": 0.001},
    )
    found = judged(frame, replace(OFF, max_positions=2))
    assert refusals(found) == {"AAA": "", "BBB": "position_limit", "CCC": "", "DDD": "position_limit"}


def test_a_seat_is_free_again_when_its_trade_has_left() -> None:
    frame = book({"symbol": "AAA"}, {"symbol": "BBB", "minute": 13}, {"symbol": "CCC", "minute": 14})
    assert refusals(judged(frame, replace(OFF, max_positions=1))) == {"AAA": "", "BBB": "position_limit", "CCC": ""}


def test_a_refused_trade_takes_no_seat() -> None:
    frame = book({"symbol": "AAA"}, {"symbol": "BBB", "minute": 10}, {"symbol": "CCC", "minute": 15})
    assert refusals(judged(frame, replace(OFF, max_positions=1)))["CCC"] == ""


def test_a_halted_entry_is_not_admitted_and_takes_no_seat() -> None:
    nothing = {"exit_ts": None, "entry_price": None, "quantity": 0.0, "ev": 0.009, "net_pnl": 0.0}
    halted, thin = nothing | {"entry_reason": "halted"}, nothing | {"entry_reason": "thin", "symbol": "CCC"}
    found = judged(book(halted, {"symbol": "BBB"}, thin), replace(OFF, max_positions=1))
    assert refusals(found) == {"AAA": "halted", "BBB": "", "CCC": "thin"}
    assert found["admitted"].to_list() == [False, True, False]


def test_a_stopped_account_refuses_trades_and_leaves_what_was_never_entered_its_own_reason() -> None:
    lost = {"day": back(1), "net_pnl": -41.0}
    thin = {"symbol": "BBB", "exit_ts": None, "entry_price": None, "quantity": 0.0, "entry_reason": "thin"}
    found = judged(book({}, thin, lost), replace(OFF, max_drawdown=0.01))
    assert refusals(found) == {"AAA": "drawdown_stop", "BBB": "thin"}
    assert set(portfolio.LIMITS) == {"drawdown_stop", "volatility_halt", "position_limit"}


def test_the_drawdown_stop_refuses_the_next_session_and_not_its_own() -> None:
    risk = replace(OFF, max_drawdown=0.01)  # of 4 x 1000 USD
    assert refusals(judged(book({}, {"day": back(1), "net_pnl": -41.0}), risk)) == {"AAA": "drawdown_stop"}
    assert refusals(judged(book({}, {"day": back(1), "net_pnl": -40.0}), risk)) == {"AAA": ""}
    assert refusals(judged(book({"net_pnl": -500.0}), risk)) == {"AAA": ""}


def test_drawdown_is_measured_from_the_peak_and_ends_when_the_book_has_recovered() -> None:
    risk = replace(OFF, max_drawdown=0.01)
    fall = [{"day": back(3), "net_pnl": 100.0}, {"day": back(2), "net_pnl": -60.0}]
    assert refusals(judged(book({}, *fall), risk)) == {"AAA": "drawdown_stop"}
    assert refusals(judged(book({}, *fall, {"day": back(1), "net_pnl": 30.0}), risk)) == {"AAA": ""}


def test_losses_older_than_the_lookback_are_forgotten() -> None:
    risk = replace(OFF, max_drawdown=0.01)
    assert refusals(judged(book({}, {"day": back(5), "net_pnl": -90.0}), risk)) == {"AAA": "drawdown_stop"}
    assert refusals(judged(book({}, {"day": back(6), "net_pnl": -90.0}), risk)) == {"AAA": ""}


def test_the_volatility_halt_counts_sessions_without_a_trade_as_zero() -> None:
    # returns of five sessions: 0.01, 0, 0, 0, 0 -> deviation 0.01 / sqrt(5)
    frame = book({}, {"day": back(1), "net_pnl": 40.0})
    assert refusals(judged(frame, replace(OFF, max_daily_volatility=0.00447))) == {"AAA": "volatility_halt"}
    assert refusals(judged(frame, replace(OFF, max_daily_volatility=0.00448))) == {"AAA": ""}
    assert refusals(judged(frame, replace(OFF, max_daily_volatility=0.00447), sessions=[back(1)])) == {"AAA": ""}


def test_one_day_equals_the_same_day_handed_the_union_of_all_days_in_any_order() -> None:
    risk = Risk(lookback_sessions=3, max_positions=2, max_daily_volatility=0.05, max_drawdown=0.018)
    days = [back(n) for n in range(8, -1, -1)]
    rows = [
        {"day": day, "symbol": symbol, "net_pnl": 10.1 * ((3 * i) % 5 - 2) + j, "ev": 0.001 * (1 + (i + j) % 3)}
        for i, day in enumerate(days)
        for j, symbol in enumerate(SYMBOLS)
    ]
    whole = book(*rows)
    seen = set()
    for day in days[3:]:
        own = whole.filter(pl.col("day").is_between(calendar.shifted(day, -3), day))
        expected = judged(own, risk, day=day, sessions=days)
        shuffled = whole.sample(fraction=1, shuffle=True, seed=day.day)
        assert_frame_equal(judged(shuffled, risk, day=day, sessions=days), expected)
        seen |= set(expected["refused_by"])
    assert seen == {"", "position_limit", "drawdown_stop"}


@pytest.mark.parametrize("frame", [BOOK.empty(), book({"day": back(1)})])
def test_a_day_without_trades_has_no_rows(frame: pl.DataFrame) -> None:
    assert judged(frame).is_empty()
