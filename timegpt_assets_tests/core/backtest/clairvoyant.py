"""Who has seen the real bars, with noise: what it forecasts, and what is planted where real bars seldom do it.

Belongs here: the two real sets, and what becomes of each forecast on them. What must be met is in test_real_bars.py,
the table of it in benchmarks/entries_and_exits.py.
"""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.backtest import event_loop, liquidity, signals
from timegpt_assets.core.backtest.costs import Costs
from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.tables.calibration import FORECASTS
from timegpt_assets.core.tables.gates import SYMBOL_GATES
from timegpt_assets_tests.core.backtest.test_event_loop import forecasts as one_forecast
from timegpt_assets_tests.core.backtest.test_event_loop import gate
from timegpt_assets_tests.core.bars.bars_factory import grid_of, real_raw
from timegpt_assets_tests.core.house_rules import RULES

MINUTE = timedelta(minutes=1)
HALTED, ABSENT = "NVDA", "TSLA"
CLOCKS = [*range(10, 391, 7)]
"""Minutes after the open at which it is asked: too early for sigma, and too late to be entered, among them."""
SPEC = signals.TradingSpec(
    rules=replace(RULES, s_trail=1.5, s_take=1.5, k_sigma=0.1, max_width_sigma=1.2, daily_trade_cap=12),
    costs=Costs(fees_bps={"*": 0.5}, half_spread_ticks={"*": 1.0}, tick_size=0.01, impact=0.1,
                slippage_bps={"*@09": 1.0, "*": 0.5}, borrow_bps={"*": 30.0}),
    capital=100_000.0, bootstrap="block", participation=0.05, sigma_column="sigma_60m",
    horizons_min={"AMZN": (5, 10)}, skip_events=("event_fomc",), no_trade_buffer_min=10,
)  # fmt: skip
FILTERS = liquidity.Filters(
    lookback_sessions=20, min_session_share=0.5, min_volume_percentile=0.1, max_range_percentile=0.9
)


@dataclass(frozen=True, kw_only=True)
class RealSet:
    """A set of real bars, and where in it something is planted."""

    name: str
    symbols: tuple[str, ...]
    last: date
    fomc: date
    cpi: date
    halted_min: int
    """Minutes before the last session's close from which HALTED prints no more."""
    silent: str
    """Without volume on the last session until its last hour."""
    rare: str
    """Every ninth of its minutes is taken for one without a print."""

    @property
    def events(self) -> EventCalendar:
        """Return a rate decision, and figures published three hours after the open."""
        timed = calendar.session(self.cpi).open + 180 * MINUTE
        return EventCalendar({"event_fomc": (self.fomc,), "event_cpi": (self.cpi,)}, {"event_cpi": (timed,)})


