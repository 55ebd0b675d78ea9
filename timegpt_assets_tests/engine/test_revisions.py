"""A source that is revised: which partitions are asked for, what shows as stale, and that mending it is complete."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest
from typer.testing import CliRunner

from timegpt_assets.adapters.market.market_data import TEMPLATE, template_path
from timegpt_assets.adapters.market.synthetic_market import SyntheticMarket
from timegpt_assets.automation.source import revised_source
from timegpt_assets.cli.app import app
from timegpt_assets.core import calendar
from timegpt_assets.engine.engine import asset_nodes
from timegpt_assets.engine.plans import PartitionRef
from timegpt_assets.engine.rectangles import rectangle
from timegpt_assets.engine.revisions import only_stale, outdated, refresh
from timegpt_assets.partitions import graph_context
from timegpt_assets_tests.roads import TINY, Road, road

pytestmark = pytest.mark.filterwarnings("ignore:AssetExecutionContext.run_id is deprecated")

SYMBOLS = ("AAPL", "META", "SPY")
DAYS = [date(2025, 1, 29), date(2025, 1, 30), date(2025, 1, 31), date(2025, 2, 3)]
REVISED = DAYS[1]
MADE = ("raw_bars", "bars", "quality_report", "market_context", "features", "panel", "labels")
HOUSE = (
    "universe.tickers=[AAPL, META]",
    "universe.context=[SPY]",
    "data.start_date=2025-01-29",
    "data.end_date=2025-02-06",
)


def deliver(folder: Path, *, revise: pl.Expr | None = None, symbol: str = "AAPL") -> None:
    """Write month files of a made-up market; ``revise`` changes the closes of one symbol's revised file."""
    sessions = [s.day for s in calendar.sessions(date(2025, 1, 20), date(2025, 2, 6))]
    market = SyntheticMarket(symbols=SYMBOLS[:2], context=SYMBOLS[2:], seed=7, predictability=0.0, missing_rate=0.0)
    frame = market.bars(SYMBOLS, sessions).drop("row")
    for (name, month), part in _months(frame):
        path = folder / template_path(TEMPLATE, name, month)
        if revise is not None and (name != symbol or month != REVISED.replace(day=1)):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = (
            part
            if revise is None
            else part.with_columns(
                close=revise, high=pl.max_horizontal("high", revise), low=pl.min_horizontal("low", revise)
            )
        )
        half = path.with_name("half")
        rows.drop("day").write_parquet(half)
        half.replace(path)


def _months(frame: pl.DataFrame) -> Iterator[tuple[tuple[str, date], pl.DataFrame]]:
    cut = frame.with_columns(month=pl.col("day").dt.truncate("1mo")).partition_by("symbol", "month", as_dict=True)
    for (name, month), part in cut.items():
        yield (str(name), month), part.drop("month")


def at(day: date, minute: int, price: float) -> pl.Expr:
    """Return the closes with that day's minute (from the open) at another price."""
    moment = calendar.session(day).open + timedelta(minutes=minute)
    return pl.when(pl.col("ts") == moment).then(pl.col("close") + price).otherwise(pl.col("close"))


@contextmanager
def house(folder: Path, *, made: tuple[str, ...] = MADE) -> Iterator[Road]:
    """Yield a small house over delivered files, with four days made."""
    deliver(folder / "source")
    with road(folder, *HOUSE, f"data.root={folder / 'source'}", profile="dev", base=TINY, pictures=False) as made_of:
        if made:
            made_of.run(DAYS, assets=made)
        yield made_of


def tick(of: Road, cursor: str | None, **options: int) -> tuple[dg.RunRequest | dg.SkipReason, str | None]:
    """Return what the sensor says, and its cursor afterwards."""
    context = dg.build_sensor_context(instance=of.engine.instance, cursor=cursor)
    return revised_source(of.runtime, **options)(context), context.cursor


