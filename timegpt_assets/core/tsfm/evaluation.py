"""Whether bands hold what they promise: what was served in a month, and what was held out of what they learnt from.

Belongs here: which rows are judged, and by which parameters. Measures are scoring.py, what is held out holdout.py.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date

import polars as pl

from timegpt_assets.core.tables.tsfm import CONFORMAL_PARAMETERS, TSFM_EVALUATION
from timegpt_assets.core.tsfm.conformal import PREFIXES, Band, ConformalSpec, adjusted, fitted
from timegpt_assets.core.tsfm.holdout import first_held_day, held_events
from timegpt_assets.core.tsfm.scoring import ScoringSpec, judged, scored, summed

SERVED = {"raw": "", "conformal": "adjusted_", "baseline": "baseline_"}
REFITTED = {
    "raw": "",
    "conformal": "tsfm_adjusted_",
    "baseline": "baseline_",
    "baseline_conformal": "baseline_adjusted_",
}
"""Arm -> how its columns begin."""
_UNADJUSTED = {arm: prefix for arm, prefix in SERVED.items() if arm != "conformal"}
_ENDS = ("lower", "median", "upper")
_SLACK = 1e-12
"""Of a width: what rounding may add."""
_FORECAST = ("market_id", "as_of", "step")
BANDED = (*_FORECAST, *(f"adjusted_{end}" for end in _ENDS))
"""Columns of BANDS that what was served is judged by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSpec:
    """What is held out, what is learnt of the rest, and how it is scored; ``min_width``: the floor of the guards."""

    time_share: float
    event_share: float
    embargo_days: int
    min_width: float
    conformal: ConformalSpec
    scoring: ScoringSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """How bands are judged as they were served: what they promised, whether they had the floor of the guards."""

    level: float
    floor: bool
    scoring: ScoringSpec


def served(
    days: Iterable[tuple[pl.DataFrame, pl.DataFrame]], month: str, as_of: date, judging: Judging
) -> pl.DataFrame:
    """Return TSFM_EVALUATION of a month: the bands as they were served, at the target, on the days up to one.

    ``days``: of each day TSFM_OUTCOMES, and BANDS of it and of the day before, in which its forecasts were made. Split
    ``all``: every price, the answer and the baseline; ``adjusted``: those whose band had conformal parameters, all
    three.
    """
    ends = [f"adjusted_{end}" for end in _ENDS]
    spec, level, sums = judging.scoring, judging.level, dict[str, list[pl.DataFrame]](all=[], adjusted=[])
    for outcomes, bands in days:
        rows = outcomes.join(bands.select(BANDED), on=list(_FORECAST), how="left", maintain_order="left")
        sums["all"].append(summed(rows, _UNADJUSTED, spec, level=level))
        sums["adjusted"].append(summed(rows.drop_nulls(ends), SERVED, spec, level=level))
    found = [
        judged(pl.concat(parts), spec, level=level, split=split, floor=judging.floor)
        for split, parts in sums.items()
        if parts
    ]
    return _conformed(pl.concat(found), month, as_of) if found else TSFM_EVALUATION.empty()


def with_and_without_floor(outcomes: pl.DataFrame, spec: EvaluationSpec) -> pl.DataFrame:
    """Return ``held_out`` with the floor of the guards and without it; without it alone where they have none."""
    floors = (True, False) if spec.min_width > 0 else (False,)
    return pl.concat(held_out(outcomes, spec, floor=floor) for floor in floors)


