"""The store in any order of merging, and with files it did not write. Killed and racing writers: test_store_crashes."""

import errno
import json
import os
import time
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from timegpt_assets.adapters.storage.object_store import LocalStore, ObjectStoreError
from timegpt_assets.adapters.storage.parquet_files import FOOTER, SMALL, StoreError
from timegpt_assets.adapters.storage.parquet_store import MissingPartition, ParquetStore, file_name
from timegpt_assets_tests.adapters.failing import Failing

ASSET = "bars/bars"
DAY = date(2025, 1, 21)
MINUTES = 390


def rows(*symbols: str, day: date = DAY, seed: int = 0, n: int = MINUTES) -> pl.DataFrame:
    """Return n rows per symbol, different for each symbol and seed."""
    minute = pl.int_range(n, dtype=pl.Int64)
    parts = [
        pl.select(
            day=pl.repeat(day, n),
            symbol=pl.repeat(symbol, n),
            ts=(minute * 60_000_000).cast(pl.Datetime("us", "UTC")),
            close=(minute + sum(map(ord, symbol)) * 1000 + seed).cast(pl.Float64),
            is_filled=pl.when(minute % 7 == 0).then(None).otherwise(minute % 2 == 0),
        )
        for symbol in symbols
    ]
    return pl.concat(parts)


def file(store: ParquetStore) -> Path:
    return Path(store.objects.shown(file_name(ASSET, DAY)))


def digest(store: ParquetStore) -> bytes:
    return file(store).read_bytes()


def test_what_was_written_is_read_by_day_and_symbol(tmp_path: Path) -> None:
    store = ParquetStore(LocalStore(tmp_path))
    later = DAY + timedelta(days=1)
    store.write(ASSET, later, rows("B", day=later), keys=["B"])
    store.write(ASSET, DAY, rows("C", "A"), keys=["C", "A"])

    assert_frame_equal(store.read(ASSET, [later, DAY]), pl.concat([rows("A", "C"), rows("B", day=later)]))
    assert_frame_equal(store.read(ASSET, [DAY], ["C"]), rows("C"))
    assert store.read(ASSET, [DAY], columns=["close", "symbol"]).columns == ["symbol", "close"]


def test_small_and_large_files_are_read_together_in_the_order_of_days(tmp_path: Path) -> None:
    store, days = ParquetStore(LocalStore(tmp_path)), [DAY + timedelta(days=n) for n in range(4)]
    written = [rows("A", day=day, n=n) for day, n in zip(days, (210, 60_000, 210, 60_000), strict=True)]
    for day, frame in zip(days, written, strict=True):
        store.write(ASSET, day, frame, keys=["A"])
    sizes = [Path(store.objects.shown(file_name(ASSET, day))).stat().st_size for day in days]
    assert [size > SMALL for size in sizes] == [False, True, False, True]

    assert_frame_equal(store.read(ASSET, days), pl.concat(written))


def test_neighbouring_symbols_share_row_groups_and_an_undivided_table_is_one(tmp_path: Path) -> None:
    """Eleven symbols of 390 rows fill the first group; the twelfth begins another, and one symbol is still found."""
    store = ParquetStore(LocalStore(tmp_path))
    symbols = [f"S{i:02d}" for i in range(12)]
    store.write(ASSET, DAY, rows(*symbols), keys=symbols)
    groups = pq.ParquetFile(file(store)).metadata
    assert [groups.row_group(i).num_rows for i in range(groups.num_row_groups)] == [11 * MINUTES, MINUTES]
    assert_frame_equal(store.read(ASSET, [DAY], ["S10", "S11"]), rows("S10", "S11"))
    store.write("features/panel", "2025-01", rows("A", "B"), facts={"*": {"symbols": 2}})
    assert pq.ParquetFile(tmp_path / "features" / "panel" / "2025-01.parquet").num_row_groups == 1
    assert store.read_facts("features/panel", ["2025-01"]) == {("2025-01", "*"): {"rows": 780, "symbols": 2}}


def test_a_later_write_replaces_its_own_symbols_only(tmp_path: Path) -> None:
    store = ParquetStore(LocalStore(tmp_path))
    store.write(ASSET, DAY, rows("A", "B"), keys=["A", "B"], facts={"A": {"verdict": "ok"}, "B": {"verdict": "ok"}})
    store.write(ASSET, DAY, rows("B", seed=9), keys=["B"], facts={"B": {"verdict": "warned"}})

    assert_frame_equal(store.read(ASSET, [DAY]), pl.concat([rows("A"), rows("B", seed=9)]))
    verdicts = {symbol: facts["verdict"] for (_, symbol), facts in store.read_facts(ASSET, [DAY]).items()}
    assert verdicts == {"A": "ok", "B": "warned"}


