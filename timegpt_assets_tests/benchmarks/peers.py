"""The sweep and one backtest beside vectorbt and nautilus_trader, on the same bars, entries, stops and takes.

Run: python -m timegpt_assets_tests.benchmarks.peers --vectorbt PYTHON --nautilus PYTHON
with interpreters of environments in which ``pip install vectorbt==1.2.0`` and ``pip install nautilus_trader`` were run;
the two cannot share one. They get arrays alone. The rules are such as all of them know: one position a symbol, a stop,
a take, left at the forecast's time, fees; every minute has a print. CPU seconds, arrays loaded, code compiled before.
"""

import argparse
import json
import os
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from timegpt_assets.core.backtest import event_loop, sweep
from timegpt_assets.core.backtest.costs import Costs
from timegpt_assets.core.backtest.signals import Inputs
from timegpt_assets.core.tables.gates import SYMBOL_GATES
from timegpt_assets_tests.benchmarks import sweep as own

FEES = 0.5
COSTS = Costs(fees_bps={"*": FEES}, half_spread_ticks={"*": 0.0}, tick_size=0.01)
RULES = replace(own.SPEC.rules, cooldown_bars=0, daily_trade_cap=None, suppress_wide=False, exit_at_forecast_ts=True)
SPEC = replace(own.SPEC, costs=COSTS, rules=replace(RULES, k_sigma=1.0, s_stop=1.0, s_take=1.0))
FEW = 5
"""Sessions whose trades the readable loop makes, to say how many of them the peers should find."""


def arrays(inputs: Inputs) -> dict[str, np.ndarray]:
    """Return matrices of minutes by symbols: prices, who enters where, how many shares in what sigma, who leaves."""
    symbols = sorted(inputs.bars["symbol"].unique())
    rows = inputs.bars.filter(symbol=symbols[0]).select("ts").with_row_index("row")
    prices = {
        name: np.stack([inputs.bars.filter(symbol=symbol)[name].to_numpy() for symbol in symbols], axis=1)
        for name in ("open", "high", "low", "close")
    }
    column = pl.col("symbol").replace_strict({symbol: i for i, symbol in enumerate(symbols)}, return_dtype=pl.Int64)
    long = (pl.col("q25") > 0) & (pl.col("q50") > SPEC.rules.k_sigma * pl.col("sigma"))
    short = (pl.col("q75") < 0) & (pl.col("q50") < -SPEC.rules.k_sigma * pl.col("sigma"))
    asked = inputs.forecasts.select(
        "sigma",
        column=column,
        side=long.cast(pl.Int64) - short.cast(pl.Int64),
        size=pl.min_horizontal(pl.col("q50").abs() / pl.col("sigma"), pl.lit(SPEC.rules.cap_per_trade)),
        ts=pl.col("snapshot_ts") + own.MINUTE,
        until="target_ts",
    ).filter(pl.col("side") != 0)
    asked = asked.join(rows, on="ts").join(rows.rename({"ts": "until", "row": "left"}), on="until")
    side, sigma, size = (asked[name].to_numpy() for name in ("side", "sigma", "size"))
    enters, leaves = (asked["row"].to_numpy(), asked["column"].to_numpy()), (asked["left"].to_numpy(), asked["column"])
    for row, columns in (enters, leaves):  # so that a peer may trade at the close before instead, as vectorbt has to
        assert (prices["open"][row, columns] == prices["close"][row - 1, columns]).all()
    made = {"side": np.zeros(prices["open"].shape, np.int8), "left": np.zeros(prices["open"].shape, np.bool_)}
    made |= {name: np.full(prices["open"].shape, np.nan) for name in ("sigma", "shares")}
    made["side"][enters], made["left"][leaves], made["sigma"][enters] = side, True, sigma
    made["shares"][enters] = size * SPEC.capital / prices["open"][enters]
    return prices | made | {"fees": np.array(FEES * 1e-4), "day": rows["ts"].dt.date().rle_id().to_numpy()}


def asked(python: str, script: str, file: Path) -> dict[str, Any]:
    """Return what a peer measured."""
    command = [python, str(Path(__file__).parent / f"_peer_{script}.py"), str(file)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env={"PATH": os.environ["PATH"]})
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectorbt", help="interpreter that can import vectorbt")
    parser.add_argument("--nautilus", help="interpreter that can import nautilus_trader")
    peers = {name: python for name, python in vars(parser.parse_args()).items() if python}
    if not peers:
        print("no peer: give --vectorbt PYTHON or --nautilus PYTHON")
        return
    bars = own.bars().with_columns(is_filled=pl.lit(False))
    inputs = Inputs(forecasts=own.forecasts(), bars=bars, symbol_gates=SYMBOL_GATES.empty(), **own.KNOWN)
    found = sweep.sweep(inputs, [SPEC])
    specs = [replace(spec, costs=COSTS) for spec in own.grid()]
    sweep.sweep(inputs, specs)
    swept = own.least_ms(lambda: sweep.sweep(inputs, specs), own.BEST_OF)[0] / len(specs)
    run = own.compiled_loop(inputs, SPEC)
    run(SPEC)
    loop = own.least_ms(lambda: run(SPEC), 8 * own.BEST_OF)[0]
    pace = bars.height / loop * 1e3
    load = os.getloadavg()[0]
    mine = {name: found[name].sum() for name in ("trades", "hits", "cost", "net_pnl")}
    own.show("sweep_per_combination", swept, "ms", None, combinations=len(specs), load=load)
    own.show("compiled_backtest", loop, "ms", 7.0, bars=bars.height, load=load, **mine)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "arrays.npz"
        np.savez(file, **arrays(inputs))  # type: ignore[arg-type]
        if "vectorbt" in peers:
            theirs = asked(peers["vectorbt"], "vectorbt", file)
            differs = {name: abs(theirs[name] / mine[name] - 1) for name in ("trades", "hits", "cost", "net_pnl")}
            own.show("money_beside_vectorbt", max(differs.values()), "of ours", 1e-9, **differs, ours=mine)
            least = 1e3 * min(theirs["summed_s"], theirs["side_by_side_s"])
            own.show("sweep_over_vectorbt", least / swept, "x", 1500, **theirs)
            own.show("backtest_over_vectorbt", 1e3 * theirs["backtest_s"] / loop, "x", 40, bars_s=pace)
        if "nautilus" in peers:
            theirs = asked(peers["nautilus"], "nautilus", file)
            few = sorted(bars["day"].unique())[: theirs["bars"] // (390 * len(own.SYMBOLS))]
            day = pl.col("day").is_in(few)
            part = replace(inputs, forecasts=inputs.forecasts.filter(day), bars=bars.filter(day))
            trades = event_loop.trades(part, SPEC).filter(pl.col("quantity") != 0).height
            ratio = pace * theirs["backtest_s"] / theirs["bars"]
            own.show("backtest_over_nautilus", ratio, "x", 10_000, bars_s=pace, our_trades=trades, **theirs)


if __name__ == "__main__":
    main()
