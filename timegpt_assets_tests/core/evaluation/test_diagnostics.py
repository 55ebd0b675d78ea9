"""What is said about a window of forecasts is what forecast.py and intervals.py measure on its rows."""

import polars as pl
from polars.testing import assert_frame_equal

from timegpt_assets.core.evaluation import forecast, intervals
from timegpt_assets.core.evaluation.diagnostics import diagnostics
from timegpt_assets_tests.core.evaluation.test_forecast import AS_OF, days, scored

ASKED = {"month": "2025-02", "as_of": AS_OF, "draws": 60}


def test_a_row_holds_what_is_measured_on_the_windows_rows() -> None:
    frame = scored(days(9))
    own = forecast.window(frame, AS_OF, 6)
    found = diagnostics(frame, lookback_sessions=6, cluster_days=2, **ASKED)  # type: ignore[arg-type]
    assert found.select("symbol", "stage").rows() == [
        (symbol, stage) for symbol in ("*", "AAA", "BBB") for stage in ("calibrated", "raw")
    ]
    row = found.filter(symbol="*", stage="raw").row(0, named=True)
    sampled = {"draws": 60, "cluster_days": 2}
    for measured in (
        forecast.summary(own, "raw"),
        intervals.means(own, "raw"),
        intervals.differences(own, "raw", **sampled),
        intervals.coverages(own, "raw", **sampled),
    ):
        assert {name: row[name] for name in measured} == measured


def test_unless_told_otherwise_each_session_is_drawn_alone() -> None:
    frame = scored(days(9))
    told = {n: diagnostics(frame, lookback_sessions=9, cluster_days=n, **ASKED) for n in (1, 2)}  # type: ignore[arg-type]
    assert_frame_equal(diagnostics(frame, lookback_sessions=9, **ASKED), told[1])  # type: ignore[arg-type]
    ends = [pl.col("rmae_diff_low"), pl.col("coverage_50_day_low")]
    assert not told[1].select(ends).equals(told[2].select(ends))
