"""The model ladder: is a rung better than every one below it, in validation and on sessions it was never shown.

Belongs here: MODEL_REPORT and the verdict it comes to. Losses are in volatilities, so that a restless day counts no
more than a calm one, and are compared in daily sums: forecasts of one day hang together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations

import numpy as np
import polars as pl

from timegpt_assets.core import significance
from timegpt_assets.core.evaluation import forecast, trading
from timegpt_assets.core.evaluation.trading import Account
from timegpt_assets.core.tables.columns import CONTROL, FALLBACK, LADDER, REFERENCES, SOURCE_KEY, TWIN, WILDCARD
from timegpt_assets.core.tables.models import LOSSES, MODEL_REPORT

LOWEST = REFERENCES[0]
RUNGS = (LOWEST, CONTROL, *LADDER)
"""The ladder, lowest rung first."""
PAIRS = (*combinations(RUNGS, 2), *((TWIN, rung) for rung in LADDER))
"""Against whom, and which rung: each one below it, and the twin of those that learn by month."""
TO_BEAT = {CONTROL: ("validation", "forward"), TWIN: ("validation",)}
"""Whom a rung that is proven is better than, and where: the twin answers nobody, so forward there is none."""
_KEY = ["day", "symbol", "snapshot_ts", "target_ts"]
_FORWARD = {"forward": "", "forward_raw": "raw_"}
"""Stage -> what the columns of its losses begin with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How rungs are judged: the control arm's settings digest, what the books' returns are of, and how sure to be."""

    control_settings: str
    account: Account
    dm_p_lt: float


def model_report(
    models: pl.DataFrame,
    day_scores: pl.DataFrame,
    portfolio: pl.DataFrame,
    *,
    month: str,
    as_of: date,
    lookback_sessions: int,
    terms: Terms,
) -> pl.DataFrame:
    """Return MODEL_REPORT: PAIRS in validation and over the sessions up to ``as_of``.

    ``models``: MODEL rows of the month; ``day_scores`` and ``portfolio``: of ``lookback_sessions``, each of which was
    answered by a model of its own month, learnt before it. Rows that the control arm stood in for are none of either.
    """
    scored = forecast.window(day_scores, as_of, lookback_sessions)
    own = scored.filter(pl.col("score_source") != FALLBACK, pl.col("sigma") > 0)
    rows = [
        {"month": month, "as_of": as_of, "rung": rung, "against": against, "control_settings": terms.control_settings}
        | row
        for against, rung in PAIRS
        for row in (*_validation(models, rung, against, terms), *_forward(own, portfolio, rung, against, terms))
    ]
    return MODEL_REPORT.conformed(pl.DataFrame(rows, schema=MODEL_REPORT.schema))


def _validation(models: pl.DataFrame, rung: str, against: str, terms: Terms) -> Iterator[dict[str, object]]:
    """Yield the row of what the rung's own model was validated by; of the control arm by the lowest model's."""
    wanted = [rung] if rung in LADDER else LADDER
    for word in wanted:
        noted = models.filter(forecaster=word).select("validation").explode("validation").drop_nulls()
        losses = noted.unnest("validation") if noted.height else pl.DataFrame(schema=LOSSES)
        own, other = (losses.filter(forecaster=side).sort("day") for side in (rung, against))
        if own.height and own["day"].equals(other["day"]):
            yield dict.fromkeys(SOURCE_KEY, WILDCARD) | {"stage": "validation"} | _judged(own, other, terms)
            return


def _forward(
    scored: pl.DataFrame, portfolio: pl.DataFrame, rung: str, against: str, terms: Terms
) -> Iterator[dict[str, object]]:
    """Yield a row for each stage and source triple of the rung that meets the other on the same road."""
    triples = scored.filter(forecaster=rung).select(SOURCE_KEY).unique().sort(SOURCE_KEY)
    for triple in triples.iter_rows(named=True):
        own = scored.filter(forecaster=rung, **triple)
        other = scored.filter(forecaster=against, run_source=triple["run_source"])
        for stage, prefix in _FORWARD.items():
            left, right = _met(own, other, prefix)
            if left.height:
                money = _money(portfolio, left["day"].to_list(), rung, against, triple["run_source"], terms)
                yield triple | {"stage": stage} | _judged(left, right, terms) | money


def _met(own: pl.DataFrame, other: pl.DataFrame, prefix: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return LOSSES of both sides on their common rows: after calibration only where it is both sides' or neither's."""
    wanted = {f"{prefix}{loss}": loss for loss in ("pinball", "abs_error")}
    calibrated = pl.lit(prefix != "") | (pl.col("calibration") != "none")
    left, right = (
        frame.select(
            *_KEY,
            calibrated.alias("calibrated"),
            *((pl.col(column) / pl.col("sigma")).alias(f"{side}{loss}") for column, loss in wanted.items()),
        )
        for frame, side in ((own, ""), (other, "against_"))
    )
    common = left.join(right, on=[*_KEY, "calibrated"]).drop_nulls().sort(_KEY)
    return _daily(common, ""), _daily(common, "against_")


def _daily(common: pl.DataFrame, side: str) -> pl.DataFrame:
    return common.group_by("day", maintain_order=True).agg(
        n=pl.len(), pinball=pl.col(f"{side}pinball").sum(), abs_error=pl.col(f"{side}abs_error").sum()
    )


def _judged(own: pl.DataFrame, other: pl.DataFrame, terms: Terms) -> dict[str, object]:
    """Return n, sessions, both ratios with intervals, p and verdict of two sides' daily losses of the same rows."""
    pairs = {loss: (own[loss].to_numpy(), other[loss].to_numpy()) for loss in ("pinball", "abs_error")}
    ratio, p = significance.ratio(*pairs["pinball"]), significance.diebold_mariano(*pairs["pinball"])
    row: dict[str, object] = {"n": int(own["n"].sum()), "sessions": own.height, "dm_p": p}
    for name, found in (("pinball_ratio", ratio), ("mae_ratio", significance.ratio(*pairs["abs_error"]))):
        row |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
    lower = ratio.value is not None and ratio.value < 1
    return row | {"better": lower and p is not None and p < terms.dm_p_lt}


def _money(
    portfolio: pl.DataFrame, days: Sequence[date], rung: str, against: str, run_source: str, terms: Terms
) -> dict[str, object]:
    """Return what both books earned on the sessions, and their deepest falls; a book that did not trade earned 0."""
    capital, found = terms.account.capital * len(set(terms.account.symbols)), dict[str, object]()
    traded = portfolio.filter(pl.col("day").is_in(list(days)), run_source=run_source)
    for whose, book in (("", rung), ("against_", against)):
        net = trading.daily_net(traded.filter(book=book), days)
        found |= {f"{whose}net_pnl": float(np.sum(net)), f"{whose}max_drawdown": trading.max_drawdown(net / capital)}
    return found


def proven(report: pl.DataFrame) -> list[str]:
    """Return the rungs of LADDER that are better than everybody of TO_BEAT, lowest first.

    Of several sources forward the one with most rows speaks.
    """
    last = report.sort("n", *SOURCE_KEY, descending=[True, False, False, False])
    better = last.unique(["rung", "against", "stage"], keep="first", maintain_order=True).filter("better")
    met = set(better.select("rung", "against", "stage").iter_rows())
    asked = [(against, stage) for against, stages in TO_BEAT.items() for stage in stages]
    return [rung for rung in LADDER if all((rung, *one) in met for one in asked)]
