"""The verb metrics: what is stored of the sources' health and of bands, as Prometheus reads it.

Belongs here: what is read and printed. Names and help of the metrics are reports/metrics.py.
"""

import sys

import orjson
import polars as pl

from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.core.tables.news import SOURCE_HEALTH
from timegpt_assets.reports.metrics import exposition
from timegpt_assets.runtime import Runtime
from timegpt_assets.runtime_tsfm import band_figures

HEALTH = "news/source_health"


def metrics(runtime: Runtime, *, as_json: bool) -> None:
    """Print the text exposition, or the newest session's rows and the bands' figures as one JSON object.

    Raises LibraryAbsent, StoreError.
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
    sys.stdout.write(exposition(health, bands))


def stored(store: ParquetStore) -> pl.DataFrame:
    """Return SOURCE_HEALTH of every session that is stored."""
    days = [*store.files(HEALTH)]
    return store.read(HEALTH, days, missing="ok", empty=SOURCE_HEALTH.empty()).select(*SOURCE_HEALTH.columns)
