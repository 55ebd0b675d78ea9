"""The whitelist: which symbols are live on a day, by what was recorded before its session opened.

Belongs here: what dated records mean for a day, so that a replay marks the same rows. It marks rows and stops none:
what is not live is simulated, admitted and scored all the same, or nothing could ever earn its promotion.
"""

from collections.abc import Collection
from datetime import date

import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.schema import TIME

PROMOTE, DEMOTE = "promote", "demote"
_COLUMNS: dict[str, pl.DataType] = {"time": TIME, "what": pl.String(), "forecaster": pl.String(), "symbol": pl.String()}
RECORDED = pl.Schema(_COLUMNS)
"""A promotion or a demotion of one symbol, in the order of the record."""
NOTHING = pl.DataFrame(schema=RECORDED)


def whitelist(recorded: pl.DataFrame, *, day: date) -> set[tuple[str, str]]:
    """Return the (forecaster, symbol) that are live on a session: by what was said before its open."""
    return live(recorded.filter(pl.col("time") < calendar.session(day).open))


def live(recorded: pl.DataFrame) -> set[tuple[str, str]]:
    """Return the (forecaster, symbol) that are live after all that is recorded: the last word on each."""
    last = recorded.group_by("forecaster", "symbol", maintain_order=True).last()
    return set(last.filter(what=PROMOTE).select("forecaster", "symbol").iter_rows())


def whitelisted(pairs: Collection[tuple[str, str]]) -> pl.Expr:
    """Return whether a row's forecaster and symbol are among those that are live."""
    names = [f"{forecaster} {symbol}" for forecaster, symbol in sorted(pairs)]
    return pl.concat_str("forecaster", "symbol", separator=" ").is_in(names)
