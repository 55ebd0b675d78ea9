"""The sweep: what many variants of the rules would have made of the same forecasts, a day a row.

Belongs here: which engine serves, and adding trades up. Each combination stands for itself and equals the event loop.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import polars as pl

from timegpt_assets.core.backtest import event_loop
from timegpt_assets.core.backtest.costs import ENTRY_NOTIONAL, EXIT_NOTIONAL
from timegpt_assets.core.backtest.signals import TradingSpec
from timegpt_assets.core.events import EventCalendar

LOOP, COMPILED = "loop", "compiled"
"""The event loop once a combination, and the kernel over what combinations share."""
MONEY = ("gross_pnl", "cost", "net_pnl", "notional")
SCHEMA = pl.Schema(
    {"combination": pl.Int64, "forecaster": pl.String, "day": pl.Date, "trades": pl.Int64, "hits": pl.Int64}
    | dict.fromkeys(MONEY, pl.Float64)
)


@dataclass(frozen=True, slots=True)
class Engine:
    """Who does the work, in a word, and why it is them."""

    word: str
    reason: str


def engine() -> Engine:
    """Return the engine that serves sweeps on this machine."""
    if find_spec("numba") is None:
        return Engine(LOOP, "numba is not installed: slower by far. Install timegpt_assets[sweep].")
    return Engine(COMPILED, "numba is installed")


def sweep(
    forecasts: pl.DataFrame,
    bars: pl.DataFrame,
    symbol_gates: pl.DataFrame,
    specs: Sequence[TradingSpec],
    *,
    events: EventCalendar,
    liquidity: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return [combination, forecaster, day, trades, hits, *MONEY], sorted, all symbols together.

    ``combination`` counts ``specs`` from 0; every day a forecaster was asked has its row, of zeros without a trade.
    ``hits`` are trades of net_pnl > 0; money is USD, added up in the order of (symbol, snapshot_ts), and ``notional``
    that of both legs. Raises what event_loop.trades raises. Which engine serves is told by ``engine``; they give the
    same bits.
    """
    if not specs or engine().word == LOOP:
        return looped(forecasts, bars, symbol_gates, specs, events=events, liquidity=liquidity)
    from timegpt_assets.core.backtest import shared  # numba, which few processes need

    counts, sums = shared.swept(forecasts, bars, symbol_gates, specs, events=events, liquidity=liquidity)
    asked = forecasts.select("forecaster", "day").unique().sort("forecaster", "day")
    combinations = pl.DataFrame({"combination": range(len(specs))}, schema={"combination": pl.Int64})
    numbers = [*counts.reshape(-1, 2).T, *sums.reshape(-1, len(MONEY)).T]
    return combinations.join(asked, how="cross", maintain_order="left_right").with_columns(
        pl.Series(name, values) for name, values in zip(("trades", "hits", *MONEY), numbers, strict=True)
    )


def looped(
    forecasts: pl.DataFrame,
    bars: pl.DataFrame,
    symbol_gates: pl.DataFrame,
    specs: Sequence[TradingSpec],
    *,
    events: EventCalendar,
    liquidity: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return what ``sweep`` returns, by the event loop itself: the reference, and slow."""
    asked = forecasts.select("forecaster", "day").unique().sort("forecaster", "day")
    trades = functools.partial(event_loop.trades, forecasts, bars, symbol_gates, events=events, liquidity=liquidity)
    return pl.concat(
        [SCHEMA.to_frame(), *(_added_up(trades(spec), asked, combination=i) for i, spec in enumerate(specs))]
    )


def _added_up(trades: pl.DataFrame, asked: pl.DataFrame, *, combination: int) -> pl.DataFrame:
    """Return the row of each of ``asked``; one addition after the other, as polars promises no order of its own."""
    filled = trades.filter(pl.col("quantity") != 0).sort("day", "symbol", "snapshot_ts")
    filled = filled.with_columns(notional=ENTRY_NOTIONAL + EXIT_NOTIONAL)
    places = filled.join(asked.with_row_index("place"), on=["forecaster", "day"], how="left", maintain_order="left")
    total = functools.partial(np.bincount, places["place"].to_numpy(), minlength=asked.height)
    sums = {"trades": total(), "hits": total(weights=filled["net_pnl"].to_numpy() > 0)}
    sums |= {name: total(weights=filled[name].to_numpy()) for name in MONEY}
    return asked.select(
        pl.lit(combination, pl.Int64).alias("combination"),
        "forecaster",
        "day",
        *(pl.Series(name, values).cast(SCHEMA[name]) for name, values in sums.items()),
    )
