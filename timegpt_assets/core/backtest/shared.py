"""The compiled sweep: work that combinations have in common is done once.

Belongs here: who shares what. What a forecast costs, and whether it is turned away, is settled once for all that are
charged alike; which forecasts are signals once for all that enter alike; the way of each position (passages.py), and
what it earns at each stop and take (earnings.py), once for all that are due alike. What remains for a combination is to
go through its signals in order. A trailing stop or several open positions take the compiled loop (kernel.follow).
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from timegpt_assets.core.backtest import compiled, earnings, event_loop, kernel, passages, signals
from timegpt_assets.core.backtest.compiled import Market
from timegpt_assets.core.backtest.rules import Rules
from timegpt_assets.core.backtest.signals import WEIGHED_BY, Inputs, TradingSpec
from timegpt_assets.core.backtest.tape import Flags, Floats, Ints, Sides

PLAN = (
    "costs",
    "impact",
    "cap_per_trade",
    "capital",
    "stop",
    "take",
    "due",
    "word",
    "bit",
    "rest",
    "daily_cap",
    "slot",
)
"""What a combination hangs on, the widest shared first: four a charge, eight a batch, and its own."""
TYPES = {
    "cap_per_trade": np.float64,
    "capital": np.float64,
    "bit": np.int32,
    "rest": np.float32,
    "daily_cap": np.float32,
}
"""Those that are no places."""
STOP, TAKE, DUE = range(3)
BLOCK = 512
"""Signals that are walked, settled and gone through at once (earnings.py)."""
CELLS = 1 << 14
"""Signals times ways out that are: where there are many levels, fewer signals."""
DUE_BY = ("entry_lag_bars", "time_stop_et", "early_close_margin_min")
AFTER_ENTRY = {
    *("s_stop", "s_take", "s_trail", "daily_trade_cap", "max_open_per_symbol", "cooldown_bars", "cap_per_trade"),
    *("time_stop_et", "early_close_margin_min", "exit_at_forecast_ts"),
}
"""Rules that no signal is judged by; cap_per_trade is where impact is charged."""
_entry_rules = attrgetter(*(field.name for field in dataclasses.fields(Rules) if field.name not in AFTER_ENTRY))
_due_by = attrgetter(*DUE_BY)
_beside_rules = attrgetter(*(field.name for field in dataclasses.fields(TradingSpec) if field.name != "rules"))


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


def swept(inputs: Inputs, specs: Sequence[TradingSpec]) -> tuple[pl.DataFrame, list[Any]]:
    """Return each (forecaster, day), and trades, hits and money (sweep.MONEY) of each combination and each of them."""
    laid = compiled.market(inputs.forecasts, inputs.bars)
    sums = np.zeros((kernel.SUMS, len(specs), laid.places))
    own, costs = _told_apart(specs)
    rates = compiled.rates([spec.costs for spec in costs], laid.symbols)
    entered = _entered(laid, inputs, specs, own)
    everyone = [Combination(i, *found) for i, found in enumerate(zip(specs, entered, own, strict=True))]
    for alike in _grouped(everyone, lambda one: _due_by(one.spec.rules)).values():
        asked = compiled.asked(laid, alike[0].spec.rules)
        follow(laid, asked, [one for one in alike if one.alone], rates, sums)
        if several := [one for one in alike if not one.alone]:
            _add_up(laid, asked, several, rates, sums)
    every = sums.reshape(kernel.SUMS, -1)
    failed = np.flatnonzero(every[earnings.SCORE] >= earnings.RAN_OUT)
    if failed.size:  # bars ran out: the loop names the trade
        event_loop.trades(inputs, specs[failed[0] // laid.places])
    return compiled.runs(laid.known, ("forecaster", "day")), kernel.told_apart(every)


def _grouped(everyone: Iterable[Combination], key: Callable[[Combination], Any]) -> dict[Any, list[Combination]]:
    groups: dict[Any, list[Combination]] = {}
    for own in everyone:
        groups.setdefault(key(own), []).append(own)
    return groups


def _told_apart(specs: Sequence[TradingSpec]) -> tuple[list[int], list[TradingSpec]]:
    """Return which of the specs that differ in more than rules each one is, and those."""
    first: dict[Any, TradingSpec] = {}
    own = [first.setdefault(tuple(map(id, _beside_rules(spec))), spec) for spec in specs]
    place = {id(spec): i for i, spec in enumerate(first.values())}
    return [place[id(spec)] for spec in own], list(first.values())


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
                frame = signals.free(signals.weighed(laid.known, inputs, spec))
                weighed[alike] = frame, compiled.fixed(frame["impact"].fill_null(0.0))
            frame, impact = weighed[alike]
            made[key] = Entries(compiled.fixed(signals.sides(frame, spec.rules)), impact)
        yield made[key]


def follow(laid: Market, asked: kernel.Asked, some: Sequence[Combination], rates: kernel.Rates, sums: Floats) -> None:
    """Add up what the compiled loop makes of each combination by itself; RAN_OUT where its bars do before an exit."""
    ledger = kernel.empty_ledger(1)
    barred = compiled.fixed(pl.zeros(asked.place.size, pl.Int8, eager=True).cast(pl.Boolean))
    for own in some:
        limits, entries, found = compiled.limits(own.spec, own.costs), own.entries, np.zeros((laid.places, kernel.SUMS))
        ended = kernel.follow(
            laid.tape, asked, entries.sides, barred, entries.impact, rates, limits, ledger, found
        )  # fmt: skip
        sums[:, own.slot] = found.T if ended else earnings.RAN_OUT


def _add_up(laid: Market, asked: kernel.Asked, part: Sequence[Combination], rates: kernel.Rates, sums: Floats) -> None:
    """Add up what is shared by combinations whose time stop is alike."""
    entered = {_enters(own): own.entries for own in part}
    dues = sorted({at_forecast for _, at_forecast in entered}, reverse=True)
    impacts = {id(own.entries.impact): own.entries.impact for own in part}
    stops, takes = (np.unique([float(getattr(own.spec.rules, name)) for own in part]) for name in ("s_stop", "s_take"))
    ways = [*((STOP, stop) for stop in stops.tolist()), *((TAKE, take) for take in takes.tolist())]
    batches, plans = _plans(part, [*ways, *((DUE, due) for due in dues)], [*entered], [*impacts])
    enterable = {due: passages.enterable(laid.tape, asked, due) for due in dues}
    codes = [_codes(entries, enterable[at_forecast]) for (_, at_forecast), entries in entered.items()]
    found = _signals(codes, asked.first.size)
    size = max(1, min(BLOCK, CELLS // (len(ways) + len(dues))))
    along, impact = passages.lay(asked, found.row), np.stack([*impacts.values()])

    def add_up(start: int, stop: int) -> None:
        earnings.add_up(
            laid.tape, asked, found, along, start, stop, np.array(dues), stops, takes, batches, plans, rates, impact,
            size, sums,
        )  # fmt: skip

    edges = _shares(along.place, pl.thread_pool_size())
    with ThreadPoolExecutor(max(1, len(edges) - 1)) as pool:
        list(pool.map(add_up, edges, edges[1:]))


def _shares(place: Ints, threads: int) -> list[int]:
    """Return where the signals are cut into a share for each thread, none of which adds to another's place."""
    cuts = np.append(np.flatnonzero(np.diff(place, prepend=-1)), place.size)
    wanted = np.linspace(0, place.size, threads + 1)
    return [int(at) for at in np.unique(cuts[np.searchsorted(cuts, wanted)])]


