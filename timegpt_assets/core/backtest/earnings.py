"""The sweep, compiled: what each combination's signals earn, each position settled once for all who share it.

Belongs here: combinations of one position at a time and no trailing stop. All steps are taken on some symbols' sessions
after the other, so that what they hand on stays in the processor's cache. It is imported where it is called, as numba
takes its time, and gives the loop's bits.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from timegpt_assets.core.backtest import kernel, passages
from timegpt_assets.core.backtest.kernel import Asked, Rates
from timegpt_assets.core.backtest.passages import NEVER, Laid, Passages, Signals
from timegpt_assets.core.backtest.tape import Flags, Floats, Ints, Tape

MADE_OF = "9aed7c397180c49b"
"""Digest of kernel.py, passages.py and tape.py (as in kernel.py)."""
NO_BARS = -1
"""The exit of a position whose bars run out before it."""
LAST = 1 << 30
"""A minute after all others."""
CHARGES = 6
HIT = 1 << 32
"""What a hit adds to a score, beside the trade it is."""


class Pairs(NamedTuple):
    """A row for each stop and take that are charged alike."""

    charge: Ints
    """Counts what they are charged and how much is bought, rising."""
    costs: Ints
    """Row of the rates."""
    impact: Ints
    cap_per_trade: Floats
    capital: Floats
    stop: Ints
    """Among the levels."""
    take: Ints
    begin: Ints
    """Where its combinations begin among those of Plans; one more than there are pairs."""


class Plans(NamedTuple):
    """A row for each combination, by pair."""

    road: Ints
    """Counts those that differ in more than their daily cap."""
    entries: Ints
    rest: Ints
    """Minutes after an exit."""
    daily_cap: Ints
    """Falling; LAST for none."""
    slot: Ints
    """Where its sums are."""


class Settled(NamedTuple):
    """What each signal's position comes to under one pair."""

    left: NDArray[np.int32]
    """The minute it is left; NO_BARS: never."""
    score: Ints
    """One for a quantity that is not 0, and HIT for a net P&L above 0."""
    money: Floats
    """Gross, cost, net and notional of each, side by side."""


class Taken(NamedTuple):
    """Who enters, in order: where in the block, and how many of its session and symbol have by then."""

    at: Ints
    nth: Ints
    place: Ints
    """Places at which somebody asked to."""
    end: Ints
    """How many have entered by the end of each."""


@njit(cache=True)
def _charge(tape: Tape, asked: Asked, signals: Signals, laid: Laid, start: int, end: int, pairs: Pairs, pair: int,
            rates: Rates, impacts: Floats, at_entry: Floats) -> None:  # fmt: skip
    """Find what the positions of the signals from ``start`` to ``end`` are charged when they are entered."""
    of, cap, capital = pairs.costs[pair], pairs.cap_per_trade[pair], pairs.capital[pair]
    impact, multiplier, tick = impacts[pairs.impact[pair]], rates.multiplier[of], rates.tick_size[of]
    for k in range(start, end):
        i, at = signals.row[k], k - start
        if asked.first[i] < 0:
            continue
        entry, symbol, hour = tape.open[asked.first[i]], asked.symbol[i], laid.clock[k] // 60
        quantity = signals.side[k] * min(asked.ratio[i], cap) * capital / entry
        found = kernel.charged(
            quantity, entry, multiplier, impact[i], rates.fees[of, symbol], rates.half_spread_ticks[of, symbol], tick,
            rates.slippage_ticks[of, symbol, hour], rates.slippage_bps[of, symbol, hour], rates.borrow[of, symbol],
        )  # fmt: skip
        at_entry[at, 0], at_entry[at, 1] = quantity, entry
        for part in range(CHARGES):
            at_entry[at, 2 + part] = found[part]


@njit(cache=True)
def _settle(asked: Asked, signals: Signals, laid: Laid, start: int, end: int, met: Passages, pairs: Pairs, pair: int,
            rates: Rates, at_entry: Floats, found: Settled) -> bool:  # fmt: skip
    """Find what the positions of the signals from ``start`` to ``end`` come to; return whether bars run out for any."""
    of, stop, take = pairs.costs[pair], pairs.stop[pair], pairs.take[pair]
    tick, short = rates.tick_size[of], False
    for at in range(end - start):
        k = start + at
        stopped, took, due = met.stop[stop, at], met.take[take, at], met.due[at]
        # In one bar the stop wins, unless the bar opened beyond the take and not beyond the stop.
        at_stop = stopped >> 1 < took >> 1 or (stopped >> 1 == took >> 1 and stopped & 1 >= took & 1)
        hit, price = (stopped, met.stop_price[stop, at]) if at_stop else (took, met.take_price[take, at])
        if hit >> 1 > due >> 1:
            hit, price = due, met.due_price[at]
        if hit == NEVER:
            found.left[at], found.score[at] = NO_BARS, 0
            short = True
            continue
        minutes, symbol, one = hit >> 1, asked.symbol[signals.row[k]], at_entry[at]
        hour = (laid.clock[k] + minutes) // 60 % 24
        ticks, bps = rates.slippage_ticks[of, symbol, hour], rates.slippage_bps[of, symbol, hour]
        money = kernel.paid((one[2], one[3], one[4], one[5], one[6], one[7]), one[0], one[1], price, tick, ticks, bps)
        found.left[at] = laid.entry[k] + minutes + 1
        found.money[at, 0], found.money[at, 1] = money[kernel.GROSS], money[kernel.COST]
        found.money[at, 2], found.money[at, 3] = money[kernel.NET], kernel.notional(one[0], one[1], price)
        found.score[at] = (HIT * (money[kernel.NET] > 0) + 1) * (one[0] != 0)
    return short


