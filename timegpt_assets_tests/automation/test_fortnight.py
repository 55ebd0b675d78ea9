"""A fortnight that runs by itself: what its days came to, what was paid, who was told of what, and its page.

Dagster's own iterations of sensors, schedules and the queue, in this process, under a moved clock (daemon_here.py);
everybody the house asks or tells is a local server. A daemon in a process of its own is in test_daemon.py.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl
import pytest

from timegpt_assets import runtime
from timegpt_assets.adapters.ledger.tables import ANSWERED, REFUNDED, UNKNOWN
from timegpt_assets.adapters.storage.object_store import ObjectStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.core import calendar
from timegpt_assets.core.tables.forecasts import ANSWERS
from timegpt_assets_tests.engine.test_call_budget import FORECAST, PARAMS
from timegpt_assets_tests.fortnight_days import (
    BEGIN,
    DAYS,
    END,
    FRI,
    LATE,
    MON2,
    PAGE,
    REVISED,
    THU,
    TUE,
    Day,
    begun,
    lived,
    shown,
)
from timegpt_assets_tests.roads import sessions
from timegpt_assets_tests.unattended import Unattended
from timegpt_assets_tests.unattended_world import CONTEXT, TICKERS

pytestmark = [
    pytest.mark.whole,  # thirty runs of whole days and a dozen cycles: minutes
    pytest.mark.timeout(3600),
    pytest.mark.filterwarnings("ignore:AssetExecutionContext.run_id is deprecated"),
    pytest.mark.filterwarnings("ignore:Property `ScheduleDefinition.environment_vars` is deprecated"),
]
FIRST_WEEK = pytest.mark.parametrize("found", ["first"], indirect=True)
EXPECTED: Mapping[str, Counter[str]] = {
    "first": Counter(
        ["check quality of bars/bars", *(f"due {kind} {day}" for kind in ("session", "news") for day in (THU, FRI))]
    ),
    "second": Counter([f"quota per_day of {MON2}", f"budget {MON2} to {MON2}", "run daily_refresh"]),
}
"""Alarms that begin in each week, by subject; of a few days of made-up bands the coverage may be anything."""

MOST_A_DAY = {"first": 4, "second": 6}
"""Calls of the busiest day: two sessions made up, and all that is allowed."""


@dataclass(frozen=True, kw_only=True)
class Lived:
    """The house after its fortnight, and what it says of itself."""

    week: str
    house: Unattended
    days: Sequence[Day]
    due: Mapping[str, Any]
    objects: ObjectStore

    @property
    def sessions(self) -> Sequence[date]:
        """Return the sessions that are expected of it: from the one on which it was switched on."""
        return sessions(self.days[0].day, self.days[-1].day)

    def read(self, table: str) -> pl.DataFrame:
        """Return all that is stored of a table."""
        store = ParquetStore(self.objects)
        return store.read(table, store.files(table))


@pytest.fixture(scope="module", params=DAYS)
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    with begun(tmp_path_factory.mktemp(request.param), request.param) as house:
        days = lived(house, request.param)
        due = json.loads(house.command("due", "--json", exits=(0, 1)))
        objects = runtime.load_runtime().storage
        yield Lived(week=request.param, house=house, days=days, due=due, objects=objects)


def test_in_the_end_every_session_is_there_of_every_symbol_from_bars_to_report(found: Lived) -> None:
    made = {str(day) for day in found.sessions}
    for name in ("bars/bars", "features/features", "forecasts/answers", "backtest/portfolio", "gates/symbol_gates"):
        assert made <= {*ParquetStore(found.objects).files(name)}, name
    bars = found.read("bars/bars").filter(pl.col("day") >= found.days[0].day).group_by("day", "symbol").len()
    wanted = {(day, name): calendar.session(day).minutes for day in found.sessions for name in (*TICKERS, *CONTEXT)}
    assert {(day, name): count for day, name, count in bars.iter_rows()} == wanted
    assert {f"{day:%Y-%m}" for day in found.sessions} == {*ParquetStore(found.objects).files("reports/report")}
    assert [one for one in found.due["alarms"] if one["kind"] != "drift"] == []
    state = {one["what"]: one["state"] for one in found.due["due"]}
    assert {state[f"session {day}"] for day in found.sessions} == {"complete"}


def test_each_snapshot_was_paid_once_and_the_ledger_has_what_the_server_has(found: Lived) -> None:
    server = found.house.servers.timegpt
    asked = found.read("forecasts/snapshots").filter("asked")
    refused = sum(look.requests for day in found.days for look in day.looks for run in look.runs if not run.is_well)
    calls = Counter(call["state"] for call in _calls(found))
    assert server.worked == asked.height, "answers of forecasts"
    assert server.counts == {FORECAST: asked.height + refused, PARAMS: 1}
    # what was answered by 503 may have been worked on, and counts as paid; what was not sent yet is refunded
    assert (calls[ANSWERED], calls[UNKNOWN]) == (asked.height + 1, refused)
    assert calls.total() - calls[REFUNDED] == server.counts.total()
    assert [count for count in server.digests.values() if count > 1] == [2] * refused, "the refused one, again"
    answers = found.read("forecasts/answers")
    assert answers.height == answers.unique(ANSWERS.key).height
    days = Counter(call["budget_day"] for call in _calls(found) if call["state"] != REFUNDED)
    assert max(days.values()) == MOST_A_DAY[found.week]


def _calls(found: Lived) -> Sequence[Mapping[str, Any]]:
    house = runtime.load_runtime()
    return runtime.ledger(house).calls(runtime.account(house.settings))


@FIRST_WEEK
def test_who_came_late_is_asked_for_no_more_and_has_all_that_costs_nothing(found: Lived) -> None:
    own = found.read("forecasts/raw_forecasts").filter(day=TUE, symbol=LATE)
    assert set(own.filter(pl.col("q50").is_not_null())["forecaster"]) == {"climatology", "ridge", "zero"}


def test_alarms_went_out_once_by_every_channel_and_all_of_them_are_over(found: Lived) -> None:
    own = [(change, subject) for change, subject in found.house.told() if not subject.startswith("drift")]
    began = Counter(subject for change, subject in own if change == "new")
    assert began == Counter(subject for change, subject in own if change == "over")
    assert began == EXPECTED[found.week]


@FIRST_WEEK
def test_prediction_markets_and_news_went_on_beside_it(found: Lived) -> None:
    cycles = [run for day in found.days for look in day.looks for run in look.runs if run.job == "tsfm_cycle"]
    assert all(run.is_well for run in cycles)
    rows = found.read("tsfm/tsfm_forecasts")
    assert rows["as_of"].n_unique() == len(cycles)
    assert rows.height == rows.select("market_id", "as_of", "step").unique().height
    assert {str(day) for day in found.sessions} <= {*ParquetStore(found.objects).files("news/raw_news")}


def test_what_is_stored_in_the_end_is_what_the_vendor_has(found: Lived) -> None:
    stored = found.read("bars/raw_bars").filter(pl.col("day") >= found.days[0].day, symbol=REVISED).sort("ts")
    delivered = found.house.vendor.bars(REVISED, found.sessions)
    assert stored["close"].to_list() == delivered["close"].to_list()


def test_the_page_tells_of_it(found: Lived) -> None:
    inside = PAGE.read_text().partition(BEGIN.format(found.week))[2].partition(END)[0].strip().splitlines()
    assert inside == shown(found.days), "python -m timegpt_assets_tests.fortnight_days --renew, and read the diff"
