"""The digest of what the source gave changes with everything a day is made from, and with nothing else."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from timegpt_assets.core.bars.content import content_hashes, data_version
from timegpt_assets.core.tables.bars import RAW_BARS

DAY, KEY = date(2025, 1, 21), "2025-01-21|AAPL"
FAULTS = [["duplicates", 2, "file: said in words"]]


def rows(**changed: object) -> pl.DataFrame:
    """Return three minutes, the middle one with other values where given."""
    minutes = [datetime(2025, 1, 21, 14, 30 + i, tzinfo=UTC) for i in range(3)]
    prices = {"open": 1.0, "high": 2.0, "low": 0.5, "close": 1.5, "volume": 100.0}
    entries = [
        {"day": DAY, "symbol": "AAPL", "ts": ts, "row": i, **prices, **(changed if i == 1 else {})}
        for i, ts in enumerate(minutes)
    ]
    return pl.DataFrame(entries, schema=RAW_BARS.schema)


def digest(frame: pl.DataFrame, facts: dict[str, object] | None = None) -> str:
    """Return the digest of the one partition."""
    return content_hashes(frame, [KEY], {KEY: {"previous_close": 1.0, "faults": FAULTS} if facts is None else facts})[
        KEY
    ]


@pytest.mark.parametrize(
    "changed",
    [
        {"open": 1.25},
        {"high": 2.5},
        {"low": 0.25},
        {"close": 1.75},
        {"volume": 101.0},
        {"volume": None},
        {"ts": datetime(2025, 1, 21, 15, 0, tzinfo=UTC)},
    ],
    ids=str,
)
def test_any_other_value_is_another_digest(changed):
    assert digest(rows(**changed)) != digest(rows())


def test_a_row_more_or_less_the_close_before_and_faults_count():
    whole = digest(rows())
    assert digest(rows().head(2)) != whole
    assert digest(pl.concat([rows(), rows().tail(1)])) != whole
    assert digest(rows(), {"previous_close": 1.1, "faults": FAULTS}) != whole
    assert digest(rows(), {"previous_close": 1.0, "faults": [["duplicates", 3, "file: said in words"]]}) != whole
    assert digest(rows().clear()) != whole


def test_where_a_row_stood_in_the_file_and_what_an_error_says_do_not_count():
    moved = rows().with_columns(pl.col("row") + 390).reverse()
    assert digest(moved) == digest(rows())
    assert digest(rows(), {"previous_close": 1.0, "faults": [["duplicates", 2, "other words"]]}) == digest(rows())


def test_each_partition_has_a_digest_of_its_own_and_one_without_rows_too():
    other = rows().with_columns(symbol=pl.lit("META"))
    found = content_hashes(pl.concat([rows(), other]), [KEY, "2025-01-21|META", "2025-01-21|SPY"], {})
    assert found[KEY] == found["2025-01-21|META"] != found["2025-01-21|SPY"]


def test_digests_are_sixteen_hex_digits() -> None:
    """They are stored: a longer one would name everything anew."""
    version = data_version(pl.DataFrame({"day": [DAY], "symbol": ["AAPL"], "content": ["x"]}))
    assert [len(bytes.fromhex(text)) for text in (digest(rows()), version)] == [8, 8]
