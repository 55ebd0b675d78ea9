"""Which unit prices are in: told by their common step, contradicted by it, or asked."""

from datetime import datetime, timedelta

import polars as pl
import pytest

from timegpt_assets.core.bars.vendor_columns import PRICES
from timegpt_assets.core.vendors.findings import Refused
from timegpt_assets.core.vendors.price_scale import price_scale
from timegpt_assets_tests.core.vendors.wall_clocks import Bars, clocked


@pytest.mark.parametrize("digits", [2, 3, 4, 6, 8, 9])
def test_whole_prices_are_divided_by_the_unit_that_makes_their_step_a_cent(session: Bars, digits: int) -> None:
    cents = session.with_columns((pl.col(n) * 100).round(0).cast(pl.Int64) for n in ("open", "high", "low", "close"))
    fixed = cents.with_columns(
        (pl.col(n) * 10 ** (digits - 2)).cast(pl.Float64) for n in ("open", "high", "low", "close")
    )
    scaled, told = price_scale(clocked(fixed, "UTC"), said=None, claimed_digits=0)
    assert scaled["close"].to_list() == [round(c / 100, 2) for c in cents["close"]], str(told)
    with pytest.raises(Refused, match=rf"is contradicted: .* Say 1e-{digits}, or leave it out"):
        price_scale(clocked(fixed, "UTC"), said=10.0 ** (-digits - 1), claimed_digits=0)


def test_dollars_stay_dollars_and_whole_ones_of_no_known_step_are_asked_about(session: Bars) -> None:
    same, _ = price_scale(clocked(session, "UTC"), said=None, claimed_digits=9)
    assert same["close"].equals(session["close"])
    odd = clocked(session, "UTC").with_columns(
        (pl.int_range(pl.len()) * 50 + 4_000).cast(pl.Float64).alias(n) for n in ("open", "high", "low", "close")
    )
    with pytest.raises(Refused, match=r"USD, or parts of them\. Say --price-scale"):
        price_scale(odd, said=None, claimed_digits=0)
    assert price_scale(odd, said=1.0, claimed_digits=0)[0].equals(odd)
    huge = clocked(session, "UTC").with_columns(pl.col("open", "high", "low", "close") * 1e6 + 0.5)
    with pytest.raises(Refused, match="no price of a share in USD"):
        price_scale(huge, said=None, claimed_digits=0)


def priced(*prices: float | None, rows: int = 5) -> Bars:
    """Return rows at one price a day, the prices one after the other; five rows are twenty prices."""
    days = [datetime(2025, 1, 2) + timedelta(days=n) for n in range(len(prices))]  # noqa: DTZ001 - a wall clock
    frame = pl.DataFrame({"wall": days, "p": prices}, schema_overrides={"p": pl.Float64}).with_columns(
        symbol=pl.lit("A")
    )
    return pl.concat([frame] * rows).select("symbol", "wall", *(pl.col("p").alias(name) for name in PRICES))


def scaled(bars: Bars, *, said: float | None = None, digits: int = 0) -> float | None:
    """Return what the first close becomes; None where nothing tells."""
    try:
        return price_scale(bars, said=said, claimed_digits=digits)[0]["close"][0]
    except Refused:
        return None


@pytest.mark.parametrize(
    ("price", "usd"),
    [
        (2_999.0, 2_999.0),
        (3_000.0, None),  # whole, dear, and no step of a cent in any unit
        (3_000.5, 3_000.5),
        (999_999.5, 999_999.5),
        (1_000_000.5, None),
        (0.0001, 0.0001),
        (0.00009, None),
    ],
)
def test_a_price_lies_in_the_range_of_shares(price: float, usd: float | None) -> None:
    assert scaled(priced(price)) == usd


def test_whole_numbers_tell_from_twenty_on() -> None:
    assert scaled(priced(3_000.0)) is None
    fewer = priced(3_000.0).with_columns(low=pl.when(pl.int_range(pl.len()) > 0).then("low"))
    assert scaled(fewer) == 3_000.0
    assert scaled(priced(3_000.0, 0.0, -1.5, None)) is None, "only prices above zero count"


def test_a_cent_is_a_step_of_shares_between_five_cents_and_a_hundred_thousand_dollars() -> None:
    assert scaled(priced(9_999_999.0, 10_000_000.0, 10_000_000.0)) == 99_999.99
    assert scaled(priced(9_999_999.0, 10_000_001.0, 10_000_001.0)) is None
    assert scaled(priced(4e7, 5e7, 5e7)) == 0.04
    assert scaled(priced(3e7, 4e7, 4e7)) is None


@pytest.mark.parametrize(
    ("price", "usd"), [(1_100.0, 0.11), (1_000.0, 1_000.0), (1e10, 1e6), (1.1e10, None), (1_100.5, 1_100.5)]
)
def test_a_vendors_unit_is_believed_of_whole_numbers_that_are_then_shares(price: float, usd: float | None) -> None:
    assert scaled(priced(price), digits=4) == usd


@pytest.mark.parametrize(
    ("said", "usd"), [(0.01, 14.1), (1.0, 1_410.0), (0.5, 705.0), (10.0, 14_100.0), (1_000.0, None), (1e-8, None)]
)
def test_a_said_unit_holds_where_prices_are_then_shares(said: float, usd: float | None) -> None:
    assert scaled(priced(1_410.0), said=said) == usd


def test_a_said_unit_divides_as_a_person_rounds() -> None:
    assert scaled(priced(141_041.0), said=0.001) == 141.041
    assert scaled(priced(2.0, 4.0), said=1e-4) == 0.0002


def test_days_of_one_symbol_ten_thousandfold_apart_are_two_units() -> None:
    assert scaled(priced(1.5, 15_000.0)) == 1.5
    with pytest.raises(Refused, match=r"prices of A are about 1\.50 on one day and 15,001\.00 on another"):
        price_scale(priced(1.5, 15_001.0), said=None, claimed_digits=0)
    assert scaled(priced(1.5, 2.5, 0.0)) == 1.5, "a day without a price is in no unit"


def test_bars_without_prices_stay_as_they_are() -> None:
    assert price_scale(priced(0.0), said=None, claimed_digits=0)[1].evidence == "there are none"
