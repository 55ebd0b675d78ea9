"""What a symbol's peers did one minute ago: the others of its sector, never itself, and nobody where none is."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from timegpt_assets.core.features.context import market_context
from timegpt_assets.core.features.matrix import features
from timegpt_assets.core.features.sector import RETURN_WINDOWS, means_of
from timegpt_assets_tests.core.bars.bars_factory import DAYS, troubled_bars
from timegpt_assets_tests.core.features.made import SPEC, made

RETURNS = [f"sector_ret_{n}m" for n in RETURN_WINDOWS]
EVERY_ROW = replace(SPEC, max_missing=1.0)


def of(frame: pl.DataFrame, symbol: str) -> pl.DataFrame:
    return frame.filter(pl.col("symbol") == symbol).sort("ts")


def in_sectors(**sectors: str) -> pl.DataFrame:
    return made(troubled_bars(), spec=replace(EVERY_ROW, sectors=sectors)).frame


def test_a_peer_is_seen_one_minute_late_and_peers_are_averaged_by_a_clerk():
    frame = made(troubled_bars(), spec=EVERY_ROW).frame
    peers = {"AAA": ("BBB", "SPY"), "BBB": ("AAA", "SPY"), "SPY": ("AAA", "BBB")}
    known = {(r["symbol"], r["known_at"]): r for r in frame.iter_rows(named=True)}
    compared = 0
    for row in frame.iter_rows(named=True):
        for n in RETURN_WINDOWS:
            seen = [known.get((peer, row["ts"]), {}).get(f"ret_{n}m") for peer in peers[row["symbol"]]]
            told = [value for value in seen if value is not None]
            if not told:
                assert row[f"sector_ret_{n}m"] is None
                continue
            assert row[f"sector_ret_{n}m"] == pytest.approx(np.mean(told), abs=1e-8)
            compared += len(told) == 1  # BBB prints late on one day: then the other stands alone
    assert compared > 10


def test_what_a_symbol_does_itself_is_no_part_of_its_peers():
    bars = troubled_bars()
    moved = (pl.col("symbol") == "AAA") & (pl.col("ts").dt.minute() % 7 == 3)
    prices = [pl.when(moved).then(pl.col(c) * 1.1).otherwise(c).alias(c) for c in ("open", "high", "low", "close")]
    before, after = (made(rows, spec=EVERY_ROW).frame for rows in (bars, bars.with_columns(prices)))
    assert not of(before, "AAA")["ret_1m"].equals(of(after, "AAA")["ret_1m"])
    for name in RETURNS:
        own = (of(frame, "AAA")[name] for frame in (before, after))
        np.testing.assert_allclose(*(values.to_numpy() for values in own), atol=1e-9)
        others = (of(frame, "BBB")[name] for frame in (before, after))
        assert not next(others).equals(next(others))


def test_without_a_sector_or_alone_in_it_there_are_no_peers_and_a_flag_says_so():
    frame = in_sectors(AAA="one", BBB="another")
    assert frame["sector_missing"].all()
    assert frame.select(pl.col(RETURNS).count()).row(0) == (0, 0, 0)
    pair = in_sectors(AAA="one", BBB="one")
    flagged = dict(pair.group_by("symbol").agg(pl.col("sector_missing").all()).iter_rows())
    assert flagged == {"AAA": False, "BBB": False, "SPY": True}


def test_a_peer_without_bars_is_missed_on_that_day_alone():
    bars = troubled_bars().filter(~((pl.col("symbol") == "BBB") & (pl.col("day") == DAYS[1])))
    frame = of(made(bars, spec=replace(EVERY_ROW, sectors={"AAA": "one", "BBB": "one", "ZZZ": "one"})).frame, "AAA")
    assert frame.filter("sector_missing")["day"].unique().to_list() == [DAYS[1]]
    assert frame.filter("sector_missing").select(pl.col(RETURNS).count()).row(0) == (0, 0, 0)
    assert frame.filter(~pl.col("sector_missing"))["sector_ret_1m"].count() > 700


def test_peers_take_no_row_away_and_change_no_other_column():
    bars = troubled_bars()
    with_peers, alone = (made(bars, spec=replace(SPEC, sectors=sectors)) for sectors in (SPEC.sectors, {}))
    assert with_peers.dropped.equals(alone.dropped)
    own = [name for name in alone.frame.columns if not name.startswith("sector_")]
    assert with_peers.frame.select(own).equals(alone.frame.select(own))


def test_a_market_that_knows_no_sectors_leaves_everybody_without_peers():
    bars = troubled_bars()
    market = market_context(bars, days=DAYS, context=["SPY"])
    assert features(bars, market, days=DAYS, spec=replace(SPEC, vix=False)).frame["sector_missing"].all()


def test_the_market_holds_each_sector_once_in_alphabetical_order():
    market = market_context(troubled_bars(), days=DAYS, context=[], sectors={"AAA": "z", "BBB": "a", "SPY": "z"})
    held = [name for name in market.columns if name.startswith("sector_")]
    assert held == [f.name for f in means_of({"AAA": "z", "BBB": "a"})]
    assert held[0] == "sector_a_ret_1m"
    assert market["sector_z_symbols"].unique().to_list() == [2.0]
