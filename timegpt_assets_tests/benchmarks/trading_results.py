"""What free forecasters would have traded and earned on real bars, and why some never trade: markdown tables.

Run: TIMEGPT_ASSETS_REAL_DATA=/path python -m timegpt_assets_tests.benchmarks.trading_results [SET[=SYMBOLS] ...]
Profile dev, every session of a set, all its symbols unless some are named, joined by commas; through the engine. Takes
long; houses are kept in the folder REAL_HOUSES when that is set, and what is in them is not made again.
"""

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import polars as pl

from timegpt_assets.cli.context import CommandContext
from timegpt_assets.config import strategy_inputs
from timegpt_assets.core.backtest import signals
from timegpt_assets.core.backtest.rules import NO_SIGNAL
from timegpt_assets.runtime import daily_files
from timegpt_assets_tests.real_houses import SPANS, TRADED, backfilled, opened_house, sessions

MULTIPLES = (1.0, 1.5, 2.0)
"""Of the costs as configured."""
MONEY = ("gross", "cost", "net", "pnl")
"""How columns of USD begin."""


@contextmanager
def kept(name: str) -> Iterator[Path]:
    """Yield the folder of a set's house: in REAL_HOUSES where that is set, else for this run alone."""
    if houses := os.environ.get("REAL_HOUSES"):
        yield Path(houses) / name
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def judged(command: CommandContext, days: Sequence[date]) -> pl.DataFrame:
    """Return every calibrated forecast with its reason for being no signal, and what the rules hold against each other.

    ``reach``: |q50|, ``half_band``: half the 50 % band, both in sigma of trading.
    """
    settings = command.runtime.settings
    spec, events = strategy_inputs.trading_spec(settings), daily_files(command.runtime).calendar
    parts = []
    for day in days:
        forecasts, bars, gates, features = (
            command.table(asset, [day])
            for asset in ("calibration/forecasts", "bars/bars", "gates/symbol_gates", "features/features")
        )
        if not forecasts.is_empty():
            measured = signals.measured_in(forecasts, features, column=spec.sigma_column)
            inputs = signals.Inputs(forecasts=measured, bars=bars, symbol_gates=gates, events=events)
            parts.append(signals.judged(inputs, spec))
    return pl.concat(parts).select(
        "forecaster",
        "reason",
        reach=pl.col("q50").abs() / pl.col("sigma"),
        half_band=(pl.col("q75") - pl.col("q25")) / 2 / pl.col("sigma"),
        on_one_side=(pl.col("q25") > 0) | (pl.col("q75") < 0),
    )


def funnel(told: pl.DataFrame, trades: pl.DataFrame, *, k_sigma: float) -> pl.DataFrame:
    """Return by forecaster: forecasts, how many had which reason, signals, trades, and how far q50 reached."""
    asked = told.group_by("forecaster").agg(
        pl.len().alias("forecasts"),
        *((pl.col("reason") == reason).sum().alias(reason) for reason in NO_SIGNAL),
        signals=(~pl.col("reason").is_in(list(NO_SIGNAL))).sum(),
        median_reach=pl.col("reach").median(),
        largest_reach=pl.col("reach").max(),
        reach_passed=(pl.col("reach") > k_sigma).sum(),
        median_half_band=pl.col("half_band").median(),
        band_on_one_side=pl.col("on_one_side").sum(),
    )
    turned = trades.filter(pl.col("exit_ts").is_null()).group_by("forecaster", "entry_reason").len().sort("len")
    words = turned.group_by("forecaster").agg(
        not_entered=pl.format("{} {}", "entry_reason", "len").reverse().str.join(", ")
    )
    filled = trades.filter(pl.col("exit_ts").is_not_null()).group_by("forecaster").agg(trades=pl.len())
    found = asked.join(words, on="forecaster", how="left").join(filled, on="forecaster", how="left")
    some = [name for name in NO_SIGNAL if found[name].sum()]
    order = ("forecaster", "forecasts", *some, "signals", "not_entered", "trades")
    reach = ("median_reach", "largest_reach", "reach_passed", "median_half_band", "band_on_one_side")
    return found.with_columns(pl.col("trades").fill_null(0)).sort("trades", "forecaster").select(*order, *reach)


def earned(portfolio: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Return by book (and more): admitted trades, gross P&L, cost, and net at each multiple of the cost, USD."""
    net = [(pl.col("gross_pnl") - m * pl.col("cost")).sum().alias(f"net {m:g}x") for m in MULTIPLES]
    sums = (pl.len().alias("trades"), pl.col("gross_pnl").sum().alias("gross"), pl.col("cost").sum())
    return portfolio.filter("admitted").group_by(by).agg(*sums, *net).sort(by)


def markdown(table: pl.DataFrame) -> Iterator[str]:
    """Yield the lines of a table: money without decimals, all else that has a fraction with three."""
    yield "| " + " | ".join(table.columns) + " |"
    yield "|" + "---|" * table.width
    for row in table.iter_rows():
        yield "| " + " | ".join(map(_shown, table.columns, row)) + " |"


def _shown(name: str, value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if name.startswith(MONEY) else f"{value:.3f}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def lines(command: CommandContext, days: Sequence[date]) -> Iterable[str]:
    """Yield a set's tables."""
    trades, portfolio = (command.table(f"backtest/{name}", days) for name in ("trades", "portfolio"))
    k_sigma = command.runtime.settings.trading.k_sigma
    yield from markdown(funnel(judged(command, days), trades, k_sigma=k_sigma))
    for by in (["book"], ["book", "symbol"]):
        yield ""
        yield from markdown(earned(portfolio, by))


def main() -> None:
    """Print the tables of the sets named, or of all."""
    if "TIMEGPT_ASSETS_REAL_DATA" not in os.environ:
        print("trading_results: set TIMEGPT_ASSETS_REAL_DATA to trade on real bars", file=sys.stderr)
        return
    data = Path(os.environ["TIMEGPT_ASSETS_REAL_DATA"])
    for named in sys.argv[1:] or list(SPANS):
        name, _, symbols = named.partition("=")
        days = sessions(name)
        with (
            kept(name) as folder,
            opened_house(data, name, folder, symbols=symbols.split(",") if symbols else ()) as one,
        ):
            took = backfilled(one, days, assets=TRADED)
            print(f"\n## {name}: {len(days)} sessions, {took.outcome.made} partitions in {took.cpu:.0f} CPU s\n")
            for line in lines(one, days):
                print(line, flush=True)


if __name__ == "__main__":
    main()
