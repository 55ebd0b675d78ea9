"""TimeGPT's SDK and every free forecaster on the same minutes of real bars: one request a snapshot, rows in common."""

import os
from pathlib import Path

import polars as pl
import pytest

from timegpt_assets_tests.benchmarks.same_minutes import HISTORY, compared
from timegpt_assets_tests.real_houses import FREE, sessions

SET = "mag7_spy_2025"
DATA = Path(os.environ.get("TIMEGPT_ASSETS_REAL_DATA", ""))
pytestmark = [
    pytest.mark.skipif(not (DATA / SET).is_dir(), reason="TIMEGPT_ASSETS_REAL_DATA names no folder of real bars"),
    pytest.mark.filterwarnings("ignore:AssetExecutionContext.run_id is deprecated"),
]


@pytest.mark.timeout(1800)
def test_one_request_a_snapshot_and_everybody_is_compared_on_the_rows_in_common(tmp_path: Path) -> None:
    days = sessions(SET)[HISTORY : HISTORY + 2]
    found = compared(DATA, SET, tmp_path, days, ["AAPL", "NVDA", "SPY"])
    assert found.received == found.planned == 2 * 5
    pairs = found.comparison.filter(forecaster="timegpt")
    assert set(pairs["against"]) == set(FREE)
    assert set(pairs["n"]) == {2 * 5 * 3}
    assert set(pairs["not_common"]) == {0}
    assert set(pairs["requests"]) == {found.received}
    assert set(found.comparison.filter(pl.col("forecaster") != "timegpt")["requests"]) == {0}
