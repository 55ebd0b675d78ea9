"""What a stranger's folder may hold: patterns for names, pipes, bombs, links, escapes. A verdict each, never a hang."""

import gzip
import io
import os
import zipfile
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from typer.testing import CliRunner

from timegpt_assets.adapters.market.market_data import MarketDataError
from timegpt_assets.adapters.market.vendor_bars import Imported, Importer
from timegpt_assets.adapters.market.vendor_files import Limits, files
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.cli import app as cli
from timegpt_assets.core.vendors.findings import Said
from timegpt_assets_tests.bad_files import DAYS, month

SMALL = Limits(max_bytes=2_000_000, max_rows=50_000)


def bars(symbol: str = "AAPL") -> pl.DataFrame:
    return month(symbol, DAYS[:2]).drop("symbol")


def imported(folder: Path, limits: Limits | None = None, **said: object) -> dict[str, Imported]:
    importer = Importer(objects=LocalStore(folder / "root"), said=Said(**said), limits=limits or Limits())  # type: ignore[arg-type]
    found = files(folder / "in", limits)
    return {file.parts[-1]: importer.imported(file) for file in found}


def symbols(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "root" / "stocks" / "1m").iterdir())


def test_a_name_is_never_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("A*.csv", "AAPL.csv", "AMZN.csv", "[2025] NVDA.csv", "MS?T.csv"):
        bars(name).write_csv(tmp_path / "in" / name)
    told = imported(tmp_path)
    assert {name for name, one in told.items() if one.wrong} == {"A*.csv", "MS?T.csv"}
    assert all("--symbol TICKER" in one.wrong for one in told.values() if one.wrong)
    assert symbols(tmp_path) == ["AAPL", "AMZN", "NVDA"]
    assert {one.new for one in told.values() if not one.wrong} == {780}


def test_a_pipe_a_broken_link_and_a_folder_in_a_files_place_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    bars().write_csv(tmp_path / "in" / "AAPL.csv")
    os.mkfifo(tmp_path / "in" / "PIPE.csv")
    (tmp_path / "in" / "GONE.csv").symlink_to(tmp_path / "nowhere")
    (tmp_path / "in" / "FOLDER.csv").mkdir()
    told = imported(tmp_path)
    assert told["PIPE.csv"].wrong == "is no regular file. Name a file of bars."
    assert "cannot be looked at: No such file or directory" in told["GONE.csv"].wrong
    assert told["AAPL.csv"].new == 780
    assert sorted(told) == ["AAPL.csv", "GONE.csv", "PIPE.csv"]


def test_one_bad_file_is_one_verdict_and_its_name_is_shown_escaped(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    evil = "\x1b[31m[bold]EVIL.csv"
    (tmp_path / "in" / evil).write_text("a,b\n1,2\n")
    month("AAPL", DAYS[:2]).with_columns(symbol=pl.lit("A" * 300)).write_csv(tmp_path / "in" / "long.csv")
    bars().write_csv(tmp_path / "in" / "AAPL.csv")
    command = ["import-bars", str(tmp_path / "in"), "--into", str(tmp_path / "root"), "--profile", "dev"]
    done = CliRunner().invoke(cli.app, command, env={"COLUMNS": "200"})
    assert done.exit_code == 1
    assert "\x1b[31m" not in done.output
    assert r"\x1b[31m[bold]EVIL.csv" in done.output
    assert "without a ticker" in done.output
    assert symbols(tmp_path) == ["AAPL"]
    assert not [file for file in files(tmp_path / "in") if "\x1b" in file.shown]


@pytest.mark.parametrize("template", ["../{ticker}/{yyyy_mm}.parquet", "/elsewhere/{ticker}/{yyyy_mm}.parquet"])
def test_nothing_is_written_outside_the_root(tmp_path: Path, template: str) -> None:
    (tmp_path / "in").mkdir()
    bars().write_csv(tmp_path / "in" / "AAPL.csv")
    importer = Importer(objects=LocalStore(tmp_path / "deep" / "root"), template=template)
    (file,) = files(tmp_path / "in")
    assert "leads out of the folder. Mend data.template." in importer.imported(file).wrong
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_linked_folder_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "root" / "stocks" / "1m").mkdir(parents=True)
    (tmp_path / "root" / "stocks" / "1m" / "AAPL").symlink_to(tmp_path / "elsewhere")
    bars().write_csv(tmp_path / "in" / "AAPL.csv")
    told = imported(tmp_path)["AAPL.csv"]
    assert "leads out of" in told.wrong
    assert list((tmp_path / "elsewhere").rglob("*")) == []


