"""Answers that are already there: which stored bytes stand for a snapshot, and the rows they make.

Belongs here: the look-up by snapshot, then by body, and the rows of the answers table, made from the stored bytes and
the stored record alone, so that a fresh answer and a replayed one are the same rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

import polars as pl

from timegpt_assets.adapters.call_errors import CacheDamaged, InvalidAnswer
from timegpt_assets.adapters.ledger.ledger import Ask, BudgetLedger
from timegpt_assets.adapters.timegpt import response
from timegpt_assets.adapters.timegpt.cache import ForecastCache
from timegpt_assets.core.forecasts import plausibility
from timegpt_assets.core.forecasts.quantiles import Request
from timegpt_assets.core.schema import TIME
from timegpt_assets.core.tables.columns import SOURCES

BACKEND, BULK_BACKEND = "nixtla", "nixtla_cross_validation"
_MOMENT = ("asked_at", *SOURCES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A stored answer: request hash, what was remembered when it was asked, the body, whether inputs changed since."""

    request_hash: str
    record: Mapping[str, Any]
    body: bytes
    stale: bool


def known(ask: Ask, *, cache: ForecastCache, ledger: BudgetLedger, host: str) -> Known | None:
    """Return the stored answer: the snapshot's own, whatever its body was, else one to the very same body.

    Bytes stored by a process that died before the ledger knew of them are entered now. Raises CacheDamaged for a paid
    answer whose bytes are damaged or gone.
    """
    by_snapshot, record = ledger.records((ask.snapshot_key,)).get(ask.snapshot_key, ("", {}))
    for request_hash in dict.fromkeys(filter(None, (by_snapshot, ask.request_hash))):
        is_paid = ledger.has_answer(request_hash)  # asked first: whoever is answering now stores the bytes before
        entry = cache.read(host, request_hash)
        if entry is None and is_paid:
            what = f"The answer {request_hash} was paid for, but is not in {cache.objects.shown('')}; nothing was sent."
            raise CacheDamaged(f"{what} Restore the cache from a backup, or pay again with --reask.")
        if entry is None:
            continue
        if request_hash != by_snapshot:
            record = {**ask.record, **{name: entry.record[name] for name in _MOMENT if name in entry.record}}
        if request_hash != by_snapshot or not is_paid:
            ledger.answered(Ask(ask.kind, request_hash, ask.snapshot_key, record), int(entry.record["attempt"]))
        stale = request_hash != ask.request_hash
        return Known(request_hash=request_hash, record=record, body=entry.body, stale=stale)
    return None


def rows(answer: Known, *, on_doubt: Literal["refuse", "keep"] = "refuse") -> pl.DataFrame:
    """Return the answer as ANSWERS rows (without lineage), step in minutes, values in scaled target units.

    Raises InvalidAnswer when the provider's body is not what was asked for, and, unless doubts are kept, when it
    cannot well be about the series that were sent.
    """
    record = answer.record
    asked = Request(
        symbols=tuple(record["symbols"]),
        steps=tuple(range(1, record["horizon_min"] + 1)),
        levels=tuple(record["levels"]),
        model=record["model"],
        body=b"",
    )
    about = f"snapshot {record['snapshot_ts']} of {record['day']}"
    if "windows" in record:
        return _bulk_rows(answer, asked, about, on_doubt)
    said = response.rows(answer.body, asked, about=about)
    _check_doubts(said, record, about, on_doubt)
    return _stamped(said, answer, asked, record, record["snapshot_ts"], BACKEND)


def _bulk_rows(answer: Known, asked: Request, about: str, on_doubt: str) -> pl.DataFrame:
    """Return the windows that begin at a snapshot that was asked, each as its own snapshot's rows."""
    record = answer.record
    found = response.windows(answer.body, asked, record["n_windows"], about=about)
    first, step = datetime.fromisoformat(record["windows"][0]["snapshot_ts"]), timedelta(minutes=record["horizon_min"])
    parts = []
    for window in record["windows"]:
        said = found[round((datetime.fromisoformat(window["snapshot_ts"]) - first) / step)]
        _check_doubts(said, record, about, on_doubt)
        own = said.filter(pl.col("symbol").is_in(window["symbols"]))
        parts.append(_stamped(own, answer, asked, window, window["snapshot_ts"], BULK_BACKEND))
    return pl.concat(parts)


def _stamped(
    said: pl.DataFrame, answer: Known, asked: Request, scaled: Mapping[str, Any], snapshot_ts: str, backend: str
) -> pl.DataFrame:
    record = answer.record
    scales = {
        "symbol": scaled["symbols"],
        "sigma": pl.Series(scaled["sigma"], dtype=pl.Float64),
        "target_scale": pl.Series(scaled["target_scale"], dtype=pl.Float64),
    }
    beside = pl.DataFrame(scales, schema_overrides={"symbol": pl.String})
    return said.join(beside, on="symbol", maintain_order="left").with_columns(
        day=pl.lit(date.fromisoformat(record["day"])),
        snapshot_ts=pl.lit(datetime.fromisoformat(snapshot_ts), TIME),
        asked_at=pl.lit(datetime.fromisoformat(record["asked_at"]), TIME),
        request_hash=pl.lit(answer.request_hash),
        backend=pl.lit(backend),
        model=pl.lit(asked.model),
        stale_input=pl.lit(answer.stale),
        **{name: pl.lit(record[name]) for name in SOURCES},
    )


def _check_doubts(said: pl.DataFrame, record: Mapping[str, Any], about: str, on_doubt: str) -> None:
    """Raise InvalidAnswer for numbers that cannot well be about the series sent; records of old say too little."""
    if on_doubt == "keep" or "reach" not in record:
        return
    sent = pl.DataFrame({"symbol": record["symbols"], "reach": record["reach"], "spread": record["spread"]})
    if found := plausibility.doubts(said, sent):
        remedy = "It is spent and kept. Compare it with the series sent; forecast.on_doubt=keep uses it as it is."
        raise InvalidAnswer(f"{about}: the provider's answer is doubted: {'; '.join(found)}. {remedy}")
