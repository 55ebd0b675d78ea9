"""Books: whose trades stand in which, and that a challenger's trade is nobody else's money."""

from dataclasses import replace

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from timegpt_assets.core.backtest.books import LIVE, assigned, bucket, trader, with_books
from timegpt_assets_tests.core.backtest.test_portfolio import DAY, OFF, back, book, judged

OWN = (
    {"forecaster": "zero", "symbol": "AAA"},
    {"forecaster": "ridge", "symbol": "AAA", "minute": 2},
    {"forecaster": "ridge", "symbol": "BBB", "minute": 4},
    {"forecaster": "size", "symbol": "CCC", "minute": 6},
    {"forecaster": "size", "day": back(1), "net_pnl": -900.0},
    {"forecaster": "ridge", "day": back(1), "net_pnl": 5.0},
)
TRADES = book(*(row | {"book": row["forecaster"]} for row in OWN)).drop("book")


def test_a_trade_stands_in_its_forecasters_own_book_and_the_champions_once_more_in_live() -> None:
    rows = with_books(TRADES, champion="ridge")
    for name in ("zero", "ridge", "size"):
        own = rows.filter(book=name).drop("book")
        assert_frame_equal(own, TRADES.filter(forecaster=name), check_column_order=False)
    assert_frame_equal(rows.filter(book=LIVE).drop("book"), TRADES.filter(forecaster="ridge"), check_column_order=False)
    assert rows.height == TRADES.height + TRADES.filter(forecaster="ridge").height
    assert set(with_books(TRADES, champion="timegpt")["book"]) == {"zero", "ridge", "size"}, "a champion without trades"


def test_a_challengers_trades_take_no_seat_and_lose_no_money_of_the_champion() -> None:
    risk = replace(OFF, max_positions=1, max_drawdown=0.05)
    everyone = judged(with_books(TRADES, champion="ridge"), risk)
    alone = judged(with_books(TRADES.filter(forecaster="ridge"), champion="ridge"), risk)
    of_champion = everyone.filter(pl.col("book").is_in(["ridge", LIVE]))
    assert_frame_equal(of_champion, alone, check_exact=True)
    assert dict(alone.filter(book=LIVE).select("symbol", "refused_by").iter_rows()) == {
        "AAA": "",
        "BBB": "position_limit",
    }
    assert everyone.filter(book="size")["refused_by"].to_list() == ["drawdown_stop"]


SYMBOLS = [f"S{n}" for n in range(400)]
NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=8)


@given(NAMES, NAMES, st.integers(0, 100), st.integers(0, 100))
def test_a_share_only_grows(forecaster: str, symbol: str, share: int, more: int) -> None:
    low, high = sorted((share, more))
    small, large = (trader(symbol, [(forecaster, s)], champion="ridge") for s in (low, high))
    assert small == "ridge" or large == small, "who trades the challenger at a share does so at a greater one"
    assert trader(symbol, [(forecaster, 100)], champion="ridge") == forecaster
    assert trader(symbol, [(forecaster, 0)], champion="ridge") == "ridge"


def test_who_trades_a_symbol_is_the_same_on_every_machine_and_as_many_as_the_share_says() -> None:
    assert [bucket("size", name) for name in ("AAPL", "MSFT", "SPY")] == [75, 38, 45]
    found = assigned(SYMBOLS, [("size", 10)], champion="ridge")
    assert 20 < len(found) < 60
    assert found == assigned(reversed(SYMBOLS), [("size", 10)], champion="ridge")
    assert set(assigned(SYMBOLS, [("size", 50)], champion="ridge")) > set(found)
    assert set(assigned(SYMBOLS, [("tree", 10)], champion="ridge")) != set(found), "another one has other symbols"


@given(st.lists(st.tuples(st.sampled_from(["size", "tree", "net"]), st.integers(0, 100)), max_size=4))
def test_live_holds_each_symbol_of_exactly_one_forecaster(shares: list[tuple[str, int]]) -> None:
    names = ["ridge", "size", "tree", "net"]
    rows = pl.DataFrame(
        [{"day": DAY, "symbol": s, "forecaster": name, "score_source": "model"} for s in SYMBOLS[:40] for name in names]
    )
    live = with_books(rows, champion="ridge", shares={DAY: shares}).filter(book=LIVE)
    assert live["symbol"].to_list() == SYMBOLS[:40]
    for symbol, name in live.select("symbol", "forecaster").iter_rows():
        claimed = [who for who, share in shares if bucket(who, symbol) < share]
        assert name == (claimed[-1] if claimed else "ridge")


def test_on_a_day_without_a_rollout_live_is_the_champions_whatever_other_days_hold() -> None:
    shares = {back(1): [("size", 100)]}
    rows = with_books(TRADES, champion="ridge", shares=shares).filter(book=LIVE)
    assert rows.select("day", "forecaster", "symbol").rows() == [
        (back(1), "size", "AAA"),
        (DAY, "ridge", "AAA"),
        (DAY, "ridge", "BBB"),
    ]


def test_nobody_stands_in_for_a_challenger_that_gave_no_answer_of_its_own() -> None:
    shares = {DAY: [("size", 100)]}
    silent = with_books(TRADES.filter(forecaster="ridge"), champion="ridge", shares=shares)
    assert silent.filter(book=LIVE, day=DAY).is_empty()
    stood_in = TRADES.with_columns(score_source=pl.lit("fallback"))
    assert with_books(stood_in, champion="ridge", shares=shares).filter(book=LIVE, day=DAY).is_empty()
    assert with_books(TRADES, champion="ridge", shares=shares).filter(book=LIVE, day=DAY)["symbol"].to_list() == ["CCC"]
