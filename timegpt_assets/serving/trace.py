"""Where a stored row comes from: its lineage records down to the bars, its request, the bytes that were paid for, and
of an event of the news those it was read from.

Belongs here: putting together what records, files and cache say. Nothing is set aside or mended on the way.
"""

from collections.abc import Mapping
from typing import Any

import polars as pl

from timegpt_assets.adapters.news.origin import origins
from timegpt_assets.adapters.news.raw_store import RawStore
from timegpt_assets.adapters.storage.lineage_store import LineageStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore, file_name
from timegpt_assets.adapters.timegpt.cache import ForecastCache
from timegpt_assets.core.lineage import Lineage, path_to_bars
from timegpt_assets.core.tables.columns import WILDCARD
from timegpt_assets.core.tables.stored import STORED
from timegpt_assets.runtime import Runtime
from timegpt_assets.serving.question import ReadingError

SCHEMA = {"what": pl.String, "id": pl.String, "made_by": pl.String, "lies_at": pl.String}
_OF_ANSWER = ("day", "snapshot_ts", "symbol", "forecaster")


class _Records(dict[str, Lineage]):
    """The records of a storage root, each read when it is asked for."""

    def __init__(self, store: LineageStore) -> None:
        super().__init__()
        self._store = store

    def __missing__(self, lineage_id: str) -> Lineage:
        record = self._store.found(lineage_id)
        if record is None:
            raise ReadingError(
                f"no record of lineage {lineage_id} is in {self._store.objects.shown('lineage')}, or it was edited. "
                "Restore the folder from a backup, or make the rows again: timegpt-assets backfill --stale"
            )
        return self.setdefault(lineage_id, record)


def traced(runtime: Runtime, store: ParquetStore, row: Mapping[str, Any] | pl.DataFrame) -> pl.DataFrame:
    """Return [what, id, made_by, lies_at] of everything a row was made from, nearest first, the source of bars last.

    Of a row about an event of the news its bytes stand there by their sha256, with who delivered them.

    Raises ReadingError for what is no row of a stored table, and for a record that is not there.
    """
    known = _one(row)
    path = path_to_bars(_Records(LineageStore(runtime.storage)), known["lineage_id"])
    lines: list[tuple[str | None, ...]] = [
        (one.asset, one.lineage_id, one.code_version, _lies_at(store, one.asset, known)) for one in path
    ]
    if request := _request(runtime, store, known):
        asset, line = request
        lines.insert(next((i for i, one in enumerate(path, 1) if one.asset == asset), len(lines)), line)
    if (
        event := origins(store, RawStore(runtime.storage), known["day"], [known["event_id"]])
        if _is_event(known)
        else []
    ):
        lines.append(("bytes of the event", event[0].content_hash, event[0].source, event[0].lies_at))
    if source := next((one.data_version for one in path if one.data_version), None):
        lines.append(("source of the bars", _content(store, known), source, None))
    return pl.DataFrame(lines, SCHEMA, orient="row")


def _one(row: Mapping[str, Any] | pl.DataFrame) -> Mapping[str, Any]:
    if isinstance(row, pl.DataFrame):
        if row.height != 1:
            raise ReadingError(f"{row.height} rows were given. Give one: house.trace(rows[0]), or a dict.")
        row = row.row(0, named=True)
    if not isinstance(row, Mapping) or not isinstance(row.get("lineage_id"), str):
        raise ReadingError("The row has no lineage_id. Give a whole row of a table, as collect() returns it.")
    return row


def _is_event(row: Mapping[str, Any]) -> bool:
    return row.get("event_id") not in (None, WILDCARD) and row.get("day") is not None


def _lies_at(store: ParquetStore, asset: str, row: Mapping[str, Any]) -> str | None:
    """Return the asset's file of the row's own day or month, None where there is none: windows reach further."""
    stored = STORED.get(asset.rpartition("/")[2])
    at = row.get("day") if stored and stored.span == "day" else row.get("month")
    name = file_name(asset, str(at))
    return store.objects.shown(name) if at and store.objects.generation(name) else None


def _request(
    runtime: Runtime, store: ParquetStore, row: Mapping[str, Any]
) -> tuple[str, tuple[str | None, ...]] | None:
    """Return the asset that asked for a row's forecast, and the request's line; None for rows of no single forecast."""
    asked = row if row.get("request_hash") and "host" in row else _raw_forecast(store, row)
    if asked is None:
        return None
    made_by, host, key = f"{asked['backend']} {asked['model']}", asked["host"], asked["request_hash"]
    if host is None:
        line = ("request", key, made_by, "nobody was asked: it was answered on this machine")
        return STORED["base_answers"].asset, line
    # not runtime.forecast_cache, which closes the folder to others: reading changes nothing
    cache = ForecastCache(runtime.object_store(runtime.settings.forecast.cache_dir))
    lies_at = cache.lies_at(host, key) or f"not among the answers of {host} in {cache.objects.shown('')}"
    return STORED["answers"].asset, ("request", key, made_by, lies_at)


def _raw_forecast(store: ParquetStore, row: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the raw forecast that a row of one snapshot, symbol and forecaster stands on, None for other rows."""
    if any(row.get(name) is None for name in _OF_ANSWER):
        return None
    day, stored = str(row["day"]), STORED["raw_forecasts"]
    frame, _ = store.contents(
        stored.asset, {day: [row["symbol"]]}, missing="ok", empty=stored.table.empty(),
        columns=(*_OF_ANSWER, "request_hash", "host", "backend", "model"),
    )  # fmt: skip
    found = frame.filter(pl.col(name) == row[name] for name in _OF_ANSWER)
    return found.row(0, named=True) if found.height == 1 else None


def _content(store: ParquetStore, row: Mapping[str, Any]) -> str | None:
    """Return the digest of what the source delivered for the row's day and symbol, None where there is none."""
    day, stored = str(row.get("day")), STORED["quality_report"]
    names = ("symbol", "content")
    frame, _ = store.contents(stored.asset, {day: None}, missing="ok", empty=stored.table.empty(), columns=names)
    return dict(frame.select(names).rows()).get(row.get("symbol"))
