"""What holds of every engine, whatever the market and the rules: equal bits, and money that obeys its laws.

Markets and rules are drawn by hypothesis (random_markets.py): a whole count in a soak, a twentieth otherwise.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from timegpt_assets.core import calendar
from timegpt_assets.core.backtest import compiled, event_loop, signals, sweep
from timegpt_assets.core.backtest.costs import PARTS
from timegpt_assets.core.backtest.signals import Inputs, TradingSpec
from timegpt_assets_tests.core.backtest import random_markets as drawn
from timegpt_assets_tests.core.backtest import test_event_loop as market

MADE_BY = {"loop": event_loop.trades, "compiled": compiled.trades}
SWEPT_BY = {"loop": sweep.looped, "compiled": sweep.sweep}
OTHER = pl.col("symbol").replace({"AAA": "BBB", "BBB": "AAA"})
KEYS = ("combination", "forecaster", "day")

Trades = Callable[[Inputs, TradingSpec], pl.DataFrame]
engines = pytest.mark.parametrize("name", MADE_BY)


def hold(check: Callable[..., None], examples: int, **strategies: st.SearchStrategy[Any]) -> None:
    """Ask the check of as many examples as are drawn."""
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
    settings(max_examples=examples, deadline=None, suppress_health_check=slow)(given(**strategies)(check))()


def filled(trades: pl.DataFrame) -> pl.DataFrame:
    return trades.filter(pl.col("quantity") != 0)


def linear(own: TradingSpec) -> TradingSpec:
    """Return the spec with costs that decide nothing: neither who enters nor how much."""
    rules = replace(own.rules, rule_set="enhancement", require_positive_ev=False)
    return replace(own, rules=rules, costs=replace(own.costs, impact=0.0))


def multiplied(own: TradingSpec, multiplier: float) -> TradingSpec:
    return replace(own, costs=replace(own.costs, multiplier=multiplier))


def test_loop_kernel_and_sweep_give_the_same_bits(repetitions: Any) -> None:
    seen, examples = Counter[str](), repetitions(600)

    def same(inputs: Inputs, specs: list[TradingSpec]) -> None:
        rows = [sweep.SCHEMA.to_frame()]
        for place, own in enumerate(specs):
            expected = event_loop.trades(inputs, own)
            assert_frame_equal(compiled.trades(inputs, own), expected, check_exact=True)
            rows.append(sweep._added_up(expected, sweep._asked(inputs), combination=place))
            seen.update(expected["exit_reason"])
            seen.update(expected["entry_reason"])
        assert_frame_equal(sweep.sweep(inputs, specs), pl.concat(rows), check_exact=True)

    hold(same, examples, inputs=drawn.inputs(), specs=st.lists(drawn.specs(), min_size=1, max_size=4))
    assert sum(seen[way] for way in event_loop.EXITS) > examples, "somebody traded"
    if examples == 600:
        assert seen.keys() >= {*event_loop.EXITS, *event_loop.NOT_ENTERED, *signals.TURNED_AWAY}


@engines
def test_costs_never_help(name: str, repetitions: Any) -> None:
    def kept(inputs: Inputs, own: TradingSpec) -> None:
        several = [multiplied(linear(own), multiple) for multiple in (0.0, 1.0, 2.0)]
        free, paid, dear = (MADE_BY[name](inputs, one) for one in several)
        priced = ("cost", "net_pnl", "ev", *PARTS)
        for other in (free, dear):
            assert_frame_equal(paid.drop(priced), other.drop(priced), check_exact=True)
        nets = [filled(one)["net_pnl"] for one in (free, paid, dear)]
        assert (nets[0] > nets[1]).all()
        assert (nets[1] > nets[2]).all()
        days = [SWEPT_BY[name](inputs, [one]) for one in several]
        counted = ("trades", "gross_pnl", "notional")
        assert days[0].select(counted).equals(days[1].select(counted))
        traded = days[0]["trades"] > 0
        for better, worse in ((days[0], days[1]), (days[1], days[2])):
            assert (better["net_pnl"] > worse["net_pnl"]).filter(traded).all()

    hold(kept, repetitions(200), inputs=drawn.inputs(), own=drawn.specs())


@engines
def test_a_zero_signal_earns_nothing(name: str, repetitions: Any) -> None:
    def kept(inputs: Inputs, own: TradingSpec) -> None:
        silent = inputs.forecasts.with_columns(q25=pl.lit(0.0), q50=pl.lit(0.0), q75=pl.lit(0.0))
        asked = replace(inputs, forecasts=silent)
        assert MADE_BY[name](asked, own).is_empty()
        rows = SWEPT_BY[name](asked, [own])
        assert rows.drop(KEYS).sum().row(0) == (0,) * (rows.width - len(KEYS))
        assert rows.height == 4

    hold(kept, repetitions(200), inputs=drawn.inputs(), own=drawn.specs())


def exchanged(inputs: Inputs) -> Inputs:
    frames = {
        field: getattr(inputs, field).with_columns(OTHER)
        for field in ("forecasts", "bars", "symbol_gates", "liquidity")
        if getattr(inputs, field) is not None
    }
    return replace(inputs, **frames)


def priced_alike(own: TradingSpec) -> TradingSpec:
    """Return the spec without anything that names a symbol."""
    alike = {"fees_bps": {"*": 0.3}, "half_spread_ticks": {"*": 1.0}, "slippage_bps": {"*": 0.2, "*@10": 1.0}}
    costs = replace(own.costs, slippage_ticks={"*": 0.5}, **alike)
    return replace(own, costs=costs, horizons_min={})


@engines
def test_exchanged_symbols_exchange_the_trades_and_change_no_sum(name: str, repetitions: Any) -> None:
    def kept(inputs: Inputs, own: TradingSpec) -> None:
        same = priced_alike(own)
        other = MADE_BY[name](exchanged(inputs), same).with_columns(OTHER)
        by = ["day", "symbol", "snapshot_ts", "forecaster"]
        assert_frame_equal(other.sort(by), MADE_BY[name](inputs, same).sort(by), check_exact=True)
        rows = [SWEPT_BY[name](one, [same]) for one in (inputs, exchanged(inputs))]
        assert_frame_equal(*rows, rel_tol=1e-9, abs_tol=1e-6)  # added up in another order

    hold(kept, repetitions(200), inputs=drawn.inputs(), own=drawn.specs())


@engines
def test_scaled_positions_scale_money_and_nothing_else(name: str, repetitions: Any) -> None:
    def kept(inputs: Inputs, own: TradingSpec, factor: float) -> None:
        same = linear(own)
        larger = replace(same, capital=same.capital * factor)
        money = ("quantity", "gross_pnl", *PARTS, "cost", "net_pnl")
        one, other = (MADE_BY[name](inputs, each) for each in (same, larger))
        assert_frame_equal(other, one.with_columns(pl.col(money) * factor), check_exact=True)
        rows, more = (SWEPT_BY[name](inputs, [each]) for each in (same, larger))
        assert_frame_equal(more, rows.with_columns(pl.col(sweep.MONEY) * factor), check_exact=True)

    hold(kept, repetitions(200), inputs=drawn.inputs(), own=drawn.specs(), factor=st.sampled_from([0.25, 2.0, 1024.0]))


@engines
def test_inventory_is_of_one_side_as_many_as_allowed_and_rests_between(name: str, repetitions: Any) -> None:
    def kept(inputs: Inputs, own: TradingSpec) -> None:
        limit, rest = own.rules.max_open_per_symbol, own.rules.cooldown_bars * market.MINUTE
        trades = filled(MADE_BY[name](inputs, own))
        assert (trades["quantity"].sign() == trades["side"]).all()
        assert trades["side"].is_in([-1, 1]).all()
        for mine in trades.partition_by("forecaster", "day", "symbol"):
            taken = mine.sort("entry_ts").select("entry_ts", "exit_ts", "side").rows()
            assert len(taken) <= (len(taken) if own.rules.daily_trade_cap is None else own.rules.daily_trade_cap)
            for place, (entered, _, side) in enumerate(taken):
                open_then = [s for _, left, s in taken[:place] if left > entered]
                assert len(open_then) < limit
                assert set(open_then) <= {side}
                assert all(left > entered or left + rest <= entered for _, left, _ in taken[:place])

    hold(kept, repetitions(200), inputs=drawn.inputs(), own=drawn.specs())


def shaken(bars: pl.DataFrame, since: Any, factor: float) -> pl.DataFrame:
    """Return the bars with every price and volume from a time on another one."""
    later, values = pl.col("ts") >= since, pl.col("open", "high", "low", "close", "volume")
    return bars.with_columns(pl.when(later).then(values * factor).otherwise(values))


@engines
def test_no_trade_opens_on_a_bar_that_is_known_only_later(name: str, repetitions: Any) -> None:
    def kept(inputs: Inputs, own: TradingSpec, number: int, minute: int, factor: float) -> None:
        trades = MADE_BY[name](inputs, own)
        entered = filled(trades)
        assert (entered["entry_ts"] >= entered["snapshot_ts"]).all()
        assert (entered["entry_ts"] - entered["snapshot_ts"] == own.rules.entry_lag_bars * market.MINUTE).all()
        at = entered.join(inputs.bars, left_on=["day", "symbol", "entry_ts"], right_on=["day", "symbol", "ts"])
        assert at["entry_price"].equals(at["open"])
        assert at.height == entered.height
        since = calendar.session(drawn.DAYS[number]).open + minute * market.MINUTE
        other = MADE_BY[name](replace(inputs, bars=shaken(inputs.bars, since, factor)), own)
        for known in (pl.col("exit_ts") <= since, pl.col("entry_ts") < since):
            columns = trades.columns if "exit_ts" in known.meta.root_names() else ENTRY
            same = [frame.filter(known).select(columns) for frame in (trades, other)]
            assert_frame_equal(*same, check_exact=True)
        if number == 1:
            rows = [SWEPT_BY[name](replace(inputs, bars=bars), [own]).filter(day=drawn.DAYS[0]) for bars in
                    (inputs.bars, shaken(inputs.bars, since, factor))]  # fmt: skip
            assert_frame_equal(*rows, check_exact=True)

    hold(
        kept,
        repetitions(200),
        inputs=drawn.inputs(),
        own=drawn.specs(),
        number=st.integers(0, 1),
        minute=st.integers(0, 200),
        factor=st.sampled_from([0.5, 3.0]),
    )


ENTRY = ("day", "symbol", "snapshot_ts", "forecaster", "side", "entry_ts", "entry_price", "entry_reason", "quantity")
"""What is settled when a trade is entered."""