def held_out(outcomes: pl.DataFrame, spec: EvaluationSpec, *, floor: bool) -> pl.DataFrame:
    """Return TSFM_EVALUATION of what was held out, at every level; its month is that of the last day.

    ``time``: the latest share of the days, by parameters learnt once before them and the embargo; ``time_rolling``: the
    same rows by the parameters of each day, as served; ``event``: events left out whole, each day by parameters learnt
    from other events before it and the embargo. Rows that no parameters speak for are in no arm. With ``floor`` bands
    are widened to ``min_width`` before anything is learnt: those made under the guards are already. Without it those
    that stand at it are left out: nobody knows how narrow they were.
    """
    first = first_held_day(outcomes, spec.time_share)
    if first is None:
        return TSFM_EVALUATION.empty()
    rows = (with_floor if floor else above_floor)(outcomes, spec.min_width)
    held = held_events(outcomes, spec.event_share)
    found = [
        scored(part, REFITTED, spec.scoring, level=level, split=split, floor=floor)
        for split, own, parameters in _splits(rows, first, held, spec)
        for level in spec.conformal.levels
        if (part := refitted(own, parameters, spec.conformal, level)).height
    ]
    last: date = outcomes["day"].max()  # type: ignore[assignment]  # there are rows
    return _conformed(pl.concat(found), f"{last:%Y-%m}", last) if found else TSFM_EVALUATION.empty()


def _splits(
    rows: pl.DataFrame, first: date, held: frozenset[str], spec: EvaluationSpec
) -> Iterator[tuple[str, pl.DataFrame, pl.DataFrame]]:
    """Yield each split: its name, the rows that are judged, and the parameters of the days on which they were made."""
    apart = replace(spec.conformal, embargo_days=spec.embargo_days)
    late = rows.filter(pl.col("made_on") >= first)
    days = late.select(day=pl.col("made_on").unique().sort())
    once = fitted(rows, first, apart)
    yield "time", late, days.join(once.drop("day"), how="cross")
    yield "time_rolling", late, _each_day(rows, days["day"].to_list(), spec.conformal)
    is_held = pl.col("event_id").is_in(held)
    left_out, others = rows.filter(is_held), rows.filter(~is_held)
    yield "event", left_out, _each_day(others, left_out["made_on"].unique().sort().to_list(), apart)


def _each_day(rows: pl.DataFrame, days: list[date], spec: ConformalSpec) -> pl.DataFrame:
    return pl.concat([CONFORMAL_PARAMETERS.empty(), *(fitted(rows, day, spec) for day in days)])


def refitted(rows: pl.DataFrame, parameters: pl.DataFrame, spec: ConformalSpec, level: float) -> pl.DataFrame:
    """Return the rows that both bands have parameters for, with the columns of REFITTED; days are those of as_of."""
    found = rows
    for band in PREFIXES:
        found = _named(adjusted(found, parameters, spec, level=level, band=band, made="made_on"), band)
    return found.drop_nulls([f"{band}_adjusted_{end}" for band in PREFIXES for end in _ENDS])


def _named(rows: pl.DataFrame, band: Band) -> pl.DataFrame:
    return rows.rename({f"adjusted_{end}": f"{band}_adjusted_{end}" for end in _ENDS}).drop("parameters_day", "pool")


def with_floor(outcomes: pl.DataFrame, width: float) -> pl.DataFrame:
    """Return the outcomes with no band narrower than ``width``, widened as the guards do it: evenly, within [0, 1]."""
    ends = {}
    for prefix in PREFIXES.values():
        lower, upper = pl.col(f"{prefix}lower"), pl.col(f"{prefix}upper")
        low = (lower - (width - (upper - lower)) / 2).clip(0.0, 1.0 - width)
        is_narrow = upper - lower < width - _SLACK
        ends[f"{prefix}lower"] = pl.when(is_narrow).then(low).otherwise(lower)
        ends[f"{prefix}upper"] = pl.when(is_narrow).then(low + width).otherwise(upper)
    return outcomes.with_columns(**ends)


def above_floor(outcomes: pl.DataFrame, width: float) -> pl.DataFrame:
    """Return the outcomes none of whose bands stands at the floor, as one does that was narrower than it."""
    if width <= 0:
        return outcomes
    off = [(pl.col(f"{prefix}upper") - pl.col(f"{prefix}lower") - width).abs() > _SLACK for prefix in PREFIXES.values()]
    return outcomes.filter(*off)


def _conformed(rows: pl.DataFrame, month: str, as_of: date) -> pl.DataFrame:
    named = rows.with_columns(month=pl.lit(month), as_of=pl.lit(as_of))
    return TSFM_EVALUATION.conformed(named.select(list(TSFM_EVALUATION.columns)))