def test_empty_on_purpose_differs_from_never_written(tmp_path: Path) -> None:
    store = ParquetStore(LocalStore(tmp_path))
    store.write(ASSET, DAY, rows("A"), keys=["A", "B"], facts={"B": {"verdict": "quarantined"}})

    assert_frame_equal(store.read(ASSET, [DAY], ["B"]), rows("B").clear())
    assert store.read_facts(ASSET, [DAY], ["B"]) == {(str(DAY), "B"): {"rows": 0, "verdict": "quarantined"}}
    with pytest.raises(MissingPartition, match="2025-01-21 C"):
        store.read(ASSET, [DAY], ["A", "C"])


def test_a_missing_day_and_symbol_are_named_with_the_command_that_makes_them(tmp_path: Path) -> None:
    store = ParquetStore(LocalStore(tmp_path))
    store.write(ASSET, DAY, rows("A"), keys=["A"])
    command = r"timegpt-assets backfill --assets bars --start 2025-01-21 --end 2025-01-22 --symbols A,Z$"
    with pytest.raises(MissingPartition, match="bars/bars was never .*2025-01-21 Z, 2025-01-22 A.*" + command):
        store.read(ASSET, [DAY, DAY + timedelta(days=1)], ["A", "Z"])
    with pytest.raises(MissingPartition, match=r"2025-02.* --start 2025-02-01 --end 2025-02-01$"):
        store.read_facts("gates/promotion", ["2025-02"], ["*"])


def test_missing_partitions_that_may_be_absent_leave_what_is_there(tmp_path: Path) -> None:
    store = ParquetStore(LocalStore(tmp_path))
    store.write(ASSET, DAY, rows("A"), keys=["A"])
    days = [DAY, DAY + timedelta(days=1)]
    assert_frame_equal(store.read(ASSET, days, ["A", "Z"], missing="ok"), rows("A"))
    assert store.read_facts(ASSET, days, ["A", "Z"], missing="ok").keys() == {(str(DAY), "A")}
    nothing = store.read(ASSET, days[1:], missing="ok", empty=rows("A").clear(), columns=["day", "close"])
    assert nothing.schema == {"day": pl.Date, "close": pl.Float64}


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(["A", "B", "C", "D"]), cuts=st.sets(st.integers(1, 3)), again=st.booleans())
def test_the_bytes_are_the_same_whichever_order_symbols_were_merged_in(
    tmp_path_factory: pytest.TempPathFactory, order: list[str], cuts: set[int], again: bool
) -> None:
    """D is empty on purpose, and knows the declared columns only."""

    def write(store: ParquetStore, symbols: list[str]) -> None:
        filled = [symbol for symbol in symbols if symbol != "D"]
        frame = rows(*filled) if filled else rows("D").clear().drop("is_filled")
        store.write(ASSET, DAY, frame, keys=symbols, facts={s: {"n": ord(s), "a": [1.5, "é"]} for s in symbols})

    whole, merged = (ParquetStore(LocalStore(tmp_path_factory.mktemp(name))) for name in ("whole", "merged"))
    write(whole, ["A", "B", "C", "D"])
    edges = [0, *sorted(cuts), 4]
    for first, last in pairwise(edges):
        write(merged, order[first:last])
    if again:
        write(merged, order[:1])
    assert digest(merged) == digest(whole)


def test_columns_that_differ_from_the_kept_symbols_are_refused_and_the_old_file_stays(tmp_path: Path) -> None:
    store = ParquetStore(LocalStore(tmp_path))
    store.write(ASSET, DAY, rows("A"), keys=["A"])
    before = digest(store)
    with pytest.raises(StoreError, match=r"holds A with other columns .*\(new\).*all symbols"):
        store.write(ASSET, DAY, rows("B").with_columns(new=1.0), keys=["B"])
    assert digest(store) == before
    store.write(ASSET, DAY, rows("A", "B").with_columns(new=1.0), keys=["A", "B"])
    assert "new" in store.read(ASSET, [DAY]).columns


def test_days_whose_columns_differ_are_not_silently_joined(tmp_path: Path) -> None:
    store = ParquetStore(LocalStore(tmp_path))
    later = DAY + timedelta(days=1)
    store.write(ASSET, DAY, rows("A"), keys=["A"])
    store.write(ASSET, later, rows("A", day=later).with_columns(new=1.0), keys=["A"])
    with pytest.raises(StoreError, match=r"other columns \(new\).*Materialise"):
        store.read(ASSET, [DAY, later])
    assert store.read(ASSET, [DAY, later], columns=["close"]).height == 2 * MINUTES
    with pytest.raises(StoreError, match=f"{DAY}.parquet has no column new"):
        store.read(ASSET, [DAY, later], columns=["new"])


def test_rows_or_facts_of_other_symbols_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    store = ParquetStore(LocalStore(tmp_path))
    with pytest.raises(StoreError, match="rows or facts of B are not among"):
        store.write(ASSET, DAY, rows("A", "B"), keys=["A"])
    with pytest.raises(StoreError, match="rows or facts of B are not among"):
        store.write(ASSET, DAY, rows("A"), keys=["A"], facts={"B": {}})
    with pytest.raises(StoreError, match="plain finite JSON"):
        store.write(ASSET, DAY, rows("A"), keys=["A"], facts={"A": {"x": float("nan")}})
    assert not list(tmp_path.rglob("*.parquet"))
    assert not list(tmp_path.rglob(".*"))