def asked(said: dg.RunRequest | dg.SkipReason) -> list[str]:
    """Return the partitions asked for."""
    assert isinstance(said, dg.RunRequest), said
    return said.run_config["ops"]["refresh_revised"]["config"]["partitions"]


def obey(of: Road, said: dg.RunRequest | dg.SkipReason) -> None:
    """Do what the job does that the sensor asks for (the daemon itself: test_daemon.py)."""
    refresh(of.engine, graph_context(of.runtime.settings), asked(said))


def test_a_revised_day_is_asked_for_alone_and_once(tmp_path):
    """One minute of one day differs: that partition, under one run key until it has been made again."""
    with house(tmp_path, made=("raw_bars", "bars")) as of:
        said, cursor = tick(of, None)
        assert isinstance(said, dg.SkipReason)
        assert set(json.loads(cursor)) == {f"{s} {m}" for s in SYMBOLS for m in ("2025-01", "2025-02")}
        deliver(tmp_path / "source", revise=at(REVISED, 100, 0.5))
        first, cursor = tick(of, cursor)
        again, cursor = tick(of, cursor)
        assert asked(first) == asked(again) == [f"{REVISED}|AAPL"]
        assert first.run_key == again.run_key
        obey(of, first)
        done, cursor = tick(of, cursor)
        assert isinstance(done, dg.SkipReason)
        assert "1 files compared" in done.skip_message
        assert "0 files compared" in tick(of, cursor)[0].skip_message


def test_a_revised_last_close_asks_for_the_next_session_too(tmp_path):
    with house(tmp_path, made=("raw_bars", "bars")) as of:
        deliver(tmp_path / "source", revise=at(REVISED, 389, 0.5))
        assert asked(tick(of, None)[0]) == [f"{REVISED}|AAPL", f"{DAYS[2]}|AAPL"]


def test_the_last_close_of_a_month_reaches_into_the_next_month_whose_own_file_is_old(tmp_path):
    with house(tmp_path, made=("raw_bars", "bars")) as of:
        _, cursor = tick(of, None)
        deliver(tmp_path / "source", revise=at(DAYS[2], 389, 0.5))
        assert asked(tick(of, cursor)[0]) == [f"{DAYS[2]}|AAPL", f"{DAYS[3]}|AAPL"]


def test_a_file_written_again_with_the_same_content_asks_for_nothing(tmp_path):
    with house(tmp_path, made=("raw_bars", "bars")) as of:
        _, cursor = tick(of, None)
        deliver(tmp_path / "source", revise=pl.col("close"))
        said, after = tick(of, cursor)
        assert isinstance(said, dg.SkipReason)
        assert after != cursor


def test_a_revision_back_and_forth_is_asked_for_each_time(tmp_path):
    with house(tmp_path, made=("raw_bars", "bars")) as of:
        keys, cursor = [], None
        for change in (0.5, 0.0, 0.5):
            deliver(tmp_path / "source", revise=at(REVISED, 100, change))
            said, cursor = tick(of, cursor)
            keys.append(said.run_key)
            obey(of, said)
        assert len(set(keys)) == 3


@pytest.mark.parametrize("failure", ["gone", "damaged", "one file gone"])
def test_a_source_that_is_down_asks_for_nothing_and_keeps_the_cursor(tmp_path, failure):
    with house(tmp_path, made=("raw_bars", "bars")) as of:
        _, cursor = tick(of, None)
        file = tmp_path / "source" / template_path(TEMPLATE, "AAPL", REVISED.replace(day=1))
        if failure == "gone":
            (tmp_path / "source").rename(tmp_path / "elsewhere")
        elif failure == "damaged":
            file.write_bytes(file.read_bytes()[:5000])
        else:
            file.unlink()
        said, after = tick(of, cursor)
        assert isinstance(said, dg.SkipReason)
        assert ("cannot be read" in said.skip_message) == (failure != "one file gone")
        assert after == cursor


