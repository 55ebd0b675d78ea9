"""Looking after paid answers: counting them, checking every byte, and carrying them to another machine and back.

Belongs here: walks over the whole cache of a host. Nothing here sends or spends.
"""

from dataclasses import dataclass, field

import orjson

from timegpt_assets.adapters.call_errors import CacheDamaged
from timegpt_assets.adapters.ledger.ledger import BudgetLedger
from timegpt_assets.adapters.timegpt.cache import ForecastCache

INDEX = "snapshots.json"
"""Beside exported answers: which of them stands for which snapshot."""


@dataclass(kw_only=True)
class Report:
    """What a walk found: answers that are whole, their bytes, what is damaged, what was copied or entered anew."""

    answers: int = 0
    bytes: int = 0
    damaged: list[str] = field(default_factory=list)
    copied: int = 0
    entered: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)


def stats(cache: ForecastCache, host: str) -> Report:
    """Return how many answers of the host are stored, of which kind, and the size of their bodies."""
    return _walked(cache, host)


def verified(cache: ForecastCache, ledger: BudgetLedger, host: str) -> Report:
    """Return what a reading of every byte finds; what is damaged is set aside, what the ledger lost is re-entered."""
    return _walked(cache, host, ledger)


def exported(cache: ForecastCache, ledger: BudgetLedger, host: str, target: ForecastCache) -> Report:
    """Return what was copied to another cache: whole answers that are not there yet, and the index by snapshot."""
    report = Report()
    for request_hash in cache.hashes(host):
        _copy(cache, target, host, request_hash, report)
    index = {key: [found, record] for key, (found, record) in ledger.all_records().items()}
    target.objects.update(f"{host.replace(':', '_')}/{INDEX}", lambda _: orjson.dumps(index))
    return report


def imported(cache: ForecastCache, ledger: BudgetLedger, host: str, source: ForecastCache) -> Report:
    """Return what was taken over from another cache; a snapshot that has an answer here keeps its own."""
    report = Report()
    for request_hash in source.hashes(host):
        _copy(source, cache, host, request_hash, report)
    index = source.objects.read(f"{host.replace(':', '_')}/{INDEX}")
    for key, (request_hash, record) in orjson.loads(index.data if index else b"{}").items():
        if cache.has(host, request_hash):
            report.entered += ledger.adopt(host, key, request_hash, record)
    return report


def restore_index(cache: ForecastCache, ledger: BudgetLedger, host: str) -> None:
    """Enter every stored answer in a ledger that knows nothing of the host: it was lost, or the answers moved here."""
    if ledger.is_empty(host):
        _walked(cache, host, ledger)


def _walked(cache: ForecastCache, host: str, ledger: BudgetLedger | None = None) -> Report:
    report = Report()
    for request_hash in cache.hashes(host):
        try:
            entry = cache.read(host, request_hash)
        except CacheDamaged as damage:
            report.damaged.append(str(damage))
            continue
        if entry is None:
            continue
        report.answers += 1
        report.bytes += len(entry.body)
        kind = str(entry.record.get("kind", "model_params"))
        report.by_kind[kind] = report.by_kind.get(kind, 0) + 1
        if ledger:
            key = str(entry.record.get("snapshot_key", request_hash))  # the model's parameters have no other
            report.entered += ledger.adopt(host, key, request_hash, entry.record)
    return report


def _copy(source: ForecastCache, target: ForecastCache, host: str, request_hash: str, report: Report) -> None:
    try:
        entry = source.read(host, request_hash)
    except CacheDamaged as damage:
        report.damaged.append(str(damage))
        return
    if entry is None or target.has(host, request_hash):
        return
    target.write(host, request_hash, entry.record, entry.body)
    report.copied += 1
    report.bytes += len(entry.body)
