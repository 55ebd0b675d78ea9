"""What the market did one minute ago: context symbols, the dispersion of the others, VIX, regimes; and how a symbol
moves with them.

Belongs here: features that look across symbols. Everything is lagged one minute, so that a forecast never hangs on
prices of other symbols that arrive at the same instant.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from types import MappingProxyType

import numpy as np
import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.features import sector, volatility
from timegpt_assets.core.features.feature import Feature
from timegpt_assets.core.features.minutes import MIN_OBSERVATIONS, Minutes, change
from timegpt_assets.core.features.windows import (
    Floats,
    earlier,
    grid_of,
    known_minutes,
    so_far,
    sums,
    variance,
    where,
)
from timegpt_assets.core.tables.features import MARKET_CONTEXT

VERSION = 1
RETURN_WINDOWS, VOL_WINDOWS, BETA_WINDOW = (1, 5, 15), (15, 60), 60
VIX_SESSIONS, VIX_STALE_DAYS = 20, 7
_LAGGED = "as known 1 min before"


def features_of(context: Sequence[str], *, vix: bool) -> tuple[Feature, ...]:
    """Return the market's features for these context symbols, with those of VIX if there is a daily file."""
    found: list[Feature] = []
    for name in (symbol.lower() for symbol in context):
        found += [
            Feature(f"{name}_ret_{n}m", f"ret_{n}m of the context symbol", f"{n} min, {_LAGGED}", "log return", "")
            for n in RETURN_WINDOWS
        ]
        found += [
            Feature(f"{name}_vol_{n}m", "std of its one-minute returns", f"{n} min, {_LAGGED}", "log return", "")
            for n in VOL_WINDOWS
        ]
    found.append(
        Feature("dispersion", "std (ddof 1) of ret_1m across the other symbols", f"1 min, {_LAGGED}", "log return", "")
    )
    if context:
        lead = context[0]
        found += [
            Feature(f"regime_{name}", f"{lead} {formula}", f"{window}, {_LAGGED}", "flag", "", pl.Boolean)
            for name, formula, window in (
                ("up", "above its VWAP since the open", "since the open"),
                ("volatile", "std of returns of 15 min above that of 60 min", "60 min"),
            )
        ]
    return (*found, *(VIX_FEATURES if vix else ()))


VIX_FEATURES = (
    Feature("vix_close", "the close of the last VIX day before the session", "daily", "points", "data.vix_path"),
    Feature("vix_change", "ln of that close over the one before", "daily", "log return", "data.vix_path"),
    Feature(
        "regime_stress", "that close above the mean of the 20 up to it", "20 days", "flag", "data.vix_path", pl.Boolean
    ),
)
CONTEXT_MISSING = Feature(
    "context_missing", "a context symbol had no bars", "1 session", "flag", "", pl.Boolean, counts=False
)


def relations_of(context: Sequence[str]) -> tuple[Feature, ...]:
    """Return the features of how each symbol moves with each context symbol."""
    window = f"60 min at most, at least 10, each with both returns, {_LAGGED}"
    names = [symbol.lower() for symbol in context]
    return (
        *(Feature(f"beta_{n}_60m", f"cov(r, r_{n}) / var(r_{n})", window, "ratio", "Sharpe 1963") for n in names),
        *(Feature(f"corr_{n}_60m", f"correlation of r and r_{n}", window, "in [-1, 1]", "Pearson") for n in names),
    )


def market_context(
    bars: pl.DataFrame,
    *,
    days: Collection[date],
    context: Sequence[str],
    vix: pl.DataFrame | None = None,
    sectors: Mapping[str, str] = MappingProxyType({}),
) -> pl.DataFrame:
    """Return MARKET_CONTEXT: one row per minute of the sessions ``days``, as known one minute before ``known_at``.

    ``bars`` BARS of all symbols, ``vix`` daily closes [date, close] or None, ``sectors`` symbol -> its sector. Columns:
    ``features_of``, Float32 or Boolean, and ``sector.means_of``; ``context_missing`` is true on a day on which a
    context symbol has no bars, whose columns are null then.
    """
    chosen = sorted(set(days))
    frame = calendar.minutes(chosen).select("day", "ts", "known_at")
    market = sorted({*bars["symbol"].unique(), *context})
    grid = grid_of(bars, chosen, market)
    stood = np.arange(grid.length) < grid.minutes[:, None]
    minutes = Minutes(grid)
    with np.errstate(all="ignore"):
        columns = _context_columns(minutes, context) | {"dispersion": _dispersion(minutes, context)}
        columns = {name: earlier(values, 1) for name, values in (columns | sector.means(minutes, sectors)).items()}
        columns |= sector.present(minutes, sectors)
    found = [f for f in (*features_of(context, vix=False), *sector.means_of(sectors)) if f.name in columns]
    series = (_series(f, columns[f.name][stood]) for f in found)
    present = bars.filter(pl.col("symbol").is_in(list(context))).group_by("day").agg(n=pl.col("symbol").n_unique())
    made = frame.with_columns(*series).join(present, on="day", how="left", maintain_order="left")
    made = made.with_columns(context_missing=pl.col("n").fill_null(0) < len(set(context))).drop("n")
    if vix is not None:
        made = made.join(_vix(vix, chosen), on="day", how="left", maintain_order="left")
    return MARKET_CONTEXT.conformed(made)


