"""The parameters that hold for a moment are of no later day, are read again when rewritten, and survive a bad file."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.core.tables.tsfm import CONFORMAL_PARAMETERS
from timegpt_assets.serving.tsfm.parameters import ASSET, LOOKED_EVERY_S, MOST_DAYS, Parameters


class House:
    """Stored parameters, and whoever reads them; ``now`` is the clock."""

    def __init__(self, root: Path) -> None:
        """Store nothing."""
        self.root, self.now = root / ASSET, 0.0
        self.store = ParquetStore(LocalStore(root))
        self.parameters = Parameters(self.store, 0.9, lambda: self.now)

    def write(self, day: str, adjustment: float = 0.1, *without: str) -> None:
        """Store a day of one row, perhaps without some columns."""
        values = {
            name: ["x"] if column.dtype == pl.String else [1] for name, column in CONFORMAL_PARAMETERS.columns.items()
        }
        days = {key: [date.fromisoformat(day)] for key in ("day", "first_day", "last_day")}
        own = {"adjustment": [adjustment], "level": [0.9], "band": ["tsfm"]}
        frame = pl.DataFrame(values | days | own).cast(CONFORMAL_PARAMETERS.schema)
        self.store.write(ASSET, day, frame.drop(*without).with_columns(lineage_id=pl.lit("a")))

    def of(self, day: str) -> tuple[str | None, float | None, tuple[str, ...]]:
        """Return day, adjustment and warnings of what holds, after a look."""
        self.now += LOOKED_EVERY_S
        held = self.parameters.of(date.fromisoformat(day))
        return (
            held.day and held.day.isoformat(),
            None if held.index is None else next(iter(held.index.values())),
            held.warnings,
        )


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_without_any_there_are_none(house: House) -> None:
    assert house.of("2026-02-20") == (None, None, ())


def test_no_later_day_s_are_used(house: House) -> None:
    house.write("2026-02-19", 0.1)
    house.write("2026-02-21", 0.3)
    assert house.of("2026-02-18") == (None, None, ())
    assert house.of("2026-02-20") == ("2026-02-19", 0.1, ())
    assert house.of("2026-02-21") == ("2026-02-21", 0.3, ())


def test_a_newer_day_and_a_rewritten_one_are_read_when_they_are_looked_for(house: House) -> None:
    house.write("2026-02-19", 0.1)
    assert house.of("2026-02-20")[1] == 0.1
    house.write("2026-02-20", 0.2)
    assert house.parameters.of(date(2026, 2, 20)).day == date(2026, 2, 19), "not looked yet"
    assert house.of("2026-02-20")[:2] == ("2026-02-20", 0.2)
    house.write("2026-02-20", 0.25)
    assert house.of("2026-02-20")[:2] == ("2026-02-20", 0.25)


def test_a_file_that_breaks_leaves_what_was_read_of_it(house: House) -> None:
    house.write("2026-02-20", 0.2)
    house.of("2026-02-20")
    (house.root / "2026-02-20.parquet").write_bytes(b"PAR1 torn")
    day, adjustment, warnings = house.of("2026-02-20")
    assert (day, adjustment) == ("2026-02-20", 0.2)
    assert warnings == ("conformal_unreadable: the parameters of 2026-02-20 (StoreError)",)
    house.write("2026-02-20", 0.4)
    assert house.of("2026-02-20") == ("2026-02-20", 0.4, ())


def test_a_day_that_was_never_readable_leaves_the_one_before_it(house: House) -> None:
    house.write("2026-02-19", 0.1)
    (house.root / "2026-02-20.parquet").write_bytes(b"")
    assert house.of("2026-02-20") == (
        "2026-02-19", 0.1, ("conformal_unreadable: the parameters of 2026-02-20 (StoreError)",),
    )  # fmt: skip


def test_a_day_stored_before_a_column_was_there_leaves_the_one_before_it_until_it_is_made_again(house: House) -> None:
    house.write("2026-02-19", 0.1)
    house.write("2026-02-20", 0.2, "price_bucket")
    told = "conformal_unreadable: the parameters of 2026-02-20 (ColumnNotFoundError)"
    assert house.of("2026-02-20") == ("2026-02-19", 0.1, (told,))
    house.write("2026-02-20", 0.2)
    assert house.of("2026-02-20") == ("2026-02-20", 0.2, ())


def test_what_is_no_day_s_file_is_nobody_s(house: House) -> None:
    house.write("2026-02-19", 0.1)
    (house.root / "2026-02-20 (copy).parquet").write_bytes(b"x")
    (house.root / "notes.txt").write_bytes(b"x")
    assert house.of("2026-02-20") == ("2026-02-19", 0.1, ())


def test_few_days_are_held(house: House) -> None:
    for day in range(10, 20):
        house.write(f"2026-02-{day}")
        house.of(f"2026-02-{day}")
    assert len(house.parameters._days) == MOST_DAYS
