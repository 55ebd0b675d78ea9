"""Eligibility: may this symbol trade today, by what its forecasts showed on earlier days.

Belongs here: the verdict of a symbol and day, each source triple apart. Whatever was seen too seldom is
insufficient_observation, never a pass.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.evaluation import forecast, intervals
from timegpt_assets.core.gates import criteria, references
from timegpt_assets.core.gates.criteria import Evidence
from timegpt_assets.core.significance import Sampling
from timegpt_assets.core.tables.columns import FALLBACK, ORIGIN_KEY, WILDCARD
from timegpt_assets.core.tables.gates import INSUFFICIENT, SYMBOL_GATES


@dataclass(frozen=True, slots=True, kw_only=True)
class Eligibility:
    """What a symbol must show before it is traded."""

    lookback_sessions: int
    min_forecasts: int
    rmae_lt: float
    rrmse_lt: float
    coverage_tol: float
    bootstrap: str
    """trade or block: what insufficient_observation means for trading."""
    sampling: Sampling
    """How the days of the coverage's interval are drawn."""


def symbol_gates(
    scores: pl.DataFrame, *, day: date, symbols: Collection[str], forecasters: Collection[str], eligibility: Eligibility
) -> pl.DataFrame:
    """Return SYMBOL_GATES of ``day``: for each symbol and origin one row per criterion and one verdict row.

    Only scores of the ``lookback_sessions`` before ``day`` are read, whatever is handed in, and none of rows in which
    the control arm stood in: they show nothing of the forecaster. ``forecasters`` are those seated. The verdict row has
    the criterion ``eligibility``; a symbol without scores has one of origin ``*``.
    """
    first = calendar.shifted(day, -eligibility.lookback_sessions)
    # Left-closed: a verdict on which trades of today may enter must not hear of today.
    own = scores.filter(pl.col("day").is_between(first, day, closed="left"), pl.col("label_aligned"))
    own = own.filter(pl.col("score_source") != FALLBACK)
    met = references.met_in(own.filter(pl.col("symbol").is_in(list(symbols))))
    rows = [row for symbol in sorted(set(symbols)) for row in _symbol_rows(own, symbol, met, forecasters, eligibility)]
    stamped = [row | {"day": day, "bootstrap": eligibility.bootstrap} for row in rows]
    return SYMBOL_GATES.conformed(pl.DataFrame(stamped, schema=SYMBOL_GATES.schema))


def _symbol_rows(
    scores: pl.DataFrame,
    symbol: str,
    met: Mapping[tuple[str, ...], references.Met],
    forecasters: Collection[str],
    eligibility: Eligibility,
) -> Iterator[dict[str, Any]]:
    """Yield the rows of one symbol: for each origin its criteria and the verdict they add up to."""
    own = scores.filter(symbol=symbol)
    if own.is_empty():
        evidence = Evidence(n=0, needed=eligibility.min_forecasts)
        verdict = {"verdict": INSUFFICIENT, "symbol": symbol} | dict.fromkeys(ORIGIN_KEY, WILDCARD)
        yield criteria.count("eligibility", evidence) | verdict
    for key in sorted(own.select(ORIGIN_KEY).unique().iter_rows()):
        origin = dict(zip(ORIGIN_KEY, key, strict=True))
        measured = _measured(own.filter(**origin), eligibility.sampling)
        beaten = references.judged(
            met.get((symbol, *key), {}),
            own=origin["forecaster"],
            seated=forecasters,
            needed=eligibility.min_forecasts,
        )
        judged = [*_eligibility_criteria(measured, eligibility), *beaten]
        verdict = {"verdict": _verdict(judged), "symbol": symbol} | origin
        for row in (*judged, _summed(judged, measured["n"])):
            yield row | verdict


def _measured(own: pl.DataFrame, sampling: Sampling) -> dict[str, Any]:
    drawn = {"draws": sampling.draws, "cluster_days": sampling.cluster_days}
    return forecast.summary(own, "calibrated") | intervals.coverages(own.sort("day"), "calibrated", **drawn)


def _summed(judged: Sequence[Mapping[str, Any]], n: Any) -> dict[str, Any]:
    """Return the verdict row: how many criteria passed, and which did not."""
    failed = [row["criterion"] for row in judged if not row["passed"]]
    reason = f"{_verdict(judged)}: not passed: {', '.join(failed)}" if failed else "eligible: all passed"
    counts = {"value": float(len(judged) - len(failed)), "threshold": float(len(judged)), "n": n}
    return {"criterion": "eligibility", "passed": not failed, "reason": reason, **counts}


def _verdict(judged: Sequence[Mapping[str, Any]]) -> str:
    """Return eligible, ineligible or insufficient_observation: nothing is refused on too little evidence."""
    if any(row["reason"].startswith(INSUFFICIENT) for row in judged):
        return INSUFFICIENT
    return "eligible" if all(row["passed"] for row in judged) else "ineligible"


def _eligibility_criteria(measured: Mapping[str, Any], asked: Eligibility) -> list[dict[str, Any]]:
    ratio = partial(criteria.ratio, measured, needed=asked.min_forecasts, found="")
    return [
        ratio("rmae", below=asked.rmae_lt),
        ratio("rrmse", below=asked.rrmse_lt),
        criteria.coverage(measured, tolerance=asked.coverage_tol, needed=asked.min_forecasts, found=""),
    ]
