"""How good forecasts were: losses of single forecasts, and what they add up to over a window of sessions.

Belongs here: scores per forecast, what needs y alone to be compared with (persistence, zero return), diagnostics and
reliability. Always one origin at a time: forecasts of two forecasters, of prod and of a replay are never averaged.
"""

import math
from collections.abc import Iterator
from datetime import date

import numpy as np
import polars as pl

from timegpt_assets.core import calendar, significance
from timegpt_assets.core.forecasts import quantiles as forecasts
from timegpt_assets.core.pinball import pinball
from timegpt_assets.core.tables.columns import BANDS, ORIGIN_KEY, QUANTILES, WILDCARD
from timegpt_assets.core.tables.evaluation import DAY_SCORES, FORECAST_SCORES, PIT_RELIABILITY
from timegpt_assets.core.targets import Target

PROBABILITIES = {"q10": 0.10, "q25": 0.25, "q50": 0.50, "q75": 0.75, "q90": 0.90}
"""Quantiles whose pinball losses are averaged."""
STAGES = {"raw": "raw_", "calibrated": ""}
"""Stage -> what its columns begin with."""
_LOSSES = {
    "rmae": ("abs_error", "abs_error_last"),
    "rrmse": ("sq_error", "sq_error_last"),
    "rmae_zero_return": ("abs_error", "abs_error_zero"),
    "rpinball_raw": ("pinball", "raw_pinball"),
}
"""Column of RELATIVE -> the loss and the reference's loss."""


def scores(made: pl.DataFrame, labels: pl.DataFrame, *, target: Target) -> pl.DataFrame:
    """Return FORECAST_SCORES: one row per forecast whose own label is known, in log returns.

    ``made`` is FORECASTS. The pinball loss averages the quantiles of PROBABILITIES that the row has.
    """
    frame = forecasts.outcomes(made, labels, target=target)
    error, last = pl.col("y") - pl.col("q50"), pl.col("y") - pl.col("y_last")
    scored = frame.with_columns(
        abs_error=error.abs(),
        sq_error=error**2,
        raw_abs_error=(pl.col("y") - pl.col("raw_q50")).abs(),
        raw_sq_error=(pl.col("y") - pl.col("raw_q50")) ** 2,
        abs_error_last=last.abs(),
        sq_error_last=last**2,
        abs_error_zero=pl.col("y").abs(),
        pinball=_pinball(""),
        raw_pinball=_pinball("raw_"),
        **{
            f"{prefix}covered_{level}": pl.col("y").is_between(f"{prefix}{low}", f"{prefix}{high}")
            for prefix in STAGES.values()
            for level, (low, high) in BANDS.items()
        },
    )
    return FORECAST_SCORES.conformed(scored.select(*FORECAST_SCORES.columns))


def day_scores(scores: pl.DataFrame, made: pl.DataFrame) -> pl.DataFrame:
    """Return DAY_SCORES: the scores with the quantiles they were computed from, raw and calibrated."""
    key = list(DAY_SCORES.key)
    quantiles = [f"{prefix}{q}" for prefix in STAGES.values() for q in QUANTILES]
    joined = scores.drop("lineage_id", strict=False).join(
        made.select(*key, "sigma", "request_hash", *quantiles), on=key
    )
    return DAY_SCORES.conformed(joined.select(*DAY_SCORES.columns))


def reliability(
    day_scores: pl.DataFrame, *, month: str, as_of: date, lookback_sessions: int, draws: int, cluster_days: int = 1
) -> pl.DataFrame:
    """Return PIT_RELIABILITY: for each stored quantile the share of y at or below it; nothing is interpolated.

    ``draws`` day-cluster samples of ``cluster_days`` neighbouring sessions give the p of the shares being nominal.
    """
    rows = []
    for symbol, sources, part in groups(window(day_scores, as_of, lookback_sessions)):
        for stage, prefix in STAGES.items():
            bins, p = _histogram(part, prefix, draws, cluster_days)
            for name in QUANTILES:
                known = part.filter(pl.col(f"{prefix}{name}").is_not_null())
                if known.is_empty():
                    continue
                observed = known.select((pl.col("y") <= pl.col(f"{prefix}{name}")).mean()).item()
                row = {"stage": stage, "quantile": _probability(name), "observed": observed, "n": known.height}
                row |= {"bin_share": bins.get(name), "uniform_p": p}
                rows.append({"month": month, "as_of": as_of, "symbol": symbol, **sources, **row})
    return PIT_RELIABILITY.conformed(pl.DataFrame(rows, schema=PIT_RELIABILITY.schema))


