"""A tiny made-up house in which the ladder learns: a month to learn from, days of the two after it to answer on.

Belongs here: its settings and its days. What must hold of it is in the tests.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from timegpt_assets.engine.stages import EVERYDAY
from timegpt_assets_tests.roads import TINY, Road, road, sessions

JANUARY = tuple(sessions(date(2025, 1, 21), date(2025, 1, 31)))
FEBRUARY = tuple(sessions(date(2025, 2, 3), date(2025, 2, 5)))
SETTINGS = (
    "data.end_date=2025-03-04",
    "data.synthetic.predictability=0.6",
    "models.window_months=2",
    "models.min_sessions=5",
    "models.validation_sessions=3",
    "models.folds=2",
    "models.tree.rounds=4",
    "models.net.n_tokens=4",
    "models.blend.months=1",
)
"""Enough for every rung to learn something, and no more."""


@contextmanager
def ladder_road(folder: Path, *overrides: str, **options: Any) -> Iterator[Road]:
    """Yield a road of the house."""
    with road(folder, *SETTINGS, *overrides, base=TINY, pictures=False, **options) as built:
        yield built


def january(built: Road) -> None:
    """Make what is learnt from."""
    built.run(JANUARY, assets=["panel", "labels"])


def february(built: Road) -> None:
    """Make the days that are answered on, day assets and months, by the models of what was made before."""
    built.run(FEBRUARY, assets=EVERYDAY)
