"""A thousand combinations of trading rules over 10 symbols x 252 sessions (P1), beside the compiled loop.

Prints one JSON line per figure; times are CPU, of all threads, unless said to be waited. All combinations are compared
with the compiled loop, some of them with the readable one: trades, hits and P&L, bit for bit.
"""

import itertools
import json
import os
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.backtest import compiled, kernel, shared, signals, sweep
from timegpt_assets.core.backtest.costs import Costs
from timegpt_assets.core.backtest.signals import Inputs, TradingSpec
from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.tables.bars import BARS
from timegpt_assets.core.tables.calibration import FORECASTS
from timegpt_assets.core.tables.gates import SYMBOL_GATES
from timegpt_assets_tests.core.house_rules import RULES

SYMBOLS = tuple(f"S{i}" for i in range(10))
SESSIONS = calendar.sessions(date(2025, 1, 2), date(2026, 1, 2))[:252]
SNAPSHOTS = range(15, 375, 15)
"""Minutes of the session, where it is as long."""
BEST_OF = 9
"""Times that a sweep is run: the machine is shared, and the least of its CPU times is what it takes."""
COMPARED = 3
"""Combinations that the readable loop goes through: minutes each."""
MINUTE = timedelta(minutes=1)
KNOWN: dict[str, Any] = {"events": EventCalendar({})}
SPEC = TradingSpec(
    rules=replace(RULES, require_positive_ev=False),
    costs=Costs(fees_bps={"*": 0.5}, half_spread_ticks={"*": 1.0}, tick_size=0.01, slippage_ticks={"*": 0.5}),
    capital=100_000.0,
    bootstrap="trade",
    participation=0.1,
    sigma_column="sigma_60m",
)


def bars() -> pl.DataFrame:
    """Return sessions of a random walk, 2 % of the minutes without a print, sorted by key."""
    frames = []
    for number, session in enumerate(SESSIONS):
        n = session.minutes
        ts = pl.datetime_range(session.open, session.close, "1m", closed="left", eager=True).cast(BARS.schema["ts"])
        for place, symbol in enumerate(SYMBOLS):
            rng = np.random.default_rng([number, place])
            close = 100 * np.exp(np.cumsum(rng.normal(0, 0.0006, n)))
            opened = np.r_[100.0, close[:-1]]
            wick = 1 + np.abs(rng.normal(0, 0.0003, (2, n)))
            high, low = np.maximum(opened, close) * wick[0], np.minimum(opened, close) / wick[1]
            values = {"open": opened, "high": high, "low": low, "close": close, "volume": rng.integers(100, 9999, n)}
            filled = {"is_filled": rng.random(n) < 0.02}
            frames.append(pl.DataFrame({"day": [session.day] * n, "symbol": [symbol] * n, "ts": ts} | values | filled))
    return BARS.conformed(pl.concat(frames).cast(dict(BARS.schema)))  # type: ignore[arg-type]


def forecasts() -> pl.DataFrame:
    """Return a forecast of fifteen minutes for each snapshot that the session has, sorted by key."""
    keys = [
        (s.day, symbol, s.open + m * MINUTE)
        for s in SESSIONS
        for symbol in SYMBOLS
        for m in SNAPSHOTS
        if m < s.minutes - 15
    ]
    rng, n = np.random.default_rng(1), len(keys)
    sigma = 0.0006 * np.sqrt(15) * rng.uniform(0.7, 1.4, n)
    q50 = rng.normal(0, 1.2, n) * sigma
    spread = {"q25": q50 - 0.7 * sigma, "q50": q50, "q75": q50 + 0.7 * sigma, "sigma": sigma}
    frame = pl.DataFrame(
        keys, {name: FORECASTS.schema[name] for name in ("day", "symbol", "snapshot_ts")}, orient="row"
    )
    words = {name: pl.lit("") for name, dtype in FORECASTS.schema.items() if dtype == pl.String and name != "symbol"}
    rest = {
        "forecaster": pl.lit("ridge"),
        "target_ts": pl.col("snapshot_ts") + 15 * MINUTE,
        "label_aligned": pl.lit(True),
    }
    frame = frame.with_columns(pl.Series(k, v) for k, v in spread.items()).with_columns(**(words | rest))
    missing = {
        k: pl.lit(15 if k == "horizon_min" else None, v) for k, v in FORECASTS.schema.items() if k not in frame.columns
    }
    return frame.with_columns(**missing).select(*FORECASTS.schema)


