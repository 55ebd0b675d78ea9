"""The sweep: what many variants of the rules would have made of the same forecasts, a day a row.

Belongs here: adding trades up. Each combination stands for itself and equals the event loop.
"""

import functools
from collections.abc import Sequence

import numpy as np
import polars as pl

from timegpt_assets.core.backtest import engines, event_loop
from timegpt_assets.core.backtest.costs import ENTRY_NOTIONAL, EXIT_NOTIONAL
from timegpt_assets.core.backtest.signals import Inputs, TradingSpec

MONEY = ("gross_pnl", "cost", "net_pnl", "notional")
SCHEMA = pl.Schema(
    {"combination": pl.Int64, "forecaster": pl.String, "day": pl.Date, "trades": pl.Int64, "hits": pl.Int64}
    | dict.fromkeys(MONEY, pl.Float64)
)


def sweep(inputs: Inputs, specs: Sequence[TradingSpec]) -> pl.DataFrame:
    """Return [combination, forecaster, day, trades, hits, *MONEY], sorted, all symbols together.

    ``combination`` counts ``specs`` from 0; every day a forecaster was asked has its row, of zeros without a trade.
    ``hits`` are trades of net_pnl > 0; money is USD, added up in the order of (symbol, snapshot_ts), net_pnl what cost
    leaves of gross_pnl, and ``notional`` that of both legs. Raises what event_loop.trades raises. Which engine serves
    is told by engines.of_sweep; both give the same bits.
    """
    if not specs or engines.of_sweep().word == engines.LOOP:
        return looped(inputs, specs)
    from timegpt_assets.core.backtest import shared  # numba, which few processes need

    asked, numbers = shared.swept(inputs, specs)
    combinations = pl.DataFrame({"combination": range(len(specs))}, schema={"combination": pl.Int64})
    return combinations.join(asked.drop("start", "end"), how="cross", maintain_order="left_right").with_columns(
        pl.Series(name, values) for name, values in zip(("trades", "hits", *MONEY), numbers, strict=True)
    )


def looped(inputs: Inputs, specs: Sequence[TradingSpec]) -> pl.DataFrame:
    """Return what ``sweep`` returns, by the event loop itself: the reference, and slow."""
    asked, rows = _asked(inputs), [SCHEMA.to_frame()]
    for i, spec in enumerate(specs):
        rows.append(_added_up(event_loop.trades(inputs, spec), asked, combination=i))
    return pl.concat(rows)


def _asked(inputs: Inputs) -> pl.DataFrame:
    """Return each day of each forecaster."""
    return inputs.forecasts.select("forecaster", "day").unique().sort("forecaster", "day")


def _added_up(trades: pl.DataFrame, asked: pl.DataFrame, *, combination: int) -> pl.DataFrame:
    """Return the row of each of ``asked``; one addition after the other, as polars promises no order of its own."""
    filled = trades.filter(pl.col("quantity") != 0).sort("day", "symbol", "snapshot_ts")
    filled = filled.with_columns(notional=ENTRY_NOTIONAL + EXIT_NOTIONAL)
    places = filled.join(asked.with_row_index("place"), on=["forecaster", "day"], how="left", maintain_order="left")
    total = functools.partial(np.bincount, places["place"].to_numpy(), minlength=asked.height)
    sums = {"trades": total(), "hits": total(weights=filled["net_pnl"].to_numpy() > 0)}
    sums |= {name: total(weights=filled[name].to_numpy()) for name in MONEY if name != "net_pnl"}
    sums["net_pnl"] = sums["gross_pnl"] - sums["cost"]
    return asked.select(
        pl.lit(combination, pl.Int64).alias("combination"),
        "forecaster",
        "day",
        *(pl.Series(name, sums[name]).cast(SCHEMA[name]) for name in ("trades", "hits", *MONEY)),
    )
