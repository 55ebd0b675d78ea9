"""Of several reasons not to ask the model the first in the order is told, and a breaker is asked last of all."""

from itertools import product

import numpy as np
import pytest

from timegpt_assets.core.tsfm import reasons
from timegpt_assets.core.tsfm.reasons import AskingRules, held_back, unasked
from timegpt_assets_tests.core.tsfm.asked_rows import asked

RULES = AskingRules(min_points=32, max_gap_min=60.0, min_volume_24h=5000.0)
ENOUGH = [0.4] * 32


@pytest.mark.parametrize("holds", list(product([False, True], repeat=3)))
def test_the_first_that_holds_is_told(holds: tuple[bool, bool, bool]) -> None:
    few, gap, thin = holds
    market = asked(
        ENOUGH[few:], longest_gap_min=61.0 if gap else 60.0, liquidity_bucket="LOW" if thin else "MID", volume_24h=None
    )
    order = ("too_few_points", "max_gap_exceeded", "baseline_only_liquidity_bucket")
    assert unasked(market, RULES) == next((name for name, is_so in zip(order, holds, strict=True) if is_so), None)


@pytest.mark.parametrize(
    ("bucket", "volume", "reason"),
    [
        ("LOW", 1e6, "baseline_only_liquidity_bucket"),
        ("MID", 4999.99, "baseline_only_liquidity_bucket"),
        ("MID", 5000.0, None),
        ("UNKNOWN", None, None),
    ],
)
def test_thin_markets_are_not_asked_of_and_untold_volume_is_not_thin(
    bucket: str, volume: float | None, reason: str | None
) -> None:
    assert unasked(asked(ENOUGH, liquidity_bucket=bucket, volume_24h=volume), RULES) == reason


@pytest.mark.parametrize(("gap", "reason"), [(59.0, None), (60.0, None), (61.0, "max_gap_exceeded")])
def test_an_hour_is_allowed_and_no_more(gap: float, reason: str | None) -> None:
    assert unasked(asked(ENOUGH, longest_gap_min=gap), RULES) == reason


@pytest.mark.parametrize("gap", [np.inf, np.nan])
def test_a_gap_that_is_no_number_is_too_long(gap: float) -> None:
    assert unasked(asked(ENOUGH, longest_gap_min=gap), RULES) == "max_gap_exceeded"


def test_holes_are_no_points() -> None:
    assert unasked(asked([*ENOUGH[1:], *[np.nan] * 10]), RULES) == "too_few_points"


def test_a_probe_is_not_spent_while_the_server_is_degraded() -> None:
    spent = list[str]()

    def may_ask() -> bool:
        spent.append("probe")
        return False

    assert held_back(lambda: True, may_ask) == "degradation_baseline_only"
    assert not spent
    assert held_back(lambda: False, may_ask) == "circuit_breaker_open"
    assert held_back(lambda: False, lambda: True) is None


def test_errors_have_their_kind_behind_a_colon() -> None:
    assert reasons.model_error("timeout") == "tollama_error:timeout"
    assert reasons.baseline_error("no_price") == "baseline_error:no_price"
    assert reasons.is_model_error("tollama_error:dns")
    assert not reasons.is_model_error("circuit_breaker_open")
    assert not reasons.is_model_error(None)
