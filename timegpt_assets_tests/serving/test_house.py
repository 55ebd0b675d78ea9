"""A house read from Python: what its methods return is what lies there, and nothing else is touched or read."""

import inspect
import json
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

import timegpt_assets as ta
from timegpt_assets import runtime
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_files import StoreError
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.cli import app as cli
from timegpt_assets.config.errors import ConfigError
from timegpt_assets.core.tables.stored import STORED
from timegpt_assets.engine.stages import EVERYDAY
from timegpt_assets.serving.house import House
from timegpt_assets.serving.question import ReadingError
from timegpt_assets_tests.adapters.buckets import closing
from timegpt_assets_tests.project import PROJECT
from timegpt_assets_tests.read_house import READ, ReadHouse
from timegpt_assets_tests.servers.gcs import GCSServer

SEATS = {"climatology", "ridge", "timegpt", "zero"}
MADE = set(STORED) & set(EVERYDAY)
"""What the days of the house have made of the list."""


@pytest.fixture(scope="module")
def house(read_house: ReadHouse) -> House:
    return read_house.open()


@pytest.fixture
def copied(read_house: ReadHouse, tmp_path: Path) -> tuple[House, ParquetStore]:
    """Return a house over tables of the test's own, and the store to change them with."""
    root = tmp_path / "tables"
    shutil.copytree(read_house.root, root)
    return read_house.open(root), ParquetStore(LocalStore(root))


