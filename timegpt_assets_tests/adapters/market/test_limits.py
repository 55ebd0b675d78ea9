"""Bombs and pipes: a file is looked at before it is read, and what it says is repeated in bounds."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from timegpt_assets.adapters.market.daily_files import DailyFileError
from timegpt_assets.adapters.market.limits import Limits, shown, shown_name
from timegpt_assets.adapters.market.market_data import LocalMarketData, MarketDataError
from timegpt_assets.adapters.storage.object_store import LocalStore, ObjectStoreError
from timegpt_assets.config import files
from timegpt_assets.config.errors import ConfigError
from timegpt_assets.config.settings import load_settings
from timegpt_assets.runtime import daily_files, environment, load_runtime, market_data
from timegpt_assets_tests.bad_files import DAYS, month

DAY = DAYS[0]
PATH = Path("stocks/1m/AAA/2025/AAA_2025_01.parquet")


def laid(root: Path, table: pa.Table) -> Path:
    """Write the table as AAA's month."""
    path = root / PATH
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, compression="zstd")
    return path


def rows(count: int) -> pa.Table:
    """Return one good row of AAA, so many times."""
    row = month("AAA", DAYS).head(1).to_arrow()
    return row.take(np.zeros(count, np.int64))


@pytest.mark.parametrize(
    ("limits", "name"),
    [(Limits(file_mb=0.001), "file_mb"), (Limits(rows=389), "rows"), (Limits(unpacked_mb=0.001), "unpacked_mb")],
)
def test_a_file_beyond_a_limit_is_a_fault_that_names_the_setting_and_no_row_of_it_is_read(
    tmp_path: Path, limits: Limits, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid(tmp_path, month("AAA", DAYS).to_arrow())
    monkeypatch.setattr(pq.ParquetFile, "read_row_group", lambda *_, **__: pytest.fail("rows were read"))
    found = LocalMarketData(tmp_path, limits=limits).delivery(["AAA"], DAYS)
    assert found.bars.is_empty()
    assert found.faults["rule"].unique().to_list() == ["oversized"]
    assert f"data.limits.{name}, and was not read." in found.faults["detail"][0]


def test_the_limits_of_the_settings_reach_the_source(tmp_path: Path) -> None:
    laid(tmp_path, rows(400))
    said = ["data.source=local", f"data.root={tmp_path}", "data.limits.rows=399"]
    found = market_data(load_runtime(said, profile="dev", environ={})).delivery(["AAA"], [DAY])
    assert found.faults["rule"].to_list() == ["oversized"]


BOMB = """
import resource, sys
from datetime import date
from pathlib import Path
from timegpt_assets.adapters.market.market_data import LocalMarketData
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = LocalMarketData(Path(sys.argv[1])).delivery(["AAA"], [date(2025, 1, 2)])
print(found.faults["rule"].to_list(), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_a_small_file_of_twenty_million_rows_is_a_verdict_and_costs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / PATH
    path.parent.mkdir(parents=True)
    chunk = rows(2_000_000)
    with pq.ParquetWriter(path, chunk.schema, compression="zstd") as writer:
        for _ in range(10):
            writer.write_table(chunk)
    assert path.stat().st_size < 1_000_000
    done = subprocess.run([sys.executable, "-c", BOMB, str(tmp_path)], capture_output=True, text=True, timeout=60)
    told, _, grown = done.stdout.strip().rpartition(" ")
    assert (done.returncode, told) == (0, "['oversized']"), done.stderr
    assert int(grown) < 100, "megabytes"


def test_names_of_ten_megabytes_inside_a_file_are_told_in_a_sentence(tmp_path: Path) -> None:
    frame = month("AAA", DAYS)
    names = pl.Series([f"{n}\x1b[31m" + "Z" * 10_000_000 for n in range(5)] + ["AAA"] * (frame.height - 5))
    laid(tmp_path, frame.with_columns(symbol=names).to_arrow())
    faults = LocalMarketData(tmp_path).delivery(["AAA"], DAYS).faults
    assert faults.filter(rule="foreign")["rows"].to_list() == [5]
    assert max(faults["detail"].str.len_chars()) < 800
    assert "\x1b" not in "".join(faults["detail"])


def test_columns_of_strange_names_and_types_are_told_in_a_sentence(tmp_path: Path) -> None:
    frame = month("AAA", DAYS).with_columns(close=pl.lit("x"))
    wide = pa.struct([(f"field_{n}", pa.int64()) for n in range(5_000)])
    table = frame.to_arrow().append_column("\x1b[2J" + "C" * 100_000, pa.nulls(frame.height))
    table = table.set_column(table.schema.get_field_index("open"), "open", pa.nulls(frame.height, wide))
    laid(tmp_path, table)
    (detail,) = LocalMarketData(tmp_path).delivery(["AAA"], [DAY]).faults["detail"]
    assert "column close is large_string" in detail
    assert len(detail) < 800


def test_what_a_stranger_wrote_is_shown_escaped_and_cut() -> None:
    assert shown("a\x1b[31mb\nc") == "a\\x1b[31mb\\nc"
    assert shown("x" * 600).endswith("x... (600 characters)")
    assert shown_name("A" * 300) == repr("A" * 32 + "... (300 characters)")
    assert shown_name(None) == "None"


def test_a_ticker_longer_than_any_is_refused_and_not_repeated_whole(tmp_path: Path) -> None:
    with pytest.raises(MarketDataError, match=r"A\.\.\. \(300 characters\)' is no ticker.*Mend the universe"):
        LocalMarketData(tmp_path).delivery(["A" * 300], [DAY])


@pytest.fixture(params=["pipe", "folder", "device"])
def odd(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return something that is no file, opened by nobody else: waiting for it would never end."""
    path = tmp_path / "odd"
    made = {"pipe": lambda: os.mkfifo(path), "folder": path.mkdir, "device": lambda: path.symlink_to("/dev/zero")}
    made[request.param]()
    return path


@pytest.mark.parametrize("read", [files.opened, files.text])
def test_what_is_no_regular_file_is_refused_at_once_with_the_remedy(odd: Path, read: object) -> None:
    with pytest.raises(files.IrregularFile, match=r"odd is no regular file\. Put a file there, or take it away\.$"):
        read(odd)  # type: ignore[operator]


def test_a_pipe_for_a_stored_object_a_setting_or_the_environment_is_an_error_and_no_wait(odd: Path) -> None:
    store = LocalStore(odd.parent)
    for read in (store.read, store.opened, store.ranged):
        with pytest.raises(ObjectStoreError, match="no regular file"):
            read("odd")
    odd.rename(odd.parent / "data.yaml")
    with pytest.raises(ConfigError, match=r"data\.yaml.*no regular file.*Mend the file"):
        load_settings(profile="demo", config_dir=odd.parent, environment={})
    (odd.parent / "data.yaml").rename(odd.parent / ".env")
    with pytest.raises(ConfigError, match=r"\.env.*no regular file.*Mend the file, or take it away"):
        environment(odd.parent)


def test_an_environment_file_that_is_no_text_is_told_and_one_that_is_absent_is_none(tmp_path: Path) -> None:
    assert environment(tmp_path) == dict(os.environ)
    (tmp_path / ".env").write_bytes("A_NAME=1\n".encode("utf-16"))
    with pytest.raises(ConfigError, match="NAME=value lines in UTF-8"):
        environment(tmp_path)
    (tmp_path / ".env").write_text("A_NAME=one\n")
    assert environment(tmp_path)["A_NAME"] == "one"


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_a_daily_file_beyond_a_limit_is_an_error_with_the_setting_and_is_not_read(tmp_path: Path, suffix: str) -> None:
    frame = pl.DataFrame({"date": [DAY] * 20_000, "close": [18.0] * 20_000})
    path = tmp_path / f"vix{suffix}"
    frame.write_parquet(path) if suffix == ".parquet" else frame.write_csv(path)
    settings = [f"data.vix_path={path}", "data.limits.rows=19999", "data.limits.file_mb=0.1"]
    with pytest.raises(
        DailyFileError, match=r"over the .* of data\.limits\.(rows|file_mb), and was not read\. Set data"
    ):
        daily_files(load_runtime(settings, profile="dev", environ={}))
