"""Plans: closures follow the graph, range runs cover exactly what is needed and never touch what is not."""

from datetime import date, timedelta

import pytest
from dagster import AssetKey
from hypothesis import given
from hypothesis import strategies as st

from timegpt_assets.config.settings import load_settings
from timegpt_assets.core import calendar
from timegpt_assets.engine.axes import AXES, MONTHS, SESSIONS, UTC_DAYS, UTC_MONTHS
from timegpt_assets.engine.plans import AssetNode, PartitionRef, closures, kind_of, range_runs, strata
from timegpt_assets.partitions import grid as grid_of

A, B, C, D, E, F = (AssetKey(name) for name in "ABCDEF")
DAYS = [s.day for s in calendar.sessions(date(2025, 1, 13), date(2025, 1, 31))]
SYMBOLS = ["AAPL", "META", "MSFT", "SPY"]


@pytest.fixture
def utc_grid():
    made = grid_of(load_settings(profile="demo", config_dir=None, environment={}))
    return {kind: getattr(made, kind) for kind in AXES}


def node(kind: str, *deps: AssetKey) -> AssetNode:
    return AssetNode(kind=kind, deps=frozenset(deps))


def grid(days, symbols) -> set[PartitionRef]:
    return {PartitionRef(day, symbol) for day in days for symbol in symbols}


def test_every_asset_runs_after_what_it_reads_in_runs_of_one_kind():
    graph = {
        A: node("day_symbol"),
        B: node("trading_day", A),
        C: node("day_symbol", A, B),
        D: node("day_symbol", C),
    }
    assert closures(graph) == [(A,), (B,), (C, D)]


def test_the_paid_asset_runs_alone():
    graph = {A: node("trading_day"), B: node("trading_day", A), C: node("trading_day", B)}
    assert closures(graph, alone={B}) == [(A,), (B,), (C,)]


@pytest.mark.parametrize("planned", [closures, strata])
def test_a_cycle_is_refused_by_name(planned):
    with pytest.raises(ValueError, match="A, B read each other"):
        planned({A: node("day_symbol", B), B: node("day_symbol", A)})


def test_days_and_months_take_turns_and_each_stands_as_low_as_what_it_reads_allows():
    graph = {
        A: node("day_symbol"),
        B: node("month", A),
        C: node("month", B),
        D: node("trading_day", C),
        E: node("month", D, C),
        F: node("day_symbol", A),
    }
    assert [set(level) for level in strata(graph)] == [{A, F}, {B, C}, {D}, {E}]


def test_without_a_month_below_a_day_there_are_the_days_and_then_the_months():
    graph = {A: node("day_symbol"), B: node("month", A), C: node("trading_day", A), D: node("month", B, C)}
    assert [set(level) for level in strata(graph)] == [{A, C}, {B, D}]
    assert [set(level) for level in strata({B: graph[B]})] == [set(), {B}], "a month is no day, whatever stands below"
    assert strata({}) == []


def test_equal_needs_of_one_rectangle_are_one_launch():
    needed = {A: grid(DAYS, SYMBOLS), B: grid(DAYS, SYMBOLS)}
    (range_run,) = range_runs((A, B), needed, axis=SESSIONS, symbols=SYMBOLS)
    assert range_run.assets == (A, B)
    assert (range_run.first, range_run.last) == ("2025-01-13|AAPL", "2025-01-31|SPY")


def test_a_day_that_is_there_is_never_inside_a_range():
    needed = {A: grid([d for d in DAYS if d != date(2025, 1, 21)], SYMBOLS)}
    found = range_runs((A,), needed, axis=SESSIONS, symbols=SYMBOLS)
    assert [(x.first[:10], x.last[:10]) for x in found] == [("2025-01-13", "2025-01-17"), ("2025-01-22", "2025-01-31")]


def test_symbols_that_are_no_neighbours_are_launched_asset_by_asset():
    partitions = grid(DAYS[:2], ["AAPL", "SPY"])
    found = range_runs((A, B), {A: partitions, B: partitions}, axis=SESSIONS, symbols=SYMBOLS)
    assert [(x.assets, x.first[11:]) for x in found] == [((A,), "AAPL"), ((A,), "SPY"), ((B,), "AAPL"), ((B,), "SPY")]


