"""The verb metrics: what is stored of minute bars, of the sources of news and of bands, as Prometheus reads it.

Belongs here: where each is read, and what is printed. Names and help of the metrics are reports/metrics.py. It is
called every minute by machines, so it opens no Dagster instance and reads the newest file of a table, never all of
them; of the sources' health, whose counters add up, one row a source and session.
"""

import sys
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import orjson
import polars as pl

from timegpt_assets.adapters import stage_logs
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.core.tables.gates import VERDICTS
from timegpt_assets.core.tables.news import SOURCE_HEALTH
from timegpt_assets.core.tables.stored import STORED
from timegpt_assets.reports.metrics import exposition
from timegpt_assets.reports.metrics_house import House
from timegpt_assets.runtime import Runtime, account, ledger
from timegpt_assets.runtime_tsfm import band_figures

HEALTH = "news/source_health"
DATED = ("bars", "forecasts", "portfolio")
"""Tables whose newest session is told: bars have come, they were forecast, they were traded."""
MADE_OF = ("day", "forecaster", "crossings", "calibration_crossings")


def metrics(runtime: Runtime, *, as_json: bool) -> None:
    """Print the text exposition, or the newest session's rows and the bands' figures as one JSON object.

    Raises LibraryAbsent, StoreError, LedgerUnusable.
    """
    health, bands = stored(ParquetStore(runtime.storage)), band_figures(runtime)()
    if as_json:
        newest = health.filter(pl.col("day") == pl.col("day").max())
        found = {
            "profile": runtime.settings.profile,
            "sessions": health["day"].n_unique(),
            "sources": newest.to_dicts(),
            "bands": bands,
        }
        sys.stdout.write(orjson.dumps(found).decode() + "\n")
        return
    sys.stdout.write(exposition(health, bands, house(runtime)))


def stored(store: ParquetStore) -> pl.DataFrame:
    """Return SOURCE_HEALTH of every session that is stored."""
    days = [*store.files(HEALTH)]
    return store.read(HEALTH, days, missing="ok", empty=SOURCE_HEALTH.empty()).select(*SOURCE_HEALTH.columns)


def house(runtime: Runtime) -> House:
    """Return what is stored of minute bars now."""
    store = ParquetStore(runtime.storage)
    files = {name: store.files(STORED[name].asset) for name in DATED}
    return House(
        newest={name: date.fromisoformat(days[-1]) for name, days in files.items() if days},
        logged=stage_logs.recent(runtime.logs, "forecast", runtime.clock() - timedelta(days=1)),
        quality=_newest(store, "quality_report"),
        forecasts=_newest(store, "forecasts", MADE_OF),
        coverage=_newest(store, "coverage_report"),
        drift=_newest(store, "coverage_drift"),
        verdicts=_verdicts(store),
        trading=_newest(store, "trading_scores"),
        **_money(runtime),
    )


def _newest(store: ParquetStore, table: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Return the table's newest session or month."""
    asset = STORED[table].asset
    return store.read(asset, store.files(asset)[-1:], missing="ok", columns=columns, empty=pl.DataFrame())


def _verdicts(store: ParquetStore) -> pl.DataFrame:
    """Return the verdicts of the newest month that has any: a gate that was not asked then has none."""
    found = [rows for name in VERDICTS if (rows := _newest(store, name)).height]
    return (
        pl.concat(found, how="diagonal").filter(pl.col("month") == pl.col("month").max()) if found else pl.DataFrame()
    )


def _money(runtime: Runtime) -> dict[str, Any]:
    """Return what the ledger says of the account; nothing where nobody is paid."""
    if runtime.settings.forecast.backend == "baseline":
        return {}
    books, whose = ledger(runtime), account(runtime.settings)
    limits = {"per_day": whose.per_day, "per_month": whose.per_month}
    left = books.left(whose, "")
    return {
        "calls": books.counts(whose),
        "left": {name: left[name] for name in limits if name in left},
        "limits": {name: limit for name, limit in limits.items() if limit is not None},
        "frozen": books.frozen() is not None,
        "price_per_call": whose.price_per_call,
    }
