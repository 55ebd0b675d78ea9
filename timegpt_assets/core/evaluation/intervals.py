"""How good bands were: width, Winkler and weighted interval scores, coverage by time of day, by volatility, over days.

Belongs here: what needs a row's quantiles, from DAY_SCORES. Losses are in forecast.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import numpy as np
import polars as pl

from timegpt_assets.core import calendar, significance
from timegpt_assets.core.evaluation import forecast
from timegpt_assets.core.tables.columns import BANDS, ORIGIN_KEY, WILDCARD
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
    known = day_scores.filter(pl.col("day") <= as_of).sort("day", "symbol", "snapshot_ts", "forecaster")
    own = known.filter(pl.col("day").dt.strftime("%Y-%m") == month)
    rows = [
        {"month": month, "as_of": as_of, "stage": stage, **named, **forecast.summary(part, stage), **means(part, stage)}
        for named, part in _by_time(own)
        for stage in forecast.STAGES
    ]
    return COVERAGE_REPORT.conformed(pl.DataFrame(rows, schema=COVERAGE_REPORT.schema).select(*COVERAGE_REPORT.columns))


def widths(day_scores: pl.DataFrame, *, month: str, as_of: date, lookback_sessions: int) -> pl.DataFrame:
    """Return INTERVAL_WIDTHS: mean widths and coverage by tenths of a symbol's own volatility, and pooled (``*``)."""
    own = forecast.window(day_scores, as_of, lookback_sessions).drop_nulls("sigma")
    # ordinal gives ties places of their own, so that the tenths are of equal size.
    place = pl.col("sigma").rank("ordinal").over("symbol", *ORIGIN_KEY)
    count = pl.len().over("symbol", *ORIGIN_KEY)
    tenths = own.with_columns(decile=((place - 1) * DECILES // count + 1).cast(pl.Int64))
    rows = []
    for symbol, sources, part in forecast.groups(tenths):
        for (decile,), within in sorted(part.partition_by(["decile"], as_dict=True).items()):
            for stage in forecast.STAGES:
                found: dict[str, object] = {
                    "n": within.height,
                    "sigma": within["sigma"].mean(),
                    "mae_zero": within["y"].abs().mean(),
                }
                found |= _shares(within, stage) | means(within, stage)
                named = {"month": month, "as_of": as_of, "symbol": symbol, "stage": stage, "decile": decile}
                rows.append(named | sources | found)
    table = INTERVAL_WIDTHS
    return table.conformed(pl.DataFrame(rows, schema=table.schema).select(*table.columns))


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


def _shares(part: pl.DataFrame, stage: str) -> dict[str, object]:
    columns = {f"coverage_{level}": f"{forecast.STAGES[stage]}covered_{level}" for level in BANDS}
    return {name: part[column].drop_nulls().cast(pl.Float64).mean() for name, column in columns.items()}


def _by_time(frame: pl.DataFrame) -> Iterator[tuple[Mapping[str, str], pl.DataFrame]]:
    """Yield each symbol's rows at each snapshot time, and at all of them (``*``); every symbol's rows once more."""
    time = pl.col("snapshot_ts").dt.convert_time_zone(calendar.ZONE).dt.strftime("%H:%M")
    timed = frame.with_columns(snapshot_time=time)
    for symbol, sources, part in forecast.groups(timed):
        named = {"symbol": symbol, **sources}
        yield {**named, "snapshot_time": WILDCARD}, part
        for (at,), within in sorted(part.partition_by(["snapshot_time"], as_dict=True).items()):
            yield {**named, "snapshot_time": str(at)}, within