@njit(cache=True)
def _enter(signals: Signals, p: int, laid: Laid, start: int, end: int, found: Settled, rest: int, daily_cap: int,
           taken: Taken) -> tuple[int, int]:  # fmt: skip
    """Write down who enters among one entries' signals of a block; return at how many places, and where they go on."""
    own = signals.own
    places = entered = 0
    k = own[p]
    while k < end:
        place = laid.place[k]
        while k < end and laid.place[k] == place:
            group_end = laid.group_end[k]
            free, nth = (LAST if daily_cap == 0 else 0), 0
            while k < group_end:
                # without a branch, as no processor foresees who enters: a row is written over until somebody does
                entering = laid.entry[k] >= free
                nth += entering
                taken.at[entered], taken.nth[entered] = k - start, nth
                entered += entering
                then = LAST if nth == daily_cap else found.left[k - start] + rest
                free = then if entering else free
                p += 1
                k = own[p]
        taken.place[places], taken.end[places] = place, entered
        places += 1
    return places, p


@njit(cache=True)
def _add(taken: Taken, places: int, daily_cap: int, found: Settled, slot: int, score: Ints, sums: Floats) -> None:
    """Add those who enter to one combination's sums, but what is beyond its daily cap."""
    t = 0
    for number in range(places):
        place = taken.place[number]
        scored, own = score[slot, place], sums[slot, place]
        gross, cost, net, notional = own[0], own[1], own[2], own[3]
        while t < taken.end[number]:
            at, mine = taken.at[t], taken.nth[t] <= daily_cap
            scored += found.score[at] if mine else 0
            gross += found.money[at, 0] if mine else 0.0
            cost += found.money[at, 1] if mine else 0.0
            net += found.money[at, 2] if mine else 0.0
            notional += found.money[at, 3] if mine else 0.0
            t += 1
        score[slot, place], own[0], own[1], own[2], own[3] = scored, gross, cost, net, notional


@njit(cache=True)
def _run_out(taken: Taken, places: int, daily_cap: int, found: Settled) -> bool:
    """Return whether the bars run out before somebody leaves who enters within the daily cap."""
    for t in range(taken.end[places - 1] if places else 0):
        if taken.nth[t] <= daily_cap and found.left[taken.at[t]] == NO_BARS:
            return True
    return False


@njit(cache=True)
def add_up(tape: Tape, asked: Asked, signals: Signals, at_forecast: bool, stops: Floats, takes: Floats, pairs: Pairs,
           plans: Plans, rates: Rates, impacts: Floats, size: int, sums: Floats, failed: Flags) -> Ints:  # fmt: skip
    """Add up each combination's gross, cost, net and notional, at its slot and place; return their scores.

    ``size``: signals a block, one symbol's session at least. ``failed``: its bars ran out before an exit.
    """
    n, laid, score = signals.row.size, passages.lay(asked, signals.row), np.zeros(sums.shape[:2], np.int64)
    met, at_entry, found, taken = _room(laid, size, stops.size, takes.size)
    begin, onward = signals.begin.copy(), signals.begin.copy()
    start = 0
    while start < n:
        end = laid.group_end[min(start + size, n) - 1]
        passages.walk(tape, asked, signals, start, end, at_forecast, stops, takes, met)
        for pair in range(pairs.stop.size):
            if pair == 0 or pairs.charge[pair] != pairs.charge[pair - 1]:
                _charge(tape, asked, signals, laid, start, end, pairs, pair, rates, impacts, at_entry)
            short = _settle(asked, signals, laid, start, end, met, pairs, pair, rates, at_entry, found)
            c = pairs.begin[pair]
            while c < pairs.begin[pair + 1]:
                own, road = plans.entries[c], plans.road[c]
                # the loosest daily cap is gone through; tighter ones make the first of its trades in every session
                places, onward[own] = _enter(
                    signals, begin[own], laid, start, end, found, plans.rest[c], plans.daily_cap[c], taken
                )
                while c < pairs.begin[pair + 1] and plans.road[c] == road:
                    slot, daily_cap = plans.slot[c], plans.daily_cap[c]
                    _add(taken, places, daily_cap, found, slot, score, sums)
                    failed[slot] |= short and _run_out(taken, places, daily_cap, found)
                    c += 1
        begin[:] = onward
        start = end
    return score


@njit(cache=True)
def _room(laid: Laid, size: int, stops: int, takes: int) -> tuple[Passages, Floats, Settled, Taken]:
    """Return room for the largest block."""
    n, widest, start = laid.entry.size, 0, 0
    while start < n:
        end = laid.group_end[min(start + size, n) - 1]
        widest, start = max(widest, end - start), end
    met = Passages(
        np.empty((stops, widest), np.int16), np.empty((stops, widest)),
        np.empty((takes, widest), np.int16), np.empty((takes, widest)),
        np.empty(widest, np.int16), np.empty(widest),
    )  # fmt: skip
    found = Settled(np.empty(widest, np.int32), np.empty(widest, np.int64), np.empty((widest, 4)))
    # one row more, for him who does not enter after all
    whole = np.empty((4, widest + 1), np.int64)
    return met, np.empty((widest, 2 + CHARGES)), found, Taken(whole[0], whole[1], whole[2], whole[3])
