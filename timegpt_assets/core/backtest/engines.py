"""Which engine serves, and why: the loop one can read, or the compiled code that gives the same bits.

Belongs here: the choice. Compiled code is imported once it is chosen, as numba takes its time.
"""

from dataclasses import dataclass
from importlib.util import find_spec

import polars as pl

from timegpt_assets.core.backtest import event_loop
from timegpt_assets.core.backtest.signals import Inputs, TradingSpec

LOOP, COMPILED = "loop", "compiled"
LARGE = 20_000
"""Forecasts from which on compiled code serves a single backtest: the loop takes some two seconds for them, loading the
compiled code one, and three more the first time of all."""


@dataclass(frozen=True, slots=True)
class Engine:
    """Who does the work, in a word, and why it is them."""

    word: str
    reason: str

    def __str__(self) -> str:
        """Return both as people read them."""
        return f"{self.word}: {self.reason}"


def of_sweep() -> Engine:
    """Return the engine that serves sweeps on this machine."""
    if find_spec("numba") is None:
        return Engine(LOOP, "numba is not installed: slower by far. Install timegpt_assets[sweep].")
    return Engine(COMPILED, "numba is installed")


def of_trades(forecasts: int) -> Engine:
    """Return the engine that serves one backtest of so many forecasts."""
    if forecasts < LARGE:
        return Engine(LOOP, f"{forecasts:,} forecasts, fewer than the {LARGE:,} that compiled code is loaded for")
    chosen = of_sweep()
    return Engine(chosen.word, f"{forecasts:,} forecasts, and {chosen.reason}")


def trades(inputs: Inputs, spec: TradingSpec, engine: Engine) -> pl.DataFrame:
    """Return what event_loop.trades does, and raise what it raises, whichever the engine."""
    if engine.word == LOOP:
        return event_loop.trades(inputs, spec)
    from timegpt_assets.core.backtest import compiled  # numba, which few processes need

    return compiled.trades(inputs, spec)
