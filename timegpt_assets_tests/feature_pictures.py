"""A picture of each group of features on one day: of the made-up market for the docs, of real bars for your own eyes.

``python -m timegpt_assets_tests.feature_pictures`` writes docs/pictures/features-<group>.png. With ``--root FOLDER
--symbol AAPL --day 2025-01-29 --context SPY --to FOLDER`` it draws real minute bars (the layout of data.template)
into a folder of yours: bars that are not ours to pass on stay out of the repository. The dispersion is that of the
symbol and of ``--others``, who stand for its sector; events are those of configs/events.yaml.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

import altair as alt
import polars as pl

from timegpt_assets.adapters.market.market_data import LocalMarketData
from timegpt_assets.adapters.market.synthetic_market import SyntheticMarket
from timegpt_assets.config import core_inputs
from timegpt_assets.config.settings import load_settings
from timegpt_assets.core import calendar
from timegpt_assets.core.bars import session_grid
from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.features.context import market_context
from timegpt_assets.core.features.feature_spec import FeatureSpec
from timegpt_assets.core.features.matrix import features
from timegpt_assets.reports.pictures import render
from timegpt_assets.reports.pictures.style import BLUE, INK, Picture, panels, titled, wall_clock
from timegpt_assets_tests.project import PROJECT

PICTURES = PROJECT / "docs" / "pictures"
LIQUIDITY = "liquidity_bucket"
SHOWN: Mapping[str, Sequence[str]] = {
    "price": ("ret_1m", "ret_15m", "ret_open", "range_pct"),
    "volatility": ("rv_15m", "sigma_60m", "vol_ewm_60m", "atr_14m", "garman_klass_30m", "kurt_60m"),
    "volume": (
        "vwap_30m_z",
        "vwap_trend_5m",
        "volume_norm_5m",
        "volume_percentile",
        "signed_volume",
        "liquidity_bucket",
    ),
    "clock": ("session_progress", "fourier_sin_1", "fourier_cos_2", "session_bucket"),
    "context": ("spy_ret_15m", "dispersion", "beta_spy_60m", "corr_spy_60m", "regime_up", "regime_volatile"),
    "sector": ("sector_ret_1m", "sector_ret_5m", "sector_ret_15m", "sector_missing"),
    "events": ("event_fomc", "event_cpi"),
}
DAY, SYMBOL, CONTEXT, OTHERS = date(2025, 1, 29), "AAPL", "SPY", ("MSFT", "NVDA")
SESSIONS = 20


def event_calendar() -> EventCalendar:
    """Return the events of configs/events.yaml."""
    return core_inputs.event_calendar(load_settings(profile="demo", config_dir=None, environment={}))


def day_of(
    market: SyntheticMarket | LocalMarketData, symbol: str, day: date, context: str, others: Sequence[str]
) -> pl.DataFrame:
    """Return the features of one symbol on one day; exits when the symbol or its context has no bars then."""
    first = calendar.shifted(day, -SESSIONS)
    days = [session.day for session in calendar.sessions(first, day)]
    names = sorted({symbol, context, *others})
    raw = market.bars(names, days)
    if absent := {symbol, context} - set(raw.filter(pl.col("day") == day)["symbol"]):
        sys.exit(f"no bars of {', '.join(sorted(absent))} on {day}. Give another --day, --symbol or --context.")
    policy, sessions = session_grid.QualityPolicy(), calendar.sessions_frame(days)
    keys = pl.DataFrame({"day": days}).join(pl.DataFrame({"symbol": names}), how="cross")
    grid = session_grid.grid(
        raw, session_grid.quality(raw, keys=keys, sessions=sessions, policy=policy), sessions=sessions, policy=policy
    )
    sectors = dict.fromkeys((symbol, *others), "shown")
    spec = FeatureSpec(context=(context,), sectors=sectors, calendar=event_calendar(), sessions=SESSIONS)
    market = market_context(grid, days=[day], context=spec.context, sectors=sectors)
    return features(grid.filter(pl.col("symbol") == symbol), market, days=[day], spec=spec).frame


def made_up() -> SyntheticMarket:
    """Return the market of the docs' pictures."""
    return SyntheticMarket(
        symbols=(SYMBOL, *OTHERS), context=(CONTEXT,), seed=7, predictability=0.3, missing_rate=0.0001
    )


def picture(frame: pl.DataFrame, group: str, context: str) -> Picture:
    """Return the group's columns as small charts over the session, in their own units."""
    shown = [name.replace("spy", context.lower()) for name in SHOWN[group]]
    charts = [_line(frame, name) for name in shown]
    return panels(charts, titled(f"Features of {group}", f"{frame['symbol'][0]}, {frame['day'][0]}"), columns=2)


def _line(frame: pl.DataFrame, name: str) -> alt.Chart:
    own = frame.select(time=wall_clock("known_at"), value=pl.col(name).cast(pl.Float64))
    x = alt.X("time:T", scale=alt.Scale(type="utc"), title=None, axis=alt.Axis(format="%H:%M", tickCount=4))
    y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=3, format="~g"))
    drawn = alt.Chart(own).mark_line(color=BLUE, strokeWidth=1, interpolate="step-after").encode(x=x, y=y)
    return drawn.properties(width=280, height=80, title=alt.Title(name, fontSize=11, color=INK, fontWeight="normal"))


def event_days(symbol: str, day: date) -> alt.Chart:
    """Return the flags of the sessions around a day: an event's flag is the same all day."""
    days = [s.day for s in calendar.sessions(day - timedelta(days=20), day + timedelta(days=16))]
    flags = event_calendar().flags(days).unpivot(index="day", variable_name="event", value_name="on").filter("on")
    asked = pl.DataFrame({"day": days})
    x = alt.X("day:T", title=None, scale=alt.Scale(domain=[str(days[0]), str(days[-1])]), axis=alt.Axis(format="%d %b"))
    marks = alt.Chart(flags.with_columns(pl.col("day").cast(pl.String))).mark_point(color=BLUE, filled=True, size=70)
    base = alt.Chart(asked.with_columns(pl.col("day").cast(pl.String))).mark_tick(color="#cbd2d9").encode(x=x)
    title = titled("Features of events", f"{symbol}: the days on which a flag is 1; sessions as ticks")
    return (base + marks.encode(x=x, y=alt.Y("event:N", title=None))).properties(width=560, height=70, title=title)


def main(arguments: Sequence[str]) -> None:
    """Write one PNG per group."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--root", type=Path)
    options.add_argument("--symbol", default=SYMBOL)
    options.add_argument("--day", type=date.fromisoformat, default=DAY)
    options.add_argument("--context", default=CONTEXT)
    options.add_argument("--others", type=lambda text: text.split(","), default=OTHERS)
    options.add_argument("--to", type=Path, default=PICTURES)
    asked = options.parse_args(arguments)
    if asked.root and asked.to.resolve().is_relative_to(PROJECT):
        sys.exit(
            f"{asked.to} lies in the project: pictures of real bars stay out of it. Give another folder with --to."
        )
    market = LocalMarketData(asked.root) if asked.root else made_up()
    frame = day_of(market, asked.symbol, asked.day, asked.context, asked.others)
    for group in SHOWN:
        drawn = event_days(asked.symbol, asked.day) if group == "events" else picture(frame, group, asked.context)
        asked.to.mkdir(parents=True, exist_ok=True)
        (asked.to / f"features-{group}.png").write_bytes(render.png(drawn))


if __name__ == "__main__":
    main(sys.argv[1:])
