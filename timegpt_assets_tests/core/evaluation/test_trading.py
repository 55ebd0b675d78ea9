"""Trading figures: by hand, with days without a trade counted as zero and only admitted trades counted."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.core import calendar, significance
from timegpt_assets.core.backtest.costs import PARTS
from timegpt_assets.core.evaluation import trading
from timegpt_assets.core.significance import Sampling
from timegpt_assets.core.tables.backtest import PORTFOLIO

AS_OF = date(2025, 2, 21)
SAMPLING = Sampling(draws=200, cluster_days=1)
ACCOUNT = trading.Account(capital=1000.0, symbols=("AAA", "BBB"), annualization_days=252)
SCOPE: dict[str, Any] = {"account": ACCOUNT, "sampling": SAMPLING}
DAYS = [calendar.shifted(AS_OF, -back) for back in range(4, -1, -1)]
LIVE = {"book": "timegpt", "score_source": "model", "run_source": "prod", "data_regime": "prod_live"}
SMOKE = {"book": "timegpt", "score_source": "baseline", "run_source": "smoke", "data_regime": "maintenance_replay"}


def portfolio(*rows: Mapping[str, Any]) -> pl.DataFrame:
    full = []
    for i, row in enumerate(rows):
        day = row.get("day", AS_OF)
        entry = calendar.session(day).open + timedelta(minutes=31 + i)
        base: dict[str, Any] = {
            "day": day, "symbol": "AAA", "snapshot_ts": entry - timedelta(minutes=1), "entry_ts": entry,
            "target_ts": entry + timedelta(minutes=14), "entry_price": 100.0, "exit_ts": entry + timedelta(minutes=14),
            "exit_price": 100.0, "side": 1, "size": 1.0, "quantity": 10.0, "gross_pnl": 0.0, "cost": 0.0, "ev": 0.001,
            "sigma": 0.002,
            "sigma_column": "sigma_60m", "entry_reason": "enhancement", "exit_reason": "forecast_ts",
            "eligibility": "eligible", "liquidity": "normal", "holding_min": 14, "mae": -0.001, "mfe": 0.002,
            "capacity": 1e6, "admitted": True, "refused_by": "", "whitelisted": False, "forecaster": "timegpt",
        }  # fmt: skip
        merged = base | LIVE | dict(row)
        parts = dict.fromkeys(PARTS, merged["cost"] / len(PARTS))
        full.append(merged | parts | {"net_pnl": merged["gross_pnl"] - merged["cost"]})
    return PORTFOLIO.conformed(pl.DataFrame(full, schema=PORTFOLIO.schema))


def asked(days: Mapping[date, Mapping[str, str]]) -> pl.DataFrame:
    """Days on which somebody forecast: what is read of DAY_SCORES."""
    return pl.DataFrame(
        [{"day": day, **sources} for day, sources in days.items()],
        schema={"day": pl.Date, **dict.fromkeys(LIVE, pl.String)},
    )


ALL_LIVE = asked(dict.fromkeys(DAYS, LIVE))
ROWS = portfolio(
    {"day": DAYS[0], "gross_pnl": 30.0, "cost": 10.0},
    {"day": DAYS[2], "gross_pnl": -30.0, "cost": 10.0},
    {"day": DAYS[2], "gross_pnl": 20.0, "cost": 10.0, "symbol": "BBB"},
    {"day": DAYS[3], "gross_pnl": 90.0, "cost": 10.0, "admitted": False, "refused_by": "position_limit"},
    {"day": DAYS[3], "admitted": False, "refused_by": "halted", "quantity": 0.0, "exit_ts": None},
    {"day": DAYS[3], "admitted": False, "refused_by": "cooldown", "quantity": 0.0, "exit_ts": None},
)


def scores(frame: pl.DataFrame = ROWS, day_scores: pl.DataFrame = ALL_LIVE, **changes: Any) -> pl.DataFrame:
    given = {"month": "2025-02", "as_of": AS_OF, "sessions": DAYS, "lookback_sessions": 5} | SCOPE
    return trading.trading_scores(frame, day_scores, **(given | changes))


def test_the_accounts_figures_are_those_of_a_pencil() -> None:
    row = scores().filter(symbol="*").row(0, named=True)
    returns = [0.01, 0.0, -0.015, 0.0, 0.0]  # 20, 0, -40 + 10, 0, 0 of 2000 USD
    mean = sum(returns) / 5
    deviation = (sum((r - mean) ** 2 for r in returns) / 4) ** 0.5
    assert row["observation_days"] == 5
    assert (row["trades"], row["signals"], row["reject_rate"]) == (3, 5, 0.2)
    assert row["hit_rate"] == pytest.approx(2 / 3)
    assert (row["gross_pnl"], row["cost"], row["net_pnl"]) == (20.0, 30.0, -10.0)
    assert row["max_drawdown"] == pytest.approx(0.015)
    assert row["drawdown_days"] == 3, "of the last three, none is back at the first's peak"
    assert row["volatility"] == pytest.approx(deviation * 252**0.5)
    assert row["sharpe_daily"] == pytest.approx(mean / deviation * 252**0.5)
    assert (row["sharpe_method"], row["vol_floor_applied"]) == ("daily_agg_v1", False)
    assert row["hit_rate_low"] < row["hit_rate"] < row["hit_rate_high"]


def test_activity_is_that_of_the_admitted_trades_against_capital_and_open_minutes() -> None:
    rows = portfolio(
        {"quantity": -10.0, "exit_price": 110.0, "holding_min": 39, "mae": -0.2, "mfe": 0.0, "capacity": 1.0},
        {"quantity": 5.0, "holding_min": 78, "mae": -0.1, "mfe": 0.3, "capacity": 2.0},
        {"quantity": 5.0, "holding_min": 0, "mae": 0.0, "mfe": 0.0, "capacity": 9.0, "symbol": "BBB"},
        {"quantity": 99.0, "holding_min": 99, "admitted": False, "refused_by": "position_limit"},
        {"quantity": 0.0, "admitted": False, "refused_by": "halted", "exit_ts": None, "holding_min": None, "mae": None},
    )
    row = scores(rows).filter(symbol="*").row(0, named=True)
    assert row["turnover"] == pytest.approx((1000 + 1100 + 2 * 500 + 2 * 500) / 2000 / 5)
    assert row["exposure"] == pytest.approx((1000 * 39 + 500 * 78) / 2000 / (5 * 390))
    assert (row["holding_min"], row["mae"], row["mfe"]) == (39.0, pytest.approx(-0.1), pytest.approx(0.1))
    assert row["capacity"] == 2.0
    empty = scores(portfolio()).filter(symbol="*").row(0, named=True)
    assert (empty["turnover"], empty["exposure"]) == (0.0, 0.0)
    assert empty["holding_min"] is empty["mae"] is empty["mfe"] is empty["capacity"] is None


def test_what_symbols_earned_is_what_the_account_earned_to_the_cent_at_every_cost() -> None:
    given = {"month": "2025-02", "as_of": AS_OF, "sessions": DAYS, "lookback_sessions": 5} | SCOPE
    rows = portfolio(
        *(
            {"day": day, "symbol": symbol, "gross_pnl": 17.07 * i - 40.01 * j, "cost": 3.33 + 0.01 * i}
            for i, day in enumerate(DAYS)
            for j, symbol in enumerate(("AAA", "BBB"))
        )
    )
    found = trading.trading_scores(rows, ALL_LIVE, **given)
    by_cost = trading.cost_sensitivity(rows, ALL_LIVE, multipliers=(1.0, 1.5, 2.0), **given)
    cents = {name: round(100 * sum(rows[name])) for name in ("gross_pnl", "cost", "net_pnl")}
    assert cents["net_pnl"] == cents["gross_pnl"] - cents["cost"]
    own, account = found.filter(pl.col("symbol") != "*"), found.filter(symbol="*")
    for name, amount in cents.items():
        assert round(100 * own[name].sum()) == round(100 * account[name].item()) == amount
    for multiple, net in by_cost.select("cost_multiplier", "net_pnl").iter_rows():
        assert round(100 * net) == round(cents["gross_pnl"] - multiple * cents["cost"])


def test_symbols_are_measured_against_their_own_capital_and_add_up_to_the_account() -> None:
    frame = scores()
    own = frame.filter(pl.col("symbol") != "*")
    assert own["symbol"].to_list() == ["AAA", "BBB"]
    for column in ("net_pnl", "gross_pnl", "cost", "trades", "signals"):
        assert own[column].sum() == pytest.approx(frame.filter(symbol="*")[column].item())
    assert frame.filter(symbol="AAA")["max_drawdown"].item() == pytest.approx(0.04)


def test_no_variance_gives_a_null_sharpe_and_says_so() -> None:
    row = scores(portfolio()).filter(symbol="*").row(0, named=True)
    assert (row["observation_days"], row["trades"], row["sharpe_daily"], row["vol_floor_applied"]) == (5, 0, None, True)
    assert row["hit_rate"] is row["reject_rate"] is None


def test_only_the_trailing_sessions_that_are_complete_count() -> None:
    row = scores(lookback_sessions=3).filter(symbol="*").row(0, named=True)
    assert (row["observation_days"], row["net_pnl"]) == (3, -30.0)
    row = scores(sessions=DAYS[:3]).filter(symbol="*").row(0, named=True)
    assert (row["observation_days"], row["net_pnl"]) == (3, -10.0)
    assert_frame_equal(scores(sessions=[*DAYS, date(2025, 2, 24), date(2024, 1, 2)]), scores())


def test_a_source_triple_is_not_credited_with_the_days_of_another() -> None:
    regimes = asked({DAYS[0]: SMOKE, DAYS[1]: SMOKE, DAYS[2]: LIVE, DAYS[4]: LIVE})  # nobody was asked on the fourth
    mixed = pl.concat([ROWS.filter(pl.col("day") > DAYS[0]), portfolio({"day": DAYS[0], **SMOKE, "gross_pnl": 5.0})])
    frame = scores(mixed.filter(pl.col("day") != DAYS[3]), regimes).filter(symbol="*")
    assert dict(frame.select("score_source", "observation_days").iter_rows()) == {"baseline": 2, "model": 3}
    assert dict(frame.select("score_source", "net_pnl").iter_rows()) == {"baseline": 5.0, "model": -30.0}


def test_costs_are_scaled_on_the_admitted_trades_and_never_help() -> None:
    frame = trading.cost_sensitivity(
        ROWS,
        ALL_LIVE,
        month="2025-02",
        as_of=AS_OF,
        sessions=DAYS,
        lookback_sessions=5,
        **SCOPE,
        multipliers=(1, 1.5, 2),
    )
    assert frame["cost_multiplier"].to_list() == [1.0, 1.5, 2.0]
    assert frame["net_pnl"].to_list() == [-10.0, -25.0, -40.0]
    assert frame["cost"].to_list() == [30.0, 45.0, 60.0]
    assert frame["trades"].to_list() == [3, 3, 3]
    assert frame["net_pnl"][0] == scores().filter(symbol="*")["net_pnl"].item()


def test_out_of_sample_are_the_sessions_after_its_start() -> None:
    frame = trading.oos_summary(
        ROWS, ALL_LIVE, month="2025-02", as_of=AS_OF, sessions=DAYS, lookback_sessions=5, **SCOPE,
        oos_start=DAYS[1], multipliers=(1.0, 1.5),
    )  # fmt: skip
    assert frame["observation_days"].to_list() == [3, 3]
    assert frame["net_pnl"].to_list() == [-30.0, -40.0]
    start = trading.oos_summary(
        ROWS, ALL_LIVE, month="2025-02", as_of=AS_OF, sessions=DAYS, lookback_sessions=5, **SCOPE,
        oos_start=DAYS[2], multipliers=(1.0,),
    )  # fmt: skip
    assert start["observation_days"].to_list() == [2]
    undecided = trading.oos_summary(
        ROWS, ALL_LIVE, month="2025-02", as_of=AS_OF, sessions=DAYS, lookback_sessions=5, **SCOPE,
        oos_start=None, multipliers=(1.0,),
    )  # fmt: skip
    assert undecided.is_empty()


def test_as_of_is_the_last_complete_session_of_the_month() -> None:
    assert trading.as_of("2025-02", sessions=[*DAYS, date(2025, 3, 3)]) == AS_OF
    with pytest.raises(ValueError, match=r"no session of 2025-04 is complete.*Materialise portfolio"):
        trading.as_of("2025-04", sessions=DAYS)


def test_the_order_of_rows_changes_nothing() -> None:
    shuffled = ROWS.sample(fraction=1, shuffle=True, seed=2)
    assert_frame_equal(scores(shuffled), scores())
    assert scores(account=replace(ACCOUNT, symbols=("BBB", "AAA"))).equals(scores())


def test_a_trade_that_earns_nothing_is_no_hit_and_capital_is_each_symbols_once() -> None:
    rows = portfolio({"day": DAYS[0], "gross_pnl": 10.0}, {"day": DAYS[1]}, {"day": DAYS[2], "gross_pnl": -2.0})
    row = scores(rows, account=replace(ACCOUNT, symbols=("AAA", "AAA"))).filter(symbol="*").row(0, named=True)
    assert (row["hit_rate"], row["max_drawdown"]) == (pytest.approx(1 / 3), pytest.approx(0.002))
    assert row["sharpe_step_raw"] == pytest.approx(
        (8 / 3) / (((22 / 3) ** 2 + (8 / 3) ** 2 + (14 / 3) ** 2) / 2) ** 0.5
    )


def test_the_start_is_a_peak_of_zero() -> None:
    assert trading.max_drawdown(np.array([-0.01, -0.02, 0.05, -0.01])) == pytest.approx(0.03)
    assert trading.max_drawdown(np.array([0.01, 0.02])) == 0.0
    assert trading.max_drawdown(np.array([])) == 0.0


def test_a_silent_day_counts_for_a_triple_between_its_own_days_only() -> None:
    def observed(*days: date) -> int:
        row = scores(portfolio(), asked(dict.fromkeys(days, LIVE)), sessions=DAYS).filter(symbol="*")
        return int(row["observation_days"].item())

    assert observed(DAYS[1], DAYS[3]) == 3
    assert observed(DAYS[1], DAYS[2]) == 2
    assert observed(DAYS[4]) == 1


def test_a_drawdown_lasts_from_the_day_it_falls_below_a_peak_to_the_one_before_it_is_regained() -> None:
    assert trading.drawdown_days(np.array([0.02, -0.01, 0.005, 0.005, -0.01, 0.02])) == 2
    assert trading.drawdown_days(np.array([-0.01, -0.01, 0.03, -0.02])) == 2, "the start is a peak of 0"
    assert trading.drawdown_days(np.array([0.01, -0.01, -0.01, -0.01])) == 3, "one that is not over counts"
    assert trading.drawdown_days(np.array([0.01, 0.0, 0.02])) == 0, "at the peak is not below it"
    assert trading.drawdown_days(np.array([])) == 0


def test_intervals_are_drawn_over_whole_sessions_for_the_trades_of_one_hang_together() -> None:
    # ten trades a day, of which all hit or none does: five days are five observations and not fifty
    rows = portfolio(*({"day": day, "gross_pnl": (-1.0) ** i} for i, day in enumerate(DAYS) for _ in range(10)))
    row = scores(rows).filter(symbol="*").row(0, named=True)
    careless = significance.share(30, 50)
    assert row["hit_rate"] == careless.value == 0.6
    assert row["hit_rate_low"] < careless.low
    assert row["hit_rate_high"] > careless.high
    assert row["hit_rate_low"] == pytest.approx(0.2), "a fifth of the days hit in the worst of the samples"
    daily = np.array([10.0, -10.0, 10.0, -10.0, 10.0])
    expected = significance.bootstrap_total(daily, draws=200)
    assert (row["net_pnl_low"], row["net_pnl"], row["net_pnl_high"]) == (expected.low, 10.0, expected.high)
    expected = significance.bootstrap_sharpe(daily, periods=252, draws=200)
    assert (row["sharpe_daily_low"], row["sharpe_daily_high"]) == pytest.approx((expected.low, expected.high))
    neighbours = scores(rows, sampling=Sampling(draws=200, cluster_days=2)).filter(symbol="*").row(0, named=True)
    assert neighbours["hit_rate_low"] > row["hit_rate_low"], "a hit beside a miss is in every pair of days"
    assert scores(rows, sampling=Sampling(draws=200, cluster_days=3))["hit_rate_low"].null_count() == 3


def test_the_months_own_pnl_is_that_of_its_own_sessions_in_the_window() -> None:
    days = [date(2025, 1, 30), date(2025, 1, 31), date(2025, 2, 3), date(2025, 2, 4)]
    rows = portfolio(*({"day": day, "gross_pnl": 10.0**i} for i, day in enumerate(days)))
    found = scores(rows, asked(dict.fromkeys(days, LIVE)), as_of=days[-1], sessions=days).filter(symbol="*")
    assert found.select("net_pnl", "month_net_pnl").row(0) == (1111.0, 1100.0)