def _enters(own: Combination) -> tuple[int, bool]:
    """Return what a combination's signals that can be entered hang on."""
    return id(own.entries), own.spec.rules.exit_at_forecast_ts


def _codes(entries: Entries, enterable: Flags) -> NDArray[np.int32]:
    """Return 2 x row of each signal that can be entered, plus one for shorts."""
    rows = np.flatnonzero((entries.sides != 0) & enterable)
    return (2 * rows + (entries.sides[rows] < 0)).astype(np.int32)


def _signals(entered: Sequence[NDArray[np.int32]], rows: int) -> passages.Signals:
    """Return what any of the entries holds, and which of them hold it."""
    told = np.zeros(2 * rows, np.bool_)
    for codes in entered:
        told[codes] = True
    every, place = np.flatnonzero(told), np.cumsum(told) - 1
    held = np.zeros((-(-len(entered) // passages.WORD), every.size), np.int32)
    for i, codes in enumerate(entered):
        held[i // passages.WORD, place[codes]] |= np.int32(1 << i % passages.WORD)
    return passages.Signals(every >> 1, 1 - 2 * (every & 1), held)


def _plans(
    part: Sequence[Combination], ways: Sequence[Any], entered: Sequence[Any], impacts: Sequence[int]
) -> tuple[earnings.Batches, earnings.Plans]:
    """Return the combinations by what they are charged and their ways out, each by its place among all."""
    way, enters, impact = ({value: i for i, value in enumerate(values)} for values in (ways, entered, impacts))

    def row(own: Combination) -> tuple[float, ...]:
        rules = own.spec.rules
        charge = own.costs, impact[id(own.entries.impact)], rules.cap_per_trade, own.spec.capital
        out = way[STOP, rules.s_stop], way[TAKE, rules.s_take], way[DUE, rules.exit_at_forecast_ts]
        word, bit = divmod(enters[_enters(own)], passages.WORD)
        daily_cap = np.inf if rules.daily_trade_cap is None or rules.daily_trade_cap < 0 else rules.daily_trade_cap
        return *charge, *out, word, 1 << bit, max(0, rules.cooldown_bars), daily_cap, own.slot

    rows = np.array(sorted(map(row, part)), np.float64)
    begin = _batches(rows[:, :8])
    of = dict(zip(PLAN, rows.T, strict=True)) | {"charge": _counted(rows[:, :4])}
    batches = {name: _typed(name, of[name][begin[:-1]]) for name in earnings.Batches._fields if name != "begin"}
    plans = {name: _typed(name, of[name]) for name in earnings.Plans._fields}
    return earnings.Batches(**batches, begin=begin), earnings.Plans(**plans)


def _batches(rows: Floats) -> Ints:
    """Return where batches of sorted rows begin, alike and of so many lanes at most, and where the last one ends."""
    turns = np.flatnonzero(np.diff(_counted(rows), prepend=-1))
    edges = zip(turns.tolist(), [*turns[1:].tolist(), len(rows)], strict=True)
    return np.array([at for start, end in edges for at in range(start, end, earnings.LANES)] + [len(rows)])


def _counted(rows: Floats) -> Ints:
    """Return how many kinds of rows there were before each, of sorted ones."""
    other: Ints = (rows[1:] != rows[:-1]).any(axis=1).cumsum()
    return np.append(0, other)


def _typed(name: str, values: Floats) -> Any:
    return values.astype(TYPES.get(name, np.int64))
