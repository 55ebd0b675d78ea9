"""The sweep, compiled: what each combination's signals earn, each position settled once for all who share it.

Belongs here: combinations of one position at a time and no trailing stop. All steps are taken on some symbols' sessions
after the other, so that what they hand on stays in the processor's cache. It is imported where it is called, as numba
takes its time, and gives the loop's bits.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from timegpt_assets.core.backtest import kernel, passages
from timegpt_assets.core.backtest.kernel import Asked, Rates
from timegpt_assets.core.backtest.passages import NEVER, WAYS, Laid, Passages, Signals
from timegpt_assets.core.backtest.tape import Flags, Floats, Ints, Tape

MADE_OF = "887c56d0995892e5"
"""Digest of kernel.py, passages.py and tape.py (as in kernel.py)."""
LAST = 1 << 40
"""A minute after all others."""
SCORE, GROSS, COST, NET, NOTIONAL = range(5)
"""What is added up of positions: what they count, and their money, USD."""
RAN_OUT = float(1 << 50)
"""The score of a position whose bars run out before it can leave; more than that of all others together."""


class Pairs(NamedTuple):
    """A row for each stop, take and time due of those who are charged alike."""

    charge: Ints
    """Counts what they are charged and how much is bought, rising."""
    costs: Ints
    """Row of the rates."""
    impact: Ints
    cap_per_trade: Floats
    capital: Floats
    stop: Ints
    """Row of the passages, as take and due."""
    take: Ints
    due: Ints
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
    """What positions come to; a row for each, and by way out where that is open."""

    left: Ints
    """The minute, of those since 1970."""
    money: Floats
    """From SCORE to NOTIONAL."""


@njit(cache=True)
def _settle(tape: Tape, asked: Asked, signals: Signals, laid: Laid, start: int, end: int, met: Passages, pairs: Pairs,
            pair: int, rates: Rates, impacts: Floats, settled: Settled) -> None:  # fmt: skip
    """Find what the positions of the signals from ``start`` to ``end`` come to on each of their ways out."""
    of, cap, capital = pairs.costs[pair], pairs.cap_per_trade[pair], pairs.capital[pair]
    impact, multiplier, tick = impacts[pairs.impact[pair]], rates.multiplier[of], rates.tick_size[of]
    for k in range(start, end):
        i, at = signals.row[k], k - start
        settled.left[at], settled.money[at], settled.money[at, :, SCORE] = 0, 0.0, RAN_OUT
        if asked.first[i] < 0:
            continue
        entry, symbol, hour = tape.open[asked.first[i]], asked.symbol[i], laid.clock[k] // 60
        quantity = signals.side[k] * min(asked.ratio[i], cap) * capital / entry
        at_entry = kernel.charged(
            quantity, entry, multiplier, impact[i], rates.fees[of, symbol], rates.half_spread_ticks[of, symbol], tick,
            rates.slippage_ticks[of, symbol, hour], rates.slippage_bps[of, symbol, hour], rates.borrow[of, symbol],
        )  # fmt: skip
        for way in range(met.when.shape[0]):
            if met.when[way, at] == NEVER:
                continue
            minutes, price, own = met.when[way, at] // WAYS, met.price[way, at], settled.money[at, way]
            hour = (laid.clock[k] + minutes) // 60 % 24
            ticks, bps = rates.slippage_ticks[of, symbol, hour], rates.slippage_bps[of, symbol, hour]
            money = kernel.paid(at_entry, quantity, entry, price, tick, ticks, bps)
            settled.left[at, way] = laid.entry[k] + minutes + 1
            own[SCORE] = (kernel.HIT * (money[kernel.NET] > 0) + 1) * (quantity != 0)
            own[GROSS], own[COST], own[NET] = money[kernel.GROSS], money[kernel.COST], money[kernel.NET]
            own[NOTIONAL] = kernel.notional(quantity, entry, price)


@njit(cache=True)
def _leave(met: Passages, stop: int, take: int, due: int, settled: Settled, found: Settled) -> None:
    """Find what each of ``found`` comes to that leaves on whichever of the three ways it meets first."""
    at_stop, at_take, when_due = met.when[stop], met.when[take], met.when[due]
    for at in range(found.left.size):
        way = stop if at_stop[at] < at_take[at] else take
        way = way if min(at_stop[at], at_take[at]) < when_due[at] else due
        found.left[at], money = settled.left[at, way], settled.money[at, way]
        for part in range(money.size):
            found.money[at, part] = money[part]


@njit(cache=True)
def _add(signals: Signals, p: int, laid: Laid, start: int, end: int, found: Settled, rest: int, loose: int,
         tight: int, sums: Floats, of_tight: Floats) -> int:  # fmt: skip
    """Add those of one entries' signals of a block that are entered to two combinations' sums; return where it goes on.

    The two differ in their daily caps, ``loose`` and ``tight``: of what one enters, the other enters the first.
    """
    own, k = signals.own, signals.own[p]
    while k < end:
        place = laid.place[k]
        all_, few = sums[:, place], of_tight[:, place]
        score, gross, cost, net, notional = all_[0], all_[1], all_[2], all_[3], all_[4]
        score_, gross_, cost_, net_, notional_ = few[0], few[1], few[2], few[3], few[4]
        while k < end and laid.place[k] == place:
            group_end, free, nth = laid.group_end[k], LAST * (loose == 0), 0
            while k < group_end:
                # Weighed by 1 or 0 and without a branch, as no processor foresees who enters. Places bear no sign: of
                # others numba would ask each time whether it counts from the end.
                at = np.uint64(k - start)
                entering, one = laid.entry[np.uint64(k)] >= free, found.money[at]
                nth += entering
                free += entering * (found.left[at] + rest + LAST * (nth == loose) - free)
                score += entering * one[SCORE]
                gross += entering * one[GROSS]
                cost += entering * one[COST]
                net += entering * one[NET]
                notional += entering * one[NOTIONAL]
                within = entering * (nth <= tight)
                score_ += within * one[SCORE]
                gross_ += within * one[GROSS]
                cost_ += within * one[COST]
                net_ += within * one[NET]
                notional_ += within * one[NOTIONAL]
                p += 1
                k = own[np.uint64(p)]
        all_[0], all_[1], all_[2], all_[3], all_[4] = score, gross, cost, net, notional
        few[0], few[1], few[2], few[3], few[4] = score_, gross_, cost_, net_, notional_
    return p


@njit(cache=True, nogil=True)
def add_up(tape: Tape, asked: Asked, signals: Signals, laid: Laid, start: int, stop: int, dues: Flags, stops: Floats,
           takes: Floats, pairs: Pairs, plans: Plans, rates: Rates, impacts: Floats, size: int,
           sums: Floats) -> None:  # fmt: skip
    """Add up what each combination comes to on the signals from ``start`` to ``stop``, at its slot and place.

    ``sums``: from SCORE to NOTIONAL, by slot and place. ``size``: signals a block, one symbol's session at least. No
    other thread may add to the same places.
    """
    ways, widest = stops.size + takes.size + dues.size, _widest(laid, start, stop, size)
    met = Passages(np.empty((ways, widest), np.int16), np.empty((ways, widest)))
    settled = Settled(np.empty((widest, ways), np.int64), np.empty((widest, ways, kernel.SUMS)))
    left, money = np.empty(widest, np.int64), np.empty((widest, kernel.SUMS))
    begin = _from(signals, start)
    onward, nowhere = begin.copy(), np.zeros((kernel.SUMS, 1, sums.shape[2]))
    while start < stop:
        end = laid.group_end[min(start + size, stop) - 1]
        passages.walk(tape, asked, signals, start, end, dues, stops, takes, met)
        for pair in range(pairs.stop.size):
            if pair == 0 or pairs.charge[pair] != pairs.charge[pair - 1]:
                _settle(tape, asked, signals, laid, start, end, met, pairs, pair, rates, impacts, settled)
            found = Settled(left[: end - start], money[: end - start])
            _leave(met, pairs.stop[pair], pairs.take[pair], pairs.due[pair], settled, found)
            c, last = pairs.begin[pair], pairs.begin[pair + 1]
            while c < last:
                own, cap = plans.entries[c], plans.daily_cap[c]
                two = c + 1 < last and plans.road[c + 1] == plans.road[c]
                of_tight = sums[:, plans.slot[c + 1]] if two else nowhere[:, 0]
                onward[own] = _add(
                    signals, begin[own], laid, start, end, found, plans.rest[c], cap,
                    plans.daily_cap[c + 1] if two else 0, sums[:, plans.slot[c]], of_tight,
                )  # fmt: skip
                c += 1 + two
        begin[:] = onward
        start = end


@njit(cache=True)
def _from(signals: Signals, start: int) -> Ints:
    """Return where in ``own`` each entries' signals go on from ``start``."""
    begin = signals.begin.copy()
    for own in range(begin.size):
        while signals.own[begin[own]] < start:
            begin[own] += 1
    return begin


@njit(cache=True)
def _widest(laid: Laid, start: int, stop: int, size: int) -> int:
    """Return how many signals the largest block has."""
    widest = 0
    while start < stop:
        end = laid.group_end[min(start + size, stop) - 1]
        widest, start = max(widest, end - start), end
    return widest
