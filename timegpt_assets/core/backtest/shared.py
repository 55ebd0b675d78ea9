"""The compiled sweep: work that combinations have in common is done once.

Belongs here: who shares what. Which forecasts are signals is settled once for all that enter alike; when a position
would meet each level once for all that are due alike (kernel.passages); what remains for a combination is to go through
its signals in order (kernel.scan). A trailing stop or several open positions take the compiled loop (kernel.follow).
"""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

import numpy as np
import polars as pl

from timegpt_assets.core.backtest import compiled, event_loop, kernel, signals
from timegpt_assets.core.backtest.compiled import Market
from timegpt_assets.core.backtest.rules import Rules
from timegpt_assets.core.backtest.signals import TradingSpec
from timegpt_assets.core.events import EventCalendar

LEVELS = 64
"""Stops, and takes, in one table; a sweep of more is done in parts, for the memory's sake."""
DUE_BY = ("entry_lag_bars", "time_stop_et", "early_close_margin_min")
AFTER_ENTRY = {
    *("s_stop", "s_take", "s_trail", "daily_trade_cap", "max_open_per_symbol", "cooldown_bars", "cap_per_trade"),
    *("time_stop_et", "early_close_margin_min", "exit_at_forecast_ts"),
}
"""Rules that no signal is judged by; cap_per_trade is where impact is charged."""
_entry_rules = attrgetter(*(field.name for field in dataclasses.fields(Rules) if field.name not in AFTER_ENTRY))
_due_by = attrgetter(*DUE_BY)


@dataclass(frozen=True, slots=True)
class Entries:
    """The signals of every combination that enters alike: side of each forecast (0: none) and its impact."""

    sides: kernel.Ints
    impact: kernel.Floats


@dataclass(frozen=True, slots=True)
class Combination:
    """One combination, what it shares, and where its sums go."""

    spec: TradingSpec
    entries: Entries
    rates: kernel.Rates
    counts: kernel.Ints
    sums: kernel.Floats

    @property
    def alone(self) -> bool:
        """Return whether positions depend on more than when each level is met."""
        return self.spec.rules.s_trail is not None or self.spec.rules.max_open_per_symbol > 1


def swept(
    forecasts: pl.DataFrame,
    bars: pl.DataFrame,
    symbol_gates: pl.DataFrame,
    specs: Sequence[TradingSpec],
    *,
    events: EventCalendar,
    liquidity: pl.DataFrame | None = None,
) -> tuple[kernel.Ints, kernel.Floats]:
    """Return [trades, hits] and [gross, cost, net] by combination and (forecaster, day), as sweep.sweep tells them."""
    laid = compiled.market(forecasts, bars)
    places = laid.known.select("forecaster", "day").unique().height
    counts, sums = np.zeros((len(specs), places, 2), np.int64), np.zeros((len(specs), places, 3))
    found = _judged(laid, symbol_gates, specs, events=events, liquidity=liquidity)
    everyone = [Combination(*own, counts[i], sums[i]) for i, own in enumerate(found)]
    for alike in _grouped(everyone, lambda own: _due_by(own.spec.rules)):
        asked = compiled.asked(laid, alike[0].spec.rules)
        failed = [own for own in alike if own.alone and not follow(laid, asked, own)]
        shared = [own for own in alike if not own.alone]
        for part in _grouped(shared, lambda own: own.spec.rules.exit_at_forecast_ts):
            for table in _tables(part):
                failed += _scan(laid, asked, table)
        if failed:  # bars ran out: the loop names the trade
            event_loop.trades(forecasts, bars, symbol_gates, failed[0].spec, events=events, liquidity=liquidity)
    return counts, sums


def _grouped(everyone: Sequence[Combination], key: Any) -> list[list[Combination]]:
    groups: dict[Any, list[Combination]] = {}
    for own in everyone:
        groups.setdefault(key(own), []).append(own)
    return list(groups.values())


