"""Whatever shape a vendor gives bars, the same files come of it; and importing again adds nothing."""

import errno
import gzip
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

from timegpt_assets.adapters.market.market_data import LocalMarketData, MarketDataError
from timegpt_assets.adapters.market.vendor_bars import Importer, provenance
from timegpt_assets.adapters.market.vendor_files import VendorFile, files
from timegpt_assets.adapters.storage.object_store import LocalStore, ObjectStoreError
from timegpt_assets.cli import app as cli
from timegpt_assets.core import calendar
from timegpt_assets.core.vendors.findings import Said
from timegpt_assets_tests.adapters.failing import Failing
from timegpt_assets_tests.bad_files import month

DAYS = tuple(s.day for s in calendar.sessions(date(2025, 1, 30), date(2025, 2, 4)))


def bars() -> pl.DataFrame:
    """Return four sessions over a month's end of two symbols, one with a share class."""
    return pl.concat([month("AAA", DAYS), month("BRK.B", DAYS)])


def local(form: str, shift: str = "0m") -> pl.Expr:
    return pl.col("ts").dt.offset_by(shift).dt.convert_time_zone(calendar.ZONE).dt.strftime(form)


def csv(frame: pl.DataFrame, path: Path, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_csv(path, **options)  # type: ignore[arg-type]


def by_symbol(write: Callable[[pl.DataFrame, Path], None], name: str) -> Callable[[Path], None]:
    """Return the writer of one file per symbol, without a column of it."""
    return lambda folder: (
        [write(part.drop("symbol"), folder / name.format(symbol)) for (symbol,), part in bars().group_by("symbol")]
        and None
    )


def alpaca(folder: Path) -> None:
    csv(
        bars()
        .with_columns(timestamp=pl.col("ts").dt.strftime("%Y-%m-%dT%H:%M:%SZ"), trade_count=7, vwap=1.0)
        .drop("ts"),
        folder / "all.csv",
    )


def polygon(folder: Path) -> None:
    """Write one gzipped file a day, nanosecond epochs, in a folder for each month."""
    for day in DAYS:
        rows = bars().filter(pl.col("ts").dt.convert_time_zone(calendar.ZONE).dt.date() == day)
        rows = rows.select(
            pl.col("symbol").str.replace(".", "/", literal=True).alias("ticker"), "volume", "open", "close", "high",
            "low", pl.col("ts").dt.epoch("ns").alias("window_start"), transactions=1,
        )  # fmt: skip
        path = folder / f"{day:%Y/%m}" / f"{day}.csv.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(rows.write_csv().encode()))


def short_names(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    short = {"symbol": "sym", "ts": "t", "open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}
    frame = bars().with_columns(pl.col("symbol").str.to_lowercase(), pl.col("ts").dt.epoch("ms"), n=1)
    frame.rename(short).write_parquet(folder / "bars.parquet")


def naive_parquet(frame: pl.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    naive = pl.col("ts").dt.convert_time_zone(calendar.ZONE).dt.replace_time_zone(None).dt.cast_time_unit("ns")
    frame.with_columns(datetime=naive).drop("ts").write_parquet(path)


SHAPES: dict[str, Callable[[Path], None]] = {
    "all in one csv, ISO with a Z, extra columns": alpaca,
    "gzipped csv a day, epochs in ns": polygon,
    "parquet with one-letter names, epochs in ms": short_names,
    "a csv per symbol, naive New York times": by_symbol(
        lambda f, p: csv(f.with_columns(timestamp=local("%Y-%m-%d %H:%M:%S")).drop("ts"), p), "{}_1min.csv"
    ),
    "date and time apart, American dates": by_symbol(
        lambda f, p: csv(f.select(local("%m/%d/%Y").alias("Date"), local("%H:%M").alias("Time"), "*").drop("ts"), p),
        "{}.txt",
    ),
    "a date that holds the time as well": by_symbol(
        lambda f, p: csv(f.with_columns(Date=local("%m/%d/%Y %H:%M")).drop("ts"), p), "{}.csv"
    ),
    "semicolons and stamps at the end": by_symbol(
        lambda f, p: csv(f.with_columns(time=local("%Y-%m-%d %H:%M", "1m")).drop("ts"), p, separator=";"), "{}.csv"
    ),
    "a naive parquet per symbol in ns": by_symbol(naive_parquet, "x/{}-2025.parquet"),
    "stamps with the offset of New York": lambda folder: csv(
        bars().with_columns(ts=local("%Y-%m-%d %H:%M:%S%z")), folder / "bars.csv"
    ),
}


def delivered(root: Path) -> pl.DataFrame:
    found = LocalMarketData(root).delivery(["AAA", "BRK.B"], DAYS)
    assert found.faults.is_empty()
    return found.bars


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_becomes_the_same_files_and_importing_again_adds_nothing(tmp_path: Path, name: str) -> None:
    SHAPES[name](tmp_path / "vendor")
    root = tmp_path / "root"
    importer = Importer(objects=LocalStore(root))
    told = [importer.imported(file) for file in files(tmp_path / "vendor")]
    assert [one.wrong for one in told] == [""] * len(told)
    assert sum(one.new for one in told) == bars().height
    assert_frame_equal(
        delivered(root).select(bars().columns).sort("ts", "symbol"),
        bars().sort("ts", "symbol"),
        rel_tol=1e-12,
    )
    written = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in root.rglob("*.parquet")}
    assert len(written) == 4, "two symbols, two months"
    again = [importer.imported(file) for file in files(tmp_path / "vendor")]
    assert (sum(one.new for one in again), sum(one.known for one in again)) == (0, bars().height)
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in root.rglob("*.parquet")} == written


def one(path: Path) -> VendorFile:
    (found,) = files(path)
    return found


def test_files_that_overlap_add_what_is_new_and_a_contradiction_names_both_files(tmp_path: Path) -> None:
    rows = month("AAA", DAYS)
    importer = Importer(objects=LocalStore(tmp_path / "root"))
    csv(rows.head(800), tmp_path / "early.csv")
    csv(rows.tail(1160), tmp_path / "late.csv")
    other = pl.concat([rows.head(3).with_columns(pl.col("open", "high", "low", "close") * 1.01), rows.slice(3, 900)])
    csv(other, tmp_path / "other.csv")
    told = [importer.imported(one(tmp_path / name)) for name in ("early.csv", "late.csv", "other.csv")]
    assert [(each.new, each.known) for each in told] == [(800, 0), (760, 400), (0, 0)]
    assert f"contradicts {tmp_path / 'early.csv'} in 3 minutes of AAA" in told[2].wrong
    assert told[2].wrong.endswith("say --replace.")
    replacing = Importer(objects=LocalStore(tmp_path / "root"), replace=True)
    corrected = replacing.imported(one(tmp_path / "other.csv"))
    assert (corrected.new, corrected.known, corrected.replaced, corrected.wrong) == (0, 900, 3, "")
    stored = LocalMarketData(tmp_path / "root").delivery(["AAA"], DAYS).bars
    assert stored.height == 1560
    assert stored["close"].head(3).to_list() == other["close"].head(3).to_list()
    assert replacing.imported(one(tmp_path / "other.csv")).known == 903


def test_a_month_remembers_its_files_and_how_each_was_read(tmp_path: Path) -> None:
    importer = Importer(objects=LocalStore(tmp_path / "root"))
    rows = month("AAA", DAYS[:2])
    csv(rows.head(390), tmp_path / "AAA.csv")
    csv(rows, tmp_path / "AAA_2.csv")
    importer.imported(one(tmp_path / "AAA.csv"))
    (stored,) = (tmp_path / "root").rglob("*.parquet")
    (entry,) = provenance(stored)["files"]  # type: ignore[misc]
    assert (entry["file"], entry["rows"], entry["first"]) == (str(tmp_path / "AAA.csv"), 390, "2025-01-30T14:30Z")
    assert [line for line in entry["findings"] if line.startswith("zone: UTC; its stamps say their zone")]
    importer.imported(one(tmp_path / "AAA_2.csv"))
    assert len(provenance(stored)["files"]) == 2  # type: ignore[arg-type]


def test_a_damaged_month_is_named_and_a_file_of_which_it_is_a_part_writes_nothing(tmp_path: Path) -> None:
    importer = Importer(objects=LocalStore(tmp_path / "root"))
    csv(bars(), tmp_path / "all.csv")
    importer.imported(one(tmp_path / "all.csv"))
    damaged, *others = sorted((tmp_path / "root").rglob("*.parquet"))
    others[-1].unlink()
    damaged.write_bytes(b"no parquet")
    told = importer.imported(one(tmp_path / "all.csv"))
    assert f"{damaged} cannot be read as parquet" in told.wrong
    assert "import again" in told.wrong
    assert damaged.read_bytes() == b"no parquet"
    assert told.new == 0
    assert not others[-1].exists(), "the whole file is judged before any of it is written"
    damaged.unlink()
    assert importer.imported(one(tmp_path / "all.csv")).new == 4 * 390, "both months, two sessions each"


def test_a_disk_that_fails_is_never_told_as_a_month_to_remove(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    importer = Importer(objects=LocalStore(tmp_path / "root"))
    csv(month("AAA", DAYS[:1]), tmp_path / "AAA.csv")
    importer.imported(one(tmp_path / "AAA.csv"))
    (stored,) = (tmp_path / "root").rglob("*.parquet")
    monkeypatch.setattr(LocalStore, "opened", lambda *_: Failing(stored, good=0, error=errno.EIO))
    with pytest.raises(ObjectStoreError, match=rf"{stored} cannot be read: .*Input/output error.*run again\.$"):
        importer.imported(one(tmp_path / "AAA.csv"))


def test_a_vendors_own_repetitions_are_kept_once_each_time_he_gives_them(tmp_path: Path) -> None:
    rows = month("AAA", DAYS[:1]).head(10)
    csv(pl.concat([rows, rows]), tmp_path / "AAA.csv")
    importer = Importer(objects=LocalStore(tmp_path / "root"), said=Said(stamp="start"))
    assert [importer.imported(one(tmp_path / "AAA.csv")).new for _ in range(2)] == [20, 0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("symbol,ts,open,high,low,close\nAAA,2025-01-30 14:30,1,1,1,1\n", "column volume is missing"),
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("ts,open,high,low,close,volume\n", "holds no rows"),
        ("ts,date,time\n", "is missing"),
        ("symbol,ts,open,high,low,close,volume\nAAA,2025-01-30 14:30,1,1,1,1,1,1,1\n", "more fields"),
        ("symbol,ts,open,high,low,close,volume\nAAA,2025-01-30 14:30,1,1,1,1,1,1\n", "one too many"),
        ("2025-01-30 14:30,1,1,1\n", "no header line"),
        ("\xff\xfe\x00", "no text"),
        ("{}", "no column of times is known by its name"),
        ("symbol,ts,open,high,low,close,volume\nAAA,soon,1,1,1,1,1\n", "no time that can be read"),
    ],
)
def test_a_file_that_holds_no_bars_is_told_with_a_remedy_and_writes_nothing(
    tmp_path: Path, content: str, said: str
) -> None:
    (tmp_path / "AAA.csv").write_bytes(content.encode("latin-1"))
    told = Importer(objects=LocalStore(tmp_path / "root")).imported(one(tmp_path / "AAA.csv"))
    assert said in told.wrong
    remedies = ("Say", "Write", "Fetch", "Export", "Save", "put such", "Mend")
    assert any(word in told.wrong for word in remedies), told.wrong
    assert "\n" not in told.wrong
    assert not (tmp_path / "root").exists()


def test_rows_that_say_no_time_ticker_or_number_are_left_out_and_counted_by_reason(tmp_path: Path) -> None:
    rows = month("AAA", DAYS).cast(pl.String)
    rows[0, "ts"], rows[1, "symbol"], rows[2, "symbol"], rows[3, "close"] = "soon", None, "../x", "x12"
    rows[4, "close"] = "n/a"
    rows = rows.with_columns(
        pl.when(pl.int_range(pl.len()) == 5).then(pl.lit("0")).otherwise(name).alias(name)
        for name in ("open", "high", "low", "close", "volume")
    )
    csv(rows, tmp_path / "AAA.csv")
    told = Importer(objects=LocalStore(tmp_path / "root")).imported(one(tmp_path / "AAA.csv"))
    assert told.left_out == {
        "without a time": 1,
        "without a ticker": 2,
        "with an unreadable number": 1,
        "with a missing number": 1,
        "without a trade": 1,
    }
    assert (told.read, told.new) == (1560, 1554)
    assert delivered(tmp_path / "root").select(pl.all().null_count().sum()).sum_horizontal().item() == 0
    assert Importer(objects=LocalStore(tmp_path / "root")).imported(one(tmp_path / "AAA.csv")).new == 0
    assert sorted(p.name for p in tmp_path.rglob("*.parquet")) == ["AAA_2025_01.parquet", "AAA_2025_02.parquet"]


def test_a_file_of_which_too_much_cannot_be_read_is_refused_with_its_first_such_row(tmp_path: Path) -> None:
    rows = month("AAA", DAYS).cast(pl.String)
    rows = rows.with_columns(
        close=pl.when(pl.int_range(pl.len()) % 20 == 7).then(pl.lit("x12")).otherwise("close")
    )  # fmt: skip
    csv(rows, tmp_path / "AAA.csv")
    told = Importer(objects=LocalStore(tmp_path / "root")).imported(one(tmp_path / "AAA.csv"))
    assert "of 1,560 rows 78 with an unreadable number, over 1%: the first is row 8" in told.wrong
    assert "x12" in told.wrong
    assert not (tmp_path / "root").exists()


def test_a_folder_without_bars_names_what_it_looks_for(tmp_path: Path) -> None:
    with pytest.raises(MarketDataError, match=r"holds no bars.*\.csv.*Name another path"):
        files(tmp_path)


def test_the_verb_prints_verdicts_fails_on_a_bad_file_and_what_it_wrote_can_be_checked(tmp_path: Path) -> None:
    polygon(tmp_path / "vendor")
    root = tmp_path / "root"
    command = ["import-bars", str(tmp_path / "vendor"), "--into", str(root), "--profile", "dev", "--json"]
    done = CliRunner().invoke(cli.app, command)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert sum(row["new"] for row in found["files"]) == bars().height
    assert [(row["symbol"], row["ok"], row["no_data"]) for row in found["verdicts"]] == [("AAA", 4, 0), ("BRK.B", 4, 0)]
    (tmp_path / "vendor" / "ZZZ.csv").write_text("a,b\n1,2\n")
    again = CliRunner().invoke(cli.app, command[:-1])
    assert again.exit_code == 1
    assert "0 new" in again.stdout
    assert "ZZZ.csv" in again.stdout
