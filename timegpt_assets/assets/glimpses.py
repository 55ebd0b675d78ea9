"""What the UI draws beside every partition without a click: the session's prices, the day's forecasts and outcomes.

Belongs here: of which rows. The full pictures, of the newest days alone, are previews.py.
"""

import json
from collections.abc import Callable
from datetime import datetime

import dagster as dg
import polars as pl

from timegpt_assets.assets.previews import Notes, unfailing
from timegpt_assets.core import calendar

NAME = "at_a_glance"
EVERY_MIN = 7
"""Minutes from one point of a session's path to the next: more than fit are not told apart."""
OUTCOME = ("q10", "q25", "q75", "q90", "y")


@unfailing
def of_bars(frame: pl.DataFrame, quality: pl.DataFrame, grid: Callable[[pl.DataFrame], pl.DataFrame]) -> Notes:
    """Return by partition key the path of the session's closes, with strokes where rows are to blame.

    ``frame`` are the bars of the verdicts ``quality``, ``grid`` gives those of other verdicts: a quarantined partition
    has no bars, and its path is the one that people want to see.
    """
    from timegpt_assets.reports.pictures import glimpse

    emptied = quality.filter(pl.col("verdict") == "quarantined", pl.col("rows_session") > 0)
    drawn = frame if emptied.is_empty() else pl.concat([frame, grid(emptied.with_columns(verdict=pl.lit("ok")))])
    closes = drawn.group_by("day", "symbol", maintain_order=True).agg(pl.col("close").gather_every(EVERY_MIN))
    paths = {f"{day}|{symbol}": path for day, symbol, path in closes.iter_rows()}
    found: dict[str, dg.MetadataValue] = {}
    for row in quality.filter(pl.col("rows_raw") > 0).iter_rows(named=True):
        key, session = f"{row['day']}|{row['symbol']}", calendar.session(row["day"])
        words = f"{row['symbol']} on {row['day']}: {row['verdict']}"
        amiss = [_place(entry["ts"], session) for entry in json.loads(row["offending"])]
        found[key] = dg.MetadataValue.md(glimpse.price_path(words, paths.get(key, []), amiss))
    return {NAME: found}


@unfailing
def of_sources(health: pl.DataFrame) -> Notes:
    """Return by day how much each source answered, a bar a source, vermilion where it is not good."""
    from timegpt_assets.reports.pictures import glimpse

    found: dict[str, dg.MetadataValue] = {}
    for (day,), own in health.sort("source").partition_by("day", as_dict=True, maintain_order=True).items():
        said = [
            f"{source} {'not asked' if answered is None else f'{answered:.0%}'}"
            for source, answered in own.select("source", "answered").iter_rows()
        ]
        bars = own.select("answered", "good").rows()
        found[str(day)] = dg.MetadataValue.md(glimpse.shares(f"answered on {day}: {', '.join(said)}", bars))
    return {NAME: found}


def _place(ts: str, session: calendar.Session) -> float:
    """Return where in its session a time lies, 0 to 1; those outside are at its edges."""
    into = datetime.fromisoformat(ts) - session.open
    return min(max(into / (session.close - session.open), 0.0), 1.0)


@unfailing
def of_forecasts(forecasts: pl.DataFrame, scores: pl.DataFrame) -> Notes:
    """Return by partition key the forecasts of one forecaster, in sigmas, beside their outcomes: per symbol and day."""
    known = forecasts.join(
        scores.select("symbol", "snapshot_ts", "target_ts", "forecaster", "y", "covered_80"),
        on=["symbol", "snapshot_ts", "target_ts", "forecaster"],
    )
    return {NAME: _bands(known, ["day", "symbol"])}


@unfailing
def of_days(scores: pl.DataFrame) -> Notes:
    """Return by day the forecasts of one forecaster for every symbol beside their outcomes, in order of time."""
    return {NAME: _bands(scores, ["day"])}


def _bands(rows: pl.DataFrame, by: list[str]) -> dict[str, dg.MetadataValue]:
    from timegpt_assets.reports.pictures import glimpse

    # in sigmas: at noon the bands of a calm minute would else be lines beside those of the open
    scaled = rows.with_columns(pl.col(OUTCOME) / pl.col("sigma")).drop_nulls(OUTCOME).sort("snapshot_ts", "symbol")
    found: dict[str, dg.MetadataValue] = {}
    for key, own in scaled.group_by(by, maintain_order=True):
        names = [str(part) for part in key]
        words = f"{' on '.join(reversed(names))}: {own['covered_80'].sum()} of {own.height} outcomes in the 80 % band"
        found["|".join(names)] = dg.MetadataValue.md(glimpse.bands(words, own.select(OUTCOME).rows()))
    return found
