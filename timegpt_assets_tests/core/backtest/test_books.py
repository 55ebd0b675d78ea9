"""Books: whose trades stand in which, and that a challenger's trade is nobody else's money."""

from dataclasses import replace

import polars as pl
from polars.testing import assert_frame_equal

from timegpt_assets.core.backtest.books import LIVE, with_books
from timegpt_assets_tests.core.backtest.test_portfolio import OFF, back, book, judged

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
