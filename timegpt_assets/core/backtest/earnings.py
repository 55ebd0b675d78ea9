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
from timegpt_assets.core.backtest.passages import NEVER, WAYS, Laid, Passages, Signals
from timegpt_assets.core.backtest.tape import Flags, Floats, Ints, Tape

Singles = NDArray[np.float32]
Rows = NDArray[np.uint64]
MADE_OF = "46e8b4b34afc2b1b"
"""Digest of kernel.py, passages.py and tape.py (as in kernel.py)."""
LANES = 64
"""Combinations that are gone through side by side. Arrays of them are cut from one, each as long as this: only where
compiled code knows how far apart they lie does it take them several at a time."""
ABREAST = 8
"""Numbers that a processor takes at a time; lanes are filled up to so many with combinations that enter nothing."""
FREE, ROOM, REST, CAP = (LANES * row for row in range(4))
"""What is kept of a lane: when it can enter again, how often still; minutes after an exit, and its daily cap."""
YES, NO, ONE = np.float32(1), np.float32(0), np.uint64(1)
"""Places without a sign: of others numba would ask each time whether they count from the end."""
SCORE, GROSS, COST, NOTIONAL = range(kernel.SUMS)
"""What is added up of positions: what they count, and their money, USD."""
RAN_OUT = float(1 << 50)
"""The score of a position whose bars run out before it can leave; more than that of all others together."""


class Batches(NamedTuple):
    """A row for each stop, take, time due and word of entries of those who are charged alike; LANES of them at most."""

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
    word: Ints
    """Row of signals.held."""
    begin: Ints
    """Where its combinations begin among those of Plans; one more than there are batches."""


class Plans(NamedTuple):
    """A row for each combination, by batch."""

    bit: NDArray[np.int32]
    """Of the word: whether the combination enters at a signal if nothing is in the way."""
    rest: Singles
    """Minutes after an exit."""
    daily_cap: Singles
    """Infinite for none."""
    slot: Ints
    """Where its sums are."""


class Settled(NamedTuple):
    """What positions come to; a row for each, and by way out where that is open."""

    left: Singles
    """The minute, as laid.entry."""
    money: Floats
    """From SCORE to NOTIONAL."""


@njit(cache=True)
def _settle(tape: Tape, asked: Asked, signals: Signals, laid: Laid, start: int, end: int, met: Passages,
            batches: Batches, batch: int, rates: Rates, impacts: Floats, settled: Settled) -> None:  # fmt: skip
    """Find what the positions of the signals from ``start`` to ``end`` come to on each of their ways out."""
    of, cap, capital = batches.costs[batch], batches.cap_per_trade[batch], batches.capital[batch]
    impact, multiplier, tick = impacts[batches.impact[batch]], rates.multiplier[of], rates.tick_size[of]
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
            own[GROSS], own[COST] = money[kernel.GROSS], money[kernel.COST]
            own[NOTIONAL] = kernel.notional(quantity, entry, price)


@njit(cache=True)
def _leave(met: Passages, stop: int, take: int, due: int, way: Ints) -> None:
    """Find which of the three ways out each of ``way`` meets first."""
    at_stop, at_take, when_due = met.when[stop], met.when[take], met.when[due]
    for at in range(way.size):
        first = stop if at_stop[at] < at_take[at] else take
        way[at] = first if min(at_stop[at], at_take[at]) < when_due[at] else due


