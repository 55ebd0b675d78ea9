"""Shares and the percentile are of the last minutes, whatever the load, and the same as over the whole list."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timegpt_assets.serving.tsfm.windows import MOST_LATENCIES, Window


def test_what_is_older_than_the_window_counts_no_more() -> None:
    clock = [0.0]
    window = Window(600, lambda: clock[0])
    window.add(made=1, fallback=1)
    clock[0] = 590
    window.add(made=3)
    assert window.share("fallback", "made") == 0.25
    clock[0] = 600
    assert window.share("fallback", "made") == 0
    clock[0] = 1200
    assert math.isnan(window.share("fallback", "made"))
    assert math.isnan(window.p95("request"))


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=300))
def test_the_percentile_is_the_lowest_that_95_of_100_stay_within(latencies: list[float]) -> None:
    window = Window(600, lambda: 0.0)
    for one in latencies:
        window.took("request", one)
    assert window.count("request") == len(latencies)
    assert window.p95("request") == np.quantile(latencies, 0.95, method="inverted_cdf")


def test_a_crowd_takes_no_more_memory_and_moves_the_percentile_little() -> None:
    window = Window(600, lambda: 0.0)
    for n in range(40_000):
        window.took("request", float(n % 1000))
    assert len(window._slots[0].latencies["request"].kept) <= MOST_LATENCIES
    assert window.count("request") == 40_000
    assert window.p95("request") == pytest.approx(950, abs=30)


def test_a_latency_of_a_crowd_stands_for_those_left_out_beside_it() -> None:
    clock = [0.0]
    window = Window(600, lambda: clock[0])
    for _ in range(40_000):
        window.took("request", 1.0)
    clock[0] = 60.0
    for _ in range(100):
        window.took("request", 900.0)
    assert window.p95("request") == 1.0
