"""The compiled sweep: work that combinations have in common is done once.

Belongs here: who shares what. What a forecast costs, and whether it is turned away, is settled once for all that are
charged alike; which forecasts are signals once for all that enter alike; the way of each position (passages.py), and
what it earns at each stop and take (earnings.py), once for all that are due alike. What remains for a combination is to
go through its signals in order. A trailing stop or several open positions take the compiled loop (kernel.follow).
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

import numpy as np
import polars as pl

from timegpt_assets.core.backtest import compiled, earnings, event_loop, kernel, passages, signals
from timegpt_assets.core.backtest.compiled import Market
from timegpt_assets.core.backtest.rules import Rules
from timegpt_assets.core.backtest.signals import WEIGHED_BY, Inputs, TradingSpec
from timegpt_assets.core.backtest.tape import Flags, Floats, Ints, Sides

PLAN = ("costs", "impact", "cap_per_trade", "capital", "stop", "take", "entries", "rest", "daily_cap", "slot")
"""What a combination hangs on, the widest shared first: four a charge, six a pair, eight a road, and its own."""
BLOCK = 2048
"""Signals that are walked, settled and gone through at once (earnings.py)."""
CELLS = 1 << 18
"""Signals times levels that are: where there are many levels, fewer signals."""
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

    sides: Sides
    impact: Floats


@dataclass(frozen=True, slots=True)
class Combination:
    """One combination, where its sums go, and what it shares."""

    slot: int
    spec: TradingSpec
    entries: Entries
    costs: int
    """Row of the rates."""

    @property
    def alone(self) -> bool:
        """Return whether positions depend on more than when each level is met."""
        return self.spec.rules.s_trail is not None or self.spec.rules.max_open_per_symbol > 1


@dataclass(frozen=True, slots=True)
class Sums:
    """[trades, hits] and [gross, cost, net, notional] by combination and place; whose bars ran out too early."""

    counts: Ints
    money: Floats
    failed: Flags


def swept(inputs: Inputs, specs: Sequence[TradingSpec]) -> tuple[Ints, Floats]:
    """Return [trades, hits] and [gross, cost, net, notional] by combination and (forecaster, day), in order."""
    laid = compiled.market(inputs.forecasts, inputs.bars)
    shape = len(specs), laid.places
    sums = Sums(np.zeros((*shape, 2), np.int64), np.zeros((*shape, 4)), np.zeros(len(specs), np.bool_))
    own, costs = _told_apart(specs)
    rates = compiled.rates([spec.costs for spec in costs], laid.symbols)
    entered = _entered(laid, inputs, specs, own)
    everyone = [Combination(i, *found) for i, found in enumerate(zip(specs, entered, own, strict=True))]
    for alike in _grouped(everyone, lambda one: _due_by(one.spec.rules)).values():
        asked = compiled.asked(laid, alike[0].spec.rules)
        if alone := [one for one in alike if one.alone]:
            follow(laid, asked, alone, rates, sums)
        shared = [one for one in alike if not one.alone]
        for part in _grouped(shared, lambda one: one.spec.rules.exit_at_forecast_ts).values():
            _add_up(laid, asked, part, rates, sums)
    if sums.failed.any():  # bars ran out: the loop names the trade
        event_loop.trades(inputs, specs[int(sums.failed.argmax())])
    return sums.counts, sums.money


def _grouped(everyone: Iterable[Combination], key: Callable[[Combination], Any]) -> dict[Any, list[Combination]]:
    groups: dict[Any, list[Combination]] = {}
    for own in everyone:
        groups.setdefault(key(own), []).append(own)
    return groups


def _told_apart(specs: Sequence[TradingSpec]) -> tuple[list[int], list[TradingSpec]]:
    """Return which of the specs that differ in more than rules each one is, and those, under the first one's rules."""
    beside, own = list[TradingSpec](), list[int]()
    for spec in specs:
        same = replace(spec, rules=specs[0].rules)
        if same not in beside:
            beside.append(same)
        own.append(beside.index(same))
    return own, beside


def _entered(laid: Market, inputs: Inputs, specs: Sequence[TradingSpec], own: Sequence[int]) -> Iterator[Entries]:
    """Yield each combination's signals; those that enter alike are given the same."""
    weighed: dict[Any, tuple[pl.DataFrame, Floats]] = {}
    made: dict[Any, Entries] = {}
    for which, spec in zip(own, specs, strict=True):
        charged = WEIGHED_BY if spec.costs.impact else WEIGHED_BY[:1]
        alike = (which, *(getattr(spec.rules, name) for name in charged))
        key = (*alike, *_entry_rules(spec.rules))
        if key not in made:
            if alike not in weighed:
                frame = signals.weighed(laid.known, inputs, spec)
                weighed[alike] = frame, compiled.fixed(frame["impact"].fill_null(0.0))
            frame, impact = weighed[alike]
            made[key] = Entries(sides(signals.decided(frame, spec.rules)), impact)
        yield made[key]


def sides(judged: pl.DataFrame) -> Sides:
    """Return the side of each forecast that is a signal, 0 for the others."""
    signal = pl.when(pl.col("reason") == "").then("side").otherwise(0)
    found: Sides = compiled.fixed(judged.select(signal.cast(pl.Int8)).to_series())
    return found


