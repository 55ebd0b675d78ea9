"""One rung learnt from the same rows with a group of features, without it, and with that of other sessions instead.

Belongs here: which rows teach and which are answered, and what each arm is shown. Placebos are what tells information
from luck: how much of a booster is believed is chosen anew in each arm, and whichever believes less noise is surely
better, day by day, whatever its features know. What the answers are worth is
core/evaluation/information_value.py.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.models import control, folds
from timegpt_assets.core.models.folds import TooFewSessions
from timegpt_assets.core.models.learnt import INSUFFICIENT_HISTORY, too_few
from timegpt_assets.core.models.reach import since_open
from timegpt_assets.core.models.rows import KEY
from timegpt_assets.core.models.tree import settled
from timegpt_assets.core.models.tree_spec import TreeSpec
from timegpt_assets.core.tables.columns import CONTROL

WITH, WITHOUT = "with", "without"
PLACEBOS = ("placebo_1", "placebo_2", "placebo_3")
"""Arms that are shown what the group said of other sessions, each of ones that lie further away."""
NO_ROWS, NO_NEWS = "no_rows", "no_news"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arms:
    """What was said of a month's rows, or why nothing was.

    ``told``: WITH, WITHOUT, CONTROL and each of PLACEBOS -> answers (core/models/learnt.py) of ``asked``, the month's
    rows; empty where there is a ``reason``. ``taught``: the sessions that all arms learnt from. ``known``: features of
    the group that differ among their rows.
    """

    told: Mapping[str, pl.DataFrame]
    asked: pl.DataFrame
    taught: Sequence[date]
    known: Sequence[str]
    reason: str = ""


def with_columns_of(rows: pl.DataFrame, group: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Return TRAINING_SET rows with the columns ``names`` of ``group``, as known at the snapshot; null where it is not.

    ``group``: day, symbol, known_at and the columns. What the rows hold of them is dropped first: the same rows come
    out whether the group is switched on or not.
    """
    own = group.select("day", "symbol", pl.col("known_at").alias("snapshot_ts"), *names)
    return rows.drop(names, strict=False).join(own, on=list(KEY), how="left", maintain_order="left")


def answered(rows: pl.DataFrame, spec: TreeSpec, names: Collection[str], *, month: str, window_months: int) -> Arms:
    """Return both arms' answers about the month, learnt from the months before it alone.

    ``rows``: TRAINING_SET with the group's columns ``names``, of ``window_months`` months and ``month`` (YYYY-MM), all
    others are passed over. ``spec``: of the arm with the group. Windows, embargo and seed are those of learn_tree.
    """
    window = folds.months_before(rows, month, window_months)
    learnt = folds.learnt_from(window, embargo_days=spec.embargo_days).sort(KEY)
    after = calendar.months_later(date.fromisoformat(f"{month}-01"), 1)
    asked = rows.filter(pl.col("day") >= date.fromisoformat(f"{month}-01"), pl.col("day") < after).sort(KEY)
    days, known = folds.sessions(learnt), [n for n in sorted(names) if learnt[n].drop_nulls().n_unique() > 1]
    found = Arms(told={}, asked=asked, taught=days, known=known, reason=_lacking(asked, known, days, spec))
    if found.reason:
        return found
    try:
        return replace(found, told=_told(learnt, asked, spec, frozenset(names)))
    except TooFewSessions as why:
        return replace(found, reason=f"{INSUFFICIENT_HISTORY}: {why}")


def moved(rows: pl.DataFrame, names: Sequence[str], place: int) -> pl.DataFrame:
    """Return the rows with what ``names`` were of the same symbol and minute some sessions later, around the end.

    ``place``: of PLACEBOS, 0 the first; they cut the sessions into equal parts. Null where the other one is shorter.
    """
    days = folds.sessions(rows)
    far = max((place + 1) * len(days) // (len(PLACEBOS) + 1), 1)
    other = dict(zip(days, days[far:] + days[:far], strict=True))
    at = rows.select("day", "symbol").with_columns(pl.Series("minute", since_open(rows)))
    told = at.with_columns(rows.select(names).get_columns()).rename({"day": "other"})
    wanted = at.with_columns(other=pl.col("day").replace_strict(other, return_dtype=pl.Date))
    found = wanted.join(told, on=["other", "symbol", "minute"], how="left", maintain_order="left")
    return rows.with_columns(found.select(names).get_columns())


def without(spec: TreeSpec, names: frozenset[str]) -> TreeSpec:
    """Return how a tree learns that is shown none of the features."""

    def left(seen: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in seen if name not in names)

    return replace(
        spec,
        features=left(spec.features),
        own=left(spec.own),
        clock=left(spec.clock),
        scaled=spec.scaled - names,
    )


def _lacking(asked: pl.DataFrame, known: Sequence[str], days: Sequence[date], spec: TreeSpec) -> str:
    if few := too_few(days, spec.min_sessions):
        return few
    if asked.is_empty():
        return f"{NO_ROWS}: the month has no training set, which takes all its sessions and their labels"
    alike = f"{NO_NEWS}: no feature of the group differs among the rows of the {len(days)} sessions learnt from"
    return "" if known else alike


def _told(learnt: pl.DataFrame, asked: pl.DataFrame, spec: TreeSpec, names: frozenset[str]) -> dict[str, pl.DataFrame]:
    arms = {WITH: spec, WITHOUT: without(spec, names)}
    told = {word: settled(learnt, own).predicted(asked, spec.levels) for word, own in arms.items()}
    for place, word in enumerate(PLACEBOS):
        other = settled(moved(learnt, sorted(names), place), spec)
        told[word] = other.predicted(moved(asked, sorted(names), place), spec.levels)
    return told | {CONTROL: control.answers(learnt, asked, spec.control.seats[0], spec.levels)}
