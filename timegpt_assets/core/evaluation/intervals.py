"""How good bands were: width, Winkler and weighted interval scores, coverage by time of day, by volatility, over days.

Belongs here: what needs a row's quantiles, from DAY_SCORES. Losses are in forecast.py.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from itertools import combinations, compress, product

import numpy as np
import polars as pl

from timegpt_assets.core import calendar, significance
from timegpt_assets.core.evaluation import forecast
from timegpt_assets.core.schema import Table
from timegpt_assets.core.tables.columns import BANDS, ORIGIN_KEY, QUANTILES, WILDCARD
from timegpt_assets.core.tables.evaluation import COVERAGE_DRIFT, COVERAGE_REPORT, INTERVAL_WIDTHS

DECILES = 10


def row_scores(prefix: str) -> dict[str, pl.Expr]:
    """Return name -> expression of a row's width, Winkler score of each band, and weighted interval score.

    Winkler (1972): width + 2 / alpha x the distance of y outside. WIS (Bracher et al. 2021): the mean of |y - q50| / 2
    and alpha / 2 x Winkler over the bands the row has, weights as published. All in log return, smaller is better.
    """
    y, named = pl.col("y"), dict[str, pl.Expr]()
    parts, kept = [(y - pl.col(f"{prefix}q50")).abs() / 2], [pl.lit(0.5)]
    for level, (low, high) in BANDS.items():
        alpha, lower, upper = 1 - level / 100, pl.col(f"{prefix}{low}"), pl.col(f"{prefix}{high}")
        outside = (lower - y).clip(lower_bound=0) + (y - upper).clip(lower_bound=0)
        named[f"width_{level}"] = upper - lower
        named[f"winkler_{level}"] = upper - lower + outside * (2 / alpha)
        parts.append(named[f"winkler_{level}"] * (alpha / 2))
        kept.append(lower.is_not_null().cast(pl.Float64))
    return named | {"wis": pl.sum_horizontal(parts) / pl.sum_horizontal(kept)}


def means(part: pl.DataFrame, stage: str) -> dict[str, object]:
    """Return the means of ``row_scores`` over the rows that have them; None where none has."""
    scored = part.select(**row_scores(forecast.STAGES[stage]))
    return {name: scored[name].drop_nulls().mean() for name in scored.columns}


def crossed(part: pl.DataFrame, stage: str) -> int:
    """Return how many rows have a quantile above one of a higher probability; absent ones cross nothing."""
    stored = [pl.col(f"{forecast.STAGES[stage]}{name}") for name in QUANTILES]
    return part.filter(pl.any_horizontal(low > high for low, high in combinations(stored, 2))).height


def differences(part: pl.DataFrame, stage: str, *, draws: int, cluster_days: int) -> dict[str, object]:
    """Return for each reference of RELATIVE the mean loss less the reference's, with day-cluster intervals."""
    days = np.unique(part["day"].to_numpy(), return_inverse=True)[1]
    row: dict[str, object] = {}
    for name, (loss, reference) in forecast.losses(stage).items():
        own, other = part[loss].to_numpy(), part[reference].to_numpy()
        known = ~np.isnan(own) & ~np.isnan(other)
        of_day = np.unique(days[known], return_inverse=True)[1]
        top, count = np.bincount(of_day, weights=(own - other)[known]), np.bincount(of_day).astype(float)
        found = significance.bootstrap(top, count, draws=draws, cluster_days=cluster_days)
        row |= {f"{name}_diff": found.value, f"{name}_diff_low": found.low, f"{name}_diff_high": found.high}
    return row


def coverages(part: pl.DataFrame, stage: str, *, draws: int, cluster_days: int) -> dict[str, object]:
    """Return the ends of each band's coverage over day-cluster samples."""
    row: dict[str, object] = {}
    for level in BANDS:
        name = f"{forecast.STAGES[stage]}covered_{level}"
        daily = part.drop_nulls(name).group_by("day", maintain_order=True).agg(pl.col(name).sum(), pl.len())
        hits, counts = daily[name].to_numpy().astype(float), daily["len"].to_numpy().astype(float)
        found = significance.bootstrap(hits, counts, draws=draws, cluster_days=cluster_days)
        row |= {f"coverage_{level}_day_low": found.low, f"coverage_{level}_day_high": found.high}
    return row