@pytest.fixture
def opened_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of the files that are opened from now on."""
    seen: list[str] = []
    really = LocalStore.opened
    monkeypatch.setattr(LocalStore, "opened", lambda store, name: (seen.append(name), really(store, name))[1])
    return seen


def whole(house: House, name: str) -> pl.DataFrame:
    """Return everything stored of a table, read by the store and not by the house."""
    return ParquetStore(house._runtime.storage).read(STORED[name].asset, house._store.files(STORED[name].asset))


def test_every_table_is_a_method_that_returns_what_is_stored(house):
    assert set(house.tables()["table"]) == MADE
    for name in MADE:
        assert_frame_equal(getattr(house, name)().collect(), whole(house, name), check_column_order=False)


def test_columns_stand_as_declared_with_lineage_at_the_end(house):
    for name in MADE:
        columns = getattr(house, name)().collect_schema()
        declared = STORED[name].table.schema
        assert list(columns.items())[: len(declared)] == list(declared.items())
        assert columns.names()[-1] == "lineage_id"
        assert getattr(house, name)().collect().schema == columns


COLUMNS = ("day", "symbol", "snapshot_ts", "forecaster", "q50", "calibration", "lineage_id", "raw_q10")


@settings(max_examples=40)
@given(data=st.data())
def test_any_question_gives_the_rows_that_a_plain_filter_gives(house, data):
    """Ranges, names, predicates, projections and limits, each drawn, against one eager frame."""
    frame = whole(house, "forecasts")
    first, last = sorted(data.draw(st.tuples(st.sampled_from(READ), st.sampled_from(READ))))
    symbols = data.draw(st.none() | st.lists(st.sampled_from(["AAPL", "META", "NVDA", "SPY"]), min_size=1))
    rows = frame.filter(pl.col("day").is_between(first, last))
    rows = rows if symbols is None else rows.filter(pl.col("symbol").is_in(symbols))
    there = sorted(rows["forecaster"].unique()) or sorted(SEATS)
    who = data.draw(st.none() | st.lists(st.sampled_from(there), min_size=1))
    rows = rows if who is None else rows.filter(pl.col("forecaster").is_in(who))
    conditions = [pl.col("q50") > 0, pl.col("snapshot_ts").dt.hour() < 16, pl.col("raw_q10").is_null(), None]
    condition = data.draw(st.sampled_from(conditions))
    columns = data.draw(st.lists(st.sampled_from(COLUMNS), min_size=1, unique=True))
    most = data.draw(st.none() | st.integers(0, 30))
    query = house.forecasts(first, last, symbols, who)
    query = (query if condition is None else query.filter(condition)).select(columns)
    engine = data.draw(st.sampled_from(["auto", "streaming"]))
    found = (query if most is None else query.head(most)).collect(engine=engine)
    expected = (rows if condition is None else rows.filter(condition)).select(columns)
    assert_frame_equal(found, expected if most is None else expected.head(most))


def test_nothing_is_read_before_collect_and_then_the_days_asked_for_alone(house, opened_files):
    query = house.bars("2025-01-29", "2025-01-30", "AAPL").filter(pl.col("volume") > 0).select("close")
    assert opened_files == []
    query.collect()
    assert opened_files == ["bars/bars/2025-01-29.parquet", "bars/bars/2025-01-30.parquet"]


def test_further_columns_are_found_in_one_file_and_in_no_row(house, opened_files):
    assert "sigma_60m" in house.features().collect_schema().names()
    assert opened_files == ["features/features/2025-01-31.parquet"]


def test_a_month_is_asked_for_by_its_days_too(house):
    for start, end in (("2025-01", None), ("2025-01-15", "2025-01-20"), (date(2025, 1, 31), None)):
        assert house.comparison(start, end).select(pl.len()).collect().item() == whole(house, "comparison").height


def test_methods_say_their_columns_with_units_and_what_they_take(house):
    for name, stored in STORED.items():
        method = getattr(house, name)
        said = inspect.getdoc(method)
        assert all(f"{column} (" in said for column in stored.table.columns), name
        taken = set(inspect.signature(method).parameters) - {"start", "end"}
        named = {"symbols": "symbol", "forecaster": "forecaster", "book": "book"}
        assert taken == {word for word, column in named.items() if column in stored.table.columns}
        assert method.__name__ == name
    assert "net_pnl (Float64): USD after costs" in inspect.getdoc(house.trades)
    assert set(STORED) <= set(dir(house))
    assert not set(STORED) & {*dir(object), "settings", "tables", "trace"}


def test_help_of_the_door_is_read_without_the_package_behind_it():
    assert 'house = ta.open("demo")' in inspect.getdoc(ta.open)
    assert list(inspect.signature(ta.open).parameters) == ["profile", "config_dir", "settings"]


def test_a_house_says_what_is_there(house, read_house):
    said = repr(house).splitlines()
    assert said[0] == f"House of profile dev, stored in {read_house.root}"
    assert len(said) == 1 + len(MADE)
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in said[1:]}
    assert lines["forecasts"] == "4 days 2025-01-28 to 2025-01-31"
    assert lines["report"] == "1 months 2025-01 to 2025-01"


def tree(folder: Path) -> dict[str, tuple[int, int, int]]:
    return {str(p): (p.stat().st_mtime_ns, p.stat().st_size, p.stat().st_mode) for p in sorted(folder.rglob("*"))}


QUIET = """
import json, logging, os, signal, sys, time, warnings
from pathlib import Path
import timegpt_assets as ta
light = {name for name in sys.modules if name.split(".")[0] in ("polars", "yaml", "pydantic", "dagster")}
import numpy, polars, pyarrow  # which set a variable and filters of their own

def state():
    return [dict(os.environ), os.getcwd(), logging.root.handlers[:], logging.root.level, logging.lastResort,
            [name for name, one in logging.root.manager.loggerDict.items() if getattr(one, "handlers", None)],
            warnings.filters[:],
            signal.getsignal(signal.SIGINT), sys.excepthook, os.umask(os.umask(0o22)), sys.path[:]]

