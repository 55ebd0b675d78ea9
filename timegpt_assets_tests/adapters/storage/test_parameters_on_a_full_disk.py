"""A disk that fills up under the conformal parameters costs the day that was written, and nothing that was there."""

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from timegpt_assets.adapters.storage.object_store import LocalStore, ObjectStoreError
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.core.tables.tsfm import CONFORMAL_PARAMETERS

ASSET = "tsfm/conformal_parameters"
FIRST, NEXT = date(2026, 2, 20), date(2026, 2, 21)


def parameters(day: date, rows: int = 3000) -> pl.DataFrame:
    """Return a day's parameters: more bytes than there is room for."""
    values = np.random.default_rng(day.day).normal(0, 0.01, rows)
    words = {"band": "tsfm", "pool": "all", "price_bucket": "*", "liquidity_bucket": "*", "tte_bucket": "*"}
    frame = pl.DataFrame({"step": range(1, rows + 1), "adjustment": values}).with_columns(
        day=pl.lit(day), level=0.9, category=pl.lit("*"), samples=600, first_day=pl.lit(day), last_day=pl.lit(day),
        **{name: pl.lit(word) for name, word in words.items()},
    )  # fmt: skip
    return CONFORMAL_PARAMETERS.conformed(frame.cast(dict(CONFORMAL_PARAMETERS.schema)))  # type: ignore[arg-type]


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond so many bytes, as the kernel says it of a full disk: in the write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    heard = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, heard)


def test_a_day_that_does_not_fit_leaves_the_days_before_and_no_half_of_itself_and_is_made_again(tmp_path: Path) -> None:
    store = ParquetStore(LocalStore(tmp_path))
    store.write(ASSET, FIRST, parameters(FIRST))
    for day in (NEXT, FIRST):  # a new day, and one that is made again
        with room_for(4096), pytest.raises(ObjectStoreError, match=f"{day}"):
            store.write(ASSET, day, parameters(day).with_columns(adjustment=pl.lit(9.0) + pl.col("adjustment")))
    assert store.read(ASSET, [FIRST, NEXT], missing="ok").drop("lineage_id", strict=False).equals(parameters(FIRST))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [f"{FIRST}.parquet"]
    store.write(ASSET, NEXT, parameters(NEXT))
    assert store.read(ASSET, [NEXT])["adjustment"].to_list() == parameters(NEXT)["adjustment"].to_list()
