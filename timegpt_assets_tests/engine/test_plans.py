"""Plans: closures follow the graph, launches cover exactly what is needed and never touch what is not."""

from datetime import date

import pytest
from dagster import AssetKey
from hypothesis import given
from hypothesis import strategies as st

from timegpt_assets.core import calendar
from timegpt_assets.engine.plans import Cell, Shape, closures, launches

A, B, C, D = (AssetKey(name) for name in "ABCD")
DAYS = [s.day for s in calendar.sessions(date(2025, 1, 13), date(2025, 1, 31))]
SYMBOLS = ["AAPL", "META", "MSFT", "SPY"]


def shape(kind: str, *deps: AssetKey) -> Shape:
    return Shape(kind=kind, deps=frozenset(deps))


def grid(days, symbols) -> set[Cell]:
    return {Cell(day, symbol) for day in days for symbol in symbols}


def test_every_asset_runs_after_what_it_reads_in_runs_of_one_kind():
    graph = {
        A: shape("day_symbol"),
        B: shape("trading_day", A),
        C: shape("day_symbol", A, B),
        D: shape("day_symbol", C),
    }
    assert closures(graph) == [(A,), (B,), (C, D)]


def test_the_paid_asset_runs_alone():
    graph = {A: shape("trading_day"), B: shape("trading_day", A), C: shape("trading_day", B)}
    assert closures(graph, alone={B}) == [(A,), (B,), (C,)]


def test_a_cycle_is_refused_by_name():
    with pytest.raises(ValueError, match="A, B read each other"):
        closures({A: shape("day_symbol", B), B: shape("day_symbol", A)})


def test_equal_needs_of_one_rectangle_are_one_launch():
    needed = {A: grid(DAYS, SYMBOLS), B: grid(DAYS, SYMBOLS)}
    (launch,) = launches((A, B), needed, symbols=SYMBOLS)
    assert launch.assets == (A, B)
    assert (launch.first, launch.last) == ("2025-01-13|AAPL", "2025-01-31|SPY")


def test_a_day_that_is_there_is_never_inside_a_range():
    needed = {A: grid([d for d in DAYS if d != date(2025, 1, 21)], SYMBOLS)}
    found = launches((A,), needed, symbols=SYMBOLS)
    assert [(x.first[:10], x.last[:10]) for x in found] == [("2025-01-13", "2025-01-17"), ("2025-01-22", "2025-01-31")]


def test_symbols_that_are_no_neighbours_are_launched_asset_by_asset():
    cells = grid(DAYS[:2], ["AAPL", "SPY"])
    found = launches((A, B), {A: cells, B: cells}, symbols=SYMBOLS)
    assert [(x.assets, x.first[11:]) for x in found] == [((A,), "AAPL"), ((A,), "SPY"), ((B,), "AAPL"), ((B,), "SPY")]


def test_the_paid_asset_is_cut_into_blocks_of_days():
    needed = {A: {Cell(day) for day in DAYS[:7]}}
    found = launches((A,), needed, symbols=SYMBOLS, max_days=3)
    assert [len(x.cells) for x in found] == [3, 3, 1]


def test_months_follow_each_other():
    needed = {A: {Cell(date(2025, m, 1)) for m in (1, 2, 4)}}
    assert [len(x.cells) for x in launches((A,), needed, symbols=SYMBOLS)] == [2, 1]


@given(st.sets(st.tuples(st.sampled_from(DAYS), st.sampled_from(SYMBOLS)), min_size=1))
def test_launches_cover_each_needed_cell_once_and_dagster_ranges_hold_nothing_else(chosen):
    needed = {A: {Cell(*c) for c in chosen}}
    found = launches((A,), needed, symbols=SYMBOLS)
    assert sorted(c for x in found for c in x.cells) == sorted(needed[A])
    for launch in found:
        first, last = min(launch.cells), max(launch.cells)
        days = [d for d in DAYS if first.day <= d <= last.day]
        symbols = SYMBOLS[SYMBOLS.index(first.symbol) : SYMBOLS.index(last.symbol) + 1]
        assert set(launch.cells) == grid(days, symbols)
