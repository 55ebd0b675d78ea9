"""The sweep, compiled: when a position meets each level is found once, what that earns once a stop and take.

Belongs here: what numba compiles for combinations of one position at a time and no trailing stop. All three steps are
taken on some symbols' sessions after the other, so that what they hand on stays in the processor's cache. Bars begin on
whole minutes (the grid of core/bars). It is imported where it is called, as kernel.py is, and gives the same bits.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from timegpt_assets.core.backtest import kernel
from timegpt_assets.core.backtest.kernel import MINUTE, Asked, Flags, Floats, Ints, Rates, Tape

NEVER = 1 << 14
"""More than twice the minutes of any session."""
NO_BARS = -1
"""The exit of a position whose bars run out before it."""
LAST = 1 << 30
"""A minute after all others."""
CHARGES = 6
HIT = 1 << 32
"""What a hit adds to a score, beside the trade it is."""


class Signals(NamedTuple):
    """What anybody enters at who is due alike, in order; each combination's own are some of them."""

    row: Ints
    """Of Asked."""
    side: Ints
    own: NDArray[np.int32]
    """Places of the signals of each entries, one entries after the other, each closed by the number of all."""
    begin: Ints
    """Where those of each entries begin in ``own``."""


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


class Laid(NamedTuple):
    """What of the signals is read again and again, side by side."""

    entry: NDArray[np.int32]
    """The minute; of those since 1970."""
    clock: Ints
    """The minute of New York's day."""
    group_end: NDArray[np.int32]
    """Place of the first signal of the next (forecaster, day, symbol)."""
    place: Ints


class Passages(NamedTuple):
    """When and at what price each signal's position meets each level, and is left whatever the levels.

    Times are minutes after the entry bar, times two, plus one where the bar opens beyond the level.
    """

    stop: NDArray[np.int16]
    stop_price: Floats
    take: NDArray[np.int16]
    take_price: Floats
    due: NDArray[np.int16]
    due_price: Floats


class Settled(NamedTuple):
    """What each signal's position comes to under one pair."""

    left: NDArray[np.int32]
    """The minute it is left; NO_BARS: never."""
    score: Ints
    """One for a quantity that is not 0, and HIT for a net P&L above 0."""
    gross: Floats
    cost: Floats
    net: Floats
    notional: Floats


class Taken(NamedTuple):
    """Who enters, in order: where in the block, and how many of its session and symbol have by then."""

    at: Ints
    nth: Ints
    place: Ints
    """Places at which somebody asked to."""
    end: Ints
    """How many have entered by the end of each."""


@njit(cache=True)
def _deadline(asked: Asked, i: int, at_forecast: bool) -> int:
    stop_at: int = asked.stop_at[i]
    return min(stop_at, asked.target_ts[i]) if at_forecast else stop_at


@njit(cache=True)
def enterable(tape: Tape, asked: Asked, at_forecast: bool) -> Flags:
    """Return which forecasts are entered if nothing else is in the way: neither too late nor without a print."""
    found = np.empty(asked.first.size, np.bool_)
    for i in range(asked.first.size):
        first = asked.first[i]
        printed = first < 0 or not (tape.filled[first] or tape.open[first] <= 0)
        found[i] = printed and asked.entry_ts[i] < _deadline(asked, i, at_forecast)
    return found


@njit(cache=True)
def _laid(asked: Asked, row: Ints) -> Laid:
    n = row.size
    laid = Laid(np.empty(n, np.int32), np.empty(n, np.int64), np.empty(n, np.int32), np.empty(n, np.int64))
    end = n
    for k in range(n - 1, -1, -1):
        i = row[k]
        if k + 1 < n and asked.group[i] != asked.group[row[k + 1]]:
            end = k + 1
        laid.entry[k], laid.group_end[k], laid.place[k] = asked.entry_ts[i] // MINUTE, end, asked.place[i]
        laid.clock[k] = (asked.entry_ts[i] + asked.offset[i]) // MINUTE % (24 * 60)
    return laid


@njit(cache=True)
def _walk(tape: Tape, asked: Asked, signals: Signals, start: int, end: int, at_forecast: bool, stops: Floats,
          takes: Floats, met: Passages) -> None:  # fmt: skip
    """Find when the positions of the signals from ``start`` to ``end`` meet every level (multiples of sigma, rising).

    Each is followed until all stops or all takes are met: by then every combination has left.
    """
    met.stop[:], met.take[:], met.due[:] = NEVER, NEVER, NEVER
    below, above = np.empty(stops.size), np.empty(takes.size)
    for k in range(start, end):
        i, side, at = signals.row[k], signals.side[k], k - start
        first = asked.first[i]
        if first < 0:
            continue
        entry, began = tape.open[first], tape.ts[first]
        for j in range(stops.size):
            below[j] = entry * math.exp(-side * stops[j] * asked.sigma[i])
        for j in range(takes.size):
            above[j] = entry * math.exp(side * takes[j] * asked.sigma[i])
        deadline = _deadline(asked, i, at_forecast)
        stopped = taken = 0
        for bar in range(first, asked.end[i]):
            ts = tape.ts[bar]
            known, ago = ts + MINUTE, 2 * ((ts - began) // MINUTE)
            if tape.filled[bar]:
                if known == asked.close_ts[i]:
                    met.due[at], met.due_price[at] = ago, tape.close[bar]
                    break
                continue
            opened = tape.open[bar]
            if ts >= deadline:
                met.due[at], met.due_price[at] = ago, opened
                break
            worst, best = (tape.low[bar], tape.high[bar]) if side > 0 else (tape.high[bar], tape.low[bar])
            while stopped < stops.size and min(side * opened, side * worst) <= side * below[stopped]:
                beyond = side * opened <= side * below[stopped]
                met.stop[stopped, at] = ago + beyond
                met.stop_price[stopped, at] = opened if beyond else below[stopped]
                stopped += 1
            while taken < takes.size and max(side * opened, side * best) >= side * above[taken]:
                beyond = side * opened >= side * above[taken]
                met.take[taken, at] = ago + beyond
                met.take_price[taken, at] = opened if beyond else above[taken]
                taken += 1
            if stopped == stops.size or taken == takes.size:
                break
            if known >= deadline:
                met.due[at], met.due_price[at] = ago, tape.close[bar]
                break


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
        found.gross[at], found.cost[at], found.net[at] = money[kernel.GROSS], money[kernel.COST], money[kernel.NET]
        found.notional[at] = kernel.notional(one[0], one[1], price)
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
            gross += found.gross[at] if mine else 0.0
            cost += found.cost[at] if mine else 0.0
            net += found.net[at] if mine else 0.0
            notional += found.notional[at] if mine else 0.0
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
    n, laid, score = signals.row.size, _laid(asked, signals.row), np.zeros(sums.shape[:2], np.int64)
    met, at_entry, found, taken = _room(laid, size, stops.size, takes.size)
    begin, onward = signals.begin.copy(), signals.begin.copy()
    start = 0
    while start < n:
        end = laid.group_end[min(start + size, n) - 1]
        _walk(tape, asked, signals, start, end, at_forecast, stops, takes, met)
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
    money = np.empty((4, widest))
    found = Settled(np.empty(widest, np.int32), np.empty(widest, np.int64), money[0], money[1], money[2], money[3])
    # one row more, for him who does not enter after all
    whole = np.empty((4, widest + 1), np.int64)
    return met, np.empty((widest, 2 + CHARGES)), found, Taken(whole[0], whole[1], whole[2], whole[3])
