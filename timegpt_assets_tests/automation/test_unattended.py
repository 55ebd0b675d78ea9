"""A long weekend that runs by itself: a late symbol, a machine that is off, what was paid, and who was told of what.

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
from timegpt_assets.adapters.ledger.tables import ANSWERED
from timegpt_assets.adapters.storage.object_store import ObjectStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.core import calendar
from timegpt_assets.core.tables.forecasts import ANSWERS
from timegpt_assets_tests.engine.test_call_budget import FORECAST, PARAMS
from timegpt_assets_tests.unattended import Look, Unattended, moment, unattended
from timegpt_assets_tests.unattended_world import CONTEXT, TICKERS

pytestmark = [
    pytest.mark.whole,  # two days from bars to report, one of them twice, and a cycle: a minute and a half
    pytest.mark.timeout(3600),
    pytest.mark.filterwarnings("ignore:AssetExecutionContext.run_id is deprecated"),
    pytest.mark.filterwarnings("ignore:Property `ScheduleDefinition.environment_vars` is deprecated"),
]
GRID, FRI, MON = date(2025, 11, 11), date(2025, 11, 14), date(2025, 11, 17)
LATE = "META"


@dataclass(frozen=True, kw_only=True)
class Lived:
    """The house after its weekend, what each evening came to, and what it says of itself."""

    house: Unattended
    friday: Sequence[Look]
    monday: Sequence[Look]
    due: Mapping[str, Any]
    objects: ObjectStore

    def read(self, table: str) -> pl.DataFrame:
        """Return all that is stored of a table."""
        store = ParquetStore(self.objects)
        return store.read(table, store.files(table))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    """Yield a house that was off from Friday evening to Monday evening, and lacked a symbol's bars on Friday."""
    schedules = ("after_the_close", "every_tsfm_cycle")
    with unattended(tmp_path_factory.mktemp("weekend"), GRID, moment(FRI, 18, 5), schedules) as house:
        house.vendor.deliver(FRI, [name for name in (*TICKERS, *CONTEXT) if name != LATE])
        friday = house.at(FRI, 18, 5)
        house.off()
        house.vendor.deliver(MON)
        house.on()
        monday = house.at(MON, 20, 30)
        due = json.loads(house.command("due", "--json", exits=(0, 1)))
        yield Lived(house=house, friday=friday, monday=monday, due=due, objects=runtime.load_runtime().storage)


def test_what_was_missed_is_made_up_and_a_symbol_that_was_late_is_part_of_its_day(found: Lived) -> None:
    assert [(run.by, run.is_well) for look in found.friday for run in look.runs] == [("new_session", True)]
    (friday,) = [run.told[f"{FRI}"] for look in found.friday for run in look.runs]
    assert friday.startswith(f"complete without bars of {LATE} so far, ")
    runs = [run for look in found.monday for run in look.runs]
    assert Counter(run.by for run in runs) == {"new_session": 1, "after_the_close": 1, "every_tsfm_cycle": 1}
    assert all(run.is_well for run in runs)
    assert found.monday[0].runs[0].told == {f"{FRI}": "complete", f"{MON}": "complete"}
    bars = found.read("bars/bars").filter(pl.col("day") >= FRI).group_by("day", "symbol").len()
    wanted = {(day, name): calendar.session(day).minutes for day in (FRI, MON) for name in (*TICKERS, *CONTEXT)}
    assert {(day, name): count for day, name, count in bars.iter_rows()} == wanted
    for name in ("forecasts/answers", "backtest/portfolio", "gates/symbol_gates", "news/raw_news"):
        assert {f"{FRI}", f"{MON}"} <= {*ParquetStore(found.objects).files(name)}, name
    assert {*ParquetStore(found.objects).files("reports/report")} == {"2025-11"}


def test_each_snapshot_was_paid_once_and_the_ledger_has_what_the_server_has(found: Lived) -> None:
    server, house = found.house.servers.timegpt, runtime.load_runtime()
    asked = found.read("forecasts/snapshots").filter("asked").height
    calls = runtime.ledger(house).calls(runtime.account(house.settings))
    assert server.counts == {FORECAST: asked, PARAMS: 1}
    assert server.worked == asked == 4
    assert Counter(call["state"] for call in calls) == {ANSWERED: asked + 1}
    assert set(server.digests.values()) == {1}
    answers = found.read("forecasts/answers")
    assert answers.height == answers.unique(ANSWERS.key).height
    assert answers.select("symbol", "snapshot_ts").unique().height == 6, "of who was late on Friday there is none"


def test_alarms_went_out_once_by_every_channel_and_are_over(found: Lived) -> None:
    expected = [f"due session {MON}", f"due news {MON}", "check quality of bars/bars"]
    # of two days of made-up bands the coverage may be anything
    own = [(change, subject) for change, subject in found.house.told() if not subject.startswith("drift")]
    assert Counter(own) == Counter((change, subject) for subject in expected for change in ("new", "over"))
    assert [one for one in found.due["alarms"] if one["kind"] != "drift"] == []
    states = {one["what"]: one["state"] for one in found.due["due"]}
    assert {states[f"session {day}"] for day in (FRI, MON)} == {"complete"}


def test_prediction_markets_were_looked_at_once_beside_it(found: Lived) -> None:
    rows = found.read("tsfm/tsfm_forecasts")
    assert set(rows["as_of"]) == {moment(MON, 19).replace(hour=0)}
    assert rows.height == rows.select("market_id", "as_of", "step").unique().height > 0
