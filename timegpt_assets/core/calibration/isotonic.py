"""Isotonic regression: the rising curve nearest to the outcomes, for one pool or for very many at once.

Belongs here: pool adjacent violators on stacked cells. Each pass pools every falling run of every cell, so a handful
of whole-array passes do what a loop over cells would (Barlow et al. 1972: the order of pooling does not matter).
"""

import numpy as np

from timegpt_assets.core.calibration.samples import Floats

Knots = tuple[Floats, Floats]
"""Places x, ascending, and the curve's heights there; straight between them, level beyond them."""


_CHUNK = 1 << 15
"""Outcomes fitted at a time by ``fitted``: fresh memory costs more than the arithmetic, so little of it is used."""


def curve(x: Floats, y: Floats) -> Knots:
    """Return the rising curve of y on x with the least squared error; no knots for no outcomes."""
    order = np.argsort(x, kind="stable")
    places, heights = x[order], rising(y[order], groups=_ties(x[order]))
    keep = np.ones(places.size, dtype=bool)
    # Inside a flat stretch its two ends draw the same line: the points between are left out of the row.
    keep[1:-1] = (heights[1:-1] != heights[:-2]) | (heights[1:-1] != heights[2:])
    kept = np.flatnonzero(keep)
    return places[kept], heights[kept]


def at(knots: Knots, x: Floats) -> Floats:
    """Return the curve's heights at x, by straight lines between knots; x itself when there are none."""
    places, heights = knots
    return x if places.size == 0 else np.interp(x, places, heights)


def fitted(x: Floats, y: Floats) -> Floats:
    """Return the rising fit at each outcome of cells that are the rows of x and y: [cells, outcomes], no NaN."""
    found, step = np.empty(x.shape), max(_CHUNK // x.shape[1], 1)
    for start in range(0, x.shape[0], step):
        found[start : start + step] = _fitted(x[start : start + step], y[start : start + step])
    return found


def _fitted(x: Floats, y: Floats) -> Floats:
    order = np.argsort(x, axis=1)
    # From places within a cell to places in all cells laid end to end, so that one pass pools them all.
    order += np.arange(0, x.size, x.shape[1])[:, None]
    flat = order.ravel()
    ascending, cells = x.ravel()[flat], np.zeros(x.size, dtype=bool)
    cells[:: x.shape[1]] = True
    found = np.empty(x.size)
    found[flat] = _pooled(y.ravel()[flat], _ties(ascending) | cells, cells)
    return found.reshape(x.shape)


def rising(y: Floats, *, groups: Floats | None = None) -> Floats:
    """Return the rising sequence nearest to y in squared error; ``groups`` marks where values may first differ."""
    starts = np.ones(y.size, dtype=bool) if groups is None else groups
    cells = np.zeros(y.size, dtype=bool)
    cells[:1] = True
    return _pooled(y, starts, cells)


def _ties(ascending: Floats) -> Floats:
    starts = np.ones(ascending.size, dtype=bool)
    starts[1:] = ascending[1:] != ascending[:-1]
    return starts


def _pooled(y: Floats, starts: Floats, cells: Floats) -> Floats:
    """Return y pooled until no cell falls; ``starts`` marks groups of equal places, ``cells`` each cell's first."""
    if y.size == 0:
        return y
    first = np.flatnonzero(starts)
    sums = y if first.size == y.size else np.add.reduceat(y, first)
    new, counts = cells[first], _counts(first, y.size)
    # Without ties nothing is copied: fresh memory costs more than the arithmetic.
    means = y if first.size == y.size else sums / counts
    while True:
        opens = new.copy()
        opens[1:] |= means[1:] > means[:-1]
        starts = np.flatnonzero(opens)
        if starts.size == means.size:
            return np.repeat(means, counts)
        first, sums, new = first[starts], np.add.reduceat(sums, starts), new[starts]
        counts = _counts(first, y.size)
        means = sums / counts


def _counts(first: Floats, size: int) -> Floats:
    counts = np.empty_like(first)
    counts[:-1], counts[-1] = first[1:], size
    counts -= first
    return counts
