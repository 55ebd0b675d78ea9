"""Whether bands hold what they promise: what was served in a month, and what was held out of what they learnt from.

Belongs here: which rows are judged, and by which parameters. Measures are scoring.py, what is held out holdout.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

import polars as pl

from timegpt_assets.core.tables.tsfm import TSFM_EVALUATION
from timegpt_assets.core.tsfm.conformal import PREFIXES, Band, ConformalSpec, adjusted, fitted
from timegpt_assets.core.tsfm.holdout import first_held_day, held_events
from timegpt_assets.core.tsfm.scoring import ScoringSpec, scored

SERVED = {"raw": "", "conformal": "adjusted_", "baseline": "baseline_"}
REFITTED = {
    "raw": "",
    "conformal": "tsfm_adjusted_",
    "baseline": "baseline_",
    "baseline_conformal": "baseline_adjusted_",
}
"""Arm -> how its columns begin."""
_ENDS = ("lower", "median", "upper")
_FORECAST = ("market_id", "as_of", "step")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSpec:
    """What is held out, what is learnt of the rest, and how it is scored; ``min_width``: the floor of the guards."""

    time_share: float
    event_share: float
    embargo_days: int
    min_width: float
    conformal: ConformalSpec
    scoring: ScoringSpec


def served(outcomes: pl.DataFrame, bands: pl.DataFrame, month: str, as_of: date, spec: EvaluationSpec) -> pl.DataFrame:
    """Return TSFM_EVALUATION of a month's days up to one: the bands as they were served, at the target.

    ``outcomes``: TSFM_OUTCOMES of the days; ``bands``: BANDS of them and of the day before the first. Split ``all``:
    every price, the answer and the baseline; ``adjusted``: those whose band had conformal parameters, all three.
    """
    own = outcomes.filter(pl.col("day") <= as_of, pl.col("day").dt.strftime("%Y-%m") == month)
    ends = [f"adjusted_{end}" for end in _ENDS]
    rows = own.join(bands.select(*_FORECAST, *ends), on=list(_FORECAST), how="left")
    level, floor = spec.conformal.target, spec.min_width > 0
    plain = {arm: prefix for arm, prefix in SERVED.items() if arm != "conformal"}
    told = rows.drop_nulls(ends)
    found = pl.concat([
        scored(rows, plain, spec.scoring, level=level, split="all", floor=floor),
        scored(told, SERVED, spec.scoring, level=level, split="adjusted", floor=floor),
    ])  # fmt: skip
    return _conformed(found, month, as_of)


def held_out(outcomes: pl.DataFrame, spec: EvaluationSpec, *, floor: bool) -> pl.DataFrame:
    """Return TSFM_EVALUATION of what was held out, at every level; its month is that of the last day.

    ``time``: the latest share of the days, by parameters learnt once before them and the embargo; ``time_rolling``: the
    same rows by the parameters of each day, as served; ``event``: events left out whole, each day by parameters learnt
    from other events before it and the embargo. Rows that no parameters speak for are in no arm. With ``floor`` bands
    are widened to ``min_width`` before anything is learnt: those of outcomes made under the guards are already.
    """
    rows = with_floor(outcomes, spec.min_width) if floor else outcomes
    first = first_held_day(rows, spec.time_share)
    if first is None:
        return TSFM_EVALUATION.empty()
    found = [
        scored(part, REFITTED, spec.scoring, level=level, split=split, floor=floor)
        for split, judged, parameters in _splits(rows, first, spec)
        for level in spec.conformal.levels
        if (part := refitted(judged, parameters, spec.conformal, level)).height
    ]
    last: date = rows["day"].max()  # type: ignore[assignment]  # there are rows
    return _conformed(pl.concat(found), f"{last:%Y-%m}", last) if found else TSFM_EVALUATION.empty()


def _splits(rows: pl.DataFrame, first: date, spec: EvaluationSpec) -> Iterator[tuple[str, pl.DataFrame, pl.DataFrame]]:
    """Yield each split: its name, the rows that are judged, and the parameters of the days on which they were made."""
    apart = replace(spec.conformal, embargo_days=spec.embargo_days)
    late = rows.filter(pl.col("made_on") >= first)
    days = late.select(day=pl.col("made_on").unique().sort())
    once = fitted(rows, first, apart)
    yield "time", late, days.join(once.drop("day"), how="cross")
    yield "time_rolling", late, _each_day(rows, days["day"].to_list(), spec.conformal)
    held = pl.col("event_id").is_in(held_events(rows, spec.event_share))
    judged, others = rows.filter(held), rows.filter(~held)
    yield "event", judged, _each_day(others, judged["made_on"].unique().sort().to_list(), apart)


def _each_day(rows: pl.DataFrame, days: list[date], spec: ConformalSpec) -> pl.DataFrame:
    return pl.concat([fitted(rows, day, spec) for day in days]) if days else fitted(rows.clear(), date.min, spec)


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
        is_narrow = upper - lower < width - 1e-12
        ends[f"{prefix}lower"] = pl.when(is_narrow).then(low).otherwise(lower)
        ends[f"{prefix}upper"] = pl.when(is_narrow).then(low + width).otherwise(upper)
    return outcomes.with_columns(**ends)


def _conformed(rows: pl.DataFrame, month: str, as_of: date) -> pl.DataFrame:
    named = rows.with_columns(month=pl.lit(month), as_of=pl.lit(as_of))
    return TSFM_EVALUATION.conformed(named.select(list(TSFM_EVALUATION.columns)))
