"""Trading rules: side, size, expected value and cost, by hand."""

from dataclasses import replace
from datetime import UTC, date, datetime, time
from itertools import combinations_with_replacement

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timegpt_assets.core import calendar
from timegpt_assets.core.backtest import rules as trading
from timegpt_assets_tests.core.house_rules import RULES

SPRINT = replace(RULES, rule_set="budget_sprint")


def judged(
    rules: trading.Rules = RULES,
    *,
    q25: float | None = 0.0005,
    q50: float = 0.0012,
    q75: float | None = 0.0015,
    sigma: float | None = 0.002,
    cost: float = 0.0003,
    borrow: float = 0.0,
    aligned: bool = True,
) -> dict[str, float]:
    frame = pl.DataFrame(
        {
            "q25": [q25],
            "q50": [q50],
            "q75": [q75],
            "sigma": [sigma],
            "round_trip": [cost],
            "borrow": [borrow],
            "impact": [0.0],
            "label_aligned": [aligned],
        },
        schema_overrides={"q25": pl.Float64, "q75": pl.Float64, "sigma": pl.Float64},
    ).with_columns(side=trading.side(rules), size=trading.size(rules), last_price=pl.lit(100.0))
    frame = frame.with_columns(ev=trading.expected_value(rules)).with_columns(reason=trading.no_signal(rules))
    row = frame.row(0, named=True)
    return row | {"traded": row["reason"] is None}


def test_the_sprint_rule_asks_the_lower_quartile_to_clear_the_cost() -> None:
    assert judged(SPRINT, q25=0.00031)["side"] == 1
    assert judged(SPRINT, q25=0.0003)["side"] == 0
    assert judged(SPRINT, q25=-0.0015, q50=-0.001, q75=-0.00031)["side"] == -1
    assert judged(SPRINT, q25=-0.0015, q50=-0.001, q75=-0.0003)["side"] == 0


def test_nothing_is_traded_on_a_sigma_of_nothing() -> None:
    unbounded = replace(SPRINT, suppress_wide=False)
    assert judged(unbounded, q50=0.0010)["traded"]
    assert not judged(unbounded, q50=0.0010, sigma=0.0)["traded"]


def test_the_sprint_rule_asks_the_median_to_reach_k_sigma() -> None:
    assert judged(SPRINT, q50=0.0010)["side"] == 1
    assert judged(SPRINT, q50=0.00099)["side"] == 0


def test_the_enhancement_rule_asks_for_the_sign_alone_and_to_exceed_k_sigma() -> None:
    assert judged(q25=0.00001, q50=0.00101)["side"] == 1
    assert judged(q25=0.00001, q50=0.00100)["side"] == 0
    assert judged(q25=0.0)["side"] == 0
    assert judged(q25=-0.002, q50=-0.00101, q75=-0.00001)["side"] == -1


def test_size_is_the_median_in_sigmas_up_to_the_cap() -> None:
    assert judged(q50=0.0010)["size"] == pytest.approx(0.5)
    assert judged(q50=0.0040)["size"] == 1.0
    assert judged(replace(RULES, cap_per_trade=0.25))["size"] == 0.25


def test_a_borrowed_share_costs_the_short_alone() -> None:
    short = {"q25": -0.0015, "q50": -0.001, "q75": -0.00031}
    assert judged(SPRINT, **short)["side"] == -1
    assert judged(SPRINT, **short, borrow=0.00001)["side"] == 0
    assert judged(SPRINT, q25=0.00031, borrow=0.001)["side"] == 1
    down = {"q25": -0.0014, "q50": -0.0012, "q75": -0.0006}
    assert judged(**down)["ev"] - judged(**down, borrow=0.0001)["ev"] == pytest.approx(0.0001)
    assert judged(borrow=0.0001)["ev"] == judged()["ev"]


def test_expected_value_pays_for_cost_and_a_quarter_of_the_half_width() -> None:
    row = judged(q25=0.0006, q50=0.0012, q75=0.0014, cost=0.0003)
    assert row["ev"] == pytest.approx(0.0012 - 0.0003 - 0.25 * 0.0004)
    short = judged(q25=-0.0014, q50=-0.0012, q75=-0.0006, cost=0.0003)
    assert short["ev"] == pytest.approx(row["ev"])


def test_an_expected_value_of_zero_or_less_is_not_traded() -> None:
    wide = {"q25": 0.0005, "q50": 0.0012, "q75": 0.0077, "cost": 0.0003}
    assert judged(**wide)["ev"] == pytest.approx(0.0)
    assert not judged(**{**wide, "q75": 0.0078})["traded"]
    assert judged(replace(RULES, require_positive_ev=False), **{**wide, "q75": 0.0078})["traded"]


