"""Sessions side by side as arrays, and the windows that run down them.

Belongs here: the layout (one row per minute, one column per (day, symbol)) and what every window shares. A window runs
down a column, so it cannot cross a session; each value is made by element-wise operations in a fixed order, so it has
the same bits whichever other sessions stand beside it and whatever happens later. NaN stands for null inside arrays.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
KEY = ["day", "symbol"]


@dataclass(frozen=True, slots=True)
class Sessions:
    """The bars of several (day, symbol) and where each bar stands: row ``minute``, column ``column``.

    ``bars`` is sorted by day, symbol, ts; ``keys`` [day, symbol] names the columns; ``length`` is the longest session
    (1 when there is none, so that windows need no special case).
    """

    bars: pl.DataFrame
    keys: pl.DataFrame
    minute: Ints
    column: Ints
    length: int

    def array(self, expr: pl.Expr) -> Floats:
        """Return the expression over the bars as floats of shape (length, sessions); NaN for null and past the end."""
        values = np.full((self.length, self.keys.height), np.nan)
        values[self.minute, self.column] = self.bars.select(expr.cast(pl.Float64)).to_series().to_numpy()
        return values

    def series(self, name: str, values: Floats, dtype: type[pl.DataType] = pl.Float32) -> pl.Series:
        """Return an array of shape (length, sessions) as one value per bar; whatever is not finite becomes null."""
        flat = values[self.minute, self.column]
        return pl.Series(name, np.where(np.isfinite(flat), flat, np.nan), nan_to_null=True).cast(dtype)


def sessions_of(bars: pl.DataFrame) -> Sessions:
    """Return the bars laid out by minute and session; each (day, symbol) must be gapless from its open, as BARS are."""
    ordered = bars.sort(*KEY, "ts")
    keys = ordered.group_by(KEY, maintain_order=True).agg(pl.len().alias("rows"))
    rows = keys["rows"].to_numpy().astype(np.intp)
    column = np.repeat(np.arange(len(rows)), rows)
    starts = np.cumsum(rows) - rows
    minute = np.arange(ordered.height) - np.repeat(starts, rows)
    return Sessions(ordered, keys.select(KEY), minute, column, int(rows.max(initial=1)))


def log_clock_prices(sessions: Sessions) -> Floats:
    """Return ln P of shape (length + 1, sessions): row 0 at the open, row k at the end of minute k (semantics, Prices).

    The logarithm is taken in polars, whose value does not depend on where in an array a number stands.
    """
    first_open = sessions.array(pl.col("open").log())[:1]
    return np.concatenate([first_open, sessions.array(pl.col("close").log())])


def change(log_prices: Floats, minutes: int) -> Floats:
    """Return ln P(t) - ln P(t - minutes) at the end of each minute; NaN in the session's first minutes."""
    values = np.full((len(log_prices) - 1, log_prices.shape[1]), np.nan)
    values[minutes - 1 :] = log_prices[minutes:] - log_prices[:-minutes]
    return values


def rolling_count(values: Floats, window: int) -> Floats:
    """Return how many of the last ``window`` minutes hold a number, fewer minutes at the session's start."""
    return rolling_sum(np.isfinite(values).astype(np.float64), window)


def rolling_sum(values: Floats, window: int) -> Floats:
    """Return the sum over the last ``window`` minutes, NaN counting nothing, fewer minutes at the session's start.

    Added term by term, newest first: a running sum would remember, in its last bits, what left the window.
    """
    terms = np.nan_to_num(values)
    total = np.zeros_like(terms)
    for lag in range(min(window, len(terms))):
        total[lag:] += terms[: len(terms) - lag]
    return total


def rolling_std(values: Floats, window: int, min_observations: int) -> Floats:
    """Return the standard deviation (ddof 1) of the last ``window`` minutes; NaN when too few, or without variance.

    Deviations are taken from the newest value, so a constant window has a variance of exactly zero.
    """
    first, second = np.zeros_like(values), np.zeros_like(values)
    for lag in range(1, min(window, len(values))):
        deviation = np.nan_to_num(values[:-lag] - values[lag:])
        first[lag:] += deviation
        second[lag:] += deviation * deviation
    n = rolling_count(values, window)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = (second - first * first / n) / (n - 1.0)
        usable = np.isfinite(values) & (n >= max(min_observations, 2)) & (variance > 0.0)
        return np.where(usable, np.sqrt(variance), np.nan)
