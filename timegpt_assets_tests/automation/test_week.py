"""A week of the daily run with a moved clock: bars an hour late, a day late and never; a daemon that was down for days.

The real sensor and schedule are evaluated and the job they ask for is run, as the daemon does, against the local
TimeGPT; the daemon itself goes through such days in test_daemon.py. Every session ends complete or with the reason
why not, in order, and each snapshot is paid for once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import polars as pl
import pytest
from dagster._core.code_pointer import CustomPointer, ModuleCodePointer
from dagster._core.definitions.reconstruct import ReconstructableRepository

from timegpt_assets.adapters.market.market_data import TEMPLATE, template_path
from timegpt_assets.adapters.market.synthetic_market import SyntheticMarket
from timegpt_assets.automation import day as automation
from timegpt_assets.core import calendar
from timegpt_assets.definitions import build_definitions
from timegpt_assets.engine.daily import COMPLETE, PORTFOLIO
from timegpt_assets_tests.engine.test_call_budget import FORECAST, PARAMS, modest
from timegpt_assets_tests.roads import TINY, Road, load_runtime, road, sessions
from timegpt_assets_tests.secret_search import KEY
from timegpt_assets_tests.servers.timegpt import TimeGPTServer

pytestmark = pytest.mark.filterwarnings("ignore:AssetExecutionContext.run_id is deprecated")

MON, TUE, WED, THU, FRI, MON2, TUE2, WED2 = sessions(date(2025, 1, 27), date(2025, 2, 5))
SYMBOLS = ("AAPL", "META", "SPY")
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass
class Clock:
    """The clock of everything, moved by hand."""

    now: datetime = datetime(2025, 1, 27, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


CLOCK = Clock()


def repository(folder: str, *overrides: str) -> dg.RepositoryDefinition:
    """Return the repository of the house, as a code location loads it for a run."""
    return build_definitions(_runtime(folder, *overrides)).get_repository_def()


def _runtime(folder: str, *overrides: str) -> Any:
    environment = {"TIMEGPT_API_KEY": KEY}
    return load_runtime(Path(folder), *overrides, base=TINY, profile="dev", environment=environment, clock=CLOCK)


def deliver(folder: Path, until: Mapping[str, date], never: tuple[tuple[str, date], ...] = ()) -> None:
    """Write each symbol's month files up to a day, as a vendor does whose files grow, less the days ``never``."""
    market = SyntheticMarket(symbols=SYMBOLS[:2], context=SYMBOLS[2:], seed=7, predictability=0.0, missing_rate=0.0)
    for symbol, last in until.items():
        days = [day for day in sessions(date(2025, 1, 13), last) if (symbol, day) not in never]
        frame = market.bars([symbol], days).drop("row").with_columns(month=pl.col("day").dt.truncate("1mo"))
        for (month,), part in frame.partition_by("month", as_dict=True).items():
            assert isinstance(month, date)
            path = folder / template_path(TEMPLATE, symbol, month)
            path.parent.mkdir(parents=True, exist_ok=True)
            half = path.with_name("half")
            part.drop("day", "month").write_parquet(half)
            half.replace(path)


@dataclass
class Daemon:
    """Evaluates the sensor and the schedule, and runs what they ask for, a run key once."""

    house: Road
    overrides: tuple[str, ...]
    asked: set[str] = field(default_factory=set)
    told: dict[str, str] = field(default_factory=dict)

    def at(self, day: date, hour: int, minute: int = 0) -> dict[str, str] | str:
        """Move the clock to that New York time; return what the sensor's run told of each session, or why none ran."""
        CLOCK.now = datetime.combine(day, time(hour, minute), ZoneInfo(calendar.ZONE)).astimezone(UTC)
        of = self.house.engine
        context = dg.build_sensor_context(instance=of.instance, repository_def=of.repository)
        return self._obeyed(automation.new_session(self.house.runtime)(context))

    def scheduled(self, day: date) -> dict[str, str] | str:
        """Do what the schedule asks for at half past six in the evening of that day."""
        CLOCK.now = datetime.combine(day, time(18, 30), ZoneInfo(calendar.ZONE)).astimezone(UTC)
        at = CLOCK.now.astimezone(ZoneInfo(calendar.ZONE))
        context = dg.build_schedule_context(instance=self.house.engine.instance, scheduled_execution_time=at)
        return self._obeyed(automation.after_the_close(self.house.runtime)(context))

    def _obeyed(self, said: dg.RunRequest | dg.SkipReason) -> dict[str, str] | str:
        if isinstance(said, dg.SkipReason):
            return str(said.skip_message)
        if said.run_key in self.asked:
            return "asked for already"
        self.asked.add(str(said.run_key))
        return self.run(said)

    def run(self, said: dg.RunRequest) -> dict[str, str]:
        make = ModuleCodePointer(__name__, "repository", working_directory=None)
        pointer = CustomPointer(make, [str(self.house.runtime.root), *self.overrides], [])
        job = ReconstructableRepository(pointer).get_reconstructable_job("daily_refresh")
        instance = self.house.engine.instance
        result = dg.execute_job(
            job, instance=instance, run_config={**said.run_config, **QUIET}, tags=said.tags, raise_on_error=False
        )
        assert result.success, [e.event_specific_data for e in result.all_events if e.is_failure]
        (output,) = (e.step_output_data for e in result.all_events if e.event_type_value == "STEP_OUTPUT")
        told = {str(day): str(what) for day, what in output.metadata["sessions"].value.items()}
        self.told |= told
        return told

    def made(self) -> list[str]:
        """Return the sessions made, in the order in which each was made first."""
        records = self.house.engine.instance.fetch_materializations(PORTFOLIO, limit=1000, ascending=True).records
        return list(dict.fromkeys(str(record.partition_key) for record in records))


