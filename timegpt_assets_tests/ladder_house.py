"""A tiny made-up house in which the ladder learns: days of a month to learn from, days of the next one to answer on.

Belongs here: its settings and its days. What must hold of it is in the tests.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from timegpt_assets_tests.roads import TINY, Road, road, sessions

JANUARY = tuple(sessions(date(2025, 1, 22), date(2025, 1, 31)))
FEBRUARY = tuple(sessions(date(2025, 2, 3), date(2025, 2, 4)))
MARCH = date(2025, 3, 3)
SETTINGS = (
    "universe.tickers=[AAPL, NVDA]",
    "data.end_date=2025-03-04",
    "data.synthetic.predictability=0.6",
    "models.window_months=2",
    "models.snapshot_every_min=30",
    "models.min_sessions=4",
    "models.validation_sessions=2",
    "models.folds=2",
    "models.tree.rounds=3",
    "models.tree.min_rows=5",
    "models.net.n_tokens=4",
    "models.net.hidden=2",
    "models.net.epochs=1",
    "models.blend.months=1",
)
"""Enough for a rung to learn something, and no more."""
SEATED = "forecast.challengers=[ridge, zero, lightgbm]"
ANSWERS = ("raw_forecasts", "base_scores")
"""What of a day the ladder has a part in; all that stands on forecasts treats it as everybody."""


@contextmanager
def ladder_road(folder: Path, *overrides: str, **options: Any) -> Iterator[Road]:
    """Yield a road of the house, the tree seated unless ``overrides`` say otherwise."""
    with road(folder, *SETTINGS, SEATED, *overrides, base=TINY, pictures=False, **options) as built:
        yield built


def january(built: Road) -> None:
    """Make what is learnt from."""
    built.run(JANUARY, assets=["panel", "labels"])


def february(built: Road) -> None:
    """Make the days that are answered on, and the month's models before them."""
    built.run(FEBRUARY, assets=ANSWERS)


def artifacts(built: Road) -> dict[str, bytes]:
    """Return every file of the registry that holds no clock, by its path."""
    files = sorted((built.root / "models" / "registry").rglob("*"))
    return {str(p.relative_to(built.root)): p.read_bytes() for p in files if p.is_file() and p.name != "live.json"}
