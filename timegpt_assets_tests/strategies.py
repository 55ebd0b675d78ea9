"""What tests put in the place of the outside world: a market changed after a minute, and forecasters that never were.

Belongs here: test doubles behind the seams of runtime.py (MarketData, Forecaster), every draw keyed by its row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zlib import crc32

import numpy as np
import polars as pl

from timegpt_assets.adapters.forecaster import ForecastResult, left_out
from timegpt_assets.adapters.local_forecasters import LocalForecasters
from timegpt_assets.core.forecasts.framing import Frame
from timegpt_assets.core.tables.forecasts import ANSWERS
from timegpt_assets.runtime import MarketData

MINUTE = timedelta(minutes=1)
PRICES = ("open", "high", "low", "close")
_MINUTES_A_DAY = 1440


@dataclass(frozen=True, kw_only=True)
class Changed:
    """A market whose every bar from ``after`` on is another one: the past stays, bit for bit.

    The four prices of a bar move by one factor and its extremes outward, so their order holds, and no bar appears or
    goes: quality sees no reason to judge otherwise. ``moved`` collects how many bars of each day were changed.
    """

    market: MarketData
    after: datetime
    seed: int
    moved: dict[date, int] = field(default_factory=dict)

    def bars(self, symbols: Sequence[str], days: Sequence[date]) -> pl.DataFrame:
        """Return the market's bars, those that start at ``after`` or later changed."""
        frame = self.market.bars(symbols, days)
        parts = [self._changed(part) for part in frame.partition_by("day", "symbol", maintain_order=True)]
        return pl.concat([frame.clear(), *parts])

    def _changed(self, part: pl.DataFrame) -> pl.DataFrame:
        day, symbol = part.select("day", "symbol").row(0)
        draws = np.random.default_rng([self.seed, crc32(symbol.encode()), day.toordinal()])
        minute = part["ts"].dt.hour().cast(pl.Int64) * 60 + part["ts"].dt.minute()
        moves = 0.002 * draws.standard_normal((3, _MINUTES_A_DAY))[:, minute.to_numpy()]
        outward = {"high": np.abs(moves[1]), "low": -np.abs(moves[2])}
        later = pl.col("ts") >= self.after
        self.moved[day] = self.moved.get(day, 0) + part.filter(later).height
        others = {name: pl.col(name) * pl.Series(np.exp(moves[0] + outward.get(name, 0.0))) for name in PRICES}
        others["volume"] = (pl.col("volume") * 1.5).floor() + 1
        return part.with_columns(
            pl.when(later).then(other).otherwise(name).alias(name) for name, other in others.items()
        )


@dataclass(frozen=True, kw_only=True)
class Clairvoyant:
    """A forecaster that knows the return to come, so that real bars are traded.

    ``prices``: symbol, known_at, price. What it says is that return plus a twentieth of the last one it is shown, in
    bands as wide as the volatility it is shown: so its answers hang on its frames as an honest forecaster's do.
    """

    prices: pl.DataFrame
    levels: Sequence[int]
    run_source: str

    @classmethod
    def of(
        cls, market: MarketData, symbols: Sequence[str], days: Sequence[date], *, levels: Sequence[int], run_source: str
    ) -> "Clairvoyant":
        """Return the forecaster that has seen these bars."""
        bars = market.bars(symbols, days).filter(pl.col("close").is_not_null())
        prices = bars.select("symbol", known_at=pl.col("ts") + MINUTE, price="close").sort("known_at")
        return cls(prices=prices, levels=levels, run_source=run_source)

    def answers(self, frames: Sequence[Frame]) -> ForecastResult:
        """Return the answers to one day's frames; nothing is sent."""
        rows = [row for frame in frames for row in self._rows(frame)]
        if not rows:
            return ForecastResult(rows=ANSWERS.empty(), left_out=left_out(frames))
        schema = {"sigma": pl.Float64, "step": pl.Int64, "snapshot_ts": pl.Datetime("us", "UTC")}
        table = pl.DataFrame(rows, schema_overrides=schema).with_columns(
            asked_at=pl.col("snapshot_ts"),
            request_hash=pl.format("clairvoyant-{}", "snapshot_ts"),
            forecaster=pl.lit("ridge"),
            backend=pl.lit("baseline"),
            model=pl.lit("clairvoyant"),
            score_source=pl.lit("baseline"),
            run_source=pl.lit(self.run_source),
            data_regime=pl.lit("maintenance_replay"),
            stale_input=pl.lit(False),
            host=pl.lit(None, dtype=pl.String),
        )
        # and those who have seen less, so that there is somebody to be compared with
        less = {"zero": 2, "climatology": 4}
        others = [table.with_columns(forecaster=pl.lit(name), mean=pl.col("mean") / by) for name, by in less.items()]
        return ForecastResult(rows=pl.concat([table, *others]), left_out=left_out(frames))

    def _rows(self, frame: Frame) -> Iterator[dict[str, object]]:
        target_ts = frame.snapshot_ts + timedelta(minutes=frame.horizon_min)
        last = dict(frame.history.filter(known_at=frame.snapshot_ts).select("symbol", "y").iter_rows())
        for symbol, sigma, scale in frame.sigma.select("symbol", "sigma", "target_scale").iter_rows():
            now, then = (self._price(symbol, at) for at in (frame.snapshot_ts, target_ts))
            mean = float(np.log(then / now)) / scale + 0.05 * last[symbol]
            bands = {
                f"{side}_{level}": mean + sign * sigma / scale * level / 250
                for level in self.levels
                for side, sign in (("lo", -1), ("hi", 1))
            }
            known = {"day": frame.day, "snapshot_ts": frame.snapshot_ts, "symbol": symbol, "step": frame.horizon_min}
            yield known | {"mean": mean, "sigma": sigma, "target_scale": scale} | bands

    def _price(self, symbol: str, at: datetime) -> float:
        own = self.prices.filter(pl.col("symbol") == symbol, pl.col("known_at") <= at)
        return float(own["price"][-1])


@dataclass(frozen=True, kw_only=True)
class Tangled:
    """A forecaster whose bands cross: each second answer's 50 and 95 % bands are handed over in each other's place."""

    honest: LocalForecasters

    def answers(self, frames: Sequence[Frame]) -> ForecastResult:
        """Return the honest answers, every second one tangled."""
        found = self.honest.answers(frames)
        swap = {"lo_50": "hi_95", "hi_95": "lo_50", "hi_50": "mean", "mean": "hi_50"}
        second = pl.int_range(pl.len()) % 2 == 1
        rows = found.rows.with_columns(
            pl.when(second).then(pl.col(other)).otherwise(name).alias(name) for name, other in swap.items()
        )
        return ForecastResult(rows=rows, sent=found.sent, cached=found.cached, left_out=found.left_out)