@pytest.fixture
def server() -> Iterator[TimeGPTServer]:
    with TimeGPTServer(input_size=60, key=KEY) as running:
        yield running


@pytest.fixture
def daemon(server: TimeGPTServer, tmp_path: Path) -> Iterator[Daemon]:
    overrides = (
        *modest(server.url),
        "universe.tickers=[AAPL, META]",
        "data.start_date=2025-01-27",
        "data.source=local",
        f"data.root={tmp_path / 'source'}",
    )
    (tmp_path / "source").mkdir()
    environment = {"TIMEGPT_API_KEY": KEY}
    with road(
        tmp_path, *overrides, base=TINY, profile="dev", environment=environment, clock=CLOCK, pictures=False
    ) as house:
        yield Daemon(house, overrides)


@pytest.mark.whole  # test_daemon.py keeps late and lost days in every run; this one is the longest of all
def test_a_week_of_late_bars_and_a_daemon_that_was_down_loses_no_day_and_pays_each_snapshot_once(
    daemon: Daemon, server: TimeGPTServer, tmp_path: Path
) -> None:
    source, never = tmp_path / "source", (("META", THU),)

    def come(last: date) -> None:
        deliver(source, dict.fromkeys(SYMBOLS, last), never)

    # Monday: asked for at the minute of the close, before the vendor delivers
    first = daemon.at(MON, 16, 5)
    assert first == {f"{MON}": f"waits for bars of AAPL, META, SPY until {MON} 23:00 UTC"}
    assert server.counts[FORECAST] == 0
    assert daemon.at(MON, 16, 10) == "asked for already", "nothing has come"
    come(MON)
    assert daemon.at(MON, 16, 30) == {f"{MON}": COMPLETE}
    assert daemon.scheduled(MON) == {f"{MON}": COMPLETE}, "by the schedule, which makes nothing again"
    assert "are complete" in str(daemon.at(MON, 20))
    # Tuesday: hours late, and not even the schedule finds them
    daemon.at(TUE, 16, 5)
    assert daemon.scheduled(TUE) == {f"{TUE}": f"waits for bars of AAPL, META, SPY until {FRI} 21:00 UTC"}
    come(TUE)
    assert daemon.at(TUE, 21) == {f"{TUE}": COMPLETE}
    # Wednesday: a day late, and one symbol of Thursday never
    daemon.at(WED, 16, 5)
    daemon.scheduled(WED)
    come(THU)
    waiting = daemon.at(THU, 16, 30)
    assert waiting == {f"{WED}": COMPLETE, f"{THU}": f"waits for bars of META until {THU} 23:00 UTC"}
    lacking = daemon.scheduled(THU)
    assert lacking[f"{THU}"] == f"complete without bars of META so far, their bars are awaited until {TUE2} 21:00 UTC"
    assert "are complete" in str(daemon.at(THU, 20))
    # nobody is there on Friday, Monday and Tuesday
    come(WED2)
    back = daemon.at(WED2, 16, 30)
    assert back == {
        f"{THU}": "complete without bars of META: the source has none",
        **{f"{day}": COMPLETE for day in (FRI, MON2, TUE2, WED2)},
    }
    assert "are complete" in str(daemon.at(WED2, 20))
    week = [f"{day}" for day in (MON, TUE, WED, THU, FRI, MON2, TUE2, WED2)]
    assert daemon.made() == week, "in order"
    assert daemon.told.keys() == set(week)
    tables = daemon.house.tables()
    asked = tables["forecasts/snapshots"].filter("asked", pl.col("day").cast(pl.String).is_in(week))
    answered = tables["forecasts/answers"].filter(symbol="AAPL").select("day", "snapshot_ts").unique()
    assert answered.height == asked.height == 14, "two on each day but on that of the FOMC's decision"
    assert server.counts == {FORECAST: asked.height, PARAMS: 1}


@pytest.mark.whole
def test_a_machine_that_was_off_after_a_finished_day_makes_every_session_since(
    daemon: Daemon, server: TimeGPTServer, tmp_path: Path
) -> None:
    deliver(tmp_path / "source", dict.fromkeys(SYMBOLS, MON))
    assert daemon.at(MON, 16, 30) == {f"{MON}": COMPLETE}, "nothing is unfinished, and nothing before it was asked for"
    deliver(tmp_path / "source", dict.fromkeys(SYMBOLS, THU))
    assert daemon.at(THU, 16, 30) == {f"{day}": COMPLETE for day in (TUE, WED, THU)}
    assert daemon.made() == [f"{day}" for day in (MON, TUE, WED, THU)]
    assert server.counts[FORECAST] == 6