def _histogram(part: pl.DataFrame, prefix: str, draws: int, cluster_days: int) -> tuple[dict[str, float], float | None]:
    """Return quantile -> share of y between it and the next lower one, and the p of the shares being nominal.

    Of the rows that have every quantile; y above the highest one is the rest. The bins lie between stored quantiles.
    """
    names = [f"{prefix}{q}" for q in QUANTILES]
    known = part.drop_nulls(names)
    if known.is_empty():
        return {}, None
    above = (known["y"].to_numpy()[:, None] > known.select(names).to_numpy()).sum(axis=1)
    days, bins = np.unique(known["day"].to_numpy(), return_inverse=True)[1], len(names) + 1
    daily = np.bincount(days * bins + above, minlength=(days[-1] + 1) * bins).reshape(-1, bins).astype(float)
    counts = daily.sum(axis=0)
    nominal = np.diff([0.0, *(_probability(q) for q in QUANTILES), 1.0])
    # Not strict: the bin above the highest quantile has no quantile to stand under.
    shares = dict(zip(QUANTILES, (counts / counts.sum()).tolist(), strict=False))
    return shares, significance.uniformity(daily, nominal, draws=draws, cluster_days=cluster_days)


def summary(frame: pl.DataFrame, stage: str) -> dict[str, object]:
    """Return what scores add up to: the measured columns of FORECAST_DIAGNOSTICS.

    A ratio counts the rows on which both losses are known. Intervals: Wilson for coverage, day-clustered normal for
    ratios (of rrmse: the roots of the mean squares' ends).
    """
    prefix = STAGES[stage]
    frame = frame.sort("day", "symbol", "snapshot_ts", "forecaster")
    calibrated = (frame["calibration"] != "none").sum() if stage == "calibrated" else 0
    row: dict[str, object] = {
        "n": frame.height,
        "calibrated_share": calibrated / frame.height if frame.height else 0.0,
        "mae": _mean(frame[f"{prefix}abs_error"]),
        "rmse": math.sqrt(_mean(frame[f"{prefix}sq_error"])),
        "pinball": _mean(frame[f"{prefix}pinball"]),
    }
    for level in BANDS:
        covered = frame[f"{prefix}covered_{level}"].drop_nulls()
        row |= _named(f"coverage_{level}", significance.share(int(covered.sum()), covered.len()))
    coverage = row["coverage_50"]
    row["pit_deviation"] = abs(coverage - 0.5) if isinstance(coverage, float) else None
    _, days = np.unique(frame["day"].to_numpy(), return_inverse=True)
    for name, (loss, reference) in losses(stage).items():
        row |= relative(name, days, frame[loss].to_numpy(), frame[reference].to_numpy())
    return row


def losses(stage: str) -> dict[str, tuple[str, str]]:
    """Return for each column of RELATIVE the columns of the stage's own loss and of the reference's."""
    return {name: (f"{STAGES[stage]}{loss}", reference) for name, (loss, reference) in _LOSSES.items()}


def _pinball(prefix: str) -> pl.Expr:
    """Return the mean pinball loss of a row over the quantiles it has."""
    return pl.mean_horizontal(pinball(pl.col("y"), pl.col(f"{prefix}{q}"), p) for q, p in PROBABILITIES.items())


def relative(name: str, days: np.ndarray, loss: np.ndarray, reference: np.ndarray) -> dict[str, object]:
    """Return the ratio of two losses with its interval, n and test, from the rows on which both are known.

    ``days`` numbers each row's session; a session on which nothing can be compared is no observation.
    """
    known = ~np.isnan(loss) & ~np.isnan(reference)
    days = np.unique(days[known], return_inverse=True)[1]
    top, bottom = (np.bincount(days, weights=values[known]) for values in (loss, reference))
    estimate = significance.ratio(top, bottom)
    if name.startswith("rrmse"):
        estimate = significance.Estimate(*(map(_root, (estimate.value, estimate.low, estimate.high))))
    # Of daily sums: the losses of one day hang together and are one observation.
    p = significance.diebold_mariano(top, bottom)
    return _named(name, estimate) | {f"{name}_n": int(known.sum()), f"{name}_p": p}


def _root(value: float | None) -> float | None:
    return None if value is None else math.sqrt(max(value, 0.0))


def _named(name: str, estimate: significance.Estimate) -> dict[str, object]:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def _mean(values: pl.Series) -> float:
    # Exact: the order of the rows cannot change a bit.
    return math.fsum(values) / values.len() if values.len() else math.nan


def _probability(quantile: str) -> float:
    return float(f"0.{quantile[1:]}")


def window(frame: pl.DataFrame, as_of: date, lookback_sessions: int) -> pl.DataFrame:
    """Return the rows of the sessions that end with ``as_of``, in order."""
    first = calendar.shifted(as_of, 1 - lookback_sessions)
    return frame.filter(pl.col("day").is_between(first, as_of)).sort("day", "symbol", "snapshot_ts", "forecaster")


def groups(frame: pl.DataFrame) -> Iterator[tuple[str, dict[str, str], pl.DataFrame]]:
    """Yield symbol, origin (forecaster and sources) and rows; every origin's rows once more under ``*``."""
    for origin, pooled in sorted(frame.partition_by(ORIGIN_KEY, as_dict=True, maintain_order=True).items()):
        named = dict(zip(ORIGIN_KEY, map(str, origin), strict=True))
        yield WILDCARD, named, pooled
        for (symbol,), part in sorted(pooled.partition_by(["symbol"], as_dict=True, maintain_order=True).items()):
            yield str(symbol), named, part
