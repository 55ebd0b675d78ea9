"""A finalist: traded as the loop trades it, its refused signals counted, judged on rows asked in prod alone."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from timegpt_assets.core.backtest import event_loop
from timegpt_assets.core.backtest.portfolio import LIMITS
from timegpt_assets.core.backtest.rules import Risk
from timegpt_assets.core.evaluation.trading import Account
from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.gates.counted import LIVE
from timegpt_assets.core.research import confirmation
from timegpt_assets.core.research.confirmation import CANDIDATE, INSUFFICIENT, REFUSED, Terms, verdict, within_limits
from timegpt_assets.core.research.objective import Penalties
from timegpt_assets.core.research.search import Material, material
from timegpt_assets.core.research.trading_grid import Combination
from timegpt_assets.core.significance import Sampling
from timegpt_assets_tests.core.research import search_market as market

SYMBOLS = ("AAPL", "MSFT", "NVDA")
SPACE = market.space()
CHOICE = {name: values[0] for name, values in SPACE.values().items()}
NO_LIMITS = Risk(lookback_sessions=3, max_positions=None, max_daily_volatility=None, max_drawdown=None)
OTHERS = (
    {"run_source": "maintenance"},
    {"score_source": "simulated"},
    {"score_source": "baseline"},
    {"score_source": "fallback"},
    {"run_source": "smoke"},
    {"data_regime": "maintenance_replay"},
)
"""What is no live row, in one word each."""


def terms(risk: Risk = NO_LIMITS, **weights: float) -> Terms:
    penalties = Penalties(**{"max_drawdown": 2.5, "reject_rate": 1.5, "turnover": 0.02} | weights)
    account = Account(capital=100_000.0, symbols=SYMBOLS, annualization_days=252)
    return Terms(risk=risk, account=account, sampling=Sampling(draws=100, cluster_days=2), penalties=penalties)


def combination() -> Combination:
    return SPACE.tried(CHOICE).combinations[0]


def of(forecasts: pl.DataFrame, found: dict[str, pl.DataFrame], days: int = 6) -> Material:
    chosen = market.SESSIONS[:days]
    rest = (found["bars"], found["symbol_gates"], found["features"])
    return material(SPACE, forecasts, *rest, days=chosen, events=EventCalendar({}))


@pytest.fixture(scope="module")
def frames() -> dict[str, pl.DataFrame]:
    return market.frames(market.SESSIONS[:6], SYMBOLS)


def test_without_limits_a_finalist_is_what_the_trial_said(frames: dict[str, pl.DataFrame]) -> None:
    made, one = of(frames["forecasts"], frames), combination()
    found = within_limits(one, made, terms())
    (figures,) = made.swept([one]).figures(300_000.0)
    assert found["net_pnl"] == pytest.approx(figures.net_return * 300_000.0)
    assert found["max_drawdown"] == pytest.approx(figures.max_drawdown)
    assert found["turnover"] == pytest.approx(figures.turnover)
    assert (found["trades"], found["reject_rate"]) == (figures.trades, 0.0)
    assert found["value"] == pytest.approx(terms().penalties.value(figures))


def test_what_the_limits_refuse_counts_against_it_by_hand(frames: dict[str, pl.DataFrame]) -> None:
    """One position at a time over all symbols: who comes while one is open is refused."""
    made, one = of(frames["forecasts"], frames), combination()
    found = within_limits(one, made, terms(replace(NO_LIMITS, max_positions=1)))
    trades = event_loop.trades(made.inputs(one), one.spec)
    filled = trades.filter(pl.col("exit_ts").is_not_null()).with_columns(edge=pl.col("ev") / pl.col("sigma"))
    admitted: list[dict[str, Any]] = []
    for row in filled.sort("entry_ts", "edge", "symbol", descending=[False, True, False]).iter_rows(named=True):
        if not admitted or admitted[-1]["exit_ts"] <= row["entry_ts"]:
            admitted.append(row)
    assert 0 < len(admitted) < filled.height
    assert found["trades"] == len(admitted)
    assert found["reject_rate"] == pytest.approx(1 - len(admitted) / filled.height)
    assert found["net_pnl"] == pytest.approx(sum(row["net_pnl"] for row in admitted))
    free = within_limits(one, made, terms(replace(NO_LIMITS, max_positions=1), reject_rate=0.0))
    assert free["value"] - found["value"] == pytest.approx(1.5 * found["reject_rate"])
    assert "position_limit" in LIMITS


@pytest.mark.parametrize("other", OTHERS, ids=lambda other: "-".join(other.values()))
def test_rows_of_other_sources_in_the_same_window_change_no_figure(
    frames: dict[str, pl.DataFrame], other: dict[str, str]
) -> None:
    """Two days are live; what else was asked around, between and beside them is as if it were not there."""
    live = frames["forecasts"].with_columns(**{name: pl.lit(word) for name, word in LIVE.items()})
    days = market.SESSIONS[2], market.SESSIONS[4]
    own = live.filter(pl.col("day").is_in(days))
    strange = live.with_columns(**{name: pl.lit(word) for name, word in other.items()})
    beside = strange.with_columns(
        pl.col("snapshot_ts", "target_ts") + timedelta(minutes=5), pl.col("q50", "q25", "q75") + 0.01
    )
    mixed = of(pl.concat([own, strange.filter(~pl.col("day").is_in(days)), beside]), frames)
    pure, one = confirmation.asked_live(of(own, frames), LIVE), combination()
    found = confirmation.asked_live(mixed, LIVE)
    assert found.days == pure.days == days
    assert within_limits(one, found, terms()) == within_limits(one, pure, terms())
    assert confirmation.sources(found) == LIVE
    assert within_limits(one, mixed, terms()) != within_limits(one, pure, terms()), "else this test looks at nothing"


def test_with_no_live_row_left_there_is_too_little_to_judge(frames: dict[str, pl.DataFrame]) -> None:
    found = confirmation.asked_live(of(frames["forecasts"], frames), LIVE)
    assert found.days == ()
    figures = within_limits(combination(), found, terms())
    assert (figures["trades"], figures["net_pnl"], figures["value"]) == (0, 0.0, 0.0)
    assert verdict(figures["value"], found.days, 1) == INSUFFICIENT
    nothing = within_limits(combination(), Material.nothing(events=EventCalendar({})), terms())
    assert nothing == figures


def test_the_verdict_by_pencil() -> None:
    days = market.SESSIONS[:60]
    assert verdict(0.001, days, 60) == CANDIDATE
    assert verdict(0.0, days, 60) == REFUSED
    assert verdict(-0.001, days, 60) == REFUSED
    assert verdict(9.9, days, 61) == INSUFFICIENT
