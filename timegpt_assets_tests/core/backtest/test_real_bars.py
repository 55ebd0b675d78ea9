"""Every rule and every exit on real bars, traded by one who has seen them, with noise: none stays unused.

What real bars seldom do is planted: a symbol that never prints again, one without volume, and one that has no bars.
"""

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from timegpt_assets.core import calendar
from timegpt_assets.core.backtest import event_loop, liquidity, signals
from timegpt_assets.core.backtest import rules as trading
from timegpt_assets.core.backtest.costs import PARTS, Costs
from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.tables.calibration import FORECASTS
from timegpt_assets.core.tables.gates import SYMBOL_GATES
from timegpt_assets_tests.core.backtest.test_event_loop import forecasts as one_forecast
from timegpt_assets_tests.core.backtest.test_event_loop import gate
from timegpt_assets_tests.core.bars.bars_factory import grid_of, needs_real_data, real_raw
from timegpt_assets_tests.core.house_rules import RULES

pytestmark = needs_real_data
MINUTE = timedelta(minutes=1)
HALTED, SILENT, ABSENT = "NVDA", "META", "TSLA"
LAST = date(2025, 2, 28)
CLOCKS = [*range(10, 391, 7)]
"""Minutes after the open at which it is asked: too early for sigma, and too late to be entered, among them."""
SPEC = signals.TradingSpec(
    rules=replace(RULES, s_trail=1.5, s_take=1.5, k_sigma=0.1, max_width_sigma=1.2, daily_trade_cap=12),
    costs=Costs(fees_bps={"*": 0.5}, half_spread_ticks={"*": 1.0}, tick_size=0.01, impact=0.1,
                slippage_bps={"*@09": 1.0, "*": 0.5}, borrow_bps={"*": 30.0}),
    capital=100_000.0, bootstrap="block", participation=0.05, sigma_column="sigma_60m",
    horizons_min={"AMZN": (5, 10)}, skip_events=("event_fomc",), no_trade_buffer_min=10,
)  # fmt: skip
FOMC, CPI = date(2025, 1, 29), date(2025, 2, 12)
EVENTS = EventCalendar(
    {"event_fomc": (FOMC,), "event_cpi": (CPI,)}, {"event_cpi": (calendar.session(CPI).open + 180 * MINUTE,)}
)


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    """The real bars of 2025, the last session's end without NVDA, its start without volume in META, and no TSLA."""
    close = calendar.session(LAST).close
    own = pl.col("day") == LAST
    raw = real_raw("mag7_spy_2025").filter(
        ~(own & (pl.col("symbol") == HALTED) & (pl.col("ts") >= close - 60 * MINUTE)),
        ~(own & (pl.col("symbol") == ABSENT)),
    )
    silent = own & (pl.col("symbol") == SILENT) & (pl.col("ts") < close - 60 * MINUTE)
    grid = grid_of(raw.with_columns(volume=pl.when(silent).then(0.0).otherwise("volume")))
    # silence now and then, as a stock that trades seldom would have it
    rare = (pl.col("symbol") == "SPY") & (pl.int_range(pl.len()) % 9 == 0)
    return grid.with_columns(is_filled=pl.col("is_filled") | rare)


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
def forecasts(bars: pl.DataFrame) -> pl.DataFrame:
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
                if (day, symbol) == (LAST, HALTED):  # sure of itself until the prints end
                    q50, width = 0.003, 0.0002
                times = {"day": day, "symbol": symbol, "snapshot_ts": at, "target_ts": at + 15 * MINUTE, "asked_at": at}
                bands = {"q25": q50 - width / 2, "q50": q50, "q75": q50 + width / 2}
                rows.append(base | times | bands | {"label_aligned": bool(rng.random() > 0.01)})
    frame = pl.DataFrame(rows, schema=FORECASTS.schema).unique(["day", "symbol", "snapshot_ts"])
    return FORECASTS.conformed(frame)


@pytest.fixture(scope="module")
def gates(bars: pl.DataFrame) -> pl.DataFrame:
    """Everybody may trade, but GOOGL never and MSFT on most days."""
    said = []
    for day in bars["day"].unique():
        for symbol in bars["symbol"].unique():
            unseen = symbol == "MSFT" and day.toordinal() % 4
            verdict = "ineligible" if symbol == "GOOGL" else "insufficient_observation" if unseen else "eligible"
            said.append(gate(verdict, symbol=symbol).with_columns(day=pl.lit(day)))
    return SYMBOL_GATES.conformed(pl.concat(said))


def test_every_reason_and_every_exit_is_met_on_real_bars(
    bars: pl.DataFrame, features: pl.DataFrame, forecasts: pl.DataFrame, gates: pl.DataFrame
) -> None:
    filters = liquidity.Filters(
        lookback_sessions=20, min_session_share=0.5, min_volume_percentile=0.1, max_range_percentile=0.9
    )
    asked = signals.measured_in(forecasts, features, column="sigma_60m")
    judged = liquidity.verdicts(asked, features, filters=filters)
    said = signals.judged(asked, bars, gates, SPEC, events=EVENTS, liquidity=judged)
    found = event_loop.trades(asked, bars, gates, SPEC, events=EVENTS, liquidity=judged)
    filled = found.filter(pl.col("quantity") != 0)
    counts = {
        "no signal": Counter(said["reason"]),
        "signals": Counter(found["entry_reason"]),
        "exits": Counter(filled["exit_reason"]),
    }
    print(counts)  # noqa: T201  the table, for who asks with -s
    every = {
        "no signal": trading.NO_SIGNAL,
        "signals": {SPEC.rules.rule_set, *signals.TURNED_AWAY, *event_loop.NOT_ENTERED},
        "exits": event_loop.EXITS,
    }
    unmet = [f"{kind}: {name}" for kind, names in every.items() for name in names if not counts[kind][name]]
    assert unmet == []
    assert said.height == forecasts.height
    assert found.height == said.height - sum(counts["no signal"][name] for name in trading.NO_SIGNAL)
    assert filled.select(*PARTS).sum().row(0) > (0.0,) * len(PARTS), "every part of the cost was paid"
