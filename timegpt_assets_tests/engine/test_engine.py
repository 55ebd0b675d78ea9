"""The rectangle engine: what it makes, skips and leaves out, how it fails, and that the UI's runs store the same."""

import dataclasses
import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime

import dagster as dg
import polars as pl
import pytest

from timegpt_assets.adapters.market.market_data import MarketDataError
from timegpt_assets.adapters.market.synthetic_market import SyntheticMarket
from timegpt_assets.core.tables.gates import VERDICTS
from timegpt_assets.engine.engine import RANGE_END, RANGE_START, Engine, Outcome, RunFailed, asset_nodes
from timegpt_assets.engine.plans import PartitionRef
from timegpt_assets.engine.rectangles import rectangle
from timegpt_assets.engine.stages import EVERYDAY
from timegpt_assets.instance.failures import Failed
from timegpt_assets.partitions import graph_context
from timegpt_assets_tests.roads import Road, road, sessions

pytestmark = pytest.mark.filterwarnings("ignore:AssetExecutionContext.run_id is deprecated")

DAYS = sessions(date(2025, 1, 17), date(2025, 1, 22))
"""Three sessions around a weekend and a holiday."""
SYMBOLS = ("AAPL", "NVDA", "SPY")
TWO = "universe.tickers=[AAPL, NVDA]"


class Market:
    """The made-up market of the small house, noting what it was asked; ``wrong`` may raise or change the answer."""

    def __init__(self, wrong=lambda symbols, days, bars: bars) -> None:
        self.market = SyntheticMarket(
            symbols=("AAPL", "NVDA"), context=("SPY",), seed=7, predictability=0.3, missing_rate=0.0001
        )
        self.wrong = wrong
        self.asked: list[tuple[tuple[str, ...], tuple[date, ...]]] = []

    def bars(self, symbols: Sequence[str], days: Sequence[date]) -> pl.DataFrame:
        self.asked.append((tuple(symbols), tuple(days)))
        return self.wrong(symbols, days, self.market.bars(symbols, days))


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    """Yield a road whose three days were made at once; tests that make partitions again make the same ones."""
    with road(tmp_path_factory.mktemp("walked"), TWO, pictures=False) as found:
        found.run(DAYS)
        yield found


def run(
    engine: Engine, assets: Sequence[dg.AssetKey], tags: Mapping[str, str] | None = None, partition: str | None = None
) -> dg.ExecuteInProcessResult:
    """Materialise assets as the UI would: with its range tags, or one partition."""
    job = engine.repository.get_implicit_global_asset_job_def()
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    return job.execute_in_process(
        instance=engine.instance, asset_selection=list(assets), tags=tags, partition_key=partition, run_config=quiet
    )


def partitions(found: Road, key: dg.AssetKey) -> list[PartitionRef]:
    return sorted(asset_nodes(found.engine.repository)[key].partitions(DAYS, SYMBOLS))


def stored(found: Road, key: dg.AssetKey, keys: Sequence[PartitionRef]) -> dict[str, bytes]:
    """Return the bytes of these partitions' files."""
    monthly = asset_nodes(found.engine.repository)[key].kind == "month"
    files = {f"{partition.day:%Y-%m}" if monthly else f"{partition.day}" for partition in keys}
    return {file: (found.root / "/".join(key.path) / f"{file}.parquet").read_bytes() for file in sorted(files)}


def forget(found: Road, key: dg.AssetKey, files: Mapping[str, bytes]) -> None:
    for file in files:
        (found.root / "/".join(key.path) / f"{file}.parquet").unlink()


def names(outcome: Outcome) -> set[str]:
    return {key.path[-1] for range_run in outcome.range_runs for key in range_run.assets}


def test_a_second_run_makes_nothing(walked):
    again = walked.run(DAYS)
    assert (again.made, again.range_runs) == (0, [])
    assert again.there > 150


def test_days_outside_the_rectangle_are_made_as_history_alone(walked):
    bars = sorted(path.stem for path in (walked.root / "bars" / "bars").glob("*.parquet"))
    panels = sorted(path.stem for path in (walked.root / "features" / "panel").glob("*.parquet"))
    answers = sorted(path.stem for path in (walked.root / "forecasts" / "answers").glob("*.parquet"))
    asked = [str(day) for day in DAYS]
    earlier = [str(day) for day in sessions(date(2024, 12, 31), date(2025, 1, 16))]
    assert bars == earlier + asked, "the twenty sessions that liquidity is compared with, as far as the grid goes"
    assert panels == earlier[-4:] + asked, "four sessions of history"
    assert answers == asked, "nothing is asked for history"


def test_launches_hold_assets_of_one_kind_and_each_cell_once(walked, tmp_path):
    with road(tmp_path, TWO, pictures=False) as found:
        outcome = found.run(DAYS[:1], assets=("panel",))
    kinds = asset_nodes(walked.engine.repository)
    made: set[tuple[dg.AssetKey, PartitionRef]] = set()
    for range_run in outcome.range_runs:
        assert len({kinds[key].kind for key in range_run.assets}) == 1
        new = {(key, partition) for key in range_run.assets for partition in range_run.partitions}
        assert not new & made
        made |= new
    assert len(made) == outcome.made