@njit(cache=True)
def _lanes(plans: Plans, begin: int, end: int, bit: NDArray[np.int32], lanes: Singles) -> NDArray[np.int32]:
    """Lay a batch's combinations side by side; return the bit of each lane, 0 for those that stand for none."""
    size, wide = end - begin, -(-(end - begin) // ABREAST) * ABREAST
    bit[:wide], lanes[REST : REST + wide], lanes[CAP : CAP + wide] = 0, NO, NO
    bit[:size] = plans.bit[begin:end]
    lanes[REST : REST + size], lanes[CAP : CAP + size] = plans.rest[begin:end], plans.daily_cap[begin:end]
    return bit[:wide]


@njit(cache=True)
def _enter(held: NDArray[np.int32], laid: Laid, start: int, end: int, way: Ints, settled: Settled,
           bit: NDArray[np.int32], lanes: Singles, earned: Rows, enters: Singles) -> int:  # fmt: skip
    """Find who enters at the signals from ``start`` to ``end``; return at how many anybody of the batch might.

    Of each of those: the row of the money it comes to, and in ``enters`` YES or NO by lane. No lane is asked whether it
    is one to go on with, as no processor foresees who enters.
    """
    anybody, rows, k, ways = 0, 0, start, settled.left.shape[1]
    for own in bit:
        anybody |= own
    while k < end:
        group_end = laid.group_end[k]
        for lane in range(bit.size):
            lanes[FREE + lane], lanes[ROOM + lane] = NO, lanes[CAP + lane]
        while k < group_end:
            word, entry, left = held[k], laid.entry[k], settled.left[k - start, way[k - start]]
            if word & anybody:
                for lane in range(bit.size):
                    free = (entry >= lanes[FREE + lane]) & (lanes[ROOM + lane] > NO)
                    entering = YES if (word & bit[lane] != 0) & free else NO
                    lanes[FREE + lane] = left + lanes[REST + lane] if entering > NO else lanes[FREE + lane]
                    lanes[ROOM + lane] -= entering
                    enters[rows, lane] = entering
                earned[rows] = (k - start) * ways + way[k - start]
                rows += 1
            k += 1
    return rows


@njit(cache=True)
def _more(total: float, first: bool, one: float, second: bool, other: float) -> float:
    total = total + one if first else total
    return total + other if second else total


@njit(cache=True)
def _add(money: Floats, one: np.uint64, other: np.uint64, enters: Singles, row: np.uint64, then: np.uint64,
         total: Floats) -> None:  # fmt: skip
    """Add what one signal comes to, then the other, to the lanes that enter: two for each time a sum is fetched.

    ``row`` and ``then``: those of ``enters`` that tell which lanes do. Cut out here, as every array handed over costs.
    """
    score, score_ = money[one, SCORE], money[other, SCORE]
    gross, gross_ = money[one, GROSS], money[other, GROSS]
    cost, cost_ = money[one, COST], money[other, COST]
    notional, notional_ = money[one, NOTIONAL], money[other, NOTIONAL]
    for lane in range(enters.shape[1]):
        first, second = enters[row, lane] > NO, enters[then, lane] > NO
        total[lane] = _more(total[lane], first, score, second, score_)
        total[GROSS * LANES + lane] = _more(total[GROSS * LANES + lane], first, gross, second, gross_)
        total[COST * LANES + lane] = _more(total[COST * LANES + lane], first, cost, second, cost_)
        total[NOTIONAL * LANES + lane] = _more(total[NOTIONAL * LANES + lane], first, notional, second, notional_)


@njit(cache=True)
def _add_all(money: Floats, earned: Rows, enters: Singles, own: Floats, total: Floats) -> None:
    """Add what a batch's lanes enter, a row of ``enters`` each, to their ``own`` sums."""
    row, last = np.uint64(0), np.uint64(earned.size)
    for part in range(kernel.SUMS):
        for lane in range(own.shape[1]):
            total[LANES * part + lane] = own[part, lane]
    while row + ONE < last:
        _add(money, earned[row], earned[row + ONE], enters, row, row + ONE, total)
        row += ONE + ONE
    if row < last:
        enters[last] = NO
        _add(money, earned[row], earned[row], enters, row, last, total)
    for part in range(kernel.SUMS):
        for lane in range(own.shape[1]):
            own[part, lane] = total[LANES * part + lane]


@njit(cache=True, nogil=True)
def add_up(tape: Tape, asked: Asked, signals: Signals, laid: Laid, start: int, stop: int, dues: Flags, stops: Floats,
           takes: Floats, batches: Batches, plans: Plans, rates: Rates, impacts: Floats, size: int,
           sums: Floats) -> None:  # fmt: skip
    """Add up what each combination comes to on the signals from ``start`` to ``stop``, at its slot and place.

    ``sums``: from SCORE to NOTIONAL, by slot and place. ``size``: signals a block, one symbol's session at least. No
    other thread may add to the same places. What a place comes to is brought together in the order of ``plans`` and
    handed on once: slots lie far apart.
    """
    ways, widest = stops.size + takes.size + dues.size, _widest(laid, start, stop, size)
    met = Passages(np.empty((ways, widest), np.int16), np.empty((ways, widest)))
    settled = Settled(np.empty((widest, ways), np.float32), np.empty((widest, ways, kernel.SUMS)))
    way, earned = np.empty(widest, np.int64), np.empty(widest, np.uint64)
    money, flags = settled.money.reshape(widest * ways, kernel.SUMS), np.empty(LANES, np.int32)
    lanes, total = np.empty(4 * LANES, np.float32), np.zeros(kernel.SUMS * LANES)
    entering, of_place = np.empty((widest + 1) * LANES, np.float32), np.zeros((kernel.SUMS, plans.slot.size))
    while start < stop:
        end = laid.group_end[min(start + size, laid.place_end[start]) - 1]
        passages.walk(tape, asked, signals, start, end, dues, stops, takes, met)
        for batch in range(batches.stop.size):
            if batch == 0 or batches.charge[batch] != batches.charge[batch - 1]:
                _settle(tape, asked, signals, laid, start, end, met, batches, batch, rates, impacts, settled)
            _leave(met, batches.stop[batch], batches.take[batch], batches.due[batch], way[: end - start])
            bit = _lanes(plans, batches.begin[batch], batches.begin[batch + 1], flags, lanes)
            enters = entering[: (widest + 1) * bit.size].reshape(widest + 1, bit.size)
            rows = _enter(signals.held[batches.word[batch]], laid, start, end, way, settled, bit, lanes, earned, enters)
            own = of_place[:, batches.begin[batch] : batches.begin[batch + 1]]
            _add_all(money, earned[:rows], enters, own, total)
        if end == laid.place_end[start]:
            for part in range(kernel.SUMS):
                for plan in range(plans.slot.size):
                    sums[part, plans.slot[plan], laid.place[start]] = of_place[part, plan]
            of_place[:] = 0.0
        start = end


@njit(cache=True)
def _widest(laid: Laid, start: int, stop: int, size: int) -> int:
    """Return how many signals the largest block has."""
    widest = 0
    while start < stop:
        end = laid.group_end[min(start + size, laid.place_end[start]) - 1]
        widest, start = max(widest, end - start), end
    return widest
