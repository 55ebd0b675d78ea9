"""History in bulk: one cross-validation answers every snapshot of a session, and its rows say so."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import polars as pl
import pytest

from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.forecasts import bulk, snapshots
from timegpt_assets.core.forecasts.framing import Frame
from timegpt_assets.core.forecasts.snapshots import Preset
from timegpt_assets.engine.call_budget import budget_planner
from timegpt_assets.engine.engine import RunFailed
from timegpt_assets_tests.adapters.timegpt.paid_calls import frame, timegpt
from timegpt_assets_tests.engine.test_call_budget import house
from timegpt_assets_tests.markets import DAYS
from timegpt_assets_tests.servers.timegpt import Fault, TimeGPTServer

BULK = ("forecast.history_mode=cross_validation", "forecast.snapshot_preset=liquidity_profile")
DAY = [DAYS[2]]
VALUES = ["mean", *(f"{side}_{level}" for side in ("lo", "hi") for level in (50, 80, 95))]
KEY = ["snapshot_ts", "symbol", "step"]


@pytest.fixture
def server() -> Iterator[TimeGPTServer]:
    with TimeGPTServer(input_size=5000) as running:
        yield running


def test_one_request_gives_the_rows_that_five_would_have_given_and_marks_them(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    with house(tmp_path / "bulk", server, *BULK) as built:
        day_calls = budget_planner(built.runtime).day_calls(DAY)
        built.run(DAY, assets=["raw_forecasts"])
        bulk = built.tables()
    assert server.counts == {"/v2/cross_validation": 1, "/model_params": 1}
    assert [(p.snapshots, p.needed) for p in day_calls] == [(5, 1)]
    assert len(server.received[-1].body) <= day_calls[0].max_bytes
    with house(tmp_path / "single", server, "forecast.api_budget.per_run=9", BULK[1]) as built:
        built.run(DAY, assets=["answers"])
        single = built.tables()["forecasts/answers"].sort(KEY)
    rows = bulk["forecasts/answers"].sort(KEY)
    assert rows.height == single.height == 5 * 3 * 15
    assert rows.select(KEY).equals(single.select(KEY))
    assert rows.select(*KEY, "sigma", "target_scale").equals(single.select(*KEY, "sigma", "target_scale"))
    for name in VALUES:
        assert (rows[name] - single[name]).abs().max() < 1e-9, name
    assert single["backend"].unique().to_list() == ["nixtla"]
    assert rows["backend"].unique().to_list() == ["nixtla_cross_validation"]
    paid = bulk["forecasts/raw_forecasts"].filter(forecaster="timegpt")
    assert paid["backend"].unique().to_list() == ["nixtla_cross_validation"]
    assert rows["request_hash"].n_unique() == 1


def test_in_bulk_nothing_is_sent_twice_and_either_mode_keeps_its_own_answers(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    with house(tmp_path, server, *BULK) as built:
        built.run(DAY, assets=["answers"])
        first = built.tables()["forecasts/answers"]
        built.run(DAY, assets=["answers"], force=True)
        assert built.tables()["forecasts/answers"].equals(first)
        assert sum(server.counts.values()) == 2
    with house(tmp_path, server, BULK[1]) as single:
        assert [calls.needed for calls in budget_planner(single.runtime).day_calls(DAY)] == [5], (
            "bulk rows are no single forecasts"
        )


def test_windows_that_are_not_those_asked_for_are_refused(server: TimeGPTServer, tmp_path: Path) -> None:
    server.faults.append(Fault(kind="wrong_rows"))
    with (
        house(tmp_path, server, *BULK) as built,
        pytest.raises(RunFailed, match=r"mean has 1036 values, 1035 were asked for.*--reask"),
    ):
        built.run(DAY, assets=["answers"])


def test_rows_in_bulk_are_never_live_even_when_asked_in_time(server: TimeGPTServer, tmp_path: Path) -> None:
    in_time = datetime(2024, 7, 1, 21, tzinfo=UTC)
    server.date = format_datetime(in_time, usegmt=True)
    asking = timegpt(
        server.url, tmp_path, profile="prod", trusted_hosts=(server.host,), clock=lambda: in_time, settings_digest="b"
    )
    whole = frame(14)
    bulk = replace(whole, windows=(replace(whole, snapshot_ts=whole.snapshot_ts - timedelta(minutes=15)),))
    regimes = {
        "single": asking.answers([whole], budget_run_id="a").rows["data_regime"].unique().to_list(),
        "bulk": asking.answers([_later(bulk)], budget_run_id="a").rows["data_regime"].unique().to_list(),
    }
    assert regimes == {"single": ["prod_live"], "bulk": ["maintenance_replay"]}


def _later(bulk: Frame) -> Frame:
    """Return the frame as of another moment, so that no other request stands for it."""
    return replace(frame(15), windows=tuple(replace(frame(15), snapshot_ts=w.snapshot_ts) for w in bulk.windows))


def asked(*times: str, horizon: int = 15, day: date = date(2025, 1, 30)) -> pl.DataFrame:
    preset = Preset(name="p", times=tuple(datetime.strptime(t, "%H:%M").replace(tzinfo=UTC).time() for t in times))
    spec = snapshots.SnapshotSpec(preset=preset, horizon_min=horizon, calendar=EventCalendar({}))
    return snapshots.snapshots([day], spec)


def test_snapshots_off_the_step_grid_of_the_others_are_a_block_of_their_own() -> None:
    found = bulk.bulk_windows(asked("09:45", "10:00", "10:07", "12:00"))
    assert [len(window.snapshots) for window in found] == [3, 1]
    assert found[0].as_of == found[0].snapshots[-1] + timedelta(minutes=15)


def test_a_full_session_is_at_most_25_windows_of_fifteen_minutes() -> None:
    every = [f"{9 + m // 60:02d}:{m % 60:02d}" for m in range(45, 7 * 60 - 15 + 1, 15)]
    (window,) = bulk.bulk_windows(asked(*every))
    windows = (window.as_of - window.snapshots[0]) / timedelta(minutes=15)
    assert windows == 25


def test_a_year_of_history_takes_a_fifth_of_the_calls_in_bulk() -> None:
    rows = asked("09:45", "10:15", "12:00", "14:00", "15:15")
    found = bulk.calls_a_year(rows["snapshot_ts"].to_list(), horizon_min=15)
    assert found == {"single": 1260, "cross_validation": 252}