@pytest.mark.whole
def test_a_range_run_by_tags_of_one_asset_stores_what_the_engine_stored(walked):
    compared = 0
    for key in sorted(asset_nodes(walked.engine.repository), key=lambda k: k.path):
        if key.path[-1] not in EVERYDAY:
            continue
        keys = partitions(walked, key)
        before = stored(walked, key, keys)
        forget(walked, key, before)
        assert run(walked.engine, [key], {RANGE_START: keys[0].key, RANGE_END: keys[-1].key}).success
        assert stored(walked, key, keys) == before, key
        compared += len(before)
    assert compared > 60


@pytest.mark.parametrize(
    "name",
    [
        "features/features",
        "forecasts/answers",
        "calibration/calibration_models",
        "backtest/portfolio",
        "reports/report",
    ],
)
def test_runs_of_one_partition_each_store_what_the_engine_stored(walked, name):
    key = dg.AssetKey(name.split("/"))
    keys = [partition for partition in partitions(walked, key) if partition.day == DAYS[-1] or partition.day.day == 1]
    before = stored(walked, key, keys)
    forget(walked, key, before)
    for partition in reversed(keys):
        assert run(walked.engine, [key], partition=partition.key).success
    assert stored(walked, key, keys) == before


def test_days_in_blocks_store_what_all_days_at_once_store(walked, tmp_path):
    with road(tmp_path, TWO, pictures=False) as found:
        house = graph_context(found.runtime.settings)
        whole = rectangle(house, asset_nodes(found.engine.repository), days=DAYS, assets=("portfolio",))
        outcome = found.engine.run(dataclasses.replace(whole, range_days=2))
        assert len([range_run for range_run in outcome.range_runs if "answers" in str(range_run.assets)]) == 2
        in_chunks = found.bytes()
    at_once = walked.bytes()
    assert [name for name, content in in_chunks.items() if at_once[name] != content] == []
    assert len(in_chunks) > 90


def test_the_first_day_of_the_grid_has_no_history_and_is_made_all_the_same(tmp_path):
    with road(tmp_path, TWO, pictures=False) as found:
        outcome = found.run([date(2025, 1, 2)], assets=("outcomes",))
        assert outcome.made > 0
        tables = found.tables()
        assert tables["bars/bars"]["day"].unique().sort().to_list() == [date(2024, 12, 31), date(2025, 1, 2)]


def test_forcing_an_asset_makes_it_and_what_was_asked_beside_it_again_and_nothing_else(walked):
    market = walked.root / "bars" / "raw_bars"
    untouched = {path: path.stat().st_mtime_ns for path in market.glob("*.parquet")}
    outcome = walked.run(DAYS[:2], assets=("panel",), force=True)
    assert names(outcome) == {"panel"}
    assert outcome.made == 2
    assert {path: path.stat().st_mtime_ns for path in market.glob("*.parquet")} == untouched


def test_forcing_leaves_the_history_alone(walked):
    outcome = walked.run(DAYS[:1], assets=("bars", "panel"), force=True)
    made = {
        (key.path[-1], partition.day)
        for range_run in outcome.range_runs
        for key in range_run.assets
        for partition in range_run.partitions
    }
    assert ("bars", DAYS[0]) in made
    assert {day for _, day in made} == {DAYS[0]}


def test_gates_that_fail_are_a_verdict_and_no_failure(walked):
    outcome = walked.run(DAYS[-1:], assets=("promotion",))
    assert names(outcome) == {"promotion"}
    verdicts = walked.tables()["gates/promotion"]
    assert not verdicts["passed"].all()
    (failed,) = walked.engine.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
    assert failed.asset_selection == {dg.AssetKey(["gates", "promotion"])}, "red in the UI all the same"
    for name in (*VERDICTS, "promotion"):
        event = walked.engine.instance.get_latest_materialization_event(dg.AssetKey(["gates", name]))
        told = {key: value.value for key, value in event.asset_materialization.metadata.items()}
        assert told["status"] in ("failed", "insufficient_observation"), "each gate's status stands beside it"
        assert told["counted"] == "model+prod+prod_live"
        assert 0 <= told["passed"] < told["criteria"]
        assert name != "hard_metrics" or told["completed_runs"] == 0.0


def test_a_choice_of_symbols_leaves_day_assets_out_until_the_rest_is_there(tmp_path):
    with road(tmp_path, TWO, pictures=False) as found:
        first = found.run(DAYS[:1], symbols=("AAPL",), assets=("book", "quality_report"))
        assert first.incomplete == {"book": [str(DAYS[0])]}
        assert not (found.root / "backtest" / "book").exists()
        assert (found.root / "bars" / "quality_report").exists(), "bars stand under the batch: every symbol has them"
        rest = found.run(DAYS[:1], symbols=("NVDA", "SPY"), assets=("book", "quality_report"))
        assert rest.incomplete == {}
        assert "answers" not in names(rest)
        assert (found.root / "backtest" / "book").exists()


