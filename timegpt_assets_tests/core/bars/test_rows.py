"""What becomes of each delivered row, which moves are far out, and which highs and lows stand alone."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from timegpt_assets.core import calendar
from timegpt_assets.core.bars import rows as bars
from timegpt_assets.core.bars.quality_rules import QualityPolicy

DAY, OPEN = date(2025, 1, 2), datetime(2025, 1, 2, 14, 30, tzinfo=UTC)
POLICY = QualityPolicy(auction_open="merge", auction_close="merge")
MORNING, EVENING = -1, 390
"""Minutes from the open at which crosses stand."""


def placed(*minutes: float | tuple[float, dict[str, Any]], policy: QualityPolicy = POLICY) -> pl.DataFrame:
    """Return the rows delivered at so many minutes from the open, as they are placed."""
    given = [minute if isinstance(minute, tuple) else (minute, {}) for minute in minutes]
    raw = [
        {"day": DAY, "symbol": "A", "ts": OPEN + timedelta(minutes=minute), "row": n, "open": 10.0, "high": 11.0,
         "low": 9.0, "close": 10.0, "volume": 100.0} | values
        for n, (minute, values) in enumerate(given)
    ]  # fmt: skip
    schema = {"day": pl.Date, "symbol": pl.String, "ts": pl.Datetime("us", "UTC"), "row": pl.Int64}
    frame = pl.DataFrame(raw, schema_overrides=schema | dict.fromkeys(("open", "high", "low", "close"), pl.Float64))
    return bars.placed(frame, calendar.sessions_frame([DAY]), policy)


def classes(*minutes: float | tuple[float, dict[str, Any]], policy: QualityPolicy = POLICY) -> list[str]:
    return placed(*minutes, policy=policy)["row_class"].to_list()


def test_a_row_is_of_the_session_a_cross_or_outside() -> None:
    assert classes(MORNING, 0, 389, EVENING) == ["auction", "session", "session", "auction"]
    assert classes(0.5, -0.5, 390.5) == ["outside", "off_minute", "outside"]
    dropped = QualityPolicy(auction_open="drop", auction_close="drop")
    assert classes(MORNING, 0, EVENING, policy=dropped) == ["outside", "session", "outside"]
    # A day with any earlier or later row is of a feed of extended hours: no crosses.
    assert classes(-2, MORNING, 0) == ["outside", "outside", "session"]
    assert classes(389, EVENING, 391) == ["session", "outside", "outside"]


def test_a_cross_goes_to_the_first_or_last_minute() -> None:
    found = placed(MORNING, 5, EVENING)
    assert [(at - OPEN) // timedelta(minutes=1) for at in found["minute"]] == [0, 5, 389]


@pytest.mark.parametrize(
    ("values", "possible"),
    [
        ({}, True), ({"open": 11.0, "close": 9.0}, True), ({"high": 10.0, "low": 10.0}, True), ({"volume": 0.0}, True),
        ({"volume": -1.0}, False), ({"low": 0.0}, False), ({"low": 10.1}, False), ({"high": 9.9}, False),
        ({"close": None}, False), ({"close": float("nan")}, False), ({"high": float("inf")}, False),
        ({"open": 8.9}, False), ({"close": 11.1}, False), ({"open": 0.1, "low": 0.1}, True),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_is_broken(values: dict[str, Any], possible: bool) -> None:
    assert classes((3, values)) == ["session" if possible else "broken"]


def test_later_rows_of_a_minute_repeat_or_contradict_the_first() -> None:
    assert classes(3, 3, (3, {"volume": 7.0}), 4) == ["session", "duplicate", "conflict", "session"]
    assert classes((3, {"low": -1.0}), 3) == ["broken", "session"], "a broken row is no first one"


def test_a_cross_joins_its_minute_and_its_volume_counts_where_the_policy_merges() -> None:
    cross = {"open": 8.0, "high": 12.0, "low": 8.0, "close": 12.0, "volume": 50.0}
    for chosen, volume in (("merge", 150.0), ("keep", 100.0)):
        policy = QualityPolicy(auction_open=chosen, auction_close=chosen)
        rows = placed((MORNING, cross), 0, 389, (EVENING, cross), policy=policy)
        first, last = bars.printed(rows, policy, lone=pl.DataFrame()).sort("ts").rows(named=True)
        assert [first[n] for n in ("open", "high", "low", "close", "volume")] == [8.0, 12.0, 8.0, 10.0, volume]
        assert [last[n] for n in ("open", "high", "low", "close", "volume")] == [10.0, 12.0, 8.0, 12.0, volume]


def closes(*values: float, wide: dict[int, dict[str, float]] | None = None) -> pl.DataFrame:
    """Return a session's rows with these closes, each minute as narrow as can be but those of ``wide``."""
    changes = wide or {}
    return placed(*((n, dict.fromkeys(("open", "high", "low", "close"), close) | changes.get(n, {}))
                    for n, close in enumerate(values)))  # fmt: skip


