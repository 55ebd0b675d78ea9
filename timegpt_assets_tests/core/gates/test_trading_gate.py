"""The month's account: what passes and what counts."""

from dataclasses import replace

import polars as pl
import pytest

from timegpt_assets.core.tables.evaluation import COST_SENSITIVITY, OOS_SUMMARY, TRADING_SCORES
from timegpt_assets_tests.core.gates.made import ASKED_OF_ACCOUNT, SMOKE, failures, figures, trading_rows


def test_promotion_reads_the_pnl_at_its_own_multiple() -> None:
    stressed = pl.concat(
        [figures(COST_SENSITIVITY), figures(COST_SENSITIVITY, net_pnl=-1.0)[1:].with_columns(cost_multiplier=2.0)]
    )
    frame = trading_rows(stressed=stressed, promotion=replace(ASKED_OF_ACCOUNT, pnl_cost_multiplier=2.0))
    assert failures(frame) == {("promotion", "*", "pnl_at_2x_costs")}


def test_a_good_account_passes() -> None:
    assert failures(trading_rows()) == set()


def test_fewer_than_sixty_days_are_insufficient_observation() -> None:
    frame = trading_rows(figures(TRADING_SCORES, days=59), oos=figures(OOS_SUMMARY, days=59))
    assert {c for _, _, c in failures(frame)} == {
        "observation_days",
        "hit_rate",
        "oos_sharpe",
        "oos_sharpe_at_1.5x_costs",
    }
    assert (
        frame.filter(~pl.col("passed"))["reason"].str.starts_with("insufficient_observation: 59 days, 60 needed").all()
    )


def test_the_gate_allows_a_stressed_pnl_of_zero_and_promotion_does_not() -> None:
    frame = trading_rows(stressed=figures(COST_SENSITIVITY, net_pnl=0.0))
    assert failures(frame) == {("promotion", "*", "pnl_at_1.5x_costs")}


def test_a_null_sharpe_never_passes() -> None:
    frame = trading_rows(oos=figures(OOS_SUMMARY, sharpe_daily=None, vol_floor_applied=True))
    assert {c for _, _, c in failures(frame)} == {"oos_sharpe", "oos_sharpe_at_1.5x_costs"}


def test_replayed_trading_is_named_and_does_not_count() -> None:
    tables_ = (TRADING_SCORES, COST_SENSITIVITY, OOS_SUMMARY)
    frame = trading_rows(*(figures(table, sources=SMOKE) for table in tables_))
    assert not frame["passed"].any()
    assert "found baseline+smoke+maintenance_replay" in frame.filter(criterion="hit_rate")["reason"].item()


def test_a_cost_multiplier_that_was_not_computed_is_an_error_with_the_remedy() -> None:
    with pytest.raises(ValueError, match=r"no figures at 1\.5x costs\. Add 1\.5 to backtest\.cost_multipliers"):
        trading_rows(stressed=figures(COST_SENSITIVITY).filter(cost_multiplier=1.0))


def test_the_hit_rate_and_the_sharpe_pass_at_what_is_asked() -> None:
    at = trading_rows(figures(TRADING_SCORES, hit_rate=0.48))
    assert failures(at) == set()
    assert failures(trading_rows(oos=figures(OOS_SUMMARY, sharpe_daily=0.5))) == set()
