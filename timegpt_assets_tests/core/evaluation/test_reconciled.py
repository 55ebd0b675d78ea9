"""Money, to the cent: in every table, what was earned less each part of the cost is what the trades' own rows say.

The clerk adds the trades up one by one, in cents; the tables are made by the road from forecasts and bars to scores.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timegpt_assets.core.backtest import books, event_loop, sweep
from timegpt_assets.core.backtest.costs import PARTS
from timegpt_assets.core.backtest.portfolio import portfolio
from timegpt_assets.core.backtest.rules import Risk
from timegpt_assets.core.evaluation import stress, trading
from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.research.scoreboard import Scoring, scoreboard
from timegpt_assets.core.schema import TableError
from timegpt_assets.core.tables.backtest import PORTFOLIO, TRADES
from timegpt_assets.core.tables.columns import SOURCES, WILDCARD
from timegpt_assets.core.tables.evaluation import TRADING_SCORES
from timegpt_assets.core.tables.research import GRID_DAYS
from timegpt_assets_tests.core.backtest import test_event_loop as market
from timegpt_assets_tests.core.backtest.test_sweep import SPEC
from timegpt_assets_tests.core.evaluation.test_stress import NO_GAPS
from timegpt_assets_tests.core.evaluation.test_trading import SAMPLING
from timegpt_assets_tests.core.evaluation.test_trading import portfolio as portfolio_rows

DAYS = [date(2025, 1, 30), date(2025, 1, 31), date(2025, 2, 3), date(2025, 2, 4)]
SYMBOLS = ("AAA", "BBB", "CCC")
RISK = Risk(lookback_sessions=5, max_positions=2, max_daily_volatility=None, max_drawdown=None)
ACCOUNT = trading.Account(capital=market.CAPITAL, symbols=SYMBOLS, annualization_days=252)
MULTIPLES = (1.0, 1.5, 2.0)
EVENTS = EventCalendar({"event_fomc": (DAYS[1], DAYS[3])})
HALF_A_CENT = Decimal("0.005")
MONEY = ("gross_pnl", *PARTS, "cost", "net_pnl")


def cents(rows: Iterable[Mapping[str, Any]], *, multiple: str = "1") -> tuple[Decimal, Decimal, Decimal]:
    """Gross, cost and net of trades as a clerk writes them down: net is gross less each part, one after the other."""
    gross = cost = Decimal(0)
    for row in rows:
        gross += Decimal(row["gross_pnl"])
        for part in PARTS:
            cost += Decimal(row[part]) * Decimal(multiple)
    return gross, cost, gross - cost


def same(row: Mapping[str, Any], rows: pl.DataFrame, *, multiple: str = "1") -> bool:
    """Whether a table's row says of its money what the clerk does of the trades."""
    found = (Decimal(row[name]) for name in ("gross_pnl", "cost", "net_pnl"))
    written = cents(rows.iter_rows(named=True), multiple=multiple)
    return all(abs(a - b) < HALF_A_CENT for a, b in zip(found, written, strict=True))


def reconciled(rows: pl.DataFrame, of: Callable[[Mapping[str, Any]], pl.DataFrame]) -> None:
    """Hold each row of a table against the trades it is ``of``, at its multiple of the costs."""
    for row in rows.iter_rows(named=True):
        own = of(row)
        assert same(row, own, multiple=str(row.get("cost_multiplier", 1))), row
    assert rows.height


