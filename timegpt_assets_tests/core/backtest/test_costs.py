"""Costs: every part by hand, the most specific rate first, and a symbol that nobody priced refused by name."""

import math
from dataclasses import replace
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timegpt_assets.core.backtest.costs import PARTS, Costs, Leg, hour_of
from timegpt_assets.core.backtest.rules import TradingError

TEN, THREE = datetime(2025, 1, 2, 15, 1, tzinfo=UTC), datetime(2025, 7, 2, 19, 30, tzinfo=UTC)
"""10:01 in winter and 15:30 in summer, New York."""
COSTS = Costs(fees_bps={"AAA": 0.5}, half_spread_ticks={"AAA": 1.0}, tick_size=0.01)
HOURLY = replace(COSTS, slippage_ticks={"*": 1.0, "*@10": 2.0, "AAA@15": 5.0}, slippage_bps={"*": 0.0, "AAA": 0.3})


def total(costs: Costs, quantity: float, *, impact: float = 0.0) -> float:
    return sum(costs.paid("AAA", Leg(100.0, TEN), Leg(102.0, THREE), quantity=quantity, impact=impact).values())


def expected(costs: Costs, *, impact: float = 0.0) -> float:
    """The round trip at 100 and ten o'clock, as it is known at the snapshot."""
    known = {"share": costs.share("AAA", 10), "per_share": costs.per_share("AAA", 10), "impact": impact}
    value: float = pl.DataFrame([known]).select(costs.round_trip(pl.lit(100.0))).item()
    return value


def moved(costs: Costs, **given: float) -> float:
    value: float = pl.select(costs.impact_share(**{name: pl.lit(value) for name, value in given.items()})).item()
    return value


def test_both_legs_pay_fees_and_half_the_spread() -> None:
    assert total(COSTS, -500.0) == pytest.approx(500 * (0.00005 * 202 + 2 * 0.01))
    assert expected(COSTS) == pytest.approx(2 * (0.00005 + 0.0001))
    assert total(replace(COSTS, multiplier=2.0), -500.0) == pytest.approx(2 * total(COSTS, -500.0))


def test_each_leg_slips_at_the_rate_of_its_own_new_york_hour() -> None:
    assert (hour_of(TEN), hour_of(THREE)) == (10, 15)
    slipped = HOURLY.paid("AAA", Leg(100.0, TEN), Leg(102.0, THREE), quantity=500.0)["slippage"]
    assert slipped == pytest.approx(500 * ((2 + 5) * 0.01 + 0.00003 * 202))
    assert expected(HOURLY) == pytest.approx(2 * (0.00005 + 0.0001 + 0.0002 + 0.00003))


def test_the_symbol_in_the_hour_comes_before_the_symbol_before_the_hour_before_all() -> None:
    rates = {"*": 1.0, "*@10": 2.0, "AAA": 3.0, "AAA@10": 4.0}
    found = []
    for name in ("AAA@10", "AAA", "*@10", "*"):
        costs = replace(COSTS, half_spread_ticks={"*": 0.0}, slippage_ticks=rates)
        found.append(costs.per_share("AAA", 10))
        del rates[name]
    assert found == pytest.approx([0.04, 0.03, 0.02, 0.01])


def test_a_short_pays_a_day_of_the_lenders_year_on_what_it_sold() -> None:
    lent = replace(COSTS, borrow_bps={"*": 36.0})
    assert total(lent, -500.0) - total(COSTS, -500.0) == pytest.approx(500 * 100.0 * 0.0036 / 360)
    assert total(lent, 500.0) == total(COSTS, 500.0)
    assert replace(lent, multiplier=2.0).borrow("AAA") == pytest.approx(2 * lent.borrow("AAA"))


def test_impact_follows_the_square_root_of_the_share_of_what_is_traded() -> None:
    noticed = replace(COSTS, impact=0.8)
    one = moved(noticed, sigma=0.002, shares=100.0, traded=10_000.0)
    assert one == pytest.approx(0.8 * 0.002 * 0.1)
    assert moved(noticed, sigma=0.002, shares=-400.0, traded=10_000.0) == pytest.approx(2 * one)
    # over four times the span sigma doubles and the volume fourfolds: the law knows no span of its own
    assert moved(noticed, sigma=0.004, shares=100.0, traded=40_000.0) == pytest.approx(one)
    assert moved(noticed, sigma=0.002, shares=100.0, traded=0.0) == math.inf
    assert moved(COSTS, sigma=0.002, shares=100.0, traded=0.0) == 0.0
    assert total(noticed, 500.0, impact=one) - total(noticed, 500.0) == pytest.approx(500 * one * 202)
    assert expected(noticed, impact=one) - expected(noticed) == pytest.approx(2 * one)


@pytest.mark.parametrize("setting", ["fees_bps", "half_spread_ticks", "slippage_ticks", "slippage_bps", "borrow_bps"])
def test_a_symbol_without_a_rate_is_refused_by_setting_and_name_and_never_free(setting: str) -> None:
    lacking = replace(COSTS, **{setting: {"BBB": 1.0, "AAA@11": 1.0}})
    with pytest.raises(TradingError, match=rf"trading\.{setting} names neither AAA.*Add AAA"):
        total(lacking, -500.0)
    assert total(replace(lacking, **{setting: {"*": 1.0}}), -500.0) > 0


@given(
    quantity=st.floats(-1e5, 1e5).filter(lambda q: abs(q) > 1e-3),
    price=st.floats(1e-9, 1e5),
    left=st.floats(1e-9, 1e5),
    rates=st.lists(st.floats(0, 100), min_size=5, max_size=5),
)
def test_no_part_ever_pays_the_trader(quantity: float, price: float, left: float, rates: list[float]) -> None:
    names = ("fees_bps", "half_spread_ticks", "slippage_ticks", "slippage_bps", "borrow_bps")
    costs = Costs(**{n: {"*": r} for n, r in zip(names, rates, strict=True)}, tick_size=0.01, impact=1.0)
    paid = costs.paid("AAA", Leg(price, TEN), Leg(left, THREE), quantity=quantity, impact=0.001)
    assert tuple(paid) == tuple(PARTS)
    assert all(part >= 0 for part in paid.values())
    twice = costs.paid("AAA", Leg(price, TEN), Leg(left, THREE), quantity=2 * quantity, impact=0.001)
    assert sum(twice.values()) == pytest.approx(2 * sum(paid.values()))
