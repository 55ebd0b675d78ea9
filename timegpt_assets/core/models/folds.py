"""Who is learnt from and who is judged: blocks of whole sessions, with everything left out that touches both.

Belongs here: purged K-fold and walk-forward splits of rows. A row's label span is (snapshot_ts, target_ts]; purging and
embargo are those of Lopez de Prado, Advances in Financial Machine Learning (2018), chapter 7, an embargo on both sides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import polars as pl

from timegpt_assets.core import calendar


class TooFewSessions(ValueError):
    """Raised where nothing is left to learn from, or to be judged; says how many sessions there are and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fold:
    """Rows to learn from, and rows of a block of sessions that judge what was learnt; both in the order given."""

    train: pl.DataFrame
    test: pl.DataFrame


def sessions(rows: pl.DataFrame) -> list[date]:
    """Return the sessions of rows, oldest first."""
    return rows["day"].unique().sort().to_list()


def months_before(rows: pl.DataFrame, month: str, months: int) -> pl.DataFrame:
    """Return the rows of the ``months`` calendar months before ``month`` (YYYY-MM), whatever months are handed in."""
    own = date.fromisoformat(f"{month}-01")
    return rows.filter((pl.col("day") >= calendar.months_later(own, -months)) & (pl.col("day") < own))


def learnt_from(rows: pl.DataFrame, *, embargo_days: int) -> pl.DataFrame:
    """Return the rows of a window less its last ``embargo_days`` sessions: what is used begins right after it."""
    days = sessions(rows)
    return rows.filter(pl.col("day").is_in(days[: max(len(days) - embargo_days, 0)]))


def purged_folds(rows: pl.DataFrame, *, folds: int, embargo_days: int) -> tuple[Fold, ...]:
    """Return one fold per block of neighbouring sessions, oldest first: each row is tested exactly once.

    Blocks differ by one session at most, the earlier ones are the larger. Raises TooFewSessions for fewer sessions
    than folds, or a block beside which nothing is left.
    """
    days = sessions(rows)
    if len(days) < folds:
        raise TooFewSessions(f"{len(days)} sessions make no {folds} folds. {_REMEDY}")
    size, longer = divmod(len(days), folds)
    starts = [i * size + min(i, longer) for i in range(folds + 1)]
    return tuple(_fold(rows, days, first, end, embargo_days) for first, end in pairwise(starts))


def walk_forward(rows: pl.DataFrame, *, validation_sessions: int, embargo_days: int) -> Fold:
    """Return the last ``validation_sessions`` sessions as test, those up to the embargo before them as train.

    Raises TooFewSessions where one of the sides would be empty.
    """
    days = sessions(rows)
    if not 0 < validation_sessions < len(days):
        raise TooFewSessions(f"{len(days)} sessions leave none beside {validation_sessions} of validation. {_REMEDY}")
    return _fold(rows, days, len(days) - validation_sessions, len(days), embargo_days)


def successive(rows: pl.DataFrame, *, first: int, step: int, embargo_days: int) -> tuple[Fold, ...]:
    """Return a fold per ``step`` sessions from the one at place ``first`` on: all sessions up to the embargo teach.

    What a forecaster that learns anew every so often knows each time. Raises TooFewSessions where one knows nothing.
    """
    days = sessions(rows)
    return tuple(
        _fold(
            rows.filter(pl.col("day") <= days[min(start + step, len(days)) - 1]),
            days,
            start,
            start + step,
            embargo_days,
        )
        for start in range(first, len(days), step)
    )


_REMEDY = "Learn from more of them (models.window_months), or lower models.embargo_days, folds or validation_sessions."


def _fold(rows: pl.DataFrame, days: Sequence[date], first: int, end: int, embargo_days: int) -> Fold:
    """Return the fold whose test block is days[first:end]."""
    block = pl.col("day").is_in(days[first:end])
    near = pl.col("day").is_in(days[max(first - embargo_days, 0) : end + embargo_days])
    test = rows.filter(block)
    began, ended = test["snapshot_ts"].min(), test["target_ts"].max()
    touches = (pl.col("snapshot_ts") < ended) & (pl.col("target_ts") > began)
    train = rows.filter(~near, ~touches)
    if train.is_empty():
        raise TooFewSessions(
            f"nothing is left to learn from beside the {end - first} sessions from {days[first]} on: of {len(days)} "
            f"sessions {embargo_days} on either side and what touches them are left out. {_REMEDY}"
        )
    return Fold(train=train, test=test)
