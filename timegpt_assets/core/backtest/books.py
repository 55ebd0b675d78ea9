"""Books: whose money is at stake. Every forecaster has a paper book of its own, and ``live`` is what is assigned.

Belongs here: which book a forecaster's rows belong to, and which symbols a share is. What a share was when is
core/rollout/phases.py, what a book's limits admit is portfolio.py.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import cache
from types import MappingProxyType
from typing import TypeAlias

import polars as pl

from timegpt_assets.core.tables.columns import FALLBACK

LIVE = "live"
"""The book of what would be traded: the rows of the forecaster assigned to the day, the champion's without records."""
Shares: TypeAlias = Sequence[tuple[str, int]]
"""Challengers with the percentage of symbols that trades each, in the order in which they came to be traded."""
NOBODY: Mapping[date, Shares] = MappingProxyType({})
"""No challenger is traded on any day."""
BUCKETS = 100


@cache
def bucket(forecaster: str, symbol: str) -> int:
    """Return the place of a symbol among a forecaster's, 0 to 99: the same on every day, machine and version."""
    digest = hashlib.sha256(f"{forecaster} {symbol}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % BUCKETS


def trader(symbol: str, shares: Shares, *, champion: str) -> str:
    """Return who trades a symbol: the newest of the challengers whose share it is in, else the champion."""
    return next((name for name, share in reversed(shares) if bucket(name, symbol) < share), champion)


def assigned(symbols: Iterable[str], shares: Shares, *, champion: str) -> dict[str, str]:
    """Return symbol -> who trades it, of those that a challenger trades."""
    found = {symbol: trader(symbol, shares, champion=champion) for symbol in symbols}
    return {symbol: name for symbol, name in sorted(found.items()) if name != champion}


def with_books(rows: pl.DataFrame, *, champion: str, shares: Mapping[date, Shares] = NOBODY) -> pl.DataFrame:
    """Return the rows with ``book``: each once in its forecaster's own, who is assigned once more in ``live``.

    ``shares``: the days on which challengers are traded; there the rows need a ``symbol``. Where the one assigned gave
    no answer of its own, ``live`` holds nothing: nobody else's stand for it, a fallback's neither.
    """
    own = rows.with_columns(book=pl.col("forecaster"))
    return pl.concat([own, _live(rows, champion, shares).with_columns(book=pl.lit(LIVE))])


def _live(rows: pl.DataFrame, champion: str, shares: Mapping[date, Shares]) -> pl.DataFrame:
    """Return the rows of whoever is assigned to their day and symbol."""
    if not any(shares.values()):
        return rows.filter(forecaster=champion)
    pairs = rows.select("day", "symbol").unique(maintain_order=True)
    who = [trader(symbol, shares.get(day, ()), champion=champion) for day, symbol in pairs.iter_rows()]
    told = rows.join(
        pairs.with_columns(who=pl.Series(who, dtype=pl.String)), on=["day", "symbol"], how="left", maintain_order="left"
    )
    # a stand-in is the control arm under another's word: it was not rolled out
    return told.filter(pl.col("forecaster") == pl.col("who"), pl.col("score_source") != FALLBACK).drop("who")