def test_the_paid_asset_is_cut_into_blocks_of_days():
    needed = {A: {PartitionRef(day) for day in DAYS[:7]}}
    found = range_runs((A,), needed, axis=SESSIONS, symbols=SYMBOLS, max_days=3)
    assert [len(x.partitions) for x in found] == [3, 3, 1]


def test_sessions_on_the_first_of_two_months_do_not_follow_each_other():
    firsts = [date(2025, month, 1) for month in (4, 5)]
    found = range_runs((A,), {A: grid(firsts, SYMBOLS)}, axis=SESSIONS, symbols=SYMBOLS)
    assert [x.first[:10] for x in found] == ["2025-04-01", "2025-05-01"]


def test_months_follow_each_other():
    needed = {A: {PartitionRef(date(2025, m, 1)) for m in (1, 2, 4)}}
    assert [len(x.partitions) for x in range_runs((A,), needed, axis=MONTHS, symbols=SYMBOLS)] == [2, 1]


@given(st.sets(st.tuples(st.sampled_from(DAYS), st.sampled_from(SYMBOLS)), min_size=1))
def test_launches_cover_each_needed_cell_once_and_dagster_ranges_hold_nothing_else(chosen):
    needed = {A: {PartitionRef(*c) for c in chosen}}
    found = range_runs((A,), needed, axis=SESSIONS, symbols=SYMBOLS)
    assert sorted(c for x in found for c in x.partitions) == sorted(needed[A])
    for range_run in found:
        first, last = min(range_run.partitions), max(range_run.partitions)
        days = [d for d in DAYS if first.day <= d <= last.day]
        symbols = SYMBOLS[SYMBOLS.index(first.symbol) : SYMBOLS.index(last.symbol) + 1]
        assert set(range_run.partitions) == grid(days, symbols)


UTC_WEEK = [date(2025, 1, 15) + timedelta(days=n) for n in range(7)]


def test_a_range_of_utc_days_runs_through_a_weekend_and_a_holiday_as_one():
    needed = {A: grid(UTC_WEEK, [""]), B: grid(UTC_WEEK, [""])}
    assert [r.partitions for r in range_runs((A, B), needed, axis=UTC_DAYS, symbols=[])] == [frozenset(needed[A])]
    ends = {A: grid([UTC_WEEK[0], *UTC_WEEK[2:]], [""])}
    assert [(r.first, r.last) for r in range_runs((A,), ends, axis=UTC_DAYS, symbols=[])] == [
        ("2025-01-15", "2025-01-15"), ("2025-01-17", "2025-01-21"),
    ]  # fmt: skip


def test_utc_days_and_their_months_are_strata_of_their_own_kinds_and_no_run_mixes_them_with_sessions():
    graph = {A: node("trading_day"), B: node("utc_day"), C: node("utc_month", B), D: node("month", A)}
    assert [set(level) for level in strata(graph)] == [{A, B}, {C, D}]
    assert {*closures(graph)} == {(A,), (B,), (C,), (D,)}
    assert [graph[key].is_monthly for key in (A, B, C, D)] == [False, False, True, True]
    assert [graph[key].is_utc for key in (A, B, C, D)] == [False, True, True, False]
    assert node("utc_month").partitions(UTC_WEEK, []) == {PartitionRef(date(2025, 1, 1))}


@given(st.sampled_from(UTC_WEEK), st.integers(0, 9))
def test_what_lies_before_a_utc_day_is_every_day_and_before_a_session_every_session(day, count):
    first = date(2025, 1, 13)
    assert UTC_DAYS.before(day, count, first) == [
        d for n in range(count, 0, -1) if (d := day - timedelta(days=n)) >= first
    ]
    if day in DAYS:
        assert SESSIONS.before(day, count, first) == [d for d in DAYS if d < day][-count or len(DAYS) :]
    assert UTC_MONTHS.before(date(2025, 1, 1), 2, date(2024, 11, 1)) == [date(2024, 11, 1), date(2024, 12, 1)]


def test_the_kind_of_an_asset_is_told_by_its_partitions_and_their_zone(utc_grid):
    assert {kind: kind_of(partitions) for kind, partitions in utc_grid.items()} == {kind: kind for kind in AXES}
