"""What counts as there: a record is not enough; and what is old and stays is named, with a remedy that ends."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import Result
from typer.testing import CliRunner

from timegpt_assets.cli.app import app
from timegpt_assets.core import calendar
from timegpt_assets.engine import inventory, lineages
from timegpt_assets.engine.engine import Outcome
from timegpt_assets.engine.status import status
from timegpt_assets_tests.engine.test_revisions import DAYS, HOUSE, MADE, REVISED, at, deliver, house
from timegpt_assets_tests.roads import TINY, Road, road

pytestmark = pytest.mark.filterwarnings("ignore:AssetExecutionContext.run_id is deprecated")

STORED = ("raw_bars", "bars", "quality_report", "market_context", "features", "panel", "labels", "snapshots")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    """Yield a small house over delivered files, four days made; tests put back what they take away."""
    with house(tmp_path_factory.mktemp("made"), made=STORED) as of:
        of.run(DAYS, assets=STORED)  # and once more, so that files and stored rows are found to agree
        yield of


def again(of: Road, *overrides: str, **options: Any) -> Outcome:
    """Return what the same house makes of the same days under other settings, on the same records and storage."""
    settings = (*HOUSE, f"data.root={of.runtime.root / 'source'}", *overrides)
    with road(of.runtime.root, *settings, profile="dev", base=TINY, pictures=False, **options) as other:
        other.engine.instance = of.engine.instance
        return other.run(DAYS, assets=STORED)


def names(outcome: Outcome) -> set[str]:
    return {key.path[-1] for range_run in outcome.range_runs for key in range_run.assets}


def test_a_second_run_makes_nothing_and_compares_no_content(made, monkeypatch):
    monkeypatch.setattr("timegpt_assets.engine.deliveries.arrived", lambda *_: pytest.fail("rows were read"))
    assert again(made).made == 0


@pytest.mark.parametrize("asset", ["features/labels", "features/panel", "forecasts/snapshots", "bars/raw_bars"])
def test_a_file_that_is_gone_is_made_again_by_whoever_asks(made, asset):
    """files/52: the record stays, and the remedy the product names would say that all is there."""
    file = made.root / asset / f"{DAYS[1]}.parquet"
    before = file.read_bytes()
    file.unlink()
    outcome = again(made)
    assert outcome.remade[inventory.LOST] == {asset.rpartition("/")[2]: 3 if "labels" in asset or "raw" in asset else 1}
    assert file.read_bytes() == before
    assert again(made).made == 0


def test_another_preset_or_horizon_is_another_schedule_and_back_again(made):
    """M14: the stored snapshots were used, six planned calls were not sent, and the command ended with 0."""
    before = made.tables()["forecasts/snapshots"]
    outcome = again(made, "forecast.snapshot_preset=dev", "forecast.horizon_min=10")
    assert outcome.remade[inventory.OTHER_SETTINGS]["snapshots"] == len(DAYS)
    assert not names(outcome) & {"raw_bars", "bars"}, "no setting of theirs"
    assert made.tables()["forecasts/snapshots"]["horizon_min"].unique().to_list() == [10]
    assert again(made, "forecast.snapshot_preset=dev", "forecast.horizon_min=10").made == 0
    again(made)
    assert made.tables()["forecasts/snapshots"].equals(before)


@pytest.mark.parametrize(
    "setting",
    [
        "data.end_date=2025-02-07",
        "data.recent_sessions=3",
        "dq_policy.late_after_min=5",
        "dq_policy.deadline_sessions=0",
        "forecast.api_budget.per_day=7",
        "calibration.window_days=3",
        "trading.daily_trade_cap=5",
    ],
)
def test_a_setting_that_shapes_none_of_these_rows_makes_none_of_them_again(made, setting):
    assert again(made, setting).made == 0


def test_rows_of_other_code_stay_and_are_named_and_made_again_on_request(tmp_path, monkeypatch):
    with house(tmp_path) as of:
        monkeypatch.setattr(lineages, "code_version", lambda: "9.9.9+another")
        outcome = again_of(of)
        assert outcome.made == 0
        found = old(of)
        assert found.keys() == {inventory.OTHER_CODE}
        assert found[inventory.OTHER_CODE] == {name: len(DAYS) * (1 if name in DAILY else 3) for name in MADE}


DAILY = ("quality_report", "market_context", "panel")


def again_of(of: Road) -> Outcome:
    return of.run(DAYS, assets=MADE)


def old(of: Road) -> dict[str, dict[str, int]]:
    from timegpt_assets.engine.engine import asset_nodes
    from timegpt_assets.engine.rectangles import rectangle
    from timegpt_assets.engine.revisions import outdated
    from timegpt_assets.partitions import graph_context

    graph = graph_context(of.runtime.settings)
    wanted = rectangle(graph, asset_nodes(of.engine.repository), days=DAYS, assets=MADE)
    return {
        why: {key.path[-1]: len(partitions) for key, partitions in by_asset.items()}
        for why, by_asset in outdated(of.engine, wanted).items()
    }


@pytest.mark.whole
def test_a_month_is_made_again_for_its_days_and_no_session_on_the_first_for_its_month(tmp_path):
    """R3: what changed on another day of the month made the session of the 1st again, answers included."""
    with house(tmp_path, made=()) as of:
        first, second, third = (
            s.day for s in calendar.sessions(DAYS[0].replace(month=4, day=1), DAYS[0].replace(month=4, day=3))
        )
    with road(
        tmp_path / "april", "data.start_date=2025-03-28", "data.end_date=2025-04-30", base=TINY, pictures=False
    ) as of:
        of.run([first, second])
        outcome = of.run([first, second, third])
        of.run([second], assets=("funnel",), force=True)  # which the month's report alone reads
        told = status(of.engine, [first, second, third], ["AAPL"])
    assert told.stale == {"reports/report": 1}
    assert {*told.states.values()} == {"complete"}, "a month's table is old, and no session on the 1st"
    again = {(key.path[-1], p.day) for run in outcome.range_runs for key in run.assets for p in run.partitions}
    assert {name for name, day in again if day == second} == set()
    daily = {name for name, day in again if day == first} - {name for name, day in again if day == third}
    assert daily == {name for name, day in again if day == first}, "months alone, whose key is the 1st"
    assert "answers" not in daily
    assert "report" in daily


class House:
    """A house a person works in: delivered files, one storage root and home, commands that end with exit code 0."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        deliver(folder / "source")
        places = [f"data.{name}={folder / name}" for name in ("storage_root", "artifacts_root", "dagster_home")]
        monkeypatch.setenv("TIMEGPT_ASSETS_SET", "\n".join([*TINY, *HOUSE, f"data.root={folder / 'source'}", *places]))
        for name in ("DAGSTER_HOME", "TIMEGPT_ASSETS_REAL_DATA"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("COLUMNS", "400")

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(app, [*words, "--profile", "dev"])

    def made(self, *words: str) -> dict[str, Any]:
        """Return the figures of a backfill of all days that ends well."""
        span = () if "--start" in words else ("--start", f"{DAYS[0]}", "--end", f"{DAYS[3]}")
        result = self.run("backfill", *span, "--json", *words)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    return House(tmp_path, monkeypatch)


def test_a_source_that_is_another_one_is_read_and_one_that_is_nowhere_is_refused(at_home, tmp_path):
    """W2, R10: bars that were never read were found good, and nothing was said."""
    bars = ("--assets", "bars,labels")
    assert at_home.made(*bars)["partitions_made"] > 0
    nowhere = at_home.run("check-data", "--start", f"{DAYS[0]}", "--end", f"{DAYS[3]}", "--set", "data.root=/nope")
    assert nowhere.exit_code == 1
    assert "/nope is no folder of bars. Set data.root to the folder above stocks/." in nowhere.stderr
    (tmp_path / "empty").mkdir()
    empty = at_home.run(
        "check-data", "--start", f"{DAYS[0]}", "--end", f"{DAYS[3]}", "--set", f"data.root={tmp_path}/empty"
    )
    assert empty.exit_code == 1
    assert "has no file of AAPL 2025-01, of which " in empty.stderr
    assert f" sessions are stored from {tmp_path / 'source'}/stocks/" in empty.stderr
    deliver(tmp_path / "moved")
    assert at_home.made(*bars, "--set", f"data.root={tmp_path / 'moved'}")["partitions_made"] == 0, "the same bars"
    deliver(tmp_path / "other")
    deliver(tmp_path / "other", revise=at(REVISED, 100, 0.5))
    told = at_home.made(*bars, "--set", f"data.root={tmp_path / 'other'}")
    assert told["remade"] == {inventory.OTHER_SOURCE: {"raw_bars": 1}}
    assert told["partitions_made"] == 4, (
        "the day that differs, its bars and labels, and the next day's: warm volatility"
    )
    assert told["stale"] == {}


@pytest.mark.whole
def test_a_revised_price_stays_until_it_is_asked_for_and_is_named(at_home, tmp_path):
    assets = ("--assets", ",".join(MADE))
    at_home.made(*assets)
    deliver(tmp_path / "source", revise=at(REVISED, 100, 0.5))
    told = at_home.made(*assets)
    assert (told["partitions_made"], told["why_stale"][inventory.REVISED]) == (0, 1)
    assert told["stale"]["raw_bars"] == [f"{REVISED}|AAPL"]
    assert told["stale"]["labels"] == [f"{REVISED}|AAPL", f"{DAYS[2]}|AAPL"]
    mended = at_home.made(*assets, "--stale")
    assert mended["stale"] == {}
    assert at_home.made(*assets, "--stale")["partitions_made"] == 0


@pytest.mark.whole
def test_making_the_stale_reaches_the_first_day_that_made_it_so_and_ends(at_home):
    """W4: stale days before --start stayed, so the same partitions were made at each call, and named again."""
    assets = ("--assets", ",".join(MADE))
    at_home.made(*assets)
    two = ("--symbols", "AAPL,META", "--start", f"{DAYS[0]}", "--end", f"{DAYS[2]}", "--assets", "raw_bars", "--force")
    assert at_home.made(*two)["partitions_made"] == 6
    last = ("--start", f"{DAYS[3]}", "--end", f"{DAYS[3]}")
    first = at_home.made(*assets, *last, "--stale")
    assert first["partitions_made"] > 0
    assert first["stale"] == {}
    assert at_home.made(*assets, *last, "--stale")["partitions_made"] == 0
    assert at_home.made(*assets, *last)["stale"] == {}


def test_bars_that_come_the_next_morning_are_made_by_the_same_command(at_home, tmp_path):
    """files/54: the day stayed late, with exit code 0."""
    bars = ("--assets", "labels")
    file = next((tmp_path / "source").rglob("META_2025_01.parquet"))
    whole = pl.read_parquet(file)
    whole.filter(pl.col("ts") < datetime(2025, 1, 31, tzinfo=UTC)).write_parquet(file)
    assert at_home.made(*bars)["sessions"][f"{DAYS[2]}"] == "complete without bars of META: the source has none"
    whole.write_parquet(file)
    told = at_home.made(*bars)
    assert told["remade"][inventory.DELIVERED] == {"raw_bars": 2}, (
        "the day, and the next one, which starts from its close"
    )
    assert told["sessions"][f"{DAYS[2]}"] == "complete"
    assert told["stale"] == {}
