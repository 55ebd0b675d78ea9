"""What the verdicts of a window come to: per rule, per symbol, and as the report other programs read.

Belongs here: counting verdicts. The verdicts are made in core/bars/session_grid.py, tables for people are the command
line's.
"""

import json
from datetime import date
from typing import Any

import polars as pl

from timegpt_assets.core.bars.quality_rules import QualityPolicy, rule_counts

ABSENT = ("no_data", "late")
REPORT_VERSION = 1


def absences(quality: pl.DataFrame) -> pl.DataFrame:
    """Return the runs of sessions without a row, by symbol: symbol, first, last, sessions, kind.

    Sessions are those of ``quality``. kind: never (no row at all), late_start, ends_early, gap.
    """
    days = quality.select(pl.col("day").unique().sort()).with_row_index("at").with_columns(pl.col("at").cast(pl.Int64))
    rows = (
        quality.select("day", "symbol", absent=pl.col("verdict").is_in(ABSENT))
        .join(days, on="day")
        .sort("symbol", "day")
    )
    runs = rows.filter("absent").with_columns(run=pl.col("at") - pl.int_range(pl.len()).over("symbol"))
    edges = pl.lit(0), pl.lit(days.height - 1)
    starts, ends = pl.col("from") == edges[0], pl.col("to") == edges[1]
    return (
        runs.group_by("symbol", "run")
        .agg(
            first=pl.col("day").min(), last=pl.col("day").max(), sessions=pl.len().cast(pl.Int64),
            **{"from": pl.col("at").min(), "to": pl.col("at").max()},
        )
        .with_columns(
            kind=pl.when(starts & ends).then(pl.lit("never")).when(starts).then(pl.lit("late_start"))
            .when(ends).then(pl.lit("ends_early")).otherwise(pl.lit("gap"))
        )
        .select("symbol", "first", "last", "sessions", "kind")
        .sort("symbol", "first")
    )  # fmt: skip


def missing_minutes(quality: pl.DataFrame) -> pl.DataFrame:
    """Return symbol, days and minutes: usable days with minutes that had no print, most minutes first."""
    usable = quality.filter(pl.col("verdict").is_in(["ok", "warned"]) & (pl.col("filled") > 0))
    counted = usable.group_by("symbol").agg(days=pl.len().cast(pl.Int64), minutes=pl.col("filled").sum())
    return counted.sort("minutes", "symbol", descending=[True, False])


def findings(quality: pl.DataFrame) -> pl.DataFrame:
    """Return the symbol days that have rows, or a file, and are not ok: day, symbol, verdict, rules and why."""
    told = quality.filter((pl.col("verdict") != "ok") & (~pl.col("verdict").is_in(ABSENT) | (pl.col("rules") != "")))
    return told.select("day", "symbol", "verdict", "rules", "reason", "detail", "offending").sort("day", "symbol")


def hard_violations(quality: pl.DataFrame, policy: QualityPolicy) -> pl.DataFrame:
    """Return the rows of rule_counts that somebody breaks and whose severity is fail."""
    return rule_counts(quality, policy).filter((pl.col("severity") == "fail") & (pl.col("days") > 0))


def is_outside(since: date) -> pl.Expr:
    """Return whether a verdict is of a session before the data begin, of which nothing came and nothing is amiss.

    The grid has such sessions, for the sake of month assets: no row in them is no failure.
    """
    return (pl.col("day") < pl.lit(since)) & pl.col("verdict").is_in(ABSENT) & (pl.col("rules") == "")


def dq_report(quality: pl.DataFrame, policy: QualityPolicy, *, since: date = date.min) -> dict[str, Any]:
    """Return the quality report of a window as plain JSON values; offending rows capped where they were found.

    ``outside``: sessions by symbol before ``since``, the first day of the data, that have no rows; they count nowhere
    else.
    """
    outside, quality = quality.filter(is_outside(since)).height, quality.filter(~is_outside(since))
    listed = findings(quality).with_columns(pl.col("day").cast(pl.String), pl.col("rules").str.split(","))
    runs = absences(quality).with_columns(pl.col("first", "last").cast(pl.String))
    counts = quality.group_by("verdict").len().sort("verdict")
    return {
        "version": REPORT_VERSION,
        "first_day": str(quality["day"].min()),
        "last_day": str(quality["day"].max()),
        "symbols": quality["symbol"].n_unique(),
        "symbol_days": quality.height,
        "outside": outside,
        "passed": bool(quality.height) and hard_violations(quality, policy).is_empty(),  # nothing judged is no pass
        "verdicts": dict(counts.iter_rows()),
        "rules": rule_counts(quality, policy).to_dicts(),
        "absences": runs.to_dicts(),
        "missing_minutes": missing_minutes(quality).to_dicts(),
        "findings": [row | {"offending": json.loads(row["offending"])} for row in listed.to_dicts()],
    }
