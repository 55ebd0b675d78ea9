"""Stylised facts of the synthetic market beside real minute bars, as a markdown table.

Run: TIMEGPT_ASSETS_REAL_DATA=/path/to/data python -m timegpt_assets_tests.benchmarks.stylised_facts
Returns are between closes of neighbouring minutes of one session, the first from the session's first open.
"""

import os
import sys
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from timegpt_assets.adapters.market.market_data import LocalMarketData
from timegpt_assets.core.calendar import minutes, sessions

Bars = Callable[[Sequence[str], Sequence[date]], pl.DataFrame]
STOCKS = ("AAPL", "AMZN", "GOOGL", "META", "MSFT", "NVDA", "TSLA")
MARKET = "SPY"
SEEDS = (1, 2, 3, 4, 5)
"""The synthetic figures are means over these, as two months of one draw say little about the law."""
FIRST, LAST = date(2025, 1, 2), date(2025, 2, 28)


def returns(bars: pl.DataFrame) -> pl.DataFrame:
    """Return day, symbol, minute, r (log return) and volume on the gapless grid of the bars' sessions."""
    group = ["symbol", "day"]
    grid = minutes(bars["day"].unique()).join(bars.select("symbol").unique(), how="cross")
    return (
        grid.join(bars, on=["day", "symbol", "ts"], how="left")
        .sort("symbol", "ts")
        .with_columns(pl.col("close").forward_fill().over(group))
        .with_columns(before=pl.col("close").shift(1).over(group).fill_null(pl.col("open").first().over(group)))
        .select(
            "day", "symbol", "minute", pl.col("volume").fill_null(0.0), r=(pl.col("close") / pl.col("before")).log()
        )
    )


def facts(bars: pl.DataFrame, symbol: str) -> dict[str, float]:
    """Return the facts of one symbol's bars, by name."""
    frame = returns(bars.filter(symbol=symbol))
    r = frame["r"].to_numpy().reshape(-1, 390)
    own = bars.filter(symbol=symbol).group_by("day").agg(pl.col("open").first(), pl.col("close").last()).sort("day")
    o, c = (np.log(own[name].to_numpy()) for name in ("open", "close"))
    rows = {
        "annualised volatility of 1-min returns": float(np.sqrt((r**2).mean() * 390 * 252)),
        "kurtosis of 1-min returns": float((r**4).mean() / (r**2).mean() ** 2),
        "kurtosis, each minute scaled by its mean size": _scaled_kurtosis(r),
    }
    for name, x in (("r", r), ("abs r", np.abs(r))):
        rows |= {f"autocorrelation of {name}, lag {k}": _autocorrelation(x, k) for k in (1, 5, 30)}
    rows["autocorrelation of daily mean abs r, lag 1"] = float(
        np.corrcoef(np.abs(r).mean(1)[1:], np.abs(r).mean(1)[:-1])[0, 1]
    )
    for name, x in (("volume", frame["volume"].to_numpy().reshape(-1, 390)), ("variance", r**2)):
        for part, columns in (("first", slice(0, 30)), ("middle", slice(180, 210)), ("last", slice(360, 390))):
            rows[f"share of {name}, {part} half hour"] = float((x[:, columns].sum(1) / x.sum(1)).mean())
    rows["overnight / intraday variance"] = float((o[1:] - c[:-1]).var() / (c - o).var())
    rows["session variance / sum of squared 1-min returns"] = float((c - o).var() / (r**2).sum(1).mean())
    rows["missing minutes"] = 1 - bars.filter(symbol=symbol).height / r.size
    cents = bars.filter(symbol=symbol)["close"].to_numpy() * 100
    rows["share of closes in whole cents"] = float((np.abs(cents - cents.round()) < 1e-6).mean())
    rows["range of a bar / abs close - open"] = float(
        bars.filter(symbol=symbol)
        .select((pl.col("high") - pl.col("low")).mean() / (pl.col("close") - pl.col("open")).abs().mean())
        .item()
    )
    return rows


def joint_facts(bars: pl.DataFrame) -> dict[str, float]:
    """Return the facts between symbols: mean correlation of stock pairs, mean beta to the market."""
    wide = returns(bars).pivot("symbol", index=["day", "minute"], values="r")
    stocks, market = wide.select(STOCKS).to_numpy(), wide[MARKET].to_numpy()
    pairs = np.corrcoef(stocks.T)[np.triu_indices(len(STOCKS), 1)]
    betas = [np.cov(stocks[:, n], market)[0, 1] / market.var(ddof=1) for n in range(len(STOCKS))]
    return {"mean pair correlation": float(pairs.mean()), f"mean beta to {MARKET}": float(np.mean(betas))}


def _autocorrelation(x: np.ndarray, lag: int) -> float:
    x = x - x.mean()
    return float((x[:, lag:] * x[:, :-lag]).mean() / (x**2).mean())


def _scaled_kurtosis(r: np.ndarray) -> float:
    scaled = r / np.abs(r).mean(0, keepdims=True) / np.abs(r).mean(1, keepdims=True)
    return float((scaled**4).mean() / (scaled**2).mean() ** 2)


def columns(source: Bars) -> dict[str, dict[str, float]]:
    """Return the facts of the stocks (mean over them) and of the market for one source."""
    bars = source([*STOCKS, MARKET], [s.day for s in sessions(FIRST, LAST)])
    stocks = [facts(bars, symbol) for symbol in STOCKS]
    return {"stocks": _mean(stocks) | joint_facts(bars), MARKET: facts(bars, MARKET)}


def _mean(several: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([one[name] for one in several])) for name in several[0]}


def table(named: dict[str, dict[str, float]]) -> str:
    """Return the columns as a markdown table, one row per fact."""
    head = ["fact", *named]
    names = list(dict.fromkeys(name for column in named.values() for name in column))
    cells = [[name, *(f"{c[name]:.4g}" if name in c else "" for c in named.values())] for name in names]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *cells))


def main() -> None:
    """Print the table."""
    from timegpt_assets.adapters.market.synthetic_market import SyntheticMarket

    if not (root := os.environ.get("TIMEGPT_ASSETS_REAL_DATA")):
        sys.exit("TIMEGPT_ASSETS_REAL_DATA is not set. Set it to the folder that holds mag7_spy_2025.")
    drawn = [columns(SyntheticMarket(symbols=STOCKS, context=(MARKET,), seed=seed).bars) for seed in SEEDS]
    found = {
        "real": columns(LocalMarketData(Path(root) / "mag7_spy_2025").bars),
        "synthetic": {key: _mean([one[key] for one in drawn]) for key in ("stocks", MARKET)},
    }
    sys.stdout.write(
        table({f"{name} {column}": found[name][column] for column in ("stocks", MARKET) for name in found}) + "\n"
    )


if __name__ == "__main__":
    main()