def traded(seed: int) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Forecasts of two forecasters, bars, and what became of the forecasts."""
    made, bars = market.signals(seed, SYMBOLS, DAYS), market.walk(seed, SYMBOLS, DAYS)
    made = pl.concat([made, made.sample(fraction=0.5, seed=seed).with_columns(forecaster=pl.lit("zero"))])
    return made, bars, event_loop.trades(market.inputs(made, bars), SPEC)


def admitted_and_refused(trades: pl.DataFrame) -> pl.DataFrame:
    book = books.with_books(trades, champion="ridge")
    given = {"risk": RISK, "capital": market.CAPITAL, "symbols": SYMBOLS, "sessions": DAYS}
    return PORTFOLIO.conformed(pl.concat([portfolio(book, day=day, **given) for day in DAYS]))


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_gross_less_each_part_of_the_cost_is_net_by_symbol_book_day_and_month_in_every_table(seed: int) -> None:
    stored = admitted_and_refused(traded(seed)[2])
    admitted, asked = stored.filter("admitted"), stored.select("day", "book", *SOURCES).unique()
    assert 0 < admitted.height < stored.filter(pl.col("exit_ts").is_not_null()).height, "some were refused"
    for by in (["symbol"], ["book"], ["day"], ["book", "symbol", "day"]):
        sums = admitted.group_by(by).agg(pl.col(MONEY).sum())
        reconciled(sums, lambda row, by=by: admitted.filter(**{name: row[name] for name in by}))
    months = []
    for month, last in (("2025-01", DAYS[1]), ("2025-02", DAYS[3])):
        window = admitted.filter(pl.col("day") <= last)
        common = {"month": month, "as_of": last, "sessions": DAYS, "lookback_sessions": 10, "sampling": SAMPLING}
        months.append(_scores_agree(stored, asked, window, common | {"account": ACCOUNT}))
        phases = stress.stress_phases(stored, asked, NO_GAPS, events=EVENTS, **common)
        known = {"all": DAYS, "event_day": EVENTS.days["event_fomc"]}
        reconciled(
            phases.filter(pl.col("phase").is_in(known.keys())),
            lambda row: window.filter(pl.col("day").is_in(known[row["phase"]]), book=row["book"]),  # noqa: B023
        )
    totals = pl.concat(months).group_by("book", "symbol").agg(pl.col("month_net_pnl").sum())
    for row in totals.iter_rows(named=True):
        whole = cents(of_symbol(admitted, row).iter_rows(named=True))
        assert abs(Decimal(row["month_net_pnl"]) - whole[2]) < HALF_A_CENT, "the months are the whole"


def _scores_agree(
    stored: pl.DataFrame, asked: pl.DataFrame, window: pl.DataFrame, given: Mapping[str, Any]
) -> pl.DataFrame:
    """Hold the account's month tables against the admitted trades of their window, and return the scores."""
    scores = trading.trading_scores(stored, asked, **given)
    reconciled(scores, lambda row: of_symbol(window, row))
    costs = trading.cost_sensitivity(stored, asked, multipliers=MULTIPLES, **given)
    reconciled(costs, lambda row: window.filter(book=row["book"]))
    later = window.filter(pl.col("day") > DAYS[0])
    oos = trading.oos_summary(stored, asked, multipliers=MULTIPLES, oos_start=DAYS[0], **given)
    reconciled(oos, lambda row: later.filter(book=row["book"]))
    return scores


def of_symbol(trades: pl.DataFrame, row: Mapping[str, Any]) -> pl.DataFrame:
    own = trades.filter(book=row["book"])
    return own if row["symbol"] == WILDCARD else own.filter(symbol=row["symbol"])


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_sweeps_days_and_scoreboard_say_of_money_what_the_filled_trades_do(seed: int) -> None:
    made, bars, trades = traded(seed)
    filled = trades.filter(pl.col("quantity") != 0)
    days = sweep.sweep(market.inputs(made, bars), [SPEC]).drop("combination")
    about = made.select("forecaster", *SOURCES).unique()
    named = days.join(about, on="forecaster").with_columns(combination=pl.lit("aa"), rules=pl.lit("{}"))
    grid_days = GRID_DAYS.conformed(named)
    reconciled(grid_days, lambda row: filled.filter(day=row["day"], forecaster=row["forecaster"]))
    scoring = Scoring(account=ACCOUNT, multipliers=MULTIPLES, plateau_share=0.5)
    ranked = scoreboard(grid_days, sessions=DAYS, scoring=scoring)
    reconciled(ranked, lambda row: filled.filter(forecaster=row["forecaster"]))
    everything = filled.with_columns(admitted=pl.lit(True), book=pl.col("forecaster"), refused_by=pl.lit(""))
    asked = made.select("day", *SOURCES, book="forecaster").unique()
    given = {"month": "2025-02", "as_of": DAYS[3], "sessions": DAYS, "lookback_sessions": 10, "sampling": SAMPLING}
    account = trading.trading_scores(everything, asked, account=ACCOUNT, **given).filter(symbol=WILDCARD)
    both = ranked.join(account, left_on="forecaster", right_on="book", suffix="_of_account")
    assert both.height == 2 * len(MULTIPLES)
    for row in both.iter_rows(named=True):
        assert row["turnover"] > 0
        assert row["turnover"] == pytest.approx(row["turnover_of_account"], rel=1e-12)


@pytest.mark.parametrize("name", ["gross_pnl", "net_pnl", "cost", *PARTS])
def test_a_row_that_does_not_add_up_to_the_cent_is_refused(name: str) -> None:
    row = portfolio_rows({"gross_pnl": 30.0, "cost": 10.0})
    assert PORTFOLIO.conformed(row.with_columns(pl.col(name) + 0.004)).height == 1
    with pytest.raises(TableError, match=r"net_is_gross_less_cost|cost_is_its_parts"):
        PORTFOLIO.conformed(row.with_columns(pl.col(name) + 0.006))
    assert TRADES.rules == PORTFOLIO.rules
    assert TRADING_SCORES.rules.keys() <= TRADES.rules.keys()
