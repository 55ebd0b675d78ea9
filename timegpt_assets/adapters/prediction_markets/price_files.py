"""Markets and prices in files, for a replay: markets.parquet and prices.parquet of a folder, whatever made them.

Belongs here: reading and checking both, and which markets a moment of the past lists. What strangers call the columns
is file_columns.py.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from pathlib import Path

import polars as pl

from timegpt_assets.adapters.prediction_markets import file_columns
from timegpt_assets.adapters.prediction_markets.source import MarketDay, MarketsUnusable
from timegpt_assets.config import files
from timegpt_assets.core.schema import TIME
from timegpt_assets.core.tables.tsfm import MARKETS
from timegpt_assets.core.tsfm.seen import PRICES
from timegpt_assets.core.tsfm.series import LOOKBACK

_DAY = timedelta(days=1)
_SILENT = timedelta(days=1)
"""A market whose last price is older than this is not listed."""


@dataclass(frozen=True)
class PriceFiles:
    """The files of a folder. ``known_after_s``: from a price's stamp to when it is known; ``cycle_min``: of a replay.

    Quotes, volumes and open interest of a file that does not say of when they are (``as_of``) are of nobody knows
    when: they are not looked at.
    """

    folder: Path
    known_after_s: float
    cycle_min: int

    @property
    def live(self) -> bool:
        """Return False: files tell of any moment of their past."""
        return False

    def snapshot(self, at: datetime) -> pl.DataFrame:
        """Return MARKETS of one cycle: those that had begun, were not over, and had a price in the day before."""
        return self._listed([at])

    def prices(self, tokens: Collection[str], start: datetime, end: datetime) -> pl.DataFrame:
        """Return PRICES of tokens with ``start <= ts < end``. Raises MarketsUnusable."""
        within = pl.col("ts").is_between(start, end, closed="left") & pl.col("token_id").is_in(sorted(set(tokens)))
        return self._prices.filter(within)

    def day(self, day: date) -> MarketDay:
        """Return a day as if a cycle had looked every ``cycle_min`` minutes from midnight on."""
        begins = datetime.combine(day, time(), UTC)
        step = timedelta(minutes=self.cycle_min)
        known = self._prices.filter(pl.col("known_at").is_between(begins - LOOKBACK, begins + _DAY, closed="left"))
        return MarketDay(self._listed([begins + k * step for k in range(_DAY // step)]), known)

    def _listed(self, moments: Sequence[datetime]) -> pl.DataFrame:
        cycles = pl.DataFrame({"as_of": pl.Series(sorted(moments), dtype=TIME)})
        told = _as_told(cycles, self._markets).filter(
            (pl.col("start_ts") <= pl.col("as_of")).fill_null(True)
            & (pl.col("end_ts") > pl.col("as_of")).fill_null(True)
            & (pl.col("closed_ts") > pl.col("as_of")).fill_null(True)
        )
        priced = self._prices.select("token_id", "known_at").sort("known_at")
        alive = told.sort("as_of").join_asof(
            priced, left_on="as_of", right_on="known_at", by="token_id", tolerance=_SILENT, check_sortedness=False
        )
        found = alive.filter(pl.col("known_at").is_not_null())
        unsaid = {name: pl.lit(None, dtype) for name, dtype in MARKETS.schema.items() if name not in found.columns}
        plain = {"day": pl.col("as_of").dt.date(), "active": pl.lit(True), "live": pl.lit(False)}
        return MARKETS.conformed(found.with_columns(**(unsaid | plain)))

    @cached_property
    def _markets(self) -> pl.DataFrame:
        path = self.folder / "markets.parquet"
        return file_columns.markets(_read(path), str(path))

    @cached_property
    def _prices(self) -> pl.DataFrame:
        path = self._prices_path()
        found = file_columns.prices(_read(path), str(path), timedelta(seconds=self.known_after_s))
        if "token_id" not in found.columns:
            found = found.join(self._markets.select("market_id", "token_id").unique(), on="market_id")
        return found.select(list(PRICES)).sort("token_id", "ts")

    def _prices_path(self) -> Path:
        found = sorted(self.folder.glob("prices*.parquet"))
        if len(found) != 1:
            raise MarketsUnusable(
                f"{self.folder} has {len(found)} files named prices*.parquet ({', '.join(p.name for p in found)}), and "
                "one is needed. Put all prices into one prices.parquet there, or set tsfm.markets.path."
            )
        return found[0]


def _as_told(cycles: pl.DataFrame, markets: pl.DataFrame) -> pl.DataFrame:
    """Return markets as each cycle knew them: as they always were, or as the last row by then told them."""
    if "told_at" not in markets.columns:
        return cycles.join(markets, how="cross")
    names = markets.select("market_id").unique()
    return (
        cycles.join(names, how="cross")
        .sort("as_of")
        .join_asof(markets.sort("told_at"), left_on="as_of", right_on="told_at", by="market_id", check_sortedness=False)
        .filter(pl.col("told_at").is_not_null())
    )


def _read(path: Path) -> pl.DataFrame:
    try:
        with files.opened(path) as file:
            return pl.read_parquet(file)
    except FileNotFoundError:
        raise MarketsUnusable(
            f"{path} is not there. Put it there, or set tsfm.markets.path to the folder that holds it."
        ) from None
    except (OSError, pl.exceptions.PolarsError) as error:
        raise MarketsUnusable(
            f"{path} cannot be read as parquet ({str(error).splitlines()[0]}). Write it again, or restore it."
        ) from None