def far_out(frame: pl.DataFrame, z: float) -> list[int]:
    policy = QualityPolicy(outlier_z=z, tick_size=0.01)
    return frame.with_columns(out=bars.is_outlier(policy)).with_row_index("n").filter("out")["n"].to_list()


def test_a_price_that_stands_still_moves_by_ticks() -> None:
    """A tick of 0.01 on 100 is 1e-4: robust sigmas are 1.4826 of it; under a dollar a tick is a hundredth."""
    still = closes(*[100.0] * 8, 100.15, *[100.15] * 8)
    assert far_out(still, 10.0) == [8]
    assert far_out(still, 10.2) == []
    cheap = closes(*[0.5] * 8, 0.505, *[0.505] * 8)
    assert far_out(cheap, 20.0) == [8]
    dollar = closes(*[1.0] * 8, 1.1, *[1.0] * 8)
    assert far_out(dollar, 7.0) == [], "at a dollar a tick is a cent"


def test_a_trend_is_no_outlier() -> None:
    trend = closes(*[100.0 * 1.01**n for n in range(20)])
    assert far_out(trend, 3.0) == []


def alone(frame: pl.DataFrame) -> list[int]:
    policy = QualityPolicy(max_wick=0.01, wick_moves=5.0)
    found = bars.wicks(frame.sort("ts"), policy)
    return [int((at - OPEN) / timedelta(minutes=1)) for at in found["ts"]]


def test_a_high_or_low_is_alone_beyond_both_closes_by_the_wick_and_the_moves_of_the_last_half_hour() -> None:
    level = [100.0] * 5
    assert alone(closes(*level, wide={3: {"high": 101.1}})) == [3]
    assert alone(closes(*level, wide={3: {"low": 98.9}})) == [3]
    assert alone(closes(*level, wide={3: {"high": 101.0}})) == [], "a hundredth, but less in log price"
    assert alone(closes(100.0, 100.0, 101.0, 100.0, 100.0, wide={4: {"high": 104.0}})) == []
    assert alone(closes(100.0, 100.0, 101.0, 100.0, 100.0, wide={4: {"high": 106.0}})) == [4]


def test_a_first_minute_needs_more_as_nothing_stands_before_it() -> None:
    assert alone(closes(*[100.0] * 3, wide={0: {"high": 105.0}})) == []
    assert alone(closes(*[100.0] * 3, wide={0: {"high": 105.3}})) == [0]


def test_a_move_of_half_an_hour_ago_is_forgotten() -> None:
    moved = [100.0, 103.0, *[103.0] * 32]
    assert alone(closes(*moved, wide={30: {"high": 110.0}})) == []
    assert alone(closes(*moved, wide={31: {"high": 110.0}})) == [31]


def test_a_lone_print_is_held_to_the_rest_of_its_minute() -> None:
    frame = closes(*[100.0] * 4, wide={2: {"open": 120.0, "high": 120.0}, 3: {"low": 90.0}})
    lone = pl.DataFrame({"day": [DAY], "symbol": ["A"]})
    held = bars.printed(frame, POLICY, lone=lone).sort("ts")
    assert held.select("open", "high", "low", "close").rows()[2:] == [(100.0,) * 4] * 2
    kept = bars.printed(frame, QualityPolicy(wicks="keep"), lone=lone).sort("ts")
    assert kept["high"].to_list()[2] == 120.0


def test_rows_to_blame_are_listed_by_rule_and_no_more_than_asked() -> None:
    rows = placed(3, 3, 3, 3, (4, {"volume": 0.0}))
    verdicts = pl.DataFrame({"day": [DAY], "symbol": ["A"], "rules": ["duplicates,zero_volume"]})
    (found,) = bars.offenders(rows, verdicts, QualityPolicy(max_offenders=2))["offending"]
    assert found == (
        '[{"rule": "duplicates", "row": 1, "ts": "2025-01-02T14:33:00Z"}, '
        '{"rule": "duplicates", "row": 2, "ts": "2025-01-02T14:33:00Z"}, '
        '{"rule": "zero_volume", "row": 4, "ts": "2025-01-02T14:34:00Z"}]'
    )