def _series(feature: Feature, values: Floats) -> pl.Series:
    return pl.Series(feature.name, values, nan_to_null=True).cast(feature.dtype)


def _context_columns(market: Minutes, context: Sequence[str]) -> dict[str, Floats]:
    """Return what each context symbol did and the regimes of the first, of shape (days, minutes), not lagged yet."""
    grid, found = market.grid, dict[str, Floats]()
    for symbol in context:
        own = market.part(slice(grid.symbols.index(symbol), grid.symbols.index(symbol) + 1))
        name, r, n = symbol.lower(), own.returns, own.returned
        found |= {f"{name}_ret_{w}m": change(own.log_prices, w)[:, 0] for w in RETURN_WINDOWS}
        totals, squares = sums(r, *VOL_WINDOWS), sums(r * r, *VOL_WINDOWS)
        vol = [volatility.sigma(n, t, s, w)[:, 0] for w, t, s in zip(VOL_WINDOWS, totals, squares, strict=True)]
        found |= {f"{name}_vol_{w}m": values for w, values in zip(VOL_WINDOWS, vol, strict=True)}
        if symbol == context[0]:
            found |= _regimes(own, *vol)
    return found


def _regimes(lead: Minutes, short: Floats, long: Floats) -> dict[str, Floats]:
    """Return regime_up and regime_volatile of the first context symbol as 1, 0 or NaN."""
    traded, volume = so_far(lead.base("turnover"))[:, 0], so_far(lead.volume)[:, 0]
    close = lead.close[:, 0]
    up = where((volume > 0) & ~np.isnan(close), (close * volume > traded).astype(np.float64))
    longer = lead.returned[:, 0] > VOL_WINDOWS[0]  # until then both windows hold the same minutes
    volatile = where(~np.isnan(short + long), ((short > long) & longer).astype(np.float64))
    return {"regime_up": up, "regime_volatile": volatile}


def _dispersion(market: Minutes, context: Sequence[str]) -> Floats:
    """Return the spread of ret_1m across the other symbols, added up symbol by symbol in alphabetical order.

    Null with fewer than two of them.
    """
    returns, symbols = market.returns, market.grid.symbols
    others = [returns[:, i] for i, symbol in enumerate(symbols) if symbol not in set(context)]
    n, total, squares = (np.zeros((returns.shape[0], returns.shape[2])) for _ in range(3))
    for values in others:
        n += np.isfinite(values)
        total += np.nan_to_num(values)
    mean = total / np.maximum(n, 1.0)
    for values in others:
        squares += np.nan_to_num(values - mean) ** 2
    return where(n >= 2, np.sqrt(squares / np.maximum(n - 1.0, 1.0)))


def _vix(vix: pl.DataFrame, days: Sequence[date]) -> pl.DataFrame:
    """Return [day, vix_close, vix_change, regime_stress] from the closes of days before each day.

    Null when the last close is more than VIX_STALE_DAYS days old.
    """
    closes = vix.select(date=pl.col("date").cast(pl.Date), close=pl.col("close").cast(pl.Float64)).sort("date")
    known = closes.drop_nulls().with_columns(
        vix_change=(pl.col("close") * (1.0 / pl.col("close").shift(1))).log(),
        regime_stress=pl.col("close") > pl.col("close").rolling_mean(VIX_SESSIONS),
    )
    asked = pl.DataFrame({"day": list(days)}, schema={"day": pl.Date}).with_columns(
        before=pl.col("day").dt.offset_by("-1d")
    )
    # One day less of tolerance, because the search begins on the day before.
    found = asked.join_asof(
        known, left_on="before", right_on="date", strategy="backward", tolerance=timedelta(days=VIX_STALE_DAYS - 1)
    )
    return found.select(
        "day",
        vix_close=pl.col("close").cast(pl.Float32),
        vix_change=pl.col("vix_change").cast(pl.Float32),
        regime_stress="regime_stress",
    )


def relations(minutes: Minutes, context: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return beta_<sym>_60m and corr_<sym>_60m from one-minute returns up to a minute ago.

    ``context`` <sym>_ret_1m of each context symbol, lagged, of shape (days, 1, minutes). Null with fewer than 10 pairs,
    without variance, and while one of the two has fewer minutes in the window than the other.
    """
    own = earlier(minutes.returns, 1)
    own_n = np.minimum(known_minutes(own), BETA_WINDOW)
    total, squares = (sums(values, BETA_WINDOW)[0] for values in (own, own * own))
    spread = variance(own_n, total, squares)
    betas, corrs = {}, {}
    for name, market in context.items():
        n = np.minimum(known_minutes(market), BETA_WINDOW)
        market_total, market_squares = (sums(values, BETA_WINDOW)[0] for values in (market, market * market))
        market_spread = variance(n, market_total, market_squares)
        both = sums(own * market, BETA_WINDOW)[0] - total * market_total / n
        paired = (n == own_n) & (n >= MIN_OBSERVATIONS)
        betas[f"beta_{name}_60m"] = where(paired, both / market_spread)
        # Rounding puts a perfect correlation a hair beyond 1.
        corrs[f"corr_{name}_60m"] = where(paired, np.clip(both / np.sqrt(spread * market_spread), -1.0, 1.0))
    return betas | corrs
