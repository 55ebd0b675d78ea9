"""UTC days on request: which may be asked for, what they bring along, and that no session is among them."""

from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from dagster import AssetKey

from timegpt_assets.config.settings import load_settings
from timegpt_assets.core import calendar
from timegpt_assets.engine.axes import UTC_DAYS
from timegpt_assets.engine.engine import asset_nodes
from timegpt_assets.engine.plans import AssetNode
from timegpt_assets.engine.rectangles import rectangle
from timegpt_assets.engine.stages import STAGES, Refused
from timegpt_assets.engine.stale import InputWindow, input_windows
from timegpt_assets.engine.tsfm import looked_back, utc_days_asked, utc_rectangle
from timegpt_assets.partitions import graph_context
from timegpt_assets_tests.test_definitions import repository

NOW = datetime(2026, 1, 5, 0, 10, tzinfo=UTC)
SETTINGS = load_settings(profile="demo", config_dir=None, environment={})


def test_a_range_of_utc_days_holds_weekends_and_holidays_and_the_day_that_has_just_begun() -> None:
    days = utc_days_asked(SETTINGS, date(2025, 12, 24), date(2026, 1, 5), at=NOW)
    assert len(days) == 13
    assert {date(2025, 12, 25), date(2026, 1, 3), date(2026, 1, 5)} <= {*days}


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        (date(2026, 1, 5), date(2026, 1, 4), "Swap --start and --end"),
        (date(2025, 10, 31), date(2025, 11, 2), "2025-10-31 lies outside the grid of UTC days"),
        (date(2026, 1, 5), date(2026, 1, 6), "2026-01-06 lies outside .* from 2025-11-01 to 2026-01-05"),
    ],
)
def test_what_is_no_range_of_the_grid_is_refused_with_what_helps(start: date, end: date, said: str) -> None:
    with pytest.raises(Refused, match=said):
        utc_days_asked(SETTINGS, start, end, at=NOW)


def test_sessions_never_ask_for_a_table_of_utc_days() -> None:
    nodes = asset_nodes(repository())
    day = calendar.sessions(date(2025, 1, 21), date(2025, 1, 21))[0].day
    for name in STAGES["tsfm"]:
        with pytest.raises(Refused, match=f"{name} lies on UTC days.* timegpt-assets tsfm replay"):
            rectangle(graph_context(SETTINGS), nodes, days=[day], assets=[name])


def test_the_second_system_and_the_first_read_nothing_of_each_other_and_only_it_lies_on_utc_days() -> None:
    nodes = asset_nodes(repository())
    ours = {key for key, node in nodes.items() if node.is_utc}
    assert {key.path[-1] for key in ours} == {*STAGES["tsfm"]}
    assert all(key.path[0] == "tsfm" for key in ours)
    assert all((dep in ours) == (key in ours) for key, node in nodes.items() for dep in node.deps)


def test_a_day_brings_along_what_its_windows_reach_each_over_the_windows_of_what_reads_it() -> None:
    a, b, c, month = (AssetKey(["tsfm", name]) for name in ("a", "b", "c", "month"))
    nodes = {
        a: AssetNode(kind="utc_day", deps=frozenset()),
        b: AssetNode(kind="utc_day", deps=frozenset({a})),
        c: AssetNode(kind="utc_day", deps=frozenset({b, a})),
        month: AssetNode(kind="utc_month", deps=frozenset({c})),
    }
    windows = {
        (b, a): InputWindow(-1, 0),
        (c, b): InputWindow(-14, -1),
        (c, a): InputWindow(own_symbol=True),
        (month, c): InputWindow(-1, 0),
    }
    assert looked_back(nodes, windows) == {a: 15, b: 14, c: 0, month: 0}


def test_nothing_of_the_real_graph_reads_further_back_than_is_brought_along() -> None:
    nodes = {key: node for key, node in asset_nodes(repository()).items() if node.is_utc}
    windows, back = input_windows(repository()), looked_back(nodes, input_windows(repository()))
    for key, node in nodes.items():
        for dep in node.deps if not node.is_monthly else ():
            assert back[dep] >= back[key] - windows[key, dep].first
            assert list(UTC_DAYS.within(date(2026, 1, 1), windows[key, dep].first, windows[key, dep].last))


def test_a_cycle_may_leave_the_months_to_the_next_day() -> None:
    """Each of them would be read whole, every few minutes, for a few prices more."""
    engine: Any = SimpleNamespace(repository=repository())
    there = utc_rectangle(engine, SETTINGS, [date(2026, 1, 5)], force=True)
    without = utc_rectangle(engine, SETTINGS, [date(2026, 1, 5)], force=True, with_months=False)
    month = AssetKey(["tsfm", "tsfm_evaluation"])
    assert {*there.assets} - {*without.assets} == {month}
    assert month not in there.forced
    assert (without.history, without.forced) == (there.history, there.forced)