def test_a_choice_of_symbols_is_calibrated_with_what_every_symbol_taught(walked, tmp_path):
    with road(tmp_path, TWO, pictures=False) as found:
        found.run(DAYS, symbols=("AAPL",), assets=("forecasts",))
        alone = found.tables()
    at_once = walked.tables()
    for name in ("forecasts/outcomes", "calibration/calibration_models"):
        assert alone[name].equals(at_once[name]), name
    mine = at_once["calibration/forecasts"].filter(symbol="AAPL")
    assert alone["calibration/forecasts"].equals(mine)
    assert mine.height > 0


def test_a_failing_asset_is_named_with_the_cause_s_own_words(tmp_path):
    said = "AAPL_2025_01.parquet cannot be read. MarketDataError: it says so itself. Fetch the file again."

    def broken(symbols, days, bars):
        try:
            raise OSError(5, "Input/output error")
        except OSError as error:
            raise MarketDataError(said) from error

    with (
        road(tmp_path, TWO, overriding={"market_data": Market(broken)}) as found,
        pytest.raises(RunFailed) as failed,
    ):
        found.run(DAYS[:1], assets=("bars",))
    assert str(failed.value) == said
    assert failed.value.asset == "bars/raw_bars"
    assert failed.value.run_id


def test_an_unexpected_fault_is_told_in_its_own_words_too(tmp_path):
    def broken(symbols, days, bars):
        raise ZeroDivisionError("nobody expected this")

    with (
        road(tmp_path, TWO, overriding={"market_data": Market(broken)}) as found,
        pytest.raises(RunFailed, match=r"^nobody expected this$"),
    ):
        found.run(DAYS[:1], assets=("bars",))


def test_after_a_failure_the_same_rectangle_makes_only_what_is_left(tmp_path):
    def no_history(symbols, days, bars):
        if DAYS[0] in days:
            raise MarketDataError("the day's bars are not there yet. Try later.")
        return bars

    market = Market(no_history)
    with road(tmp_path, TWO, overriding={"market_data": market}) as found:
        with pytest.raises(RunFailed, match="not there yet"):
            found.run(DAYS[:1], assets=("panel",))
        before = found.bytes()
        assert before, "the history is stored"
        market.wrong = lambda symbols, days, bars: bars
        outcome = found.run(DAYS[:1], assets=("panel",))
        assert market.asked[-1] == (SYMBOLS, (date(2025, 1, 16), DAYS[0])), "the day, and the close before it"
        after = found.bytes()
    assert {name: after[name] for name in before} == before
    assert outcome.there > 0


@pytest.mark.parametrize("hour", [13, 15])
def test_a_session_that_has_not_closed_is_refused_by_the_asset_itself_however_it_is_launched(tmp_path, hour):
    """The UI offers the partition all day long: a morning's rows would stand for the session."""
    at = datetime(2025, 1, 17, hour, tzinfo=UTC)
    market = Market()
    with road(tmp_path, TWO, overriding={"market_data": market}, clock=lambda: at) as found:
        for keys in (
            {"partition": "2025-01-17|AAPL"},
            {"tags": {RANGE_START: "2025-01-16|AAPL", RANGE_END: "2025-01-17|SPY"}},
        ):
            with pytest.raises(Failed, match=r"of 2025-01-17 has not closed yet\. Ask for 2025-01-16 or"):
                run(found.engine, [dg.AssetKey(["bars", "raw_bars"])], **keys)
        assert found.bytes() == {}
        assert market.asked == [], "nothing is read either"


def test_one_bad_symbol_does_not_stop_the_rectangle_however_small_it_is(tmp_path):
    def without_nvda(symbols, days, bars):
        return bars.filter(pl.col("symbol") != "NVDA")

    with road(tmp_path, TWO, overriding={"market_data": Market(without_nvda)}) as found:
        found.run(DAYS[:1], symbols=[s for s in SYMBOLS if s != "NVDA"], assets=("labels",))
        alone = found.run(DAYS[:1], symbols=("NVDA",), assets=("labels", "quality_report"))
        verdicts = dict(found.tables()["bars/quality_report"].select("symbol", "verdict").iter_rows())
    assert "labels" in names(alone)
    assert verdicts == {symbol: "no_data" if symbol == "NVDA" else "ok" for symbol in SYMBOLS}


def test_the_report_hears_of_every_launch_before_and_after(tmp_path):
    heard: list[tuple[int, bool]] = []
    with road(tmp_path, TWO, pictures=False) as found:
        found.engine.report = lambda range_run, done: heard.append((id(range_run), done))
        outcome = found.run(DAYS[:1], assets=("bars",))
    assert heard == [(id(range_run), done) for range_run in outcome.range_runs for done in (False, True)]


def test_runs_carry_the_engine_s_tags_and_leave_no_warnings_in_the_log(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    with road(tmp_path, TWO, pictures=False) as found:
        found.engine.tags["who"] = "test"
        found.run(DAYS[:1], assets=("bars",))
        runs = found.engine.instance.get_runs()
    assert runs
    assert all(one.tags["who"] == "test" for one in runs)
    assert caplog.records == []