def test_damaged_files_do_not_stand_before_a_revised_one(tmp_path):
    """One file a tick, and the first of them stays damaged: the revised one behind it is asked for all the same."""
    with house(tmp_path, made=("raw_bars", "bars")) as of:
        cursor = tick(of, None)[1]
        deliver(tmp_path / "source", revise=at(REVISED, 100, 0.5), symbol=SYMBOLS[-1])
        damaged = tmp_path / "source" / template_path(TEMPLATE, SYMBOLS[0], REVISED.replace(day=1))
        damaged.write_bytes(damaged.read_bytes()[:1000])
        said, cursor = tick(of, cursor, files_a_tick=1)
        for _ in range(len(SYMBOLS)):
            if isinstance(said, dg.SkipReason):
                said, cursor = tick(of, cursor, files_a_tick=1)
        assert asked(said) == [f"{REVISED}|{SYMBOLS[-1]}"]


def test_a_made_up_market_is_never_revised(tmp_path):
    with road(tmp_path, base=TINY) as of:
        assert isinstance(tick(of, None)[0], dg.SkipReason)


def test_what_stands_on_a_revised_day_shows_as_stale_and_no_other_day_does(tmp_path):
    """Dagster's own verdict, which the UI shows, for what reads a partition directly; ours for everything after it."""
    with house(tmp_path) as of:
        assert stale_of(of) == {}
        deliver(tmp_path / "source", revise=at(REVISED, 100, 0.5))
        obey(of, tick(of, None)[0])
        ours = stale_of(of)
        everyone = {PartitionRef(REVISED, symbol) for symbol in SYMBOLS}  # they read the day's market context
        assert ours["features"] == everyone | {PartitionRef(DAYS[2], "AAPL")}  # a warm-up of one session
        assert ours["quality_report"] == {PartitionRef(REVISED)}
        assert ours["labels"] == {PartitionRef(REVISED, "AAPL"), PartitionRef(DAYS[2], "AAPL")}  # a warm volatility
        assert "bars" not in ours
        for name, symbol in (("labels", "AAPL"), ("labels", "META"), ("features", "AAPL"), ("quality_report", "")):
            for day in DAYS:
                partition = PartitionRef(day, symbol)
                theirs = dagster_says(of, name, partition.key) == StaleStatus.STALE
                assert theirs == (partition in ours.get(name, ())), (name, partition)


def stale_of(of: Road) -> dict[str, set[PartitionRef]]:
    """Return our verdict over the whole grid, by asset name."""
    graph = graph_context(of.runtime.settings)
    wanted = rectangle(graph, asset_nodes(of.engine.repository), days=DAYS, assets=MADE)
    found: dict[str, set[PartitionRef]] = {}
    for by_asset in outdated(of.engine, wanted).values():
        for key, partitions in by_asset.items():
            found.setdefault(key.path[-1], set()).update(partitions)
    return found


def dagster_says(of: Road, name: str, partition: str) -> StaleStatus:
    """Return the status the UI shows for a partition."""
    graph = of.engine.repository.asset_graph
    key = next(k for k in graph.get_all_asset_keys() if k.path[-1] == name)
    resolver = CachingStaleStatusResolver(of.engine.instance, graph, LoadingContextForTest(of.engine.instance))
    return resolver.get_status(key, partition)


def test_making_the_stale_again_gives_what_a_fresh_house_makes_of_the_revised_source(tmp_path):
    """Revised, refreshed and mended: every table is byte for byte that of a house that never saw the old file."""
    with house(tmp_path / "old") as of:
        deliver(tmp_path / "old" / "source", revise=at(REVISED, 389, 0.5))
        graph = graph_context(of.runtime.settings)
        wanted = rectangle(graph, asset_nodes(of.engine.repository), days=DAYS, assets=MADE)
        mended = of.engine.run(only_stale(of.engine, wanted))
        assert 0 < mended.made < len(DAYS) * len(SYMBOLS) * len(MADE)
        assert stale_of(of) == {}
        found = of.tables()
    with house(tmp_path / "new", made=()) as fresh:
        deliver(tmp_path / "new" / "source", revise=at(REVISED, 389, 0.5))
        fresh.run(DAYS, assets=MADE)
        expected = fresh.tables()
    assert found.keys() == expected.keys()
    for asset, frame in expected.items():
        assert found[asset].equals(frame), asset


