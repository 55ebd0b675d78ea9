"""Looking after paid answers: counting them, checking every byte, and carrying them to another machine and back.

Belongs here: walks over the whole cache of a host. Nothing here sends or spends.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson

from timegpt_assets.adapters.call_errors import CacheDamaged
from timegpt_assets.adapters.ledger.ledger import BudgetLedger
from timegpt_assets.adapters.timegpt.cache import ForecastCache, StoredAnswer, folder, is_request_hash
from timegpt_assets.adapters.timegpt.record import fault

_REMEDY = "Restore the cache from a backup, or pay again with --reask."
INDEX = "snapshots.json"
"""Beside exported answers: which of them stands for which snapshot."""


@dataclass(kw_only=True)
class Report:
    """What a walk found: answers that are whole, their bytes, what is damaged or gone, what was copied or entered."""

    answers: int = 0
    bytes: int = 0
    damaged: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    copied: int = 0
    entered: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)


def stats(cache: ForecastCache, ledger: BudgetLedger, host: str) -> Report:
    """Return how many answers of the host are stored, of which kind, the size of their bodies, and what is gone."""
    report = _walked(cache, host)
    there = {*cache.hashes(host), *cache.damaged(host)}
    report.missing = [
        f"The answer {found} was paid for and is gone. {_REMEDY}"
        for found in sorted(ledger.standing_hashes(host) - there)
    ]
    return report


def verified(cache: ForecastCache, ledger: BudgetLedger, host: str) -> Report:
    """Return what a reading of every byte finds; what is damaged is set aside, what the ledger lost is re-entered."""
    entered = reconcile(cache, ledger, host)
    report = stats(cache, ledger, host)
    report.entered = entered
    return report


def exported(cache: ForecastCache, ledger: BudgetLedger, host: str, target: ForecastCache) -> Report:
    """Return what was copied to another cache: whole answers that are not there yet, and the index by snapshot."""
    report = Report()
    for request_hash in cache.hashes(host):
        _copy(cache, target, host, request_hash, report)
    index = {key: [found, record] for key, (found, record) in ledger.all_records().items()}
    target.objects.update(f"{folder(host)}/{INDEX}", lambda _: orjson.dumps(index))
    return report


def imported(cache: ForecastCache, ledger: BudgetLedger, host: str, source: ForecastCache) -> Report:
    """Return what was taken over from another cache; a snapshot that has an answer here keeps its own."""
    report = Report()
    for request_hash in source.hashes(host):
        _copy(source, cache, host, request_hash, report)
    for key, request_hash, record in _index(source, host):
        if cache.has(host, request_hash):
            report.entered += ledger.adopt(host, key, request_hash, record, is_stored=partial(cache.has, host))
    _entered(cache, ledger, host, set(source.hashes(host)) - ledger.standing_hashes(host), report)
    return report


def _index(source: ForecastCache, host: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Give the snapshot keys, hashes and records of what was exported; what is none of these is passed over.

    It tells of nothing that the answers' own records do not tell too.
    """
    found = source.objects.read(f"{folder(host)}/{INDEX}")
    try:
        told = orjson.loads(found.data) if found else {}
    except orjson.JSONDecodeError:
        return
    for key, pair in told.items() if isinstance(told, dict) else ():
        request_hash, record = pair if isinstance(pair, list) and len(pair) == 2 else ("", {})
        if is_request_hash(request_hash) and isinstance(record, dict) and not fault(record):
            yield key, request_hash, record


def reconcile(cache: ForecastCache, ledger: BudgetLedger, host: str) -> int:
    """Have the ledger know of every stored answer, the newest of a snapshot first; return how many it did not.

    A ledger that was lost, that is older than its cache, or whose cache came from elsewhere: before anything is priced
    or reserved, what is there is entered, and only what is nowhere can be missing. One listing and one query when all
    agrees; files are read only when they are not known.
    """
    known = ledger.standing_hashes(host)
    # names are compared before any file is read: a cache of years is listed in one go, and read never
    unknown = [found for found in cache.hashes(host) if found not in known]
    return _entered(cache, ledger, host, unknown, Report()) if unknown else 0


def _entered(cache: ForecastCache, ledger: BudgetLedger, host: str, hashes: Iterable[str], report: Report) -> int:
    found = [
        (ledger.vouches_for(answer.request_hash, answer.record), str(answer.record.get("asked_at", "")), answer)
        for answer in _read(cache, host, hashes, report)
    ]
    # the first that stands keeps its place: what was asked from here, and of that what was asked last
    for _, _, answer in sorted(found, key=lambda one: one[:2], reverse=True):
        key = str(answer.record.get("snapshot_key", answer.request_hash))  # the model's parameters have no other
        report.entered += ledger.adopt(
            host, key, answer.request_hash, answer.record, is_stored=partial(cache.has, host)
        )
    return report.entered


def _read(cache: ForecastCache, host: str, hashes: Iterable[str], report: Report) -> Iterator[StoredAnswer]:
    for request_hash in hashes:
        try:
            answer = cache.read(host, request_hash)
            if answer and (why := fault(answer.record)):
                raise cache.set_aside(host, request_hash, why)
            if answer:
                yield answer
        except CacheDamaged as damage:
            report.damaged.append(str(damage))


def _walked(cache: ForecastCache, host: str) -> Report:
    report = Report()
    for answer in _read(cache, host, cache.hashes(host), report):
        report.answers += 1
        report.bytes += len(answer.body)
        kind = str(answer.record.get("kind", "model_params"))
        report.by_kind[kind] = report.by_kind.get(kind, 0) + 1
    told = {text.split()[3] for text in report.damaged}
    report.damaged += [f"The paid answer {found} was set aside as damaged. {_REMEDY}" for found in cache.damaged(host)
                       if found not in told]  # fmt: skip
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