def bomb(kind: str, path: Path) -> None:
    zeros = b"0" * 30_000_000
    if kind == "gz":
        path.write_bytes(gzip.compress(zeros))
    elif kind == "zst":
        path.write_bytes(zstandard.ZstdCompressor().compress(zeros))
    elif kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("AAPL.csv", zeros)
    elif kind == "rows":
        pq.write_table(
            pa.table({"ts": pa.nulls(3_000_000, pa.int64()), "open": pa.nulls(3_000_000, pa.float64())}), path
        )
    else:
        repeated = pa.array(["x" * 1_000]).dictionary_encode()
        column = pa.DictionaryArray.from_arrays(pa.array([0] * 40_000, pa.int32()), repeated.dictionary)
        pq.write_table(pa.table({"symbol": column.cast(pa.string())}), path)


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("AAPL.csv.gz", "gz", "importing.max_bytes"),
        ("AAPL.csv.zst", "zst", "importing.max_bytes"),
        ("AAPL.zip", "zip", "importing.max_bytes"),
        ("AAPL.parquet", "rows", "importing.max_rows"),
        ("AAPL.parquet", "strings", "importing.max_bytes"),
    ],
)
def test_a_bomb_is_told_before_it_is_whole(tmp_path: Path, name: str, kind: str, said: str) -> None:
    (tmp_path / "in").mkdir()
    bomb(kind, tmp_path / "in" / name)
    (told,) = imported(tmp_path, SMALL).values()
    assert said in told.wrong
    assert told.wrong.endswith(("raise the limit.", "Fetch or export the file again."))


def test_a_packed_file_that_unpacks_too_many_times_its_size_is_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    bomb("gz", tmp_path / "in" / "AAPL.csv.gz")
    (told,) = imported(tmp_path, Limits(max_expansion=100.0)).values()
    assert "importing.max_expansion allows (100 times its size)" in told.wrong


def test_an_archive_of_too_many_and_of_no_bars_and_a_damaged_one_are_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, members in (("many.zip", [f"{n}.csv" for n in range(30)]), ("none.zip", ["a.pdf", "__MACOSX/._A.csv"])):
        with zipfile.ZipFile(tmp_path / "in" / name, "w") as archive:
            for member in members:
                archive.writestr(member, "x")
    (tmp_path / "in" / "torn.zip").write_bytes((tmp_path / "in" / "many.zip").read_bytes()[:200])
    told = imported(tmp_path, Limits(max_members=10))
    assert "has 30 members, over importing.max_members 10. Unpack it." in told["many.zip"].wrong
    assert "without a file of bars" in told["none.zip"].wrong
    assert "cannot be read as zip" in told["torn.zip"].wrong


