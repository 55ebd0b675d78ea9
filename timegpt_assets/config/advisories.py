"""What a loaded configuration will not do although it is allowed: warnings, never errors.

Belongs here: settings under which a gate cannot pass, nothing is traded, or something is silently left out.
"""

import math
from collections import Counter
from collections.abc import Iterator
from datetime import time

from timegpt_assets.config.forecasting import Calibration, Forecast
from timegpt_assets.config.market import Data, Events, Features, Universe
from timegpt_assets.config.news import News
from timegpt_assets.config.strategy import Gates
from timegpt_assets.config.tsfm import Tsfm


def snapshots_per_day(forecast: Forecast) -> int:
    """Return how many snapshots the chosen preset asks on a full session."""
    inside = [at for at in forecast.preset.times if _inside(at, forecast)]
    return min(len(inside), forecast.preset.max_snapshots_per_day or len(inside))


def _inside(at: time, forecast: Forecast) -> bool:
    windows = forecast.preset.active_windows
    return not windows or any(window.start <= at <= window.end for window in windows)


def samples(forecast: Forecast, calibration: Calibration, gates: Gates) -> Iterator[str]:
    """Yield a warning for each sample size that the preset's cadence can never reach."""
    asked, preset = snapshots_per_day(forecast), forecast.snapshot_preset
    for reach, sessions, least in (
        ("gates.min_forecasts", gates.lookback_sessions, gates.min_forecasts),
        ("gates.symbol_min_forecasts", gates.symbol_lookback_sessions, gates.symbol_min_forecasts),
    ):
        if asked * sessions < least:
            yield (
                f"preset {preset} asks {asked} snapshots a day, {asked * sessions} in {sessions} sessions: {reach} = "
                f"{least} cannot be reached and its gate cannot pass. Choose a denser preset or a longer lookback."
            )
    if calibration.method in ("conformal", "widen") and calibration.window_days < calibration.min_samples_cell:
        yield (
            f"calibration.window_days = {calibration.window_days} gives a cell fewer outcomes than "
            f"calibration.min_samples_cell = {calibration.min_samples_cell}: only wider pools calibrate."
        )


def cadence(forecast: Forecast) -> Iterator[str]:
    """Yield a warning when the preset's own limits leave some of its times out."""
    times = len(forecast.preset.times)
    if snapshots_per_day(forecast) < times:
        yield (
            f"preset {forecast.snapshot_preset} asks {snapshots_per_day(forecast)} of its {times} times a day: "
            "active_windows or max_snapshots_per_day leave out the rest."
        )


def alignment(forecast: Forecast) -> Iterator[str]:
    """Yield a warning when the target's label spans another time than the forecast: such rows are never traded."""
    label = forecast.target.label_horizon(forecast.horizon_min)
    if label != forecast.horizon_min:
        yield (
            f"forecast.target.mode = {forecast.target.mode} labels {label} min, forecast.horizon_min = "
            f"{forecast.horizon_min}: label_aligned is false and nothing is traded. Set horizon_min={label}."
        )


def event_years(data: Data, events: Events, forecast: Forecast) -> Iterator[str]:
    """Yield a warning for each skipped event without a day in a year of the grid (an open end: its first year)."""
    last = (data.end_date or data.start_date).year
    for name in forecast.skip_events:
        known = {day.year for day in events.dates[name]}
        if missing := [str(year) for year in range(data.start_date.year, last + 1) if year not in known]:
            yield f"events.dates.{name} has no day in {', '.join(missing)}: nothing is skipped there. Add its days."


def peers(universe: Universe, features: Features) -> Iterator[str]:
    """Yield a warning for forecast symbols that no other symbol shares a sector with."""
    shared = Counter(universe.sectors.get(symbol) for symbol in {*universe.tickers, *universe.context})
    sector_of = {symbol: universe.sectors.get(symbol) for symbol in universe.tickers if symbol not in universe.context}
    alone = [symbol for symbol, sector in sector_of.items() if sector is None or shared[sector] < 2]
    if alone and "sector" in features.groups:
        yield (
            f"universe.sectors gives {', '.join(alone[:5])} ({len(alone)} in all) no peer in the universe: sector "
            "columns are null there. Name the sectors, or take sector out of features.groups."
        )


def silence(features: Features, news: News) -> Iterator[str]:
    """Yield a warning where columns of the news are made and nobody is asked for any."""
    if "news" in features.groups and not news.sources:
        yield (
            "features.groups holds news and news.sources nobody: all its columns are null but the flags. List a "
            "source, or take news out of features.groups."
        )


def cycles(tsfm: Tsfm) -> Iterator[str]:
    """Yield a warning for a cycle that may last longer than is promised, and for markets chosen without a score."""
    server, promised = tsfm.tollama, tsfm.slo.cycle_s
    longest = math.ceil(tsfm.selection.top_n / server.batch_series) * (1 + server.retry_count) * server.batch_timeout_s
    if longest > promised:
        yield (
            f"a model server that hangs holds a cycle of tsfm for {longest:g} s, tsfm.slo.cycle_s promises "
            f"{promised:g}. Lower tsfm.tollama.batch_timeout_s, or raise tsfm.tollama.batch_series."
        )
    if promised > 60 * tsfm.cycle_min:
        yield (
            f"tsfm.slo.cycle_s = {promised:g} is longer than the {tsfm.cycle_min} minutes from a cycle to the next: "
            "cycles may be left out. Raise tsfm.cycle_min."
        )
    if tsfm.markets.source == "polymarket" and tsfm.selection.top_n > tsfm.markets.max_candidates:
        yield (
            f"tsfm.selection.top_n = {tsfm.selection.top_n} is more than tsfm.markets.max_candidates = "
            f"{tsfm.markets.max_candidates}: of the others no open interest is known. Raise max_candidates."
        )


def warnings(
    *,
    data: Data,
    universe: Universe,
    events: Events,
    features: Features,
    forecast: Forecast,
    calibration: Calibration,
    gates: Gates,
    news: News,
    tsfm: Tsfm,
) -> tuple[str, ...]:
    """Return every warning about the sections, one sentence or two each."""
    return (
        *samples(forecast, calibration, gates),
        *cadence(forecast),
        *alignment(forecast),
        *event_years(data, events, forecast),
        *peers(universe, features),
        *silence(features, news),
        *cycles(tsfm),
    )