def test_a_forecast_that_is_no_signal_says_the_first_reason_that_holds() -> None:
    assert judged()["reason"] is None
    assert judged(aligned=False, sigma=None)["reason"] == "unaligned"
    assert (
        judged(sigma=None)["reason"] == judged(q75=None)["reason"] == judged(sigma=float("nan"))["reason"] == "unknown"
    )
    assert judged(q25=-0.1)["reason"] == "no_direction"
    assert judged(q25=0.0005, q75=0.0086)["reason"] == "low_ev"
    assert judged(replace(RULES, require_positive_ev=False), q25=0.0005, q75=0.0086)["reason"] == "wide"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("k_sigma", -0.1),
        ("k_sigma", float("nan")),
        ("s_stop", 0.0),
        ("s_take", -1.0),
        ("s_trail", 0.0),
        ("max_open_per_symbol", 0),
        ("cap_per_trade", 0.0),
    ],
)
def test_a_rule_that_would_trade_backwards_is_refused_by_its_name(name: str, value: float) -> None:
    with pytest.raises(trading.TradingError, match=rf"trading\.{name} is .*\. Set "):
        replace(RULES, **{name: value})


def test_a_band_wider_than_four_sigma_suppresses_the_entry() -> None:
    eager = replace(RULES, require_positive_ev=False)
    assert judged(eager, q25=0.0005, q75=0.0084)["traded"]
    assert not judged(eager, q25=0.0005, q75=0.0086)["traded"]
    assert judged(replace(eager, suppress_wide=False), q25=0.0005, q75=0.0086)["traded"]


def test_what_is_unaligned_or_without_variance_or_bands_is_never_traded() -> None:
    assert judged()["traded"]
    assert not judged(aligned=False)["traded"]
    assert not judged(sigma=None)["traded"]
    assert not judged(q25=None)["traded"]
    assert not judged(q25=0.0, q50=0.0, q75=0.0)["traded"]
    assert judged(replace(RULES, max_width_sigma=None))["traded"]


def test_unknown_rule_sets_and_entries_before_the_snapshot_are_refused() -> None:
    with pytest.raises(trading.TradingError, match="Use one of enhancement, budget_sprint"):
        replace(RULES, rule_set="magic")
    with pytest.raises(trading.TradingError, match="entry_lag_bars is -1"):
        replace(RULES, entry_lag_bars=-1)


def test_the_time_stop_is_1555_or_five_minutes_before_an_early_close() -> None:
    assert trading.time_stop(RULES, calendar.session(date(2025, 1, 2))) == datetime(2025, 1, 2, 20, 55, tzinfo=UTC)
    assert trading.time_stop(RULES, calendar.session(date(2025, 7, 3))) == datetime(2025, 7, 3, 16, 55, tzinfo=UTC)
    noon = replace(RULES, time_stop_et=time(12, 0))
    assert trading.time_stop(noon, calendar.session(date(2025, 7, 3))) == datetime(2025, 7, 3, 16, 0, tzinfo=UTC)


@given(st.floats(0.0001, 0.01), st.floats(1.0, 1000.0), st.sampled_from([1, -1]))
def test_stop_and_take_stand_on_either_side_of_the_entry(sigma: float, price: float, side: int) -> None:
    level = trading.exit_prices(RULES, side=side, entry_price=price, sigma=sigma)
    assert side * level.stop < side * price < side * level.take


@given(st.floats(0, 0.01), st.floats(0, 0.01))
def test_a_stronger_median_is_never_sized_smaller(first: float, second: float) -> None:
    small, large = sorted([first, second])
    assert judged(q50=small)["size"] <= judged(q50=large)["size"] <= RULES.cap_per_trade


EDGES = (-0.02, -0.01, -0.005, 0.0, 0.005, 0.01, 0.02)
"""Values on both sides of every threshold, and on it: sigma is 0.01, a round trip 0.004 and a borrowed share 0.001."""


@pytest.mark.parametrize("rule_set", sorted(trading.RULE_SETS))
def test_what_the_docs_say_of_a_rule_set_is_what_is_entered(rule_set: str) -> None:
    rules, seen = replace(RULES, rule_set=rule_set, k_sigma=1.0), set[int]()
    for q25, q50, q75 in combinations_with_replacement(EDGES, 3):
        row = {"q25": q25, "q50": q50, "q75": q75, "sigma": 0.01, "round_trip": 0.004, "borrow": 0.001}
        side = pl.DataFrame([row]).select(trading.side(rules)).item()
        long, short = (_holds(text, {**row, "k_sigma": rules.k_sigma}) for text in trading.RULE_SETS[rule_set])
        assert side == (1 if long else -1 if short else 0), row
        seen.add(side)
    assert seen == {-1, 0, 1}


def _holds(text: str, values: dict[str, float]) -> bool:
    """Return whether the condition holds, read as a person reads it."""
    return all(eval(part, {"__builtins__": {}}, values) for part in text.split(" and "))  # noqa: S307  the docs' own text