said = json.loads(sys.argv[1])
before, began = state(), time.process_time()
one = ta.open("dev", settings=said)
took = time.process_time() - began
two = ta.open("demo", settings={"data.storage_root": said["data.storage_root"]})
repr(one), repr(two)
rows = one.forecasts(forecaster="timegpt").collect()
one.trace(rows[0])
assert two.settings.profile == "demo" and one.settings.profile == "dev"
assert two.forecasts().collect().height == one.forecasts().collect().height
changed = [a for a, b in zip(before, state()) if a != b]
dear = ("dagster", "pandas", "sqlalchemy", "optuna", "nixtla", "google.cloud.storage")
heavy = sorted(name for name in dear if name in sys.modules)
print(json.dumps({"changed": repr(changed), "heavy": heavy, "light": sorted(light), "open": took}))
"""


def test_reading_leaves_the_process_and_every_file_as_they_were(read_house, tmp_path):
    """A process of its own: no variable, folder, logger, filter or signal of it differs; no Dagster is imported."""
    (tmp_path / "here").mkdir()
    before = tree(read_house.folder), tree(tmp_path)
    command = [sys.executable, "-W", "error", "-c", QUIET, json.dumps(read_house.settings(), default=str)]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path / "here", env=environment)
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    assert (said["changed"], said["heavy"], said["light"], ran.stderr) == ("[]", [], [], "")
    assert said["open"] < 5
    assert (tree(read_house.folder), tree(tmp_path)) == before


NOWHERE = {"data.source": "local", "data.root": "/nowhere"}


def test_settings_are_layered_as_the_command_line_layers_them(tmp_path, monkeypatch):
    (tmp_path / "configs" / "profiles").mkdir(parents=True)
    (tmp_path / "configs" / "features.yaml").write_text("warmup_sessions: 7\n")
    monkeypatch.setenv("TIMEGPT_ASSETS_CONFIG_DIR", str(tmp_path / "configs"))
    monkeypatch.setenv("TIMEGPT_ASSETS_PROFILE", "dev")
    monkeypatch.setenv("TIMEGPT_ASSETS_SET", "forecast.history_days=7\ncalibration.embargo_days=3")
    house = ta.open(settings={"forecast.history_days": 8, "universe.context": ["SPY"], "data.start_date": READ[0]})
    there = house.settings
    assert (there.profile, there.forecast.history_days, there.calibration.embargo_days) == ("dev", 8, 3)
    assert (list(there.universe.context), there.data.start_date, there.features.warmup_sessions) == (
        ["SPY"],
        READ[0],
        7,
    )
    monkeypatch.delenv("TIMEGPT_ASSETS_CONFIG_DIR")
    assert ta.open("prod", settings=NOWHERE).settings.features.warmup_sessions != 7
    assert ta.open("prod", tmp_path / "configs", NOWHERE).settings.features.warmup_sessions == 7


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (lambda h: h.forecast(), "there is no table forecast. Did you mean forecasts? Tables are raw_bars, "),
        (lambda h: h.forecasts("2025-02-01", "2025-01-01"), "start 2025-02-01 lies after end 2025-01-01."),
        (
            lambda h: h.bars(symbols=["AAPL", "nvda"]),
            "nvda is no symbol of profile dev, nor has it a row in bars. Did",
        ),
        (lambda h: h.bars(symbols="QQQ"), "There are AAPL, META, NVDA, SPY."),
        (lambda h: h.panel(symbols="QQQ"), "nor has it a row in panel."),
        (
            lambda h: h.bars(forecaster="ridge"),
            "got an unexpected keyword argument 'forecaster'. It takes start, end",
        ),
        (
            lambda h: h.forecasts(forecaster="rigde").collect(),
            "There are rows of climatology, ridge, timegpt, zero:",
        ),
        (
            lambda h: h.portfolio(book=["live", "mine"]).collect(),
            "book mine has no row in portfolio from 2025-01-28 to",
        ),
        (
            lambda h: h.bars("2025-02-03"),
            "no day from 2025-02-03 to the last: 8 days from 2025-01-22 to 2025-01-31",
        ),
        (
            lambda h: h.report(end="2024-12"),
            "no month from the first to 2024-12: 1 months from 2025-01 to 2025-01",
        ),
        (lambda h: h.trading_grid(), "Make it: timegpt-assets sweep --profile dev --set "),
        (lambda h: h.search_stage_2(), "Make it: timegpt-assets search --profile dev --set "),
        (lambda h: h.promotion(), "Make it: timegpt-assets evaluate --profile dev --set "),
        (lambda h: h.trace(h.bars().head(2).collect()), "2 rows were given. Give one"),
        (lambda h: h.trace({"day": READ[0]}), "The row has no lineage_id."),
        (lambda h: h.trace({"lineage_id": "0" * 16}), "no record of lineage 0000000000000000 is in "),
    ],
)
def test_what_cannot_be_read_is_said_with_what_there_is(house, asked, told):
    with pytest.raises((ReadingError, AttributeError, TypeError)) as error:
        asked(house)
    assert told in str(error.value)


def test_what_the_page_shows_runs_as_it_stands(read_house, monkeypatch):
    """The page opens profile demo: here its blocks meet the house of this test under that name."""
    page = (PROJECT / "docs" / "how-to" / "read-from-python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.S)
    monkeypatch.setenv("TIMEGPT_ASSETS_SET", f"data.storage_root={read_house.root}")
    known: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "read-from-python.md", "exec"), known)  # noqa: S102 - our own page
    assert known["forecasts"].collect()["day"].unique().to_list() == READ[2:]
    assert known["scores"].height > 0
    assert len(blocks) == 6


def test_an_unknown_profile_and_a_wrong_setting_are_refused_in_words():
    with pytest.raises(ConfigError, match=r"allowed is demo \| dev \| offline \| prod\. Did you mean demo\?"):
        ta.open("demoo")
    with pytest.raises(ReadingError, match='Give a name like "demo" and a mapping like'):
        ta.open(["demo"])  # type: ignore[arg-type]  # what a person may well try
    with pytest.raises(ReadingError, match='Give a name like "demo" and a mapping like'):
        ta.open("demo", settings=["data.root=/x"])  # type: ignore[arg-type]  # what a person may well try
    with pytest.raises(ConfigError, match=r"forecast\.horizon_mins"):
        ta.open("demo", settings={"forecast.horizon_mins": 5})


def test_a_symbol_that_left_the_universe_keeps_its_rows(read_house):
    smaller = read_house.settings() | {"universe.tickers": ["AAPL", "META"]}
    house = ta.open("dev", settings=smaller)
    assert house.bars("2025-01-30", symbols="NVDA").collect()["symbol"].unique().to_list() == ["NVDA"]
    assert house.portfolio(symbols="NVDA").collect().height == house.portfolio().filter(symbol="NVDA").collect().height


def run(sentence: str) -> Any:
    """Run the command that a sentence ends with."""
    words = shlex.split(sentence[sentence.index("timegpt-assets ") :])
    return CliRunner().invoke(cli.app, words[1:])


@pytest.mark.filterwarnings("ignore:AssetExecutionContext.run_id is deprecated")
def test_what_is_not_there_yet_and_what_is_damaged_are_made_by_the_command_that_is_named(read_house, tmp_path):
    root = tmp_path / "tables"
    shutil.copytree(read_house.root / "bars", root / "bars")
    house = ta.open("dev", settings=read_house.settings(root))
    with pytest.raises(ReadingError, match="bars has no day from 2025-02-03 to 2025-02-03") as absent:
        house.bars("2025-02-03", "2025-02-03")
    ran = run(str(absent.value))
    assert ran.exit_code == 0, ran.output
    assert house.bars("2025-02-03").collect().height == 4 * 390
    file = root / "bars" / "bars" / "2025-02-03.parquet"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(StoreError, match="Delete it, and materialise that asset's day again") as damaged:
        house.bars().collect()
    assert str(file) in str(damaged.value)
    assert house.bars(end="2025-01-31").collect().height == 8 * 4 * 390, "other days are read"
    file.unlink()
    assert run(str(absent.value)).exit_code == 0
    assert house.bars("2025-02-03").collect().height == 4 * 390


def test_an_empty_house_says_with_which_command_to_begin(tmp_path):
    house = ta.open("demo", settings={"data.storage_root": str(tmp_path)})
    said = f'data.storage_root="{tmp_path}"'
    command = f"timegpt-assets demo --set {shlex.quote(said)}"
    assert repr(house).endswith(f"Nothing is stored there yet. Make it: {command}")
    with pytest.raises(ReadingError, match="Nothing is stored of forecasts yet") as told:
        house.forecasts("2025-01-02")
    assert str(told.value).endswith(command)
    assert not any(tmp_path.iterdir())


def test_a_table_of_an_earlier_version_says_migrate_and_migrating_mends_it(copied):
    house, store = copied
    asset = STORED["trades"].asset
    for day in READ:
        rows, facts = store.contents(asset, {str(day): None})
        noted = {symbol: {k: v for k, v in fact.items() if k != "rows"} for (_, symbol), fact in facts.items()}
        store.write(asset, day, rows.drop("forecaster"), keys=noted.keys(), facts=noted)
    with pytest.raises(StoreError, match=r"has no column forecaster.*timegpt-assets migrate"):
        house.trades().collect()
    assert house.bars().select(pl.len()).collect().item() > 0
    ran = run(f"timegpt-assets migrate --profile dev{house._said}")
    assert ran.exit_code == 0, ran.output
    assert house.trades().collect().height > 0


def test_a_column_of_another_type_is_told_as_another_version_s(copied):
    house, store = copied
    rows = store.read("bars/quality_report", ["2025-01-30"]).with_columns(pl.col("filled").cast(pl.Float64))
    store.write("bars/quality_report", "2025-01-30", rows)
    with pytest.raises(StoreError, match="other types in filled: another version made it"):
        house.quality_report("2025-01-30", "2025-01-30").collect()


def test_a_file_that_is_gone_meanwhile_is_told_and_none_is_read_as_empty(copied):
    house, store = copied
    query = house.quality_report()
    store.objects.delete("bars/quality_report/2025-01-30.parquet")
    with pytest.raises(StoreError, match="of 2025-01-30 was there when it was asked about, and is gone"):
        query.collect()
    assert house.quality_report().collect()["day"].n_unique() == 3


def test_a_copy_that_somebody_laid_beside_a_file_is_not_read(copied):
    house, store = copied
    rows, folder = house.bars().collect().height, Path(store.objects.shown("bars/bars"))
    for name in ("2025-01-30 (copy).parquet", "2025-01-30.parquet.old", "notes.parquet", ".2025-01-30.parquet.half"):
        shutil.copy(folder / "2025-01-30.parquet", folder / name)
    (folder / "2025-01-27.parquet").rename(folder / "2025-01-27.bak")
    assert house.bars("2025-01-28").collect()["day"].n_unique() == 4
    assert house.bars().collect().height == rows - 4 * 390


def test_a_reader_beside_a_writer_sees_what_was_there_before_or_after(copied):
    house, store = copied
    day = "2025-01-30"
    rows = store.read("bars/bars", [day])
    sides = [rows, rows.with_columns(pl.col("close") + 1).head(rows.height - 10)]
    done = threading.Event()

    def write() -> None:
        for turn in range(60):
            store.write("bars/bars", day, sides[turn % 2], keys=["AAPL", "META", "NVDA", "SPY"])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not done.is_set():
        found = house.bars(day, day).collect()
        assert any(found.equals(side.select(found.columns)) for side in sides), "half of a file"
        seen.add(found.height)
    writer.join()
    assert len(seen) == 2


@pytest.fixture
def bucket(read_house: ReadHouse, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the address of the house's tables in a bucket."""
    with GCSServer("our-tables") as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        for path in read_house.root.rglob("*.*"):
            server.put("our-tables", f"tables/{path.relative_to(read_house.root).as_posix()}", path.read_bytes())
        runtime.cloud_client.cache_clear()
        with closing(runtime.cloud_client()):
            yield "gs://our-tables/tables"
        runtime.cloud_client.cache_clear()


def in_a_bucket(address: str) -> dict[str, Any]:
    return {"data.storage_root": address, "forecast.api_budget.single_writer": True}


def test_tables_in_a_bucket_are_read_as_those_on_a_disk(read_house, house, bucket):
    there = ta.open("dev", settings=read_house.settings() | in_a_bucket(bucket))
    assert repr(there).splitlines()[1:] == repr(house).splitlines()[1:]
    for query in (
        lambda h: h.forecasts("2025-01-30", forecaster="timegpt"),
        lambda h: h.features(symbols="AAPL").filter(pl.col("sigma_60m") > 0).select("ts", "sigma_60m"),
        lambda h: h.comparison(),
    ):
        assert_frame_equal(query(there).collect(), query(house).collect())
    with pytest.raises(ReadingError, match="stored in gs://our-tables/tables/bars/bars"):
        there.bars("2026-01-01")
    row = there.forecasts(forecaster="timegpt").head(1).collect()
    assert there.trace(row).item(0, "lies_at").startswith("gs://our-tables/tables/calibration/forecasts/2025-01-28")
