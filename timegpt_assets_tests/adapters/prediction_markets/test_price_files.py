"""Strangers' files are read as they are or refused with what helps, and list no market before its time."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from timegpt_assets.adapters.prediction_markets.price_files import PriceFiles
from timegpt_assets.adapters.prediction_markets.source import MarketsUnusable
from timegpt_assets.core.tsfm.selection import SelectionSpec, selection
from timegpt_assets.core.tsfm.series import series
from timegpt_assets_tests.core.tsfm.market_rows import NOON, SEGMENTS, SPEC, at

DAY = NOON.date()
MARKETS = pl.DataFrame({"market_id": ["m"], "token_id": ["t"]})
PRICES = pl.DataFrame({"token_id": ["t"] * 3, "ts": [at(0), at(1), at(2)], "p": [0.1, 0.2, 0.3]})


def files(folder: Path, markets: pl.DataFrame = MARKETS, prices: pl.DataFrame = PRICES, **told: Any) -> PriceFiles:
    """Write both files and return their source."""
    markets.write_parquet(folder / "markets.parquet")
    prices.write_parquet(folder / "prices.parquet")
    return PriceFiles(folder, **({"known_after_s": 0.0, "cycle_min": 5} | told))


def listed(source: PriceFiles, minutes: float) -> list[str]:
    """Return the markets of a cycle."""
    return source.snapshot(at(minutes))["market_id"].to_list()


def test_prices_are_known_so_long_after_their_stamp_unless_they_say(tmp_path: Path) -> None:
    source = files(tmp_path, known_after_s=60.0)
    found = source.prices(["t"], at(1), at(2))
    assert found.rows() == [("t", at(1), 0.2, at(2))]
    assert source.prices(["other"], at(0), at(9)).is_empty()
    said = files(tmp_path, prices=PRICES.with_columns(known_at=pl.lit(at(7))), known_after_s=60.0)
    assert said.prices(["t"], at(1), at(2))["known_at"].to_list() == [at(7)]


def test_a_market_is_listed_from_its_first_price_to_its_end(tmp_path: Path) -> None:
    told = MARKETS.with_columns(end_ts=pl.lit(at(30)), closed_ts=pl.lit(at(20)))
    assert [listed(files(tmp_path, told), m) for m in (-5, 0, 15, 20, 30)] == [[], ["m"], ["m"], [], []]
    endless = files(tmp_path)
    assert [listed(endless, m) for m in (0, 1440, 1445)] == [["m"], ["m"], []], "silent for more than a day"
    begun = files(tmp_path, MARKETS.with_columns(start_date=pl.lit("2026-02-10T12:10:00Z")))
    assert [listed(begun, m) for m in (5, 10)] == [[], ["m"]]


def test_what_changes_by_the_minute_counts_only_where_it_says_of_when_it_is(tmp_path: Path) -> None:
    timeless = MARKETS.with_columns(volume_24h=pl.lit(9e9), best_bid=pl.lit(0.9), open_interest=pl.lit(1.0))
    row = files(tmp_path, timeless).snapshot(at(0)).row(0, named=True)
    assert (row["volume_24h"], row["open_interest"], row["bid"], row["live"]) == (None, None, None, False)
    told = pl.concat(
        [timeless.with_columns(as_of=pl.lit(at(m)), volume_24h=pl.lit(v)) for m, v in ((0, 1.0), (10, 2.0))]
    )
    source = files(tmp_path, told)
    assert source.snapshot(at(-1)).is_empty()
    assert [source.snapshot(at(m))["volume_24h"].to_list() for m in (0, 9, 10)] == [[1.0], [1.0], [2.0]]


def test_a_file_of_both_outcomes_is_read_by_its_yes(tmp_path: Path) -> None:
    both = pl.DataFrame({"market_id": ["m", "m"], "outcome": ["No", "Yes"], "token_id": ["n", "t"]})
    assert files(tmp_path, both).snapshot(at(0))["token_id"].to_list() == ["t"]
    indexed = both.with_columns(token_index=pl.Series([1, 0]), outcome=pl.Series(["Lakers", "Celtics"]))
    assert files(tmp_path, indexed).snapshot(at(0))["token_id"].to_list() == ["t"]


def test_names_and_types_of_strangers(tmp_path: Path) -> None:
    prices = pl.DataFrame(
        {"market_id": pl.Series([7, 7], dtype=pl.Int32), "t": [1770724800, 1770724860], "price": ["0.5", "1"]}
    )
    source = files(tmp_path, pl.DataFrame({"id": [7], "title": ["?"], "event_slug": ["e"]}), prices)
    assert source.prices(["7"], at(0), at(9)).rows() == [("7", at(0), 0.5, at(0)), ("7", at(1), 1.0, at(1))]
    row = source.snapshot(at(1)).row(0, named=True)
    assert (row["market_id"], row["event_id"], row["question"], row["category"]) == ("7", "e", "?", "UNKNOWN")


@pytest.mark.parametrize(
    ("markets", "prices", "said"),
    [
        (MARKETS.drop("market_id"), PRICES, r"no column market_id \(nor id\); it has token_id. Rename"),
        (MARKETS, PRICES.drop("p"), r"no column p \(nor price\)"),
        (MARKETS, PRICES.drop("token_id"), "whose prices are these"),
        (MARKETS, PRICES.with_columns(pl.col("ts").dt.replace_time_zone(None)), "tells no zone.*Write it in UTC"),
        (MARKETS, PRICES.with_columns(ts=pl.lit("2026-02-10 12:00")), "tells no zone"),
        (MARKETS, PRICES.with_columns(ts=pl.lit(1770724800)), "tells no zone.*go by the name t"),
        (MARKETS, PRICES.with_columns(p=pl.lit("high")), "Mend the column"),
        (pl.concat([MARKETS, MARKETS]), PRICES, "has market m twice. Leave one row"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_helps(
    tmp_path: Path, markets: pl.DataFrame, prices: pl.DataFrame, said: str
) -> None:
    with pytest.raises(MarketsUnusable, match=said):
        files(tmp_path, markets, prices).day(DAY)


def test_files_that_are_not_there_or_torn_are_named(tmp_path: Path) -> None:
    source = files(tmp_path)
    (tmp_path / "prices_old.parquet").write_bytes(b"PAR1")
    with pytest.raises(MarketsUnusable, match="has 2 files named prices"):
        source.day(DAY)
    (tmp_path / "prices.parquet").unlink()
    with pytest.raises(MarketsUnusable, match=r"prices_old.parquet cannot be read as parquet.*Write it again"):
        source.day(DAY)
    (tmp_path / "markets.parquet").unlink()
    (tmp_path / "prices_old.parquet").unlink()
    PRICES.write_parquet(tmp_path / "prices_1m.parquet")
    with pytest.raises(MarketsUnusable, match=r"markets.parquet is not there.*tsfm.markets.path"):
        source.day(DAY)


def test_a_later_price_changes_no_earlier_cycle(tmp_path: Path) -> None:
    whole = files(tmp_path).day(DAY)
    (tmp_path / "cut").mkdir()
    cut = files(tmp_path / "cut", prices=PRICES.head(1)).day(DAY)
    until = pl.col("as_of") <= at(0)
    assert whole.markets.filter(until).equals(cut.markets.filter(until))


def test_the_main_set_is_read_as_it_is(real_data: Path) -> None:
    """728 markets of 81 events by the minute, whose stamps are the start of their minute."""
    source = PriceFiles(real_data / "extras/polymarket_btc_range_1m", known_after_s=60.0, cycle_min=5)
    day = date(2025, 12, 15)
    found = source.day(day)
    made = series(found.markets, found.prices, [day], SPEC)
    assert made.refused["price_missing"] == 1800
    # two events a day, from 17:00 to 17:00; by 17:00 the price of 16:59 is known, and the end is at 17:00
    noon = found.markets.filter(pl.col("as_of") == datetime(2025, 12, 15, 16, 55, tzinfo=UTC))
    assert noon["event_id"].n_unique() == 1
    spans = made.rows.group_by("market_id").agg(pl.col("ts").min().alias("first"), pl.col("ts").max().alias("last"))
    assert spans.filter(pl.col("last").dt.hour() == 17)["last"].unique().to_list() == [
        datetime(2025, 12, 15, 17, tzinfo=UTC)
    ]
    ranked = selection(found.markets, SelectionSpec(top_n=200, weight_volume=0.6, weight_open_interest=0.4), SEGMENTS)
    assert ranked["score"].unique().to_list() == [0.0]
    assert set(ranked["liquidity_bucket"]) == {"UNKNOWN"}


def test_irregular_stamps_are_read_as_they_are(real_data: Path) -> None:
    source = PriceFiles(real_data / "extras/polymarket_events_1h", known_after_s=0.0, cycle_min=5)
    day = date(2026, 2, 20)
    found = source.day(day)
    made = series(found.markets, found.prices, [day], SPEC).rows
    assert made["market_id"].n_unique() >= 20
    assert made.filter(pl.col("y_source") == "history").height / made.height < 0.1, "a price an hour"
    assert made["gap_min"].max() > 60
    assert (found.markets["as_of"].max() - found.markets["as_of"].min()) == timedelta(hours=23, minutes=55)
