"""Bad input, end to end: the error names offender and remedy, nothing is half-written, the rest is untouched."""

import re
import shutil
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from timegpt_assets.adapters.market.synthetic_market import SyntheticMarket
from timegpt_assets.core import calendar
from timegpt_assets.engine.deliveries import AGREED
from timegpt_assets.engine.engine import RunFailed
from timegpt_assets_tests.roads import Road, road, sessions
from timegpt_assets_tests.secret_search import KEY
from timegpt_assets_tests.servers.timegpt import TimeGPTServer, status
from timegpt_assets_tests.test_checks import run

pytestmark = pytest.mark.filterwarnings("ignore:AssetExecutionContext.run_id is deprecated")

TWO = ("universe.tickers=[AAPL, NVDA]", "features.warmup_sessions=1")
JANUARY, FEBRUARY = date(2025, 1, 16), date(2025, 2, 4)


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of monthly files of three symbols, December to February."""
    root = tmp_path_factory.mktemp("market")
    source = SyntheticMarket(symbols=("AAPL", "NVDA"), context=("SPY",), seed=7, predictability=0.3, missing_rate=0.0)
    for first, last in [("2024-12-30", "2024-12-31"), ("2025-01-02", "2025-01-31"), ("2025-02-03", "2025-02-07")]:
        days = sessions(date.fromisoformat(first), date.fromisoformat(last))
        for (symbol,), bars in source.bars(("AAPL", "NVDA", "SPY"), days).partition_by("symbol", as_dict=True).items():
            file = monthly(root, symbol, days[0])
            file.parent.mkdir(parents=True, exist_ok=True)
            bars.drop("day").write_parquet(file)
    return root


@pytest.fixture
def bars(market: Path, tmp_path: Path) -> Path:
    """Return a copy of the market that a test may damage."""
    return shutil.copytree(market, tmp_path / "market")


def monthly(root: Path, symbol: str, day: date) -> Path:
    return root / "stocks" / "1m" / symbol / f"{day:%Y}" / f"{symbol}_{day:%Y_%m}.parquet"


BOTH = (dg.AssetKey(["bars", "raw_bars"]), dg.AssetKey(["bars", "bars"]))


def half_the_price(file: Path) -> None:
    """Halve the prices from FEBRUARY on: a split nobody named, on one day."""
    day = pl.col("ts").dt.convert_time_zone(calendar.ZONE).dt.date()
    prices = [
        pl.when(day >= FEBRUARY).then(pl.col(c) / 2).otherwise(c).alias(c) for c in ("open", "high", "low", "close")
    ]
    pl.read_parquet(file).with_columns(prices).write_parquet(file)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:5000])


def other_symbol(file: Path) -> None:
    pl.read_parquet(file).with_columns(symbol=pl.lit("TSLA")).write_parquet(file)


def on_files(folder: Path, bars: Path):
    """Return the road of profile dev on those files."""
    return road(folder / "house", *TWO, f"data.root={bars}", profile="dev")


def on_server(folder: Path, server: TimeGPTServer | None, *overrides: str, key: str = KEY):
    """Return the road of profile dev with the real SDK against a local server."""
    url = server.url if server else "http://127.0.0.1:9"
    asking = ("forecast.backend=nixtla", "forecast.api_mode=simulate", f"forecast.base_url={url}")
    quick = ("data.source=synthetic", "forecast.api_budget.cooldown_sec=0.001")
    environment = {"TIMEGPT_API_KEY": key} if key else {}
    return road(folder, *TWO, *asking, *quick, *overrides, profile="dev", environment=environment)


def failure(house: Road, *days: date, assets: tuple[str, ...]) -> RunFailed:
    with pytest.raises(RunFailed) as failed:
        house.run(days, assets=assets)
    return failed.value


def leftovers(root: Path) -> list[str]:
    """Return files of a storage root that are neither tables nor locks nor notes: traces of half a write."""
    files = (p for p in root.rglob("*") if p.is_file() and p.parent.name != "lineage" and p.name != AGREED)
    return [p.name for p in files if p.suffix not in (".parquet", ".lock")]


def test_a_missing_month_is_a_verdict_and_the_road_goes_on(tmp_path, bars):
    monthly(bars, "NVDA", JANUARY).unlink()
    with on_files(tmp_path, bars) as house:
        house.run([JANUARY], assets=("book", "quality_report"))
        tables = house.tables()
    verdicts = tables["bars/quality_report"].filter(day=JANUARY).select("symbol", "verdict").rows()
    assert verdicts == [("AAPL", "ok"), ("NVDA", "no_data"), ("SPY", "ok")]
    assert tables["bars/bars"].filter(symbol="NVDA", day=JANUARY).is_empty()
    assert tables["forecasts/base_answers"]["symbol"].unique().to_list() == ["AAPL"]
    assert tables["forecasts/base_answers"].filter(forecaster="ridge").height == 5
    assert tables["calibration/forecasts"]["symbol"].unique().to_list() == ["AAPL"]


@pytest.mark.parametrize("spoil", [cut, other_symbol, half_the_price])
def test_one_partition_at_a_time_a_range_and_the_engine_store_the_same_bytes_of_bad_bars(tmp_path, bars, spoil):
    spoil(monthly(bars, "NVDA", FEBRUARY))
    days, symbols = (FEBRUARY, date(2025, 2, 5)), ("AAPL", "NVDA", "SPY")
    made = {}
    for name in ("alone", "range", "engine"):
        with on_files(tmp_path / name, bars) as house:
            if name == "engine":
                house.run(days, assets=("bars",))
            elif name == "range":
                run(house, *BOTH, span=(f"{days[0]}|AAPL", f"{days[1]}|SPY"))
            else:
                done = [run(house, *BOTH, partition=f"{day}|{symbol}").success for symbol in symbols for day in days]
                assert done.count(False) in (1, 2), "the check of what is bad is red, and nobody else's"
            tables = {key: file for key, file in house.bytes().items() if key.startswith("bars/")}
            made[name] = tables
    assert len(made["alone"]) == 4
    assert made["alone"] == made["range"] == made["engine"]


@pytest.mark.parametrize(("minutes", "verdict"), [(5, "late"), (5 * 1440 - 1, "late"), (5 * 1440, "no_data")])
def test_a_session_without_rows_is_late_until_the_close_of_the_third_after_it(tmp_path, bars, minutes, verdict):
    newest = date(2025, 2, 7)
    for symbol in ("AAPL", "NVDA", "SPY"):
        path = monthly(bars, symbol, newest)
        kept = pl.col("ts").dt.convert_time_zone(calendar.ZONE).dt.date() < newest
        pl.read_parquet(path).filter(kept | (pl.lit(symbol) == "AAPL")).write_parquet(path)
    at = calendar.session(newest).close + timedelta(minutes=minutes)
    house_of = road(tmp_path / "house", *TWO, f"data.root={bars}", profile="dev", clock=lambda: at)
    with house_of as house:
        house.run([newest], assets=("quality_report",))
        verdicts = house.tables()["bars/quality_report"].filter(day=newest).select("symbol", "verdict").rows()
    assert verdicts == [("AAPL", "ok"), ("NVDA", verdict), ("SPY", verdict)]


def no_parquet(file: Path) -> None:
    file.write_text("symbol,ts,open\n")


def without_close(file: Path) -> None:
    pl.read_parquet(file).drop("close").write_parquet(file)


def text_volume(file: Path) -> None:
    pl.read_parquet(file).with_columns(pl.col("volume").cast(pl.String)).write_parquet(file)


@pytest.mark.parametrize(
    ("spoil", "rule", "said"),
    [
        (cut, "unreadable", "cannot be read as parquet"),
        (no_parquet, "unreadable", "cannot be read as parquet"),
        (without_close, "columns", "column close is missing"),
        (text_volume, "columns", "column volume is"),
        (other_symbol, "foreign", "rows are of 'TSLA', not of 'NVDA'. Put each ticker in its own file."),
    ],
)
def test_a_bad_month_file_is_a_verdict_of_its_own_days_and_stops_no_others(
    tmp_path, bars, spoil: Callable[[Path], None], rule, said
):
    bad = monthly(bars, "NVDA", JANUARY)
    with on_files(tmp_path, bars) as house:
        house.run([FEBRUARY], assets=("bars",))
        before = house.bytes()
        good = bad.read_bytes()
        spoil(bad)
        house.run([JANUARY], assets=("quality_report", "labels"))
        verdicts = house.tables()["bars/quality_report"].sort("symbol")
        assert verdicts.select("symbol", "verdict", "rules").rows() == [
            ("AAPL", "ok", ""),
            ("NVDA", "quarantined", rule),
            ("SPY", "ok", ""),
        ]
        assert verdicts["detail"][1].startswith(str(bad))
        assert said in verdicts["detail"][1]
        labels = house.tables()["features/labels"].filter(day=JANUARY)
        assert labels["symbol"].unique().sort().to_list() == ["AAPL", "SPY"]
        assert {name: house.bytes()[name] for name in before} == before
        assert leftovers(house.root) == []
        bad.write_bytes(good)
        house.run([JANUARY], assets=("raw_bars", "bars", "quality_report"), force=True)
        assert house.tables()["bars/quality_report"]["verdict"].to_list() == ["ok"] * 3


def test_a_folder_of_bars_that_is_not_there_or_not_set_is_named(tmp_path):
    with road(tmp_path, *TWO, "data.root=/nowhere/bars", profile="dev") as house:
        assert str(failure(house, JANUARY, assets=("bars",))).startswith(
            "/nowhere/bars is no folder of bars. Set data.root"
        )
        assert house.bytes() == {}
    with road(tmp_path, *TWO, profile="dev") as house:
        said = str(failure(house, JANUARY, assets=("bars",)))
        assert "data.root = None is refused: allowed is the folder that holds the bars." in said
        assert said.endswith("or the environment's TIMEGPT_ASSETS_REAL_DATA.")
        assert house.bytes() == {}


def test_a_bucket_that_nobody_named_is_refused_with_the_remedy(tmp_path):
    with road(tmp_path, *TWO, profile="prod") as house:
        said = str(failure(house, JANUARY, assets=("bars",)))
    assert "data.bucket = None is refused" in said
    assert said.endswith("Set data.bucket, e.g. --set data.bucket=my-bars.")


def test_a_storage_root_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "stored").write_text("a file in its place")
    with road(tmp_path, *TWO, f"data.storage_root={tmp_path / 'stored'}") as house:
        said = str(failure(house, JANUARY, assets=("bars",)))
    assert str(tmp_path / "stored") in said
    assert (tmp_path / "stored").read_text() == "a file in its place"


def test_without_an_api_key_nothing_is_sent_and_the_way_to_the_answers_stays(tmp_path):
    with TimeGPTServer() as server:
        with on_server(tmp_path, server, key="") as house:
            failed = failure(house, JANUARY, assets=("answers",))
            assert str(failed) == "No API key is set; nothing was sent. Set TIMEGPT_API_KEY (or NIXTLA_API_KEY)."
            assert failed.asset == "forecasts/answers"
            assert not server.counts
            before = house.bytes()
            assert "features/panel/2025-01-16.parquet" in before
            assert not [name for name in before if "answers" in name]
        with on_server(tmp_path, server) as house:
            house.run([JANUARY], assets=("answers",))
            assert server.counts["/v2/forecast"] == 5
            assert {name: house.bytes()[name] for name in before} == before


def test_a_rejected_key_is_told_and_never_repeated(tmp_path, capfd, caplog):
    with TimeGPTServer(key="another") as server, on_server(tmp_path, server) as house:
        failed = failure(house, JANUARY, assets=("answers",))
        log = "\n".join(str(record) for record in _events(house))
    assert 'answered 401 "Invalid API key [key]": the API key is not accepted. Set TIMEGPT_API_KEY' in str(failed)
    assert sum(server.counts.values()) == 1, "no second attempt"
    assert not [name for name in house.bytes() if "answers" in name]
    assert len(log) > 10_000
    said = [str(failed), log, *capfd.readouterr(), caplog.text]
    assert not [text for text in said if KEY in text]
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


def _events(house: Road) -> Iterator[object]:
    for found in house.engine.instance.get_runs():
        yield from house.engine.instance.all_logs(found.run_id)


def test_a_key_refused_half_way_leaves_what_was_answered_to_the_next_run(tmp_path):
    with TimeGPTServer() as server, on_server(tmp_path, server) as house:
        server.faults.extend([status(401, body={"detail": f"Invalid API key {KEY}"})])
        failed = failure(house, JANUARY, assets=("answers",))
        assert "the API key is not accepted" in str(failed)
        assert KEY not in str(failed)
        house.run([JANUARY], assets=("answers",))
        assert server.worked == 5
        assert server.counts["/model_params"] == 1, "what was answered before the refusal is not asked again"
        assert house.tables()["forecasts/answers"]["snapshot_ts"].n_unique() == 5


def test_a_day_that_the_budget_cannot_pay_for_waits_before_anything_is_sent(tmp_path):
    day_after = sessions(JANUARY, date(2025, 1, 17))[-1]
    with TimeGPTServer() as server, on_server(tmp_path, server, "forecast.api_budget.per_day=7") as house:
        house.run([JANUARY], assets=("answers",))
        spent = server.counts
        assert sum(spent.values()) == 6
        before = house.bytes()
        outcome = house.run([day_after], assets=("answers",))
        assert outcome.pending == [day_after]
        assert "1 left" in outcome.why, outcome.why
        assert server.counts == spent
        assert {name: house.bytes()[name] for name in before} == before
        assert f"forecasts/answers/{day_after}.parquet" not in house.bytes()
        again = house.run([JANUARY], assets=("answers",), force=True)
        assert again.made == 1
        assert server.counts == spent, "what was paid for is not sent again"
        assert house.bytes()["forecasts/answers/2025-01-16.parquet"] == before["forecasts/answers/2025-01-16.parquet"]


def test_a_server_that_cannot_be_reached_is_named(tmp_path):
    with on_server(tmp_path, None, "forecast.max_attempts=1") as house:
        failed = failure(house, JANUARY, assets=("answers",))
    assert "127.0.0.1:9 cannot be reached" in str(failed)
    assert failed.asset == "forecasts/answers"


WINDOWED = {
    "features/features": "bars/bars",
    "forecasts/base_answers": "features/panel",
    "backtest/trades": "features/features",
    "backtest/portfolio": "backtest/book",
}
"""Asset -> the windowed input that may lack earlier sessions, never the run's own."""


@pytest.mark.whole
def test_a_window_may_lack_earlier_sessions_but_never_the_runs_own(tmp_path):
    """Asked of Dagster itself, as the UI does: the engine would make the lost day again before it runs the asset."""
    with road(tmp_path, *TWO) as house:
        days = sessions(date(2025, 1, 15), date(2025, 1, 16))
        house.run(days)
        day = str(days[-1])
        for asset, own in WINDOWED.items():
            key = dg.AssetKey(asset.split("/"))
            is_by_symbol = isinstance(
                house.engine.repository.asset_graph.get(key).partitions_def, dg.MultiPartitionsDefinition
            )
            partition = f"{day}|AAPL" if is_by_symbol else day
            file = house.root / own / f"{day}.parquet"
            kept = file.read_bytes()
            file.unlink()
            lost = run(house, key, partition=partition)
            (said,) = [event.step_failure_data.error for event in lost.get_step_failure_events()]
            assert re.search(f"{own} was never materialised for {day}.*backfill --assets", str(said.cause or said))
            file.write_bytes(kept)
            assert run(house, key, partition=partition).success