@pytest.mark.whole
def test_the_command_line_names_what_is_stale_with_the_remedy_and_the_remedy_mends_it(tmp_path, monkeypatch):
    """A refreshed day leaves features behind; ``backfill --stale`` makes just these again, and then nothing is left."""
    deliver(tmp_path / "source")
    settings = "\n".join([*TINY, *HOUSE, "universe.tickers=[AAPL, META]", f"data.root={tmp_path / 'source'}"])
    places = [f"data.{name}={tmp_path / name}" for name in ("storage_root", "artifacts_root", "dagster_home")]
    monkeypatch.setenv("TIMEGPT_ASSETS_SET", "\n".join([settings, *places]))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("COLUMNS", "400")
    span = ["--start", f"{DAYS[0]}", "--end", f"{DAYS[3]}", "--profile", "dev"]
    names = ["--assets", ",".join(MADE)]

    def said(*more: str) -> dict[str, Any]:
        result = CliRunner().invoke(app, ["backfill", *span, *names, "--json", *more])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    assert said()["stale"] == {}
    deliver(tmp_path / "source", revise=at(REVISED, 100, 0.5))
    said("--stale", "--assets", "raw_bars,bars")
    left = said()
    assert left["partitions_made"] == 0
    assert left["stale"]["labels"] == [f"{REVISED}|AAPL", f"{DAYS[2]}|AAPL"]
    told = CliRunner().invoke(app, ["backfill", *span, *names])
    assert "1 of quality_report, 4 of features, 2 of labels, 1 of market_context" in told.stdout
    assert f"timegpt-assets backfill --stale --start {DAYS[0]} --end {DAYS[3]}" in told.stdout
    mended = said("--stale")
    assert mended["partitions_made"] == sum(map(len, left["stale"].values()))
    assert mended["stale"] == {}


def test_a_day_that_was_never_made_is_the_schedule_s_business(tmp_path):
    """New days in a month file ask for nothing here, so that schedule and sensor never make a day twice."""
    with house(tmp_path, made=()) as of:
        of.run(DAYS[:2], assets=("bars",))
        deliver(tmp_path / "source", revise=at(DAYS[2], 100, 0.5))
        assert isinstance(tick(of, None)[0], dg.SkipReason)


def test_days_inserted_before_a_day_in_its_file_change_nothing_of_it(tmp_path):
    with house(tmp_path, made=("raw_bars",)) as of:
        file = tmp_path / "source" / template_path(TEMPLATE, "AAPL", REVISED.replace(day=1))
        earlier = pl.read_parquet(file).with_columns(pl.col("ts") - timedelta(days=14)).head(100)
        pl.concat([earlier, pl.read_parquet(file)]).write_parquet(file)
        assert isinstance(tick(of, None)[0], dg.SkipReason)


def test_making_the_stale_makes_nothing_that_is_missing(tmp_path):
    """Two of four days are there and one of them is revised: that one is made, the two absent ones are not."""
    with house(tmp_path, made=()) as of:
        of.run(DAYS[:2], assets=("bars",))
        deliver(tmp_path / "source", revise=at(REVISED, 100, 0.5))
        graph = graph_context(of.runtime.settings)
        wanted = rectangle(graph, asset_nodes(of.engine.repository), days=DAYS, assets=("bars",))
        made = of.engine.run(only_stale(of.engine, wanted))
        assert [sorted(partition.key for partition in range_run.partitions) for range_run in made.range_runs] == [
            [f"{REVISED}|AAPL"]
        ]