def _judged(
    laid: Market, symbol_gates: pl.DataFrame, specs: Sequence[TradingSpec], **known: Any
) -> Iterator[tuple[TradingSpec, Entries, kernel.Rates]]:
    """Yield each combination with its signals and rates; those that enter alike are given the same."""
    symbols = laid.known["symbol"].unique().sort().to_list()
    made: dict[Any, Entries] = {}
    beside: list[TradingSpec] = []
    rates: list[kernel.Rates] = []
    for spec in specs:
        same = replace(spec, rules=specs[0].rules)
        if same not in beside:
            beside.append(same)
            rates.append(compiled.rates(spec.costs, symbols))
        which = beside.index(same)
        key = (which, *_entry_rules(spec.rules), spec.rules.cap_per_trade if spec.costs.impact else None)
        if key not in made:
            made[key] = entries(signals.judged_by(spec, laid.known, symbol_gates, **known))
        yield spec, made[key], rates[which]


def entries(judged: pl.DataFrame) -> Entries:
    sides = pl.when(pl.col("reason") == "").then("side").otherwise(0)
    frame = judged.select(side=sides, impact=pl.col("impact").fill_null(0.0))
    return Entries(frame["side"].to_numpy(), frame["impact"].to_numpy())


def follow(laid: Market, asked: kernel.Asked, own: Combination) -> bool:
    """Add up what the compiled loop makes of one combination; False: bars ran out."""
    ledger = kernel.empty_ledger(asked.place.size)
    barred = np.zeros(asked.place.size, np.bool_)
    entries, limits = own.entries, compiled.limits(own.spec)
    if not kernel.follow(laid.tape, asked, entries.sides, barred, entries.impact, own.rates, limits, ledger):
        return False
    kernel.add_up(asked.place, ledger, own.counts, own.sums)
    return True


def _tables(part: Sequence[Combination]) -> Iterator[list[Combination]]:
    """Yield the combinations in parts of at most LEVELS stops and takes."""
    table: list[Combination] = []
    stops, takes = set[float](), set[float]()
    for own in sorted(part, key=lambda own: (own.spec.rules.s_stop, own.spec.rules.s_take)):
        stops.add(own.spec.rules.s_stop)
        takes.add(own.spec.rules.s_take)
        if max(len(stops), len(takes)) > LEVELS:
            yield table
            table, stops, takes = [], {own.spec.rules.s_stop}, {own.spec.rules.s_take}
        table.append(own)
    if table:
        yield table


def _scan(laid: Market, asked: kernel.Asked, table: Sequence[Combination]) -> list[Combination]:
    """Add up the combinations of one table of passages; return those whose bars ran out."""
    stops, takes = (sorted({float(getattr(own.spec.rules, name)) for own in table}) for name in ("s_stop", "s_take"))
    distinct = {id(own.entries): own.entries for own in table}
    codes = {which: _codes(entered.sides) for which, entered in distinct.items()}
    flags = np.zeros(2 * asked.place.size, np.bool_)
    for own_codes in codes.values():
        flags[own_codes] = True
    every, position = np.flatnonzero(flags), np.cumsum(flags) - 1
    rows, sides = every >> 1, 1 - 2 * (every & 1)
    at_forecast = table[0].spec.rules.exit_at_forecast_ts
    met = kernel.passages(laid.tape, asked, rows, sides, at_forecast, np.array(stops), np.array(takes))
    wanted = {which: position[own_codes] for which, own_codes in codes.items()}
    stop_of, take_of = ({level: i for i, level in enumerate(levels)} for levels in (stops, takes))
    return [
        own
        for own in table
        if not kernel.scan(
            laid.tape, asked, rows, sides, wanted[id(own.entries)], met,
            stop_of[own.spec.rules.s_stop], take_of[own.spec.rules.s_take],
            own.entries.impact, own.rates, compiled.limits(own.spec), own.counts, own.sums,
        )
    ]  # fmt: skip


def _codes(sides: kernel.Ints) -> kernel.Ints:
    """Return 2 x row of each signal, plus one for shorts."""
    rows = np.flatnonzero(sides)
    return 2 * rows + (sides[rows] < 0)