def test_a_member_of_an_archive_gives_its_name_and_nothing_outside_it(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with zipfile.ZipFile(tmp_path / "in" / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../MSFT.csv", bars("MSFT").write_csv())
        archive.writestr("symbol=AMZN/part-0.csv", bars("AMZN").write_csv())
        archive.writestr("__MACOSX/._MSFT.csv", "resource fork")
    told = imported(tmp_path)
    assert [one.wrong for one in told.values()] == ["", ""]
    assert symbols(tmp_path) == ["AMZN", "MSFT"]


@pytest.mark.parametrize("ending", [".csv.gz", ".csv.zst", ".zip", ".parquet"])
def test_a_damaged_file_of_each_kind_is_one_verdict(tmp_path: Path, ending: str) -> None:
    (tmp_path / "in").mkdir()
    buffer = io.BytesIO()
    bars().write_parquet(buffer)
    plain = bars().write_csv().encode()
    whole = {".csv.gz": gzip.compress(plain), ".csv.zst": zstandard.ZstdCompressor().compress(plain)}
    data = whole.get(ending, buffer.getvalue())
    (tmp_path / "in" / f"AAPL{ending}").write_bytes(data[: len(data) // 2])
    (told,) = imported(tmp_path).values()
    assert told.wrong.endswith(("Fetch or export the file again.", "Fetch the file again."))
    assert not (tmp_path / "root").exists()


def test_what_a_name_says_it_is_and_is_not_is_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "AAPL.csv").write_bytes(gzip.compress(bars().write_csv().encode()))
    bars("MSFT").write_csv(tmp_path / "in" / "MSFT.parquet")
    told = imported(tmp_path)
    assert "is no text, whatever its ending says" in told["AAPL.csv"].wrong
    assert "cannot be read" in told["MSFT.parquet"].wrong


def test_hive_folders_name_their_ticker_and_forks_are_passed_over(tmp_path: Path) -> None:
    for symbol in ("AAPL", "BRK.B"):
        folder = tmp_path / "in" / f"symbol={symbol}" / "date=2025-01-02"
        folder.mkdir(parents=True)
        bars(symbol).write_parquet(folder / "part-0.parquet")
        (folder / "._part-0.parquet").write_bytes(b"fork")
    (tmp_path / "in" / ".hidden.csv").write_text("x")
    told = [Importer(objects=LocalStore(tmp_path / "root")).imported(file) for file in files(tmp_path / "in")]
    assert [one.wrong for one in told] == ["", ""]
    assert symbols(tmp_path) == ["AAPL", "BRK.B"]


def test_a_folder_without_anything_to_import_names_what_it_looks_for(tmp_path: Path) -> None:
    (tmp_path / "._AAPL.csv").write_text("fork")
    with pytest.raises(MarketDataError, match=r"holds no bars.*\.csv.*Name another path"):
        files(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_text_in_any_unicode_is_read_and_another_encoding_is_told(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "AAPL.csv").write_bytes(bars().write_csv().encode(encoding))
    (tmp_path / "in" / "MSFT.csv").write_bytes(b"ts,open,high,low,close,volume,W\xe4hrung\n" + b"x" * 300)
    told = imported(tmp_path)
    assert told["AAPL.csv"].new == 780
    assert told["MSFT.csv"].wrong == "is no text in utf-8 (byte 31). Save it as UTF-8."


def test_a_quoted_first_field_lines_before_the_header_and_blank_lines_are_read(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    header, rows = bars().write_csv().split("\n", 1)
    quoted = "\n".join(f'"{line.replace(",", chr(34) + ",", 1)}' for line in rows.splitlines())
    (tmp_path / "in" / "AAPL.csv").write_text(f"{header}\n{quoted}\n")
    (tmp_path / "in" / "MSFT.csv").write_text(f"Some Vendor Inc.\nExport of 2025\n\n{header}\n{rows}\n\n")
    (tmp_path / "in" / "AMZN.csv").write_text(f"sep=,\n{header}\n{rows}")
    told = imported(tmp_path)
    assert {name: (one.new, one.wrong) for name, one in told.items()} == {
        "AAPL.csv": (780, ""), "AMZN.csv": (780, ""), "MSFT.csv": (780, ""),
    }  # fmt: skip


def test_limits_are_settings(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    bars().write_csv(tmp_path / "in" / "AAPL.csv")
    command = ["import-bars", str(tmp_path / "in"), "--into", str(tmp_path / "root"), "--profile", "dev"]
    done = CliRunner().invoke(cli.app, [*command, "--set", "importing.max_rows=100"], env={"COLUMNS": "200"})
    assert done.exit_code == 1
    assert "over importing.max_rows 100" in done.output
