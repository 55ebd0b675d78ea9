"""Which requests a snapshot takes: those that were answered, and the batches of symbols still to be asked for.

Belongs here: the index by snapshot, counted and not composed, so that a price is known before there are any bars.
A snapshot is answered once for everybody it was asked about; who joins the universe later is a request of its own.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import pairwise
from typing import Any, Literal

import orjson

from timegpt_assets.adapters.call_errors import CacheDamaged, InvalidAnswer
from timegpt_assets.adapters.ledger.ledger import BudgetLedger, LedgerEntry
from timegpt_assets.adapters.ledger.vouching import not_live
from timegpt_assets.adapters.timegpt import response
from timegpt_assets.adapters.timegpt.cache import ForecastCache, StoredAnswer
from timegpt_assets.adapters.timegpt.record import fault
from timegpt_assets.core.forecasts.framing import Frame
from timegpt_assets.core.forecasts.quantiles import FRAMING_VERSION, FREQ, fingerprint
from timegpt_assets.core.tables.columns import SOURCES

_MOMENT = ("asked_at", "host", "served_at", *SOURCES)
BYTES_PER_VALUE, BYTES_PER_SERIES, BYTES_PER_REQUEST = 16, 64, 1024
"""Most that one float32, one series' stamp and size, and everything else take in a request's JSON."""


@dataclass(frozen=True, slots=True, order=True)
class SnapshotKey:
    """What a request is about: the session, when it is asked, and how many minutes ahead."""

    day: date
    snapshot_ts: datetime
    horizon_min: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestPart:
    """One request of a snapshot: its key in the index, whom it is about, and whether its answer is there."""

    snapshot_key: str
    symbols: frozenset[str]
    is_answered: bool
    request_hash: str = ""
    frame: Frame | None = None
    """What is known of its symbols, once there are bars: a price is counted before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What one request may weigh: ``max_bytes`` of JSON; no series is cut below ``least_rows``.

    ``columns`` numbers a row holds, ``ahead`` rows per series beyond its history (exogenous columns known ahead).
    """

    max_bytes: int
    least_rows: int
    columns: int = 1
    ahead: int = 0

    @property
    def batch(self) -> int:
        """Return how many series of ``least_rows`` fit into one request; 0 when not even one does."""
        return max(0, (self.max_bytes - BYTES_PER_REQUEST) // self._series(self.least_rows))

    def rows(self, series: int) -> int:
        """Return how many rows of each of so many series fit into one request."""
        left = (self.max_bytes - BYTES_PER_REQUEST) // max(1, series) - self._series(0)
        return max(0, left // (BYTES_PER_VALUE * self.columns))

    def bytes(self, series: int, rows: int) -> int:
        """Return the most that a request of so many series and rows takes."""
        return BYTES_PER_REQUEST + series * self._series(rows)

    def _series(self, rows: int) -> int:
        return BYTES_PER_SERIES + (rows + self.ahead) * BYTES_PER_VALUE * self.columns


@dataclass(frozen=True, kw_only=True)
class Index:
    """The stored answers by snapshot: what was asked about whom, and what is missing for a universe."""

    host: str
    model: str
    levels: tuple[int, ...]
    settings_digest: str
    size: Size
    cache: ForecastCache
    ledger: BudgetLedger

    def key(self, snapshot: SnapshotKey, number: int = 0) -> str:
        """Return the key of the snapshot's request of that number."""
        shape = [self.settings_digest, self.levels, FRAMING_VERSION]
        which = [snapshot.day, snapshot.snapshot_ts, snapshot.horizon_min, *([number] if number else [])]
        return hashlib.sha256(orjson.dumps([self.host, self.model, *which, shape])).hexdigest()

    def parts(
        self, snapshots: Iterable[SnapshotKey], universe: Collection[str]
    ) -> dict[SnapshotKey, list[RequestPart]]:
        """Return the requests of each snapshot that together are about the whole universe, answered ones first."""
        found: dict[SnapshotKey, list[RequestPart]] = {snapshot: [] for snapshot in snapshots}
        rest = {snapshot: frozenset(universe) for snapshot in found}
        looking = list(found)
        # numbers, not symbols, are in the key: a symbol that joins later must not rename what was answered before
        for number in range(len(universe) + 1):
            answered = self._answered({self.key(snapshot, number): snapshot for snapshot in looking})
            for snapshot, part in answered.items():
                found[snapshot].append(part)
                rest[snapshot] -= part.symbols
            looking = [snapshot for snapshot in answered if rest[snapshot]]
            if not looking:
                break
        for snapshot, parts in found.items():
            # batches come from a bound on bytes: composing each to know its size would need bars, and a plan has none
            for n, symbols in enumerate(batches(sorted(rest[snapshot]), self.size.batch), start=len(parts)):
                parts.append(
                    RequestPart(snapshot_key=self.key(snapshot, n), symbols=frozenset(symbols), is_answered=False)
                )
        return found

    def _answered(self, keys: Mapping[str, SnapshotKey]) -> dict[SnapshotKey, RequestPart]:
        records = self.ledger.records(keys)
        paid = self.ledger.answered_hashes([request_hash for request_hash, _ in records.values()])
        return {
            keys[key]: RequestPart(
                snapshot_key=key, symbols=_asked_about(record), is_answered=True, request_hash=request_hash
            )
            for key, (request_hash, record) in sorted(records.items())
            if request_hash in paid or self.cache.has(self.host, request_hash)
        }

    def stored(self, entry: LedgerEntry) -> StoredAnswer | None:
        """Return the stored answer: the snapshot's own, whatever its body was, else one to the very same body.

        Bytes stored by a process that died before the ledger knew of them are entered now. Raises CacheDamaged for a
        paid answer whose bytes are damaged, gone, or not those the ledger remembers.
        """
        by_snapshot, record = self.ledger.records((entry.snapshot_key,)).get(entry.snapshot_key, ("", {}))
        for request_hash in dict.fromkeys(filter(None, (by_snapshot, entry.request_hash))):
            is_paid = self.ledger.has_answer(request_hash)  # asked first: who is answering now stores the bytes before
            answer = self._read(request_hash, record if request_hash == by_snapshot else {})
            # paid for and not there is an error and no miss: a miss would be bought again without a word
            if answer is None and is_paid:
                where = self.cache.objects.shown("")
                what = f"The answer {request_hash} was paid for, but is not in {where}; nothing was sent."
                raise CacheDamaged(f"{what} Restore the cache from a backup, or pay again with --reask.")
            if answer is None:
                continue
            # other bytes under the right name: an earlier call's from a backup, or of a call that died after storing
            if request_hash == by_snapshot and _differs(answer, record):
                self._take_over(entry.snapshot_key, answer)
                return self.stored(entry)
            if request_hash != by_snapshot or not is_paid:
                record = {**(record if request_hash == by_snapshot else entry.record), **self._moment(answer, is_paid)}
                held = replace(entry, request_hash=request_hash, record=record, attempt=int(answer.record["attempt"]))
                self.ledger.answered(held)
            return replace(answer, record=record, stale=request_hash != entry.request_hash)
        return None

    def params(self) -> tuple[int, int] | None:
        """Return the model's input size and horizon, None while they were never asked for.

        Raises CacheDamaged or InvalidAnswer for an answer that cannot be used.
        """
        key = params_key(self.host, self.model)
        answer = self.stored(LedgerEntry("model_params", key, key, {"model": self.model}))
        return None if answer is None else response.model_params(answer.body, about=f"model parameters of {self.model}")

    def is_usable(self, part: RequestPart, *, on_doubt: Literal["refuse", "keep"]) -> bool:
        """Return whether the part's stored answer makes rows."""
        try:
            answer = self.stored(LedgerEntry("", "", part.snapshot_key, {}))
            return answer is not None and not response.rows(answer, on_doubt=on_doubt).is_empty()
        except (CacheDamaged, InvalidAnswer):
            return False

    def _read(self, request_hash: str, record: Mapping[str, Any]) -> StoredAnswer | None:
        """Return the stored answer, mended from the ledger where that holds its body (the model's parameters).

        Raises CacheDamaged.
        """
        try:
            answer = self.cache.read(self.host, request_hash)
            if answer and (why := fault(answer.record)):
                raise self.cache.set_aside(self.host, request_hash, why)
        except CacheDamaged:
            if "body" not in record:
                raise
            answer = None
        if answer is None and "body" in record:
            body = str(record["body"]).encode()
            self.cache.write(self.host, request_hash, record, body, replacing=True)
            return StoredAnswer(request_hash, record, body)
        return answer

    def _moment(self, answer: StoredAnswer, is_paid: bool) -> dict[str, Any]:
        """Return what is kept of the moment of an answer to the same body: under other settings, or by who died then.

        What the ledger remembers of it counts, else what it sealed; a file's own word makes nothing live. Raises
        CacheDamaged for bytes that are not those it remembers.
        """
        key = answer.request_hash
        remembered = self.ledger.record_of(key) if is_paid else {}
        if _differs(answer, remembered):
            raise self._forged(key)
        is_known = bool(remembered) or self.ledger.vouches_for(key, answer.record)
        said = {**(answer.record if is_known else not_live(answer.record)), **remembered}
        return {name: said[name] for name in _MOMENT if name in said} | {"sha256": _digest(answer)}

    def _take_over(self, snapshot_key: str, answer: StoredAnswer) -> None:
        """Let bytes stand that are not those the ledger remembers, if an earlier or a dead call of ours got them.

        Raises CacheDamaged for bytes that nobody here ever got: a forged file has a checksum too.
        """
        key = answer.request_hash
        if not self.ledger.adopt(
            self.host, snapshot_key, key, answer.record, is_stored=lambda other: other != key, only_ours=True
        ):
            raise self._forged(key)

    def _forged(self, key: str) -> CacheDamaged:
        where = self.cache.objects.shown("")
        what = f"The answer {key} in {where} is not the one that was paid for: its bytes differ; nothing was sent"
        return CacheDamaged(f"{what}. Restore the cache from a backup, or pay again with --reask.")


def params_key(host: str, model: str) -> str:
    """Return the request hash of the model's parameters, which the SDK asks for by model and step of the series."""
    query = f"model={model}&freq={FREQ}".encode()
    return fingerprint(query, symbols=(), model=model, host=host, endpoint="/model_params")


def batches(symbols: Sequence[str], size: int) -> list[Sequence[str]]:
    """Return the symbols in as few batches of at most ``size`` as there can be, all about equally large."""
    if not symbols:
        return []
    count = -(-len(symbols) // max(1, size))
    cuts = [round(i * len(symbols) / count) for i in range(count + 1)]
    return [symbols[a:b] for a, b in pairwise(cuts)]


def _differs(answer: StoredAnswer, record: Mapping[str, Any]) -> bool:
    """Return whether the bytes are others than those whose digest the ledger remembers; records of old have none."""
    return "sha256" in record and _digest(answer) != record["sha256"]


def _digest(answer: StoredAnswer) -> str:
    return hashlib.sha256(answer.body).hexdigest()


def _asked_about(record: Mapping[str, Any]) -> frozenset[str]:
    """Return everybody who was in the universe when it was asked: those left out are not asked for again either."""
    return frozenset(record.get("symbols", ())) | frozenset(record.get("left_out", ()))