def grid() -> list[TradingSpec]:
    """Return a thousand combinations."""
    stops = takes = (0.5, 0.75, 1.0, 1.5, 2.0)
    named = itertools.product((0.5, 0.75, 1.0, 1.25, 1.5), stops, takes, (True, False), (0, 5), (3, None))
    return [
        replace(SPEC, rules=replace(SPEC.rules, k_sigma=k, s_stop=stop, s_take=take, exit_at_forecast_ts=at,
                                    cooldown_bars=rest, daily_trade_cap=cap))
        for k, stop, take, at, rest, cap in named
    ]  # fmt: skip


def least_ms(work: Callable[[], object], repeat: int) -> tuple[float, float]:
    """Return the least CPU milliseconds of several runs of this process, and the least that anybody waited."""
    cpu, waited = [], []
    for _ in range(repeat):
        began, asked = time.process_time(), time.perf_counter()
        work()
        cpu.append(time.process_time() - began)
        waited.append(time.perf_counter() - asked)
    return 1e3 * min(cpu), 1e3 * min(waited)


def show(name: str, value: float, unit: str, goal: object, **baseline: object) -> None:
    """Print one figure."""
    line = {"name": name, "value": float(f"{value:.5g}"), "unit": unit, "goal": goal, "baseline": baseline}
    print(json.dumps(line), flush=True)


def compiled_loop(inputs: Inputs, base: TradingSpec) -> Callable[[TradingSpec], tuple[np.ndarray, np.ndarray]]:
    """Return the compiled loop over arrays that are loaded and entries that are settled, for rules as in ``grid``."""
    laid = compiled.market(inputs.forecasts, inputs.bars)
    asked, rates = compiled.asked(laid, base.rules), compiled.rates([base.costs], SYMBOLS)
    weighed = signals.free(signals.weighed(laid.known, inputs, base))
    impact = compiled.fixed(weighed["impact"].fill_null(0.0))
    settled: dict[float, shared.Entries] = {}

    def run(spec: TradingSpec) -> tuple[np.ndarray, np.ndarray]:
        if (k := spec.rules.k_sigma) not in settled:
            settled[k] = shared.Entries(compiled.fixed(signals.sides(weighed, spec.rules)), impact)
        sums = np.zeros((kernel.SUMS, 1, laid.places))
        shared.follow(laid, asked, [shared.Combination(0, spec, settled[k], 0)], rates, sums)
        trades, hits, *money = kernel.told_apart(sums[:, 0])
        return np.stack((trades, hits), axis=-1), np.stack(money, axis=-1)

    return run


def mismatches(found: pl.DataFrame, others: dict[int, pl.DataFrame]) -> int:
    """Return how many of the combinations differ in a bit."""
    mine = found.partition_by("combination", as_dict=True)
    return sum(not mine[i,].drop("combination").equals(other.drop("combination")) for i, other in others.items())


def main() -> None:
    """Print every figure."""
    market, made, specs = bars(), forecasts(), grid()
    size = {"bars": market.height, "forecasts": made.height, "combinations": len(specs), "load": os.getloadavg()[0]}
    inputs = Inputs(forecasts=made, bars=market, symbol_gates=SYMBOL_GATES.empty(), **KNOWN)
    found = sweep.sweep(inputs, specs)  # compiles, too
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    mine, waited = (ms / len(specs) for ms in least_ms(lambda: sweep.sweep(inputs, specs), BEST_OF))
    show("peak_memory", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "MB", None, before_mb=round(before))
    run = compiled_loop(inputs, SPEC)
    run(specs[0])
    loop, _ = least_ms(lambda: run(specs[0]), 8 * BEST_OF)
    show("sweep_per_combination", mine, "ms", None, **size, trades=int(found["trades"].sum()))
    show("sweep_per_combination_waited", waited, "ms", 0.1, threads=pl.thread_pool_size(), **size)
    show("compiled_loop", loop, "ms", 7.0, **size)
    show("compiled_loop_over_sweep", loop / mine, "x", 35.0)
    each = {}
    for i, spec in enumerate(specs):
        counts, sums = run(spec)
        numbers = zip(("trades", "hits", *sweep.MONEY), [*counts.T, *sums.T], strict=True)
        each[i] = found.filter(combination=i).with_columns(pl.Series(name, values) for name, values in numbers)
    show("mismatches_with_the_compiled_loop", mismatches(found, each), "combinations", 0, compared=len(each))
    few = [int(i) for i in np.linspace(0, len(specs) - 1, COMPARED)]
    began = time.process_time()
    slow = sweep.looped(inputs, [specs[i] for i in few])
    took = (time.process_time() - began) / COMPARED
    own = {few[i]: slow.filter(combination=i) for i in range(COMPARED)}
    show("mismatches_with_the_readable_loop", mismatches(found, own), "combinations", 0, compared=COMPARED, loop_s=took)


if __name__ == "__main__":
    main()
