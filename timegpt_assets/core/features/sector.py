"""Features of a symbol's sector: what its peers, the other symbols of the sector, did one minute ago.

Belongs here: each sector's mean in the market around everybody, and the taking out of a symbol's own part. Which symbol
is of which sector is said by universe.sectors; a symbol without one, or alone in it, has no peers.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from timegpt_assets.core.features.feature import Feature
from timegpt_assets.core.features.minutes import Minutes, change
from timegpt_assets.core.features.windows import Floats, earlier, where

VERSION = 1
RETURN_WINDOWS = (1, 5, 15)
_LAGGED = "as known 1 min before"
RETURNS = tuple(
    Feature(
        f"sector_ret_{n}m", f"mean ret_{n}m of the other symbols of its sector", f"{n} min, {_LAGGED}", "log return",
        "universe.sectors", counts=False,
    )
    for n in RETURN_WINDOWS
)  # fmt: skip
MISSING = Feature(
    "sector_missing", "no other symbol of its sector had bars", "1 session", "flag", "", pl.Boolean, counts=False
)
FEATURES = (*RETURNS, MISSING)


def means_of(sectors: Mapping[str, str]) -> tuple[Feature, ...]:
    """Return the columns of market_context that hold each sector: means of its symbols, how many, how many had bars."""
    found: list[Feature] = []
    for name in sorted(set(sectors.values())):
        for n in RETURN_WINDOWS:
            window = f"{n} min, {_LAGGED}"
            found += [
                Feature(f"sector_{name}_ret_{n}m", f"mean ret_{n}m", window, "log return", "", pl.Float64),
                Feature(f"sector_{name}_of_{n}m", f"symbols with a ret_{n}m", window, "count", "", pl.Float64),
            ]
        found.append(Feature(f"sector_{name}_symbols", "symbols with bars", "1 session", "count", "", pl.Float64))
    return tuple(found)


def means(market: Minutes, sectors: Mapping[str, str]) -> dict[str, Floats]:
    """Return the means of ``means_of`` and what they are of, of shape (days, minutes), not lagged yet.

    Symbols are added up in alphabetical order; whoever has no return at a minute is not counted there.
    """
    symbols, found = market.grid.symbols, dict[str, Floats]()
    for name in sorted(set(sectors.values())):
        places = [i for i, symbol in enumerate(symbols) if sectors.get(symbol) == name]
        for n in RETURN_WINDOWS:
            returns = change(market.log_prices, n)
            total, known = (np.zeros((returns.shape[0], returns.shape[2])) for _ in range(2))
            for i in places:
                known += np.isfinite(returns[:, i])
                total += np.nan_to_num(returns[:, i])
            found |= {f"sector_{name}_ret_{n}m": total / where(known > 0, known), f"sector_{name}_of_{n}m": known}
    return found


def present(market: Minutes, sectors: Mapping[str, str]) -> dict[str, Floats]:
    """Return how many symbols of each sector have bars on the day, the same at each of its minutes."""
    symbols, found = market.grid.symbols, dict[str, Floats]()
    had_bars = np.isfinite(market.grid.array(pl.col("is_filled"))[..., :1])
    for name in sorted(set(sectors.values())):
        found[f"sector_{name}_symbols"] = np.zeros((len(market.grid.days), market.grid.length))
        for i, symbol in enumerate(symbols):
            if sectors.get(symbol) == name:
                found[f"sector_{name}_symbols"] += had_bars[:, i]
    return found


def columns(
    minutes: Minutes, symbols: Sequence[str], sectors: Mapping[str, str], market: Mapping[str, Floats]
) -> dict[str, Floats]:
    """Return FEATURES of the symbols; ``market`` the columns of ``means_of`` on the grid, (days, minutes), lagged.

    Null where no peer has a return; a symbol's own return is taken out of the mean that it is in.
    """
    shape = minutes.close.shape
    nobody = np.zeros((shape[0], shape[2]))
    found = {feature.name: np.full(shape, np.nan) for feature in RETURNS} | {MISSING.name: np.ones(shape)}
    for n in RETURN_WINDOWS:
        own = earlier(change(minutes.log_prices, n), 1)
        for i, symbol in enumerate(symbols):
            name = sectors.get(symbol, "")
            known, mean = (market.get(f"sector_{name}_{what}_{n}m", nobody) for what in ("of", "ret"))
            counted = np.isfinite(own[:, i])
            others = np.nan_to_num(known) - counted
            rest = np.nan_to_num(mean) * np.nan_to_num(known) - np.nan_to_num(own[:, i])
            found[f"sector_ret_{n}m"][:, i] = where(others > 0, rest / others)
    for i, symbol in enumerate(symbols):
        present = market.get(f"sector_{sectors.get(symbol, '')}_symbols", nobody)
        found[MISSING.name][:, i] = ~(present > 1)
    return found
