"""The model ladder in a report: which rung is proven better, the table of the rungs, and what each of them costs.

Belongs here: words, figures and their order. The numbers are made in core/evaluation/ladder.py and core/models.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import polars as pl

from timegpt_assets.core.evaluation.ladder import LOWEST, proven
from timegpt_assets.core.tables.columns import CONTROL, LADDER, SOURCE_KEY, TWIN
from timegpt_assets.core.tables.models import FEATURE_DRIFT, MODEL_REPORT, STAGES

IMPORTANCE = {"forecaster": pl.String(), "part": pl.String(), "feature": pl.String(), "gain": pl.Float64()}
"""How much of a model's gain a feature brought, as a share; ``part``: the centre or the size of the bands."""
HEAD = [
    "rung",
    "against",
    "on",
    "common",
    "sessions",
    "pinball ratio",
    "p",
    "MAE ratio",
    "net P&L",
    "drawdown",
    "verdict",
]
_ON = dict(zip(STAGES, ("validation", "forward", "forward, as answered"), strict=True))


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What a month's model took, as noted beside its artifact: never in a table, for it is never the same twice."""

    forecaster: str
    training_s: float | None = None
    inference_ms: float | None = None
    """Of one snapshot, all symbols."""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """What was recorded of a challenger: from then on ``share`` percent of the symbols trade it, and why."""

    time: datetime
    forecaster: str
    phase: str
    share: int
    why: str
    who: str


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """What a report knows of the model ladder; all of it empty where no rung is seated."""

    report: pl.DataFrame = field(default_factory=MODEL_REPORT.empty)
    """MODEL_REPORT of the month."""
    drift: pl.DataFrame = field(default_factory=FEATURE_DRIFT.empty)
    """FEATURE_DRIFT of the month."""
    importance: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=IMPORTANCE))
    timings: Sequence[Timing] = ()
    rollout: Sequence[Phase] = ()
    """Every phase recorded up to the month's end, oldest first."""

    def __bool__(self) -> bool:
        """Return whether there is anything to say."""
        return bool(self.report.height or self.drift.height or self.rollout)


def verdict(ladder: Ladder) -> str:
    """Return which rung is proven better than the control arm, in a sentence, with the control arm's settings."""
    settings = next(iter(ladder.report["control_settings"]), "")
    arm = f"the control arm ({CONTROL}" + (f", settings {settings})" if settings else ")")
    if ladder.report.is_empty():
        return "Nothing is measured of the ladder in this month: no rung has a row in common with another."
    if not (better := proven(ladder.report)):
        return (
            f"No rung is proven better than {arm} both in validation and on sessions it was never shown, and in "
            "validation than its own bands with nothing learnt."
        )
    return (
        f"{_listed(better)} proven better than {arm}, in validation and on sessions never shown, and in validation "
        "than the same bands with nothing learnt."
    )


def basis(ladder: Ladder) -> str:
    """Return on how many sessions the verdict rests, and how losses are measured."""
    own = ladder.report.filter(pl.col("rung").is_in(LADDER), against=CONTROL)
    seen = {stage: max(own.filter(stage=stage)["sessions"], default=0) for stage in STAGES[:2]}
    counted = ", ".join(f"{seen[stage]} sessions of {words}" for stage, words in (
        ("validation", "validation"), ("forward", "months not shown (forward)")))  # fmt: skip
    return (
        f"At most {counted}. Losses are in volatilities, on common rows alone; rows that the control arm stood in for "
        "are not among them. Better: pinball ratio below 1 and one-sided Diebold-Mariano p below gates.ladder.dm_p_lt."
    )


def table(ladder: Ladder, *, every: bool = False) -> list[tuple[object, ...]]:
    """Return the ladder table below HEAD, lowest rung first: against zero, the control arm, its twin, the rung below.

    ``every``: each pair, and what was lost as answered, too.
    """
    places = {word: place for place, word in enumerate((LOWEST, CONTROL, TWIN, *LADDER, *STAGES))}
    order = [pl.col(name).replace_strict(places, return_dtype=pl.Int64) for name in ("rung", "against", "stage")]
    rows = ladder.report.sort(*order, *SOURCE_KEY)
    if not every:
        below = order[1] == order[1].max().over("rung")
        rows = rows.filter(pl.col("stage") != STAGES[-1], pl.col("against").is_in((LOWEST, CONTROL, TWIN)) | below)
    return [_line(row) for row in _named(rows).iter_rows(named=True)]


def figures(ladder: Ladder) -> list[tuple[str, str]]:
    """Return names and values for the report table and the command line: the verdict, and each rung's against ridge."""
    if not ladder:
        return []
    rows = _named(ladder.report.filter(against=CONTROL).sort("rung", "stage", *SOURCE_KEY))
    named = {
        f"{row['rung']} against {CONTROL}, {row['on']}": f"{_ratio(row, 'pinball_ratio')}, p "
        f"{_p(row['dm_p'])}, n {row['n']:,}"
        for row in rows.iter_rows(named=True)
    }
    drifted = ladder.drift.filter("drifted")["feature"].n_unique()
    of_features = ("features drifted", f"{drifted:,} of {ladder.drift['feature'].n_unique():,}")
    return [("verdict", verdict(ladder)), *named.items(), of_features]


def costs(ladder: Ladder) -> list[tuple[str, str]]:
    """Return what each rung took to learn and takes to answer."""
    return [(one.forecaster, _took(one)) for one in ladder.timings]


def rollout(ladder: Ladder) -> list[tuple[object, ...]]:
    """Return the phases recorded, the newest first: time, forecaster, phase, share, why, who."""
    return [
        (f"{one.time:%Y-%m-%d %H:%M} UTC", one.forecaster, one.phase, f"{one.share} %", one.why, one.who)
        for one in reversed(ladder.rollout)
    ]


def _line(row: dict[str, Any]) -> tuple[object, ...]:
    return (
        row["rung"],
        row["against"],
        row["on"],
        row["n"],
        row["sessions"],
        _ratio(row, "pinball_ratio"),
        _p(row["dm_p"]),
        _ratio(row, "mae_ratio"),
        row["net_pnl"],
        None if row["max_drawdown"] is None else f"{row['max_drawdown']:.2%}",
        "better" if row["better"] else "not better",
    )


def _named(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with ``on``: the stage, and whose rows these are where a rung has several sources in it."""
    on = pl.col("stage").replace_strict(_ON, return_dtype=pl.String)
    several = pl.struct(SOURCE_KEY).n_unique().over("rung", "stage") > 1
    return rows.with_columns(on=pl.when(several).then(pl.format("{} ({}, {})", on, *SOURCE_KEY[::2])).otherwise(on))


def _ratio(row: dict[str, Any], name: str) -> str | None:
    value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    if value is None:
        return None
    return f"{value:.4f}" + ("" if low is None else f" [{low:.3f}, {high:.3f}]")


def _p(value: float | None) -> str:
    return "–" if value is None else "< 0.0001" if value < 1e-4 else f"{value:.2g}"


def _took(one: Timing) -> str:
    learnt = "not noted" if one.training_s is None else f"{one.training_s:,.1f} s"
    answers = "not noted" if one.inference_ms is None else f"{one.inference_ms:,.1f} ms"
    return f"training {learnt}; a snapshot of all symbols {answers}"


def _listed(names: Sequence[str]) -> str:
    return f"{names[0]} is" if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]} are"
