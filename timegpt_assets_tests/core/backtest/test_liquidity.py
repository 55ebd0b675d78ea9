"""Abnormal liquidity: judged by the same minute of earlier sessions, never by later ones."""

from collections.abc import Mapping
from datetime import date, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.core import calendar
from timegpt_assets.core.backtest import liquidity
from timegpt_assets.core.schema import TIME

DAY = date(2025, 3, 12)  # summer time began on the 9th: the same New York minute is another UTC minute before
FILTERS = liquidity.Filters(
    lookback_sessions=10, min_session_share=0.5, min_volume_percentile=0.1, max_range_percentile=0.99
)
DAYS = [calendar.shifted(DAY, -back) for back in range(14, -3, -1)]


def features(changes: Mapping[tuple[date, int], tuple[float | None, float]] | None = None) -> pl.DataFrame:
    """Volume 10, 11, 12 ... and range 1.0, 1.1, ... session by session, at two minutes."""
    rows = [
        (day, "AAA", calendar.session(day).open + timedelta(minutes=minute), volume, span)
        for i, day in enumerate(DAYS)
        for minute in (30, 60)
        for volume, span in [(changes or {}).get((day, minute), (10.0 + i % 7, 1.0 + i % 5 / 10))]
    ]
    schema = {
        "day": pl.Date,
        "symbol": pl.String,
        "known_at": TIME,
        "volume_norm_5m": pl.Float32,
        "range_pct": pl.Float32,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def asked(*days: date) -> pl.DataFrame:
    rows = [(day, "AAA", calendar.session(day).open + timedelta(minutes=30)) for day in days]
    return pl.DataFrame(rows, schema={"day": pl.Date, "symbol": pl.String, "snapshot_ts": TIME}, orient="row")


def judged(frame: pl.DataFrame, *days: date, filters: liquidity.Filters = FILTERS) -> list[str]:
    return liquidity.verdicts(asked(*days), frame, filters=filters)["liquidity"].to_list()


@pytest.mark.parametrize(
    ("value", "verdict"),
    [((9.0, 1.2), "thin"), ((12.0, 1.5), "wide_range"), ((12.0, 1.2), "normal"), ((9.0, 1.5), "thin")],
)
def test_too_little_volume_or_too_wide_a_range_is_abnormal(value: tuple[float, float], verdict: str) -> None:
    assert judged(features({(DAY, 30): value}), DAY) == [verdict]


def test_only_the_same_new_york_minute_of_the_sessions_before_is_compared() -> None:
    base = features({(DAY, 30): (9.0, 1.2)})
    later = {(calendar.shifted(DAY, 1), 30): (0.0, 0.0), (calendar.shifted(DAY, -11), 30): (0.0, 0.0)}
    elsewhere = {(day, 60): (0.0, 0.0) for day in DAYS}
    assert judged(features({(DAY, 30): (9.0, 1.2)} | later | elsewhere), DAY) == judged(base, DAY) == ["thin"]
    earlier = {(calendar.shifted(DAY, -back), 30): (1.0, 1.2) for back in (1, 2)}
    assert judged(features({(DAY, 30): (9.0, 1.2)} | earlier), DAY) == ["normal"]


def test_a_session_without_the_minute_is_left_out_and_turns_nothing_off() -> None:
    frame = features({(DAY, 30): (9.0, 1.2)})
    holes = [calendar.shifted(DAY, -back) for back in (1, 4, 6, 7, 9)]
    gone = frame.filter(~pl.col("day").is_in(holes))
    assert judged(gone, DAY) == ["thin"]
    null = features({(DAY, 30): (9.0, 1.2)} | {(day, 30): (None, 1.2) for day in holes})
    assert judged(null, DAY) == ["thin"]


def test_too_few_sessions_are_said_and_never_taken_for_normal() -> None:
    frame = features({(DAY, 30): (12.0, 1.2)})
    holes = [calendar.shifted(DAY, -back) for back in (1, 3, 4, 6, 7, 9)]
    assert judged(frame.filter(~pl.col("day").is_in(holes)), DAY) == ["liquidity_unknown"]
    assert judged(features({(DAY, 30): (None, 1.2)}), DAY) == ["liquidity_unknown"]
    assert judged(features().clear(), DAY) == ["liquidity_unknown"]
    one = liquidity.Filters(
        lookback_sessions=1, min_session_share=0.0, min_volume_percentile=0.1, max_range_percentile=0.99
    )
    assert judged(features({(DAY, 30): (9.0, 1.2)}), DAY, filters=one) == ["thin"]
    assert judged(frame.filter(pl.col("day") == DAY), DAY, filters=one) == ["liquidity_unknown"]


def test_day_by_day_equals_all_at_once() -> None:
    days = DAYS[10:15]
    frame = features({(day, 30): (9.0, 1.2) for day in days[::2]})
    whole = liquidity.verdicts(asked(*days), frame, filters=FILTERS)
    parts = [liquidity.verdicts(asked(day), frame.filter(pl.col("day") <= day), filters=FILTERS) for day in days]
    assert_frame_equal(pl.concat(parts), whole)
    assert set(whole["liquidity"]) == {"thin", "normal"}
