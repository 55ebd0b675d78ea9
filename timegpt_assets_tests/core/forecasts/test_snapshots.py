"""What the schedule must say: the preset's times, none that cannot be, and a reason for each that is not asked."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timegpt_assets.core import calendar as trading_calendar
from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.forecasts.snapshots import Preset, SnapshotSpec, snapshots
from timegpt_assets.core.tables.forecasts import SNAPSHOTS

LIQUIDITY = Preset(
    name="liquidity_profile",
    times=(time(9, 45), time(10, 15), time(12), time(14), time(15, 15)),
    windows=((time(9, 40), time(15, 45)),),
    max_per_day=5,
    horizon_min=15,
)
NO_EVENTS = EventCalendar({})
WINTER, SUMMER, HALF_DAY, FOMC = date(2025, 1, 2), date(2025, 7, 1), date(2025, 7, 3), date(2025, 1, 29)
DAYS = st.integers(3, 7).map(lambda n: date(2025, 3, n)) | st.sampled_from([WINTER, SUMMER, HALF_DAY, FOMC])
TIMES = st.times(time(9, 0), time(16, 30)).map(lambda t: t.replace(second=0, microsecond=0))


def schedule(days: Iterable[date], **settings: object) -> pl.DataFrame:
    usual: dict[str, Any] = {"preset": LIQUIDITY, "horizon_min": 15, "calendar": NO_EVENTS}
    return snapshots(days, SnapshotSpec(**(usual | settings)))


def asked(days: Iterable[date], **settings: object) -> list[str]:
    return _new_york(schedule(days, **settings).filter("asked"))


def reasons(day: date, **settings: object) -> dict[str, str]:
    frame = schedule([day], **settings)
    return dict(zip(_new_york(frame), frame["reason"], strict=True))


def _new_york(frame: pl.DataFrame) -> list[str]:
    return frame["snapshot_ts"].dt.convert_time_zone("America/New_York").dt.strftime("%H:%M").to_list()


def test_the_liquidity_preset_gives_five_snapshots_a_day_winter_and_summer() -> None:
    frame = schedule([SUMMER, WINTER])
    assert frame["day"].to_list() == [WINTER] * 5 + [SUMMER] * 5
    assert frame["snapshot_ts"][0] == datetime(2025, 1, 2, 14, 45, tzinfo=UTC)
    assert frame["snapshot_ts"][5] == datetime(2025, 7, 1, 13, 45, tzinfo=UTC)
    assert (frame["target_ts"] - frame["snapshot_ts"]).unique().to_list() == [timedelta(minutes=15)]
    assert frame["asked"].all()
    assert frame["reason"].unique().to_list() == [""]


def test_an_event_day_asks_nothing_and_names_the_event_on_every_row() -> None:
    events = EventCalendar({"event_fomc": (FOMC,), "event_cpi": ()})
    said = reasons(FOMC, calendar=events, skip_events=["event_fomc", "event_cpi"])
    assert list(said.values()) == ["event_fomc"] * 5
    assert asked([FOMC], calendar=events, skip_events=["event_cpi"]) == asked([WINTER])


def test_a_snapshot_outside_the_active_windows_is_not_asked() -> None:
    preset = Preset(
        name="p", times=(time(10), time(12), time(14)), windows=((time(9, 45), time(10)), (time(14), time(15)))
    )
    assert reasons(WINTER, preset=preset) == {"10:00": "", "12:00": "outside the active windows", "14:00": ""}


def test_a_snapshot_exists_from_open_plus_horizon_to_close_minus_horizon_and_no_minute_beyond() -> None:
    preset = Preset(name="edges", times=(time(9, 44), time(9, 45), time(15, 45), time(15, 46)))
    assert reasons(WINTER, preset=preset) == {
        "09:44": "earlier than 15 minutes after the open",
        "09:45": "",
        "15:45": "",
        "15:46": "target_ts passes the close",
    }


def test_an_early_close_drops_the_afternoon() -> None:
    assert asked([HALF_DAY]) == ["09:45", "10:15", "12:00"]
    assert reasons(HALF_DAY)["14:00"] == "target_ts passes the close"


def test_the_daily_limit_counts_only_what_is_asked_and_the_total_runs_over_the_days() -> None:
    preset = Preset(name="p", times=(time(9, 31), time(10), time(11), time(12)), max_per_day=2)
    assert reasons(WINTER, preset=preset) == {
        "09:31": "earlier than 15 minutes after the open",
        "10:00": "",
        "11:00": "",
        "12:00": "over max_per_day 2",
    }
    assert asked([WINTER, SUMMER], preset=preset, max_total=3) == ["10:00", "11:00", "10:00"]
    assert asked([WINTER], max_total=0) == []


def test_a_time_given_twice_is_one_snapshot_and_order_does_not_matter() -> None:
    assert asked([WINTER], preset=Preset(name="p", times=(time(12), time(10), time(12)))) == ["10:00", "12:00"]


def test_no_days_give_no_rows_and_a_holiday_is_refused() -> None:
    empty = schedule([])
    assert empty.schema == SNAPSHOTS.schema
    with pytest.raises(trading_calendar.NotASession, match="2025-07-04"):
        asked([date(2025, 7, 4)])


@given(st.lists(DAYS, min_size=1, max_size=4), st.lists(TIMES, min_size=1, max_size=8), st.integers(1, 60))
def test_the_window_at_once_equals_day_by_day_and_whatever_is_asked_fits_the_session(
    days: list[date], times: list[time], horizon_min: int
) -> None:
    preset = Preset(name="p", times=tuple(times), max_per_day=3)
    road = SnapshotSpec(preset=preset, horizon_min=horizon_min, calendar=NO_EVENTS)
    whole = snapshots(days, road)
    assert whole.equals(pl.concat(snapshots([day], road) for day in sorted(set(days))))
    assert (whole["asked"] == (whole["reason"] == "")).all()
    assert whole.group_by("day").agg(pl.col("asked").sum())["asked"].max() <= 3
    horizon = timedelta(minutes=horizon_min)
    for row in whole.join(trading_calendar.sessions_frame(days), on="day").filter("asked").iter_rows(named=True):
        assert row["open"] + horizon <= row["snapshot_ts"] <= row["close"] - horizon


def test_a_total_is_counted_from_the_first_day_on_so_that_a_day_is_the_same_alone_and_in_a_range() -> None:
    asked = SnapshotSpec(
        preset=Preset(name="p", times=(time(10), time(11))),
        horizon_min=15,
        calendar=EventCalendar({}),
        max_total=5,
        since=date(2025, 1, 13),
    )
    days = [date(2025, 1, 13), date(2025, 1, 14), date(2025, 1, 15), date(2025, 1, 16)]
    together = snapshots(days, asked)
    assert together.group_by("day", maintain_order=True).agg(pl.col("asked").sum())["asked"].to_list() == [2, 2, 1, 0]
    assert together.filter(~pl.col("asked"))["reason"].unique().to_list() == ["over max_total 5"]
    for day in days:
        assert snapshots([day], asked).equals(together.filter(pl.col("day") == day))
