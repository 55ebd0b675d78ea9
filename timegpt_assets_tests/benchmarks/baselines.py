"""The baselines of the second system (TSFM): what an answer costs, beside the time that a fallback may take.

Prints one JSON line per baseline and length of past: CPU milliseconds, the least of several rounds, and how many times
they fit into the goal.
"""

import json
import sys
import time
from datetime import UTC, datetime

import numpy as np

from timegpt_assets.config.settings import load_settings
from timegpt_assets.config.tsfm_inputs import baseline_spec, transform
from timegpt_assets.core.tsfm.asked import Asked
from timegpt_assets.core.tsfm.baselines import baseline

POINTS, ROUNDS = (32, 288, 2000), 20


def past(points: int) -> np.ndarray:
    """Return a price that wanders between 0 and 1."""
    return np.asarray(1 / (1 + np.exp(-np.random.default_rng(7).normal(0, 0.08, points).cumsum())))


def main() -> None:
    """Ask each baseline by itself."""
    settings = load_settings(profile="demo", config_dir=None, environment={})
    spec, tsfm = baseline_spec(settings), settings.tsfm
    for name in spec.order:
        alone = type(spec)(order=(name,), span=spec.span, rolling_steps=spec.rolling_steps, min_points=spec.min_points)
        for points in POINTS:
            asked = Asked(
                market_id="m",
                as_of=datetime(2025, 11, 20, tzinfo=UTC),
                y=past(points),
                seen=np.ones(points, dtype=np.bool_),
                longest_gap_min=0.0,
                freq_min=settings.tsfm.series.freq_min,
                horizon=tsfm.series.horizon_steps,
                quantiles=tsfm.quantiles,
            )
            took = []
            for _ in range(ROUNDS):
                began = time.process_time()
                baseline(asked, alone, transform(settings))
                took.append(1000 * (time.process_time() - began))
            goal = tsfm.slo.fallback_ms
            figures = {"baseline": name, "points": points, "cpu_ms": round(min(took), 3), "goal_ms": goal}
            sys.stdout.write(json.dumps(figures | {"times_within_goal": round(goal / min(took), 1)}) + "\n")


if __name__ == "__main__":
    main()