def coverage_report(day_scores: pl.DataFrame, *, month: str, as_of: date) -> pl.DataFrame:
    """Return COVERAGE_REPORT of the month's own sessions up to ``as_of``: by symbol, snapshot time, and pooled.

    Each origin and stage apart.
    """
    own = day_scores.filter(pl.col("day") <= as_of, pl.col("day").dt.strftime("%Y-%m") == month)
    time = pl.col("snapshot_ts").dt.convert_time_zone(calendar.ZONE).dt.strftime("%H:%M")
    timed = own.with_columns(snapshot_time=time).sort("day", "symbol", "snapshot_ts", "forecaster")
    found = [
        _of_groups(timed, kept, pooled, lambda stage: _losses(stage) | _shares(stage) | _bands(stage) | _ratios(stage))
        for kept, pooled in _cuts("symbol", "snapshot_time")
    ]
    return _conformed(COVERAGE_REPORT, _with_ends(pl.concat(found, how="diagonal")), month, as_of)


def widths(day_scores: pl.DataFrame, *, month: str, as_of: date, lookback_sessions: int) -> pl.DataFrame:
    """Return INTERVAL_WIDTHS: mean widths and coverage by tenths of a symbol's own volatility, and pooled (``*``)."""
    own = forecast.window(day_scores, as_of, lookback_sessions).drop_nulls("sigma")
    # ordinal gives ties places of their own, so that the tenths are of equal size.
    place = pl.col("sigma").rank("ordinal").over("symbol", *ORIGIN_KEY)
    count = pl.len().over("symbol", *ORIGIN_KEY)
    tenths = own.with_columns(decile=((place - 1) * DECILES // count + 1).cast(pl.Int64))
    calm = {"n": pl.len().cast(pl.Int64), "sigma": pl.col("sigma").mean(), "mae_zero": pl.col("y").abs().mean()}
    found = [
        _of_groups(
            tenths, [*kept, "decile"], pooled, lambda stage: calm | _typical(stage) | _shares(stage) | _bands(stage)
        )
        for kept, pooled in _cuts("symbol")
    ]
    return _conformed(INTERVAL_WIDTHS, pl.concat(found, how="diagonal"), month, as_of)


def drift(
    day_scores: pl.DataFrame, *, month: str, as_of: date, sessions: int, tolerance: float, stage: str = "calibrated"
) -> pl.DataFrame:
    """Return COVERAGE_DRIFT: for each session of the month the coverage of the ``sessions`` up to it, and the alarm.

    The alarm rings when coverage is further than ``tolerance`` from nominal and nominal lies outside the day-clustered
    95 % interval. Each origin apart, by symbol and pooled (``*``); nothing before ``sessions`` were seen.
    """
    known = day_scores.filter(pl.col("day") <= as_of).sort("day", "symbol", "snapshot_ts")
    rows = []
    for symbol, sources, part in forecast.groups(known):
        for level in BANDS:
            name = f"{forecast.STAGES[stage]}covered_{level}"
            daily = part.drop_nulls(name).group_by("day", maintain_order=True).agg(pl.col(name).sum(), pl.len())
            named = {"month": month, "as_of": as_of, "symbol": symbol, "stage": stage, "level": level, **sources}
            rows += [named | row for row in _rolling(daily, name, level, sessions, tolerance)]
    own = pl.DataFrame(rows, schema=COVERAGE_DRIFT.schema)
    return COVERAGE_DRIFT.conformed(own.filter(pl.col("day").dt.strftime("%Y-%m") == month))


def _rolling(
    daily: pl.DataFrame, name: str, level: int, sessions: int, tolerance: float
) -> Iterator[dict[str, object]]:
    """Yield one row per session that has enough sessions behind it."""
    hits, counts = daily[name].to_numpy().astype(float), daily["len"].to_numpy().astype(float)
    days: Sequence[date] = daily["day"].to_list()
    for end in range(sessions, len(days) + 1):
        if days[end - sessions] < calendar.shifted(days[end - 1], 1 - 2 * sessions):
            continue  # too old to be called recent
        found = significance.ratio(hits[end - sessions : end], counts[end - sessions : end])
        nominal = level / 100
        apart = found.low is not None and found.high is not None and not found.low <= nominal <= found.high
        far = found.value is not None and abs(found.value - nominal) > tolerance
        yield {
            "day": days[end - 1],
            "n": int(counts[end - sessions : end].sum()),
            "coverage": found.value,
            "low": found.low,
            "high": found.high,
            "alarm": apart and far,
        }


def _cuts(*columns: str) -> Iterator[tuple[list[str], list[str]]]:
    """Yield every way of keeping some of the columns apart and pooling the others."""
    for kept in product((False, True), repeat=len(columns)):
        yield list(compress(columns, kept)), [name for name, keep in zip(columns, kept, strict=True) if not keep]


def _of_groups(
    frame: pl.DataFrame, kept: Sequence[str], pooled: Sequence[str], measured: Callable[[str], Mapping[str, pl.Expr]]
) -> pl.DataFrame:
    """Return ``measured`` of each stage in each group of ``kept`` and origin; ``pooled`` columns say ``*``.

    In one pass over all groups: hundreds of symbols at each of their snapshot times are tens of thousands of them.
    """
    # the order of a group's rows is the frame's, and with it every bit of its sums
    groups = frame.group_by(*kept, *ORIGIN_KEY, maintain_order=True)
    parts = [groups.agg(**measured(stage)).with_columns(stage=pl.lit(stage)) for stage in forecast.STAGES]
    return pl.concat(parts).with_columns(pl.lit(WILDCARD).alias(name) for name in pooled)


def _losses(stage: str) -> dict[str, pl.Expr]:
    """Return how many forecasts there are, how many of them calibrated, and their mean losses."""
    prefix, is_calibrated = forecast.STAGES[stage], pl.col("calibration") != "none"
    return {
        "n": pl.len().cast(pl.Int64),
        "calibrated_share": is_calibrated.mean() if stage == "calibrated" else pl.lit(0.0),
        "mae": pl.col(f"{prefix}abs_error").mean(),
        "rmse": pl.col(f"{prefix}sq_error").mean().sqrt(),
        "pinball": pl.col(f"{prefix}pinball").mean(),
    }


def _shares(stage: str) -> dict[str, pl.Expr]:
    """Return each band's coverage, and from how many rows."""
    columns = {level: pl.col(f"{forecast.STAGES[stage]}covered_{level}") for level in BANDS}
    return {f"coverage_{level}": covered.mean() for level, covered in columns.items()} | {
        f"covered_{level}_of": covered.count() for level, covered in columns.items()
    }


def _bands(stage: str) -> dict[str, pl.Expr]:
    return {name: score.mean() for name, score in row_scores(forecast.STAGES[stage]).items()}


def _typical(stage: str) -> dict[str, pl.Expr]:
    """Return the width that half of the bands are narrower than: a mean is moved by few."""
    return {"median_width_50": row_scores(forecast.STAGES[stage])["width_50"].median()}


def _ratios(stage: str) -> dict[str, pl.Expr]:
    """Return each ratio of RELATIVE, from the rows on which both losses are known; null where the reference's is 0."""
    found = {}
    for name, (loss, reference) in forecast.losses(stage).items():
        own, other = pl.col(loss), pl.col(reference)
        total = other.filter(own.is_not_null()).sum()
        ratio = pl.when(total > 0).then(own.filter(other.is_not_null()).sum() / total)
        found[name] = ratio.sqrt() if name.startswith("rrmse") else ratio
    return found


def _with_ends(found: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with their distance from nominal and the ends of each band's coverage."""
    named = {"pit_deviation": (found["coverage_50"] - 0.5).abs()}
    for level in BANDS:
        share, n = found[f"coverage_{level}"].to_numpy(), found[f"covered_{level}_of"].to_numpy()
        for end, values in zip(("low", "high"), significance.share_ends(share, np.maximum(n, 1)), strict=True):
            named[f"coverage_{level}_{end}"] = pl.Series(values, nan_to_null=True)
    return found.with_columns(**named)


def _conformed(table: Table, found: pl.DataFrame, month: str, as_of: date) -> pl.DataFrame:
    stamped = found.with_columns(month=pl.lit(month), as_of=pl.lit(as_of))
    return table.conformed(stamped.select(*table.columns))
