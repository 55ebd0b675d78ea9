"""Calibration of 500 k forecasts against the plain ways of doing it (P4): CPU seconds, one JSON line per figure.

The baselines run on a part and are scaled to the whole, because in full they take minutes.
"""

import json
import time
from collections.abc import Callable

import numpy as np
import polars as pl
from sklearn.isotonic import IsotonicRegression

from timegpt_assets.core.calibration import isotonic
from timegpt_assets.core.forecasts import quantiles

SESSIONS, CELLS = 2083, 240
"""Ten symbols at twenty-four snapshot times: 500 k forecasts."""


def seconds(work: Callable[[], object], repeat: int = 3) -> float:
    """Return the least CPU seconds of several runs."""
    found = []
    for _ in range(repeat):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found)


def show(name: str, ours: float, theirs: float, goal: float | None, against: str) -> None:
    """Print one ratio with both times."""
    baseline = {"what": against, "cpu_s": round(theirs, 3), "ours_cpu_s": round(ours, 5)}
    print(json.dumps({"name": name, "value": round(theirs / ours, 1), "unit": "x", "goal": goal, "baseline": baseline}))


def isotonic_fits(rng: np.random.Generator) -> None:
    """Fit and evaluate a rising curve per cell, for few large cells and many small ones."""
    for cells, n in ((CELLS, SESSIONS), (2000, 250), (SESSIONS * 8, 30)):
        x = rng.normal(size=(cells, n))
        y = 0.3 * x + rng.normal(size=(cells, n))
        part = min(cells, 240)

        def theirs(x: np.ndarray = x, y: np.ndarray = y, part: int = part) -> None:
            for i in range(part):
                IsotonicRegression().fit_transform(x[i], y[i])

        ours = seconds(lambda x=x, y=y: isotonic.fitted(x, y))
        what = "scikit-learn IsotonicRegression.fit_transform per cell"
        show(f"isotonic_{cells}_cells_of_{n}", ours, seconds(theirs) * cells / part, 5.0, what)


def projection(rng: np.random.Generator) -> None:
    """Make the seven quantiles of every forecast ascend."""
    names = ["q025", "q10", "q25", "q50", "q75", "q90", "q975"]
    values, part = rng.normal(size=(SESSIONS * CELLS, 7)), 2000
    frame = pl.DataFrame(values, schema=names)

    def theirs() -> None:
        places = np.arange(7)
        for row in values[:part]:
            IsotonicRegression().fit_transform(places, row)

    mine = seconds(lambda: quantiles.monotone(frame, names))
    what = "scikit-learn IsotonicRegression per row"
    show("monotone_projection", mine, seconds(theirs) * len(values) / part, 5000.0, what)


def main() -> None:
    """Print every figure."""
    rng = np.random.default_rng(0)
    isotonic_fits(rng)
    projection(rng)


if __name__ == "__main__":
    main()