SETS = (
    RealSet(
        name="mag7_spy_2025",
        symbols=("AAPL", "AMZN", "GOOGL", "META", "MSFT", "NVDA", "SPY", "TSLA"),
        last=date(2025, 2, 28), fomc=date(2025, 1, 29), cpi=date(2025, 2, 12), halted_min=60, silent="META",
        rare="SPY",
    ),
    RealSet(
        name="us_large_cap_2018",
        symbols=("AAPL", "AMZN", "FB", "GOOGL", "MSFT", "NVDA", "TSLA", "XOM"),
        last=date(2018, 4, 20), fomc=date(2018, 3, 21), cpi=date(2018, 3, 13), halted_min=240, silent="FB",
        rare="XOM",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Met:
    """What became of each forecast: those that are no signal, all signals, and how often each reason was met."""

    said: pl.DataFrame
    found: pl.DataFrame
    counts: dict[str, Counter[str]]


def met(real: RealSet) -> Met:
    """Return what became of the forecasts of one who has seen the bars."""
    own = bars(real)
    asked = signals.measured_in(forecasts(real, own), features(own), column="sigma_60m")
    judged = liquidity.verdicts(asked, features(own), filters=FILTERS)
    given = signals.Inputs(forecasts=asked, bars=own, symbol_gates=gates(own), events=real.events, liquidity=judged)
    said, found = signals.judged(given, SPEC), event_loop.trades(given, SPEC)
    filled = found.filter(pl.col("quantity") != 0)
    counts = {
        "no signal": Counter(said["reason"]),
        "signals": Counter(found["entry_reason"]),
        "exits": Counter(filled["exit_reason"]),
    }
    return Met(said, found, counts)


def bars(real: RealSet) -> pl.DataFrame:
    """The real bars, the last session's end without NVDA, its start without volume in one, and no TSLA."""
    close = calendar.session(real.last).close
    own = pl.col("day") == real.last
    raw = real_raw(real.name).filter(
        pl.col("symbol").is_in(real.symbols),
        ~(own & (pl.col("symbol") == HALTED) & (pl.col("ts") >= close - real.halted_min * MINUTE)),
        ~(own & (pl.col("symbol") == ABSENT)),
    )
    silent = own & (pl.col("symbol") == real.silent) & (pl.col("ts") < close - 60 * MINUTE)
    grid = grid_of(raw.with_columns(volume=pl.when(silent).then(0.0).otherwise("volume")))
    # silence now and then, as a stock that trades seldom would have it
    rare = (pl.col("symbol") == real.rare) & (pl.int_range(pl.len()) % 9 == 0)
    return grid.with_columns(is_filled=pl.col("is_filled") | rare)


def features(bars: pl.DataFrame) -> pl.DataFrame:
    """What trading reads of the features, by formulas of their own: none looks beyond its minute."""
    by = ("day", "symbol")
    r = (pl.col("close").log() - pl.col("close").log().shift(1)).over(by)
    made = bars.sort("symbol", "ts").with_columns(r=r)
    return made.select(
        *by,
        known_at=pl.col("ts") + MINUTE,
        sigma_60m=pl.col("r").rolling_std(60, min_samples=30).over(by) * np.sqrt(15.0),
        volume_norm_5m=pl.col("volume").rolling_sum(5).over(by),
        range_pct=(pl.col("high") - pl.col("low")) / pl.col("close"),
    )


def forecasts(real: RealSet, bars: pl.DataFrame) -> pl.DataFrame:
    """A third of the return to come plus noise, in bands of many widths."""
    rng = np.random.default_rng(11)
    base = one_forecast({}).row(0, named=True)
    prices = {(s, ts): p for s, ts, p in bars.select("symbol", pl.col("ts") + MINUTE, "close").iter_rows()}
    rows = []
    for day in bars["day"].unique().sort():
        session = calendar.session(day)
        for symbol in (*bars["symbol"].unique().sort(), ABSENT):
            for minutes in CLOCKS[: -1 if symbol == ABSENT else None]:
                at = session.open + minutes * MINUTE
                now, then = prices.get((symbol, at)), prices.get((symbol, at + 15 * MINUTE))
                came = np.log(then / now) if now and then else 0.002
                q50, width = came / 3 + rng.normal(0, 0.0006), rng.choice([0.0002, 0.0008, 0.004])
                if (day, symbol) == (real.last, HALTED):  # sure of itself until the prints end
                    q50, width = 0.003, 0.0002
                times = {"day": day, "symbol": symbol, "snapshot_ts": at, "target_ts": at + 15 * MINUTE, "asked_at": at}
                bands = {"q25": q50 - width / 2, "q50": q50, "q75": q50 + width / 2}
                rows.append(base | times | bands | {"label_aligned": bool(rng.random() > 0.01)})
    frame = pl.DataFrame(rows, schema=FORECASTS.schema).unique(["day", "symbol", "snapshot_ts"])
    return FORECASTS.conformed(frame)


def gates(bars: pl.DataFrame) -> pl.DataFrame:
    """Everybody may trade, but GOOGL never and MSFT on most days."""
    said = []
    for day in bars["day"].unique():
        for symbol in bars["symbol"].unique():
            unseen = symbol == "MSFT" and day.toordinal() % 4
            verdict = "ineligible" if symbol == "GOOGL" else "insufficient_observation" if unseen else "eligible"
            said.append(gate(verdict, symbol=symbol).with_columns(day=pl.lit(day)))
    return SYMBOL_GATES.conformed(pl.concat(said))
