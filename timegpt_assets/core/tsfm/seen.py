"""Which prices count: what was seen of each market, when, and whether it was a quote, a trade or a point of history.

Belongs here: raw prices and quotes to one list of what was seen, and what is refused of them, counted by reason. What
a price is at a moment of the grid is series.py.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from timegpt_assets.core.explained import Explained
from timegpt_assets.core.schema import TIME

PRICES: Mapping[str, pl.DataType | type[pl.DataType]] = {
    "token_id": pl.String,
    "ts": TIME,
    "p": pl.Float64,
    "known_at": TIME,
}
"""Points of a price history: the token, the price's stamp, the price, and from when on anybody could know it."""
HISTORY, LAST_TRADE, MID = 1, 2, 3
SOURCES: Mapping[int, str] = {HISTORY: "history", LAST_TRADE: "last_trade", MID: "mid"}
"""Rank of what was seen -> y_source; within a step of the grid the highest counts."""


class UnusablePrices(Explained, ValueError):
    """Raised for a table of prices that is none; names the column and what helps."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What counts: [market_id, known_at, seen_at, y, rank in SOURCES]; ``refused``: reason -> rows that do not."""

    rows: pl.DataFrame
    refused: Mapping[str, int]


def checked(prices: pl.DataFrame) -> pl.DataFrame:
    """Return the columns of PRICES. Raises UnusablePrices for a missing one and for stamps without a zone."""
    for name, dtype in PRICES.items():
        found = prices.schema.get(name)
        if found is None:
            raise UnusablePrices(f"prices have no column {name}. Give {', '.join(PRICES)}.")
        if isinstance(found, pl.Datetime) and found.time_zone is None:
            raise UnusablePrices(
                f"{name} of the prices has no zone, so nobody knows when that was. "
                f"Write it in UTC, as 2026-02-10T14:00:21Z, or cast it to {dtype}."
            )
        if isinstance(dtype, pl.Datetime) and not isinstance(found, pl.Datetime):
            raise UnusablePrices(f"{name} of the prices is {found} and no time. Cast it to {dtype}.")
    return prices.select(
        pl.col(name).dt.convert_time_zone("UTC").cast(dtype) if dtype == TIME else pl.col(name).cast(dtype)
        for name, dtype in PRICES.items()
    )


def seen(markets: pl.DataFrame, prices: pl.DataFrame) -> Seen:
    """Return what was seen: of rows of MARKETS the middle of bid and ask, else the last trade; of PRICES every point.

    Refused, and counted, are prices that are no probability, crossed books, trades after their cycle, points known
    before their stamp, points of no market, a stamp twice (once it counts), and stamps with two prices.
    """
    counts: Counter[str] = Counter()
    history = _history(markets, checked(prices), counts)
    quotes = markets.filter(pl.col("live"))
    found = pl.concat([_mids(quotes, counts), _trades(quotes, counts), history])
    return Seen(found.sort("market_id", "known_at", "seen_at", "rank"), {k: n for k, n in counts.items() if n})


def _is_probability(name: str) -> pl.Expr:
    # not a number fails both comparisons only if it is asked for: polars sorts it above every number
    return pl.col(name).is_finite() & pl.col(name).is_between(0.0, 1.0)


def _mids(quotes: pl.DataFrame, counts: Counter[str]) -> pl.DataFrame:
    both = quotes.filter(pl.col("bid").is_not_null() & pl.col("ask").is_not_null())
    good = both.filter(_is_probability("bid") & _is_probability("ask"))
    uncrossed = good.filter(pl.col("bid") <= pl.col("ask"))
    counts["quote_no_probability"] += both.height - good.height
    counts["crossed_book"] += good.height - uncrossed.height
    middle = (pl.col("bid") + pl.col("ask")) / 2
    return _as_seen(uncrossed, known="as_of", at="as_of", price=middle, rank=MID)


def _trades(quotes: pl.DataFrame, counts: Counter[str]) -> pl.DataFrame:
    """Return last trades whose time is told, or known: one that the cycle before did not show was made since it."""
    before, earlier = (pl.col(name).shift(1).over("market_id") for name in ("last_trade", "as_of"))
    # at the latest the moment of the cycle before: it may be younger, and is taken for no younger
    since = pl.when(pl.col("last_trade") != before).then(earlier).forward_fill().over("market_id")
    known = quotes.sort("market_id", "as_of").with_columns(last_trade_ts=pl.coalesce("last_trade_ts", since))
    told = known.filter(pl.col("last_trade").is_not_null() & pl.col("last_trade_ts").is_not_null())
    good = told.filter(_is_probability("last_trade"))
    past = good.filter(pl.col("last_trade_ts") <= pl.col("as_of"))
    counts["trade_no_probability"] += told.height - good.height
    counts["trade_after_its_cycle"] += good.height - past.height
    return _as_seen(past, known="as_of", at="last_trade_ts", price=pl.col("last_trade"), rank=LAST_TRADE)


def _history(markets: pl.DataFrame, prices: pl.DataFrame, counts: Counter[str]) -> pl.DataFrame:
    tokens = markets.select("token_id", "market_id").unique(maintain_order=True)
    told = prices.drop_nulls()
    good = told.filter(_is_probability("p"))
    in_time = good.filter(pl.col("known_at") >= pl.col("ts"))
    once = in_time.unique()
    # two prices of one stamp, known at one moment: nobody can say which it was, so it was neither
    clear = once.filter(pl.len().over("token_id", "ts", "known_at") == 1)
    listed = clear.join(tokens, on="token_id", how="inner")
    counts["price_missing"] += prices.height - told.height
    counts["price_no_probability"] += told.height - good.height
    counts["known_before_its_stamp"] += good.height - in_time.height
    counts["stamp_twice"] += in_time.height - once.height
    counts["stamp_of_two_prices"] += once.height - clear.height
    counts["price_of_no_market"] += clear.height - clear.join(tokens, on="token_id", how="semi").height
    return _as_seen(listed, known="known_at", at="known_at", price=pl.col("p"), rank=HISTORY)


def _as_seen(rows: pl.DataFrame, *, known: str, at: str, price: pl.Expr, rank: int) -> pl.DataFrame:
    return rows.select(
        "market_id",
        pl.col(known).alias("known_at"),
        pl.col(at).alias("seen_at"),
        price.alias("y"),
        pl.lit(rank, pl.Int8).alias("rank"),
    )
