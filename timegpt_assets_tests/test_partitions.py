"""Partitions: the grid is the exchange's calendar, and windows count sessions."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from timegpt_assets.config.settings import load_settings
from timegpt_assets.core import calendar
from timegpt_assets.partitions import (
    Grid,
    by_day,
    day_window,
    days_of,
    grid,
    month_window,
    months_of,
    own_symbol_window,
    symbols,
    symbols_of,
)
from timegpt_assets_tests.roads import SMALL, sessions

pytestmark = [
    pytest.mark.filterwarnings("ignore::dagster.BetaWarning"),
    pytest.mark.filterwarnings("ignore::dagster.PreviewWarning"),
]


@cache
def small(*overrides: str) -> Grid:
    return grid(load_settings(profile="demo", config_dir=None, overrides=[*SMALL, *overrides], environment={}))


def upstream(mapping, of, upstream_of, *keys: str) -> set[str]:
    """Return the upstream keys of these partitions."""
    subset = of.empty_subset().with_partition_keys(keys)
    found = mapping.get_upstream_mapped_partitions_result_for_partitions(subset, of, upstream_of)
    return set(found.partitions_subset.get_partition_keys())


def test_the_trading_days_are_the_sessions_of_the_exchange_over_two_years_of_holidays_and_clock_changes():
    found = small("data.start_date=2023-01-03", "data.end_date=2024-12-31")
    expected = [str(day) for day in sessions(found.first_day, date(2024, 12, 31))]
    assert list(found.trading_day.get_partition_keys()) == expected
    assert len(expected) > 500


def test_each_day_is_followed_by_the_next_session():
    days = small().trading_day
    window = days.time_window_for_partition_key("2025-01-17")
    assert window.start.astimezone(ZoneInfo(calendar.ZONE)).date() == date(2025, 1, 17)
    assert days.get_next_partition_key("2025-01-17") == "2025-01-21", "a weekend and a holiday lie between"


def test_the_grid_begins_one_session_before_the_first_month():
    assert small().first_day == date(2024, 12, 31)
    assert small("data.start_date=2025-01-21").first_day == date(2024, 12, 31)
    assert small().trading_day.get_first_partition_key() == "2024-12-31"
    assert list(small().month.get_partition_keys()) == ["2025-01-01", "2025-02-01"]


def test_an_open_grid_ends_today_and_holds_the_open_month():
    found = small("data.end_date=null")
    newest = date.fromisoformat(found.trading_day.get_last_partition_key())
    today = dg.DailyPartitionsDefinition(start_date="2025-01-01", timezone=calendar.ZONE, end_offset=1)
    assert newest >= date.fromisoformat(today.get_last_partition_key())
    assert found.month.get_last_partition_key() >= today.get_last_partition_key()[:7] + "-01"


@pytest.mark.parametrize("ahead", [-40, -1, 0, 1, 40])
def test_a_grid_that_ends_today_or_later_holds_today_and_one_that_ended_holds_no_day_after(ahead):
    today = datetime.now(ZoneInfo(calendar.ZONE)).date()
    last = today + timedelta(days=ahead)
    found = small(f"data.end_date={last}", "data.start_date=2025-01-02")
    newest = min(last, today)
    expected = sessions(date(2025, 1, 2), newest)[-1]
    after = calendar.shifted(expected, 1)  # on a day without a session Dagster offers the next one already
    offered = {expected, after} if expected < today and after <= last else {expected}
    assert date.fromisoformat(found.trading_day.get_last_partition_key()) in offered
    assert found.trading_day.has_partition_key(f"{expected}")
    assert found.month.get_last_partition_key() == f"{newest:%Y-%m}-01"


def test_a_symbol_that_is_forecast_and_context_is_one_partition():
    settings = load_settings(
        profile="demo", config_dir=None, overrides=["universe.tickers=[SPY, AAPL]"], environment={}
    )
    assert symbols(settings) == ("AAPL", "QQQ", "SPY")


def test_the_grid_is_days_times_symbols():
    keys = small().day_symbol.get_partition_keys()
    assert len(keys) == 5 * len(small().trading_day.get_partition_keys())
    assert "2025-01-17|SPY" in keys


def test_a_window_of_its_own_symbol_counts_sessions_across_a_weekend_and_a_holiday():
    found = upstream(own_symbol_window(-2, 0), small().day_symbol, small().day_symbol, "2025-01-22|AAPL")
    assert found == {"2025-01-17|AAPL", "2025-01-21|AAPL", "2025-01-22|AAPL"}


def test_a_window_of_days_leaves_out_its_embargo():
    found = upstream(day_window(-3, -2), small().trading_day, small().trading_day, "2025-01-23")
    assert found == {"2025-01-17", "2025-01-21"}


def test_a_window_is_clipped_at_the_first_day_of_the_grid():
    found = upstream(day_window(-4), small().trading_day, small().trading_day, "2025-01-03")
    assert found == {"2024-12-31", "2025-01-02", "2025-01-03"}


def test_the_day_and_its_symbols_map_to_each_other_both_ways():
    found = small()
    assert upstream(by_day(), found.day_symbol, found.trading_day, "2025-01-22|AAPL") == {"2025-01-22"}
    assert len(upstream(by_day(), found.trading_day, found.day_symbol, "2025-01-22")) == 5


def test_a_month_window_holds_every_session_of_the_month_and_of_those_before_it():
    found = small()
    days = upstream(month_window(1), found.month, found.trading_day, "2025-02-01")
    assert {str(day) for day in sessions(date(2025, 1, 2), date(2025, 2, 28))} <= days
    january = upstream(month_window(12), found.month, found.trading_day, "2025-01-01")
    assert {str(day) for day in calendar.month_sessions("2025-01")} <= january, "clipped at the grid's first day"


def test_keys_are_read_back_as_days_symbols_and_months_sorted_each_once():
    keys = ["2025-01-22|MSFT", "2025-01-21|MSFT", "2025-01-22|AAPL"]
    assert days_of(keys) == [date(2025, 1, 21), date(2025, 1, 21) + timedelta(days=1)]
    assert days_of(["2025-01-22"]) == [date(2025, 1, 22)]
    assert symbols_of(keys) == ["AAPL", "MSFT"]
    assert months_of(["2025-02-01", "2025-01-01"]) == ["2025-01", "2025-02"]


def test_utc_days_are_every_day_and_their_windows_count_days_over_weekends_and_the_new_year():
    found = small("tsfm.start_date=2025-11-20", "tsfm.end_date=2026-01-10")
    assert len(found.utc_day.get_partition_keys()) == 52
    assert found.utc_day.get_last_partition_key() == "2026-01-10"
    assert [str(found.utc_day.timezone), str(found.utc_month.timezone)] == ["UTC", "UTC"]
    assert list(found.utc_month.get_partition_keys()) == ["2025-11-01", "2025-12-01", "2026-01-01"]
    before = upstream(day_window(-14, -1), found.utc_day, found.utc_day, "2026-01-02")
    assert before == {str(date(2026, 1, 2) - timedelta(days=n)) for n in range(1, 15)}
    assert upstream(day_window(-14, -1), found.utc_day, found.utc_day, "2025-11-20") == set()


def test_a_utc_month_reads_its_days_as_far_as_the_grid_has_them_and_the_open_one_today():
    found = small("tsfm.start_date=2025-11-20", "tsfm.end_date=2026-01-10")
    november = upstream(month_window(0), found.utc_month, found.utc_day, "2025-11-01")
    assert november == {f"2025-11-{day}" for day in range(20, 31)}
    assert len(upstream(month_window(0), found.utc_month, found.utc_day, "2026-01-01")) == 10
    opened = small("tsfm.start_date=2025-11-20", "tsfm.end_date=null")
    today = datetime.now(UTC).date()
    assert opened.utc_day.get_last_partition_key() in (f"{today}", f"{datetime.now(UTC).date()}")
    assert opened.utc_month.get_last_partition_key()[:7] == opened.utc_day.get_last_partition_key()[:7]
