"""The files of a run, under the names that the plans of this project gave them: what stands in each.

Belongs here: names, columns and forms. Where they lie, and the record beside them, is run_export.py.
"""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import orjson
import polars as pl

from timegpt_assets.core.calibration import export
from timegpt_assets.core.tables.gates import VERDICTS
from timegpt_assets.core.tables.stored import STORED

Read = Callable[[str], pl.DataFrame]
"""The rows that are stored of a table in the window of the run; none where nothing is."""
KEY = ("day", "symbol")
OF_TABLES = {
    "evaluate": {
        "eval/forecast_diagnostics.csv": "forecast_diagnostics",
        "eval/pit_reliability.csv": "pit_reliability",
        "eval/coverage_report.csv": "coverage_report",
        "eval/interval_widths.csv": "interval_widths",
        "eval/coverage_drift.csv": "coverage_drift",
        "eval/comparison.csv": "comparison",
        "eval/cost_sensitivity.csv": "cost_sensitivity",
        "eval/oos_summary.csv": "oos_summary",
    },
    "backtest": {"eval/bt_summary.csv": "trading_scores", "eval/stress_phases.csv": "stress_phases"},
}
"""Step -> file -> the table that it is, row for row."""


class File(NamedTuple):
    """A file of a run: its name below the run's folder, its bytes, and how many rows are in it."""

    name: str
    data: bytes
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What a run is of: the tables of its sessions, the minutes that its forecasts look ahead, and its profile."""

    read: Read
    horizon_min: int
    profile: str


def check_data(window: Window) -> Iterator[File]:
    """Yield the clean bars, and what was found of them with the rows to blame."""
    bars, quality = window.read("bars"), window.read("quality_report").sort(*KEY)
    yield parquet("validation/clean.parquet", bars.sort(*KEY, "ts"))
    rows = [row | {"offending": orjson.loads(row["offending"] or "[]")} for row in quality.to_dicts()]
    yield File("validation/dq_report.json", said({"verdicts": verdicts(quality), "symbols_of_days": rows}), len(rows))


def build_features(window: Window) -> Iterator[File]:
    """Yield the features with the targets beside them, whole and for each symbol."""
    made = with_targets(window.read("features"), window.read("labels"), window.horizon_min)
    yield parquet("features/features.parquet", made)
    for (symbol,), rows in made.partition_by("symbol", as_dict=True).items():
        yield parquet(f"features/{symbol}.parquet", rows)


def forecast(window: Window) -> Iterator[File]:
    """Yield the calibrated quantiles with what came true, and the models that calibrated them."""
    yield csv("forecasts/quantiles.csv", with_truth(window.read("forecasts"), window.read("labels")))
    yield from calibrate(window)


def calibrate(window: Window) -> Iterator[File]:
    """Yield the models of the newest session that has some."""
    models = window.read("calibration_models")
    if models.height:
        day = models.sort("day")["day"][-1]
        data = export.document(models, day=day, profile=window.profile)
        yield File("models/calibration.json", data, models.filter(day=day).height)


def backtest(window: Window) -> Iterator[File]:
    """Yield the trades that every book admitted, and what they came to, by symbol and by phase of the market."""
    traded = window.read("portfolio")
    admitted = traded.filter("admitted") if traded.width else traded
    yield csv("trades/bt_trades.csv", _first(admitted, "book", *KEY))
    yield from _tables("backtest", window)


def evaluate(window: Window) -> Iterator[File]:
    """Yield the diagnostics of forecasts and money, and every verdict of the gates."""
    yield from _tables("evaluate", window)
    yield csv("eval/gates.csv", judged(window))


def judged(window: Window) -> pl.DataFrame:
    """Return every verdict of the window's months, promotion's too where it was made."""
    return pl.concat(
        [rows for name in (*VERDICTS, "promotion") if (rows := window.read(name)).width] or [pl.DataFrame()]
    )


STEPS: dict[str, Callable[[Window], Iterator[File]]] = {
    "check-data": check_data,
    "build-features": build_features,
    "forecast": forecast,
    "calibrate": calibrate,
    "backtest": backtest,
    "evaluate": evaluate,
}
"""The verbs whose results are tables, in the order of the graph; what ``report`` writes is taken as it is."""
READ = (
    "bars",
    "quality_report",
    "features",
    "labels",
    "snapshots",
    "forecasts",
    "calibration_models",
    "portfolio",
    *(table for tables in OF_TABLES.values() for table in tables.values()),
    *VERDICTS,
    "promotion",
    "report",
)
"""Every table that a run's files and its record are written from."""


def with_targets(features: pl.DataFrame, labels: pl.DataFrame, horizon_min: int) -> pl.DataFrame:
    """Return the features, each row with the return from its minute on in every unit, and when that became known.

    Null where the session ends before: of ``horizon_min`` minutes, in log return, basis points and volatilities.
    """
    if features.is_empty() or labels.is_empty():
        return features
    targets = labels.filter(horizon_min=horizon_min).select(
        *KEY,
        "ts",
        pl.col("target_ts").alias("label_timestamp"),
        pl.col("y").alias(f"target_log_return_{horizon_min}m"),
        pl.col("y_bp").alias(f"target_bp_{horizon_min}m"),
        pl.col("y_volatility_z").alias(f"target_volatility_z_{horizon_min}m"),
    )
    return features.join(targets, on=[*KEY, "ts"], how="left").sort(*KEY, "ts")


def with_truth(forecasts: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """Return forecasts under the plans' names, each with ``y_true``: the return that came, null where none is known."""
    if forecasts.is_empty():
        return forecasts
    on = [*KEY, "target_ts", "horizon_min"]
    truth = labels.select(*on, y_true="y") if labels.height else pl.DataFrame(schema={})
    joined = forecasts.join(truth, on=on, how="left") if truth.width else forecasts.with_columns(y_true=None)
    named = joined.rename({"snapshot_ts": "snapshot_utc", "target_ts": "forecast_ts"}).sort(
        *KEY, "snapshot_utc", "forecaster"
    )
    quantiles = [name for name in named.columns if name[0] == "q" and name[1:].isdigit()]
    levels = [name for name in named.columns if name.startswith(("lo_", "hi_"))]
    return _first(named, *KEY, "snapshot_utc", "forecast_ts", "horizon_min", *quantiles, "y_true", *levels)


def verdicts(quality: pl.DataFrame) -> dict[str, int]:
    """Return how many symbols of sessions have each verdict."""
    return dict(quality.group_by("verdict").len().sort("verdict").iter_rows()) if quality.height else {}


def parquet(name: str, rows: pl.DataFrame) -> File:
    """Return the rows as a parquet file."""
    buffer = io.BytesIO()
    rows.write_parquet(buffer)
    return File(name, buffer.getvalue(), rows.height)


def csv(name: str, rows: pl.DataFrame) -> File:
    """Return the rows as a CSV file; times are UTC."""
    return File(name, rows.write_csv().encode(), rows.height)


def said(what: object) -> bytes:
    """Return JSON that people read, the same bytes for the same things."""
    return orjson.dumps(what, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)


def _tables(step: str, window: Window) -> Iterator[File]:
    for name, table in OF_TABLES[step].items():
        rows = window.read(table)
        keys = [key for key in STORED[table].table.key if key in rows.columns]
        yield csv(name, rows.sort(keys) if keys else rows)


def _first(rows: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """Return the rows with these columns before the others."""
    there = [name for name in columns if name in rows.columns]
    return rows.select(*there, pl.exclude(there)) if there else rows