def follow(laid: Market, asked: kernel.Asked, some: Sequence[Combination], rates: kernel.Rates, sums: Sums) -> None:
    """Add up what the compiled loop makes of each combination by itself."""
    ledger = kernel.empty_ledger(asked.place.size)
    barred = compiled.fixed(pl.zeros(asked.place.size, pl.Int8, eager=True).cast(pl.Boolean))
    for own in some:
        limits, entries = compiled.limits(own.spec, own.costs), own.entries
        if kernel.follow(laid.tape, asked, entries.sides, barred, entries.impact, rates, limits, ledger):
            kernel.add_up(asked.place, ledger, sums.counts[own.slot], sums.money[own.slot])
        else:
            sums.failed[own.slot] = True


def _add_up(laid: Market, asked: kernel.Asked, part: Sequence[Combination], rates: kernel.Rates, sums: Sums) -> None:
    """Add up what is shared by combinations that are due alike."""
    at_forecast = part[0].spec.rules.exit_at_forecast_ts
    entered = list({id(own.entries): own.entries for own in part}.values())
    impacts = list({id(entries.impact): entries.impact for entries in entered}.values())
    stops, takes = (np.unique([float(getattr(own.spec.rules, name)) for own in part]) for name in ("s_stop", "s_take"))
    pairs, plans = _plans(part, stops, takes, [id(entries) for entries in entered], [id(impact) for impact in impacts])
    found = _signals(entered, passages.enterable(laid.tape, asked, at_forecast))
    size = max(1, min(BLOCK, CELLS // max(stops.size, takes.size)))
    scores = earnings.add_up(
        laid.tape, asked, found, at_forecast, stops, takes, pairs, plans, rates, np.stack(impacts), size,
        sums.money, sums.failed,
    )  # fmt: skip
    sums.counts[:, :, 1] += scores // earnings.HIT
    sums.counts[:, :, 0] += scores % earnings.HIT


def _signals(entered: Sequence[Entries], enterable: Flags) -> passages.Signals:
    """Return what any of the entries holds, and which of it each of them does."""
    flags, sizes = np.zeros(2 * enterable.size, np.bool_), list[int]()
    for entries in entered:
        codes = _codes(entries, enterable)
        flags[codes] = True
        sizes.append(codes.size)
    every, place = np.flatnonzero(flags), (np.cumsum(flags) - 1).astype(np.int32)
    begin = np.cumsum([0, *(size + 1 for size in sizes[:-1])])
    own = np.full(sum(sizes) + len(sizes), every.size, np.int32)
    # found once more, as those of thousands of entries would fill the memory
    for entries, start, size in zip(entered, begin, sizes, strict=True):
        own[start : start + size] = place[_codes(entries, enterable)]
    return passages.Signals(row=every >> 1, side=1 - 2 * (every & 1), own=own, begin=begin)


def _codes(entries: Entries, enterable: Flags) -> Ints:
    """Return 2 x row of each signal that can be entered, plus one for shorts."""
    rows = np.flatnonzero(entries.sides * enterable)
    return 2 * rows + (entries.sides[rows] < 0)


def _plans(
    part: Sequence[Combination], stops: Floats, takes: Floats, entered: list[int], impacts: list[int]
) -> tuple[earnings.Pairs, earnings.Plans]:
    """Return the combinations by stop, take and what they are charged; ``entered`` and ``impacts`` by their ids."""
    stop_of, take_of, impact_of, entries_of = (
        {value: i for i, value in enumerate(values)} for values in (stops.tolist(), takes.tolist(), impacts, entered)
    )

    def row(own: Combination) -> tuple[float, ...]:
        rules, entries = own.spec.rules, own.entries
        charge = own.costs, impact_of[id(entries.impact)], rules.cap_per_trade, own.spec.capital
        cap = earnings.LAST if rules.daily_trade_cap is None else rules.daily_trade_cap
        road = entries_of[id(entries)], max(0, rules.cooldown_bars), cap, own.slot
        return *charge, stop_of[rules.s_stop], take_of[rules.s_take], *road

    schema = dict.fromkeys(PLAN, pl.Int64) | {"cap_per_trade": pl.Float64, "capital": pl.Float64}
    rows = pl.DataFrame(list(map(row, part)), schema, orient="row")
    rows = rows.sort(PLAN, descending=[name == "daily_cap" for name in PLAN]).with_row_index("begin")
    counted = {name: pl.struct(PLAN[:several]).rle_id() for name, several in (("charge", 4), ("pair", 6), ("road", 8))}
    rows = rows.with_columns(pl.col("begin").cast(pl.Int64), **{k: v.cast(pl.Int64) for k, v in counted.items()})
    firsts = rows.filter(pl.col("pair").is_first_distinct())
    pairs = {name: compiled.fixed(firsts[name]) for name in earnings.Pairs.__annotations__ if name != "begin"}
    begin = np.append(firsts["begin"].to_numpy(), rows.height)
    plans = {name: compiled.fixed(rows[name]) for name in earnings.Plans.__annotations__}
    return earnings.Pairs(**pairs, begin=begin), earnings.Plans(**plans)