@pytest.mark.parametrize("damage", ["torn", "empty", "foreign", "footer"])
def test_a_torn_or_foreign_file_is_named_by_reader_and_writer(tmp_path: Path, damage: str) -> None:
    store = ParquetStore(LocalStore(tmp_path))
    store.write(ASSET, DAY, rows("A", "B"), keys=["A", "B"])
    path = file(store)
    if damage in ("torn", "empty"):
        path.write_bytes(path.read_bytes()[: 2000 if damage == "torn" else 0])
    elif damage == "foreign":
        rows("A").write_parquet(path)
    else:
        with pq.ParquetWriter(path, (table := rows("A").to_arrow()).schema) as writer:
            writer.write_table(table)
            writer.add_key_value_metadata({FOOTER: json.dumps({"A": {"rows": 1}, "B": {"rows": 1}})})
    with pytest.raises(StoreError, match=rf"{DAY}.parquet is torn, or not a file of this store.*Delete it"):
        store.read(ASSET, [DAY])
    with pytest.raises(StoreError, match="Delete it"):
        store.write(ASSET, DAY, rows("A"), keys=["A"])
    path.unlink()
    store.write(ASSET, DAY, rows("A"), keys=["A"])
    assert_frame_equal(store.read(ASSET, [DAY]), rows("A"))


def test_a_disk_that_fails_makes_no_torn_file_of_a_good_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads that it is torn deletes it."""
    store = ParquetStore(LocalStore(tmp_path))
    store.write(ASSET, DAY, rows("A"), keys=["A"])
    before, path = digest(store), file(store)
    with monkeypatch.context() as patched:
        patched.setattr(LocalStore, "opened", lambda *_: Failing(path, good=0, error=errno.EIO))
        for ask in (
            lambda: store.read(ASSET, [DAY]),
            lambda: store.write(ASSET, DAY, rows("B"), keys=["B"]),
        ):
            with pytest.raises(StoreError, match=rf"{DAY}.parquet cannot be read: .*Input/output error.*run again\.$"):
                ask()
    assert digest(store) == before
    assert_frame_equal(store.read(ASSET, [DAY]), rows("A"))


def test_a_folder_that_cannot_be_written_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ObjectStoreError, match=r"cannot be written.*data\.storage_root"):
        ParquetStore(LocalStore(tmp_path / "file")).write(ASSET, DAY, rows("A"), keys=["A"])
    store = ParquetStore(LocalStore(tmp_path / "folder"))
    store.write(ASSET, DAY, rows("A"), keys=["A"])
    before = digest(store)

    def refused(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "fsync", refused)
    with pytest.raises(ObjectStoreError, match=r"2025-01-21\.parquet cannot be written.*Read-only file system"):
        store.write(ASSET, DAY, rows("A", seed=1), keys=["A"])
    assert digest(store) == before


def test_a_lock_that_is_never_released_is_reported(tmp_path: Path) -> None:
    store = ParquetStore(LocalStore(tmp_path, lock_timeout_s=0.05))
    store.write(ASSET, DAY, rows("A"), keys=["A"])
    with (
        FileLock(tmp_path / ASSET / f".{DAY}.parquet.lock"),
        pytest.raises(ObjectStoreError, match=r"held its lock for 0\.05 s"),
    ):
        store.write(ASSET, DAY, rows("B"), keys=["B"])


def test_writing_a_whole_day_again_reads_no_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ParquetStore(LocalStore(tmp_path))
    store.write(ASSET, DAY, rows("A", "B"), keys=["A", "B"])

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("rows were read")

    monkeypatch.setattr(pq.ParquetFile, "read", refused)
    store.write(ASSET, DAY, rows("A", "B", seed=1), keys=["A", "B"])
    with pytest.raises(AssertionError, match="rows were read"):
        store.write(ASSET, DAY, rows("A"), keys=["A"])


def test_two_months_of_64_symbols_are_read_in_well_under_a_second(tmp_path: Path) -> None:
    store = ParquetStore(LocalStore(tmp_path))
    symbols = [f"S{i:02d}" for i in range(64)]
    days = [DAY + timedelta(days=i) for i in range(44)]
    frame = rows(*symbols).with_columns(pl.col("close").alias(f"f{i}") for i in range(10))
    for day in days:
        store.write(ASSET, day, frame.with_columns(day=pl.lit(day)), keys=symbols)
    began = time.process_time()  # of all threads, so that a loaded machine does not matter
    read = store.read(ASSET, days, symbols)
    took = time.process_time() - began
    assert read.height == 64 * 44 * MINUTES
    assert took < 2.0, "the goal is well under 1 s on an idle machine"
