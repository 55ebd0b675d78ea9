"""Who judges a rung in validation, and what is told of the sessions it is judged on.

Belongs here: what tree and net have in common there. What anybody's answers are worth is judged.py.
"""

from typing import Any

import polars as pl

from timegpt_assets.core.models import control
from timegpt_assets.core.models.folds import Fold, sessions
from timegpt_assets.core.models.tree_spec import TreeSpec
from timegpt_assets.core.models.unlearnt import twin
from timegpt_assets.core.tables.columns import TWIN


def judges(split: Fold, spec: TreeSpec) -> dict[str, pl.DataFrame]:
    """Return word -> what the control arm, zero and the unlearnt twin answer where a rung is validated."""
    seats = {seat.word: control.answers(split.train, split.test, seat, spec.levels) for seat in spec.control.seats}
    return seats | {TWIN: twin(split.train, window_min=spec.window_min).predicted(split.test, spec.levels)}


def judged_on(split: Fold) -> dict[str, Any]:
    """Return the sessions that judge and the rows of both sides, as a report holds them."""
    days = sessions(split.test)
    return {
        "first_day": str(days[0]),
        "last_day": str(days[-1]),
        "sessions": len(days),
        "train_rows": split.train.height,
        "test_rows": split.test.height,
    }
