"""TimeGPT: frames in, answers out, nothing paid twice.

Belongs here: deciding, per snapshot, whether its answer is already there, and having the others asked. Requests are
named by request_index.py, made by sdk.py, sent by transport.py; response.py makes rows of what came back.
"""

import logging
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Literal

import httpx
import polars as pl

from timegpt_assets.adapters.call_errors import (
    CacheDamaged,
    CallError,
    CallHeld,
    InvalidAnswer,
    MissingKey,
    OfflineMiss,
    RequestTooLarge,
    UntrustedHost,
)
from timegpt_assets.adapters.forecaster import ForecastResult, left_out
from timegpt_assets.adapters.ledger.ledger import NOTHING_STANDS, BudgetLedger, LedgerEntry
from timegpt_assets.adapters.ledger.limits import Account
from timegpt_assets.adapters.storage.object_store import ObjectStore
from timegpt_assets.adapters.timegpt import cache_care, response
from timegpt_assets.adapters.timegpt.cache import ForecastCache, StoredAnswer
from timegpt_assets.adapters.timegpt.request_index import Index, RequestPart, Size, SnapshotKey
from timegpt_assets.adapters.timegpt.sdk import PreparedRequest, SdkRequests, about, kind, sendable, uncompressed
from timegpt_assets.adapters.timegpt.transport import MeteredTransport
from timegpt_assets.config.addresses import PROVIDER_URL, host, unfit
from timegpt_assets.core.forecasts.framing import Frame
from timegpt_assets.core.forecasts.quantiles import fingerprint, held_quantiles
from timegpt_assets.core.tables.forecasts import ANSWERS

_POLL_SEC = 0.05
"""How often a process looks whether the one that is asking has its answer."""
TELL_AFTER_SEC = 3.0
"""How long it waits without a word: most calls are answered by then."""
_LOG = logging.getLogger(__name__)


@dataclass(kw_only=True)
class TimeGPT:
    """The forecaster that costs money.

    ``settings_digest`` stands for every setting that shapes a request body beside model and levels; a snapshot is
    answered once per digest. ``features_hash`` names the columns of the panel that frames are made of; it is kept with
    the answer and is part of no key. ``api_key`` is asked for only when something must be sent. ``artifacts`` gets the
    ledger's figures (api_budget.json) after every day that was sent for.
    """

    api_key: Callable[[], str | None] | str | None = field(repr=False)
    model: str
    levels: tuple[int, ...]
    settings_digest: str
    features_hash: str
    profile: str
    account: Account
    cache: ForecastCache
    ledger: BudgetLedger
    clock: Callable[[], datetime] = field(repr=False)
    base_url: str = PROVIDER_URL
    api_mode: Literal["online", "offline", "simulate"] = "online"
    trusted_hosts: tuple[str, ...] = ("api.nixtla.io",)
    size: Size = field(default_factory=lambda: Size(max_bytes=20_000_000, least_rows=1))
    timeout_sec: float = 60.0
    max_attempts: int = 3
    max_failed_calls: int = 5
    on_ambiguous: Literal["retry", "fail"] = "retry"
    on_doubt: Literal["refuse", "keep"] = "refuse"
    artifacts: ObjectStore | None = None
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)

    def __post_init__(self) -> None:
        """Refuse pairs that must never run: prod against an untrusted host, simulate against the provider."""
        if wrong := unfit(self.base_url):
            allowed, remedy = wrong
            raise UntrustedHost(f"forecast.base_url is refused: allowed is {allowed}. {remedy}")
        if self.account.host != (ours := host(self.base_url)):
            raise ValueError(f"the account is for {self.account.host}, base_url is {ours}. Give both the same host.")
        if self.profile == "prod" and not self._is_trusted:
            raise UntrustedHost(f"Profile prod refuses {ours}. Mend forecast.base_url or forecast.trusted_hosts.")
        # a rehearsal must not be able to spend money, however the address came to be there
        if self.api_mode == "simulate" and self._is_trusted:
            raise UntrustedHost(f"api_mode simulate refuses {ours}. Point forecast.base_url at a simulating server.")

    def answers(self, frames: Sequence[Frame], *, budget_run_id: str, reask: bool = False) -> ForecastResult:
        """Return the answers to one day's frames: ANSWERS rows with lo_<level>, hi_<level>, and what was sent for them.

        Nothing is sent for a snapshot that was answered before; either every missing answer can be paid for or
        nothing is sent (BudgetExceeded); what is there and cannot be used is said before anything is bought. ``reask``
        pays again for what cannot be used, and where all can be, for everything; each old answer stands until its
        successor is stored. Raises CallError.
        """
        transport = self._transport(budget_run_id)
        asking = [frame for frame in frames if not frame.history.is_empty()]
        try:
            found, cached = self._found(asking, transport, reask)
        finally:
            if self.artifacts and transport.sent:
                self.ledger.export(self.account, self.artifacts)
        rows = [self._rows(answer) for answer in found]
        return ForecastResult(
            rows=ANSWERS.conformed(pl.concat([ANSWERS.empty(), *rows], how="diagonal")),
            sent=transport.sent,
            cached=cached,
            left_out=left_out(frames),
            bytes_sent=transport.bytes_sent,
            calls=dict(transport.calls),
            seconds=tuple(transport.seconds),
            price_per_call=self.account.price_per_call,
        )

    def missing(self, frames: Sequence[Frame]) -> int:
        """Return how many requests of one day's frames have no stored answer, word for word or by snapshot.

        Nothing is sent. Raises CallError for parameters of the model that cannot be used.
        """
        self._reconcile()
        parts = [part for frame in frames if not frame.history.is_empty() for part in self._parts(frame)]
        # without the model's parameters no request can be made word for word: its rows depend on the input size
        params = self.index.params()
        if params is None:
            return sum(not part.is_answered for part in parts)
        return sum(self.index.stored(self._prepared(part, params).entry) is None for part in parts)

    @property
    def _is_trusted(self) -> bool:
        return host(self.base_url) in self.trusted_hosts

    @cached_property
    def index(self) -> Index:
        """Return the stored answers by snapshot."""
        return Index(
            host=self.account.host,
            model=self.model,
            levels=self.levels,
            settings_digest=self.settings_digest,
            size=self.size,
            cache=self.cache,
            ledger=self.ledger,
        )

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Return the one TLS set-up of all calls; making it takes 25 ms, a client with it 0.1 ms."""
        return httpx.create_ssl_context()

    @cached_property
    def _sdk_requests(self) -> SdkRequests:
        return SdkRequests(self.base_url, self.timeout_sec)

    def _transport(self, budget_run_id: str) -> MeteredTransport:
        return MeteredTransport(
            tls=lambda: self._tls,
            api_key=self._key,
            cache=self.cache,
            ledger=self.ledger,
            account=self.account,
            budget_run_id=budget_run_id,
            timeout_sec=self.timeout_sec,
            max_attempts=self.max_attempts,
            max_failed_calls=self.max_failed_calls,
            on_ambiguous=self.on_ambiguous,
            sleep=self.sleep,
        )

    def _key(self) -> str:
        key = self.api_key() if callable(self.api_key) else self.api_key
        if not key or not key.strip():
            raise MissingKey("No API key is set; nothing was sent. Set TIMEGPT_API_KEY (or NIXTLA_API_KEY).")
        key = key.strip()
        if not (key.isascii() and key.isprintable()) or " " in key:
            wrong = "TIMEGPT_API_KEY holds what no key holds (a space, a line break, a typographic quote)"
            raise MissingKey(f"{wrong}; nothing was sent. Set it to the key alone.")
        return key

    def _found(
        self, frames: Sequence[Frame], transport: MeteredTransport, reask: bool
    ) -> tuple[list[StoredAnswer], int]:
        """Return the answer to every request of the frames, and how many were there before."""
        if not frames:
            return [], 0
        self._reconcile()
        params, was_unusable = self._model_params(frames, transport, reask)
        cached = -1
        while True:
            requests = [self._prepared(part, params) for frame in frames for part in self._parts(frame)]
            looked = [self._look(request) for request in requests]
            unusable = [found for found in looked if isinstance(found, CallError)]
            if unusable and not reask:
                raise unusable[0]  # before anything is bought for the rest of the day
            asked = self._asked(requests, looked, everything=reask and not unusable and not was_unusable)
            cached = len(requests) - len(asked) if cached < 0 else cached
            self._fetch(asked, transport)
            found = [self.index.stored(request.entry) for request in requests]
            # stale right after it was asked: another process's batch stands for the snapshot; who is not in it is next
            if reask or not any(now and now.stale and was is None for now, was in zip(found, looked, strict=True)):
                return [answer for answer in found if answer], cached

    def _asked(
        self, requests: Sequence[PreparedRequest], looked: Sequence[object], *, everything: bool
    ) -> list[PreparedRequest]:
        """Return the requests to be sent: the missing ones, and as successors those that cannot be used, or all."""
        pairs = [(request, found) for request, found in zip(requests, looked, strict=True) if request.is_sendable]
        return [
            self._succeeding(request) if found is not None else request
            for request, found in pairs
            if everything or not isinstance(found, StoredAnswer)
        ]

    def _succeeding(self, request: PreparedRequest) -> PreparedRequest:
        """Return the request as the successor of the answer that stands; a standing one is not given up before."""
        standing = self.ledger.standing(self.account.host, request.entry.snapshot_key)
        return replace(request, entry=replace(request.entry, replaces=standing or NOTHING_STANDS))

    @cached_property
    def _reconciled(self) -> int:
        return cache_care.reconcile(self.cache, self.ledger, self.account.host)

    def _reconcile(self) -> None:
        """Have ledger and cache know of each other's answers, once for this forecaster: others keep both up to date."""
        # before anything is priced or reserved: what lies in the cache must never be bought because the ledger was lost
        _ = self._reconciled

    def _look(self, request: PreparedRequest) -> StoredAnswer | CallError | None:
        """Return the stored answer, why it cannot be used, or None when there is none."""
        try:
            if answer := self.index.stored(request.entry):
                self._check(request, answer)
        except (CacheDamaged, InvalidAnswer) as error:
            return error
        return answer

    def _check(self, request: PreparedRequest, answer: StoredAnswer) -> None:
        if request.entry.kind == "model_params":
            response.model_params(answer.body, about=request.about)
        else:
            self._rows(answer)

    def _rows(self, answer: StoredAnswer) -> pl.DataFrame:
        rows = response.rows(answer, on_doubt=self.on_doubt)
        return rows.with_columns(host=pl.lit(self.account.host))  # whose word it is, whatever trust was set to

    def _fetch(self, requests: Sequence[PreparedRequest], transport: MeteredTransport, *, to_come: int = 0) -> None:
        """Have every request answered, by us or by the process that is already sending it.

        Returns early when a snapshot turns out to be answered by a batch that is not ours: who is missing from it
        has to be counted anew. Raises CallHeld when a living process holds one for longer than a call can last.
        """
        if requests:
            self._check_may_send([request.about for request in requests])
            # a full disk is found out before the call, not with the paid answer in hand
            self.cache.check_writable(self.account.host)
        waiting, since, told = list(requests), time.monotonic(), False
        while waiting:
            entries = [request.entry for request in waiting]
            granted = self.ledger.reserve(entries, self.account, budget_run_id=transport.budget_run_id, to_come=to_come)
            try:
                for request in waiting:
                    if call := granted.get(request.entry.request_hash):
                        transport.fetch(request, call)
                        self._check_sense(request)
            finally:
                self.ledger.release(granted.values())
            found = [self._answered_now(request) for request in waiting]
            if any(answer and answer.stale and not r.entry.replaces for r, answer in zip(waiting, found, strict=True)):
                return
            waiting = [request for request, answer in zip(waiting, found, strict=True) if answer is None]
            # somebody else holds them all; with anything granted there is progress, and the loop looks again at once
            if waiting and not granted:
                told = self._wait(waiting, since, told=told)

    def _answered_now(self, request: PreparedRequest) -> StoredAnswer | None:
        """Return the answer the request was waiting for: for a successor not the one it succeeds."""
        entry = request.entry
        if entry.replaces and self.ledger.standing(self.account.host, entry.snapshot_key) <= max(entry.replaces, 0):
            return None
        return self.index.stored(entry)

    def _wait(self, waiting: Sequence[PreparedRequest], since: float, *, told: bool) -> bool:
        """Wait a moment for whoever holds the requests, and return whether it was told for whom and since when."""
        seconds = time.monotonic() - since
        # the lease outlasts the slowest call: a living holder beyond it hangs, and taking its call could pay twice
        if seconds > self.ledger.lease_sec:
            raise CallHeld(
                f"{waiting[0].about} has been held by {self._holders(waiting)} for longer than a call can last; "
                "nothing was sent. End that process if it hangs, and run again."
            )
        if not told and seconds > TELL_AFTER_SEC:
            _LOG.warning("%s is being asked for by %s: waited for.", waiting[0].about, self._holders(waiting))
        self.sleep(_POLL_SEC)
        return seconds > TELL_AFTER_SEC

    def _holders(self, waiting: Sequence[PreparedRequest]) -> str:
        keys = [request.entry.snapshot_key for request in waiting]
        return "; ".join(self.ledger.holders(keys)) or "another process"

    def _check_sense(self, request: PreparedRequest) -> None:
        """Raise InvalidAnswer for nonsense before the next snapshot is paid for."""
        if answer := self.index.stored(request.entry):
            self._check(request, answer)

    def _check_may_send(self, missing: Sequence[str]) -> None:
        if self.api_mode == "offline":
            many = "; ".join(missing)
            raise OfflineMiss(f"Offline, and {len(missing)} answers are not stored: {many}. Ask for them online first.")
        # demanded before reserving, so that a missing key leaves no reservation behind
        self._key()

    def _model_params(
        self, frames: Sequence[Frame], transport: MeteredTransport, reask: bool
    ) -> tuple[tuple[int, int], bool]:
        """Return the model's input size and horizon, and whether they were there and could not be used.

        They are asked for once per host and model, then stored like an answer.
        """
        request = self.params_request
        found = first = self._look(request)
        if isinstance(found, CallError) and not reask:
            raise found
        while not isinstance(found, StoredAnswer):
            # the day's calls are demanded along (to_come): parameters with no call left to use them buy nothing
            unasked = [frame for frame in frames for part in self._parts(frame) if not part.is_answered]
            self._check_may_send([request.about, *map(about, unasked)])
            self._fetch([request if found is None else self._succeeding(request)], transport, to_come=len(unasked))
            found = self.index.stored(request.entry)
        return response.model_params(found.body, about=request.about), isinstance(first, CallError)

    def asked_for_params(self, *, budget_run_id: str) -> StoredAnswer:
        """Ask for the model's parameters whatever is stored: a call like any other. Raises CallError."""
        request = self._succeeding(self.params_request)
        self._fetch([request], self._transport(budget_run_id))
        if answer := self.index.stored(request.entry):
            return answer
        raise InvalidAnswer(f"{request.about}: the answer was not kept. Report it to the provider.")

    @cached_property
    def params_request(self) -> PreparedRequest:
        """Return the request for the model's input size and horizon."""
        made = self._sdk_requests.model_params(self.model)
        request_hash = self._hash(made, made.url.query, ())
        entry = LedgerEntry("model_params", request_hash, snapshot_key=request_hash, record={"model": self.model})
        return PreparedRequest(about=f"model parameters of {self.model}", entry=entry, http=made)

    def _parts(self, frame: Frame) -> list[RequestPart]:
        """Return the requests of a frame, each with its part of the symbols; who is left out of all has none."""
        key = _key(frame)
        parts = self.index.parts([key], {*frame.sigma["symbol"], *frame.left_out})[key]
        framed = [replace(part, frame=frame.of(part.symbols)) for part in parts]
        return [part for part in framed if part.is_answered or (part.frame and not part.frame.history.is_empty())]

    def _prepared(self, part: RequestPart, params: tuple[int, int]) -> PreparedRequest:
        """Return the part's request as it would be sent now, with what is to be remembered of it."""
        frame = part.frame
        if frame is None:
            raise ValueError("a part without a frame was counted and cannot be asked. Prepare the parts of a frame.")
        if frame.history.is_empty():  # answered, and nobody of its batch is there today: the stored answer stands
            entry = LedgerEntry(kind(frame), request_hash="", snapshot_key=part.snapshot_key, record={})
            return PreparedRequest(about=about(frame), entry=entry, http=httpx.Request("POST", self.base_url))
        # trimmed here though the SDK trims too: with exogenous columns it sends the whole history
        sent = sendable(frame, params, has_bands=bool(self.levels), size=self.size)
        made = self._sdk_requests.of(frame, sent, model=self.model, levels=self.levels, params=params)
        # hashed before compression: the same question keeps its hash whatever zstd does with it
        body = uncompressed(made)
        if len(body) > self.size.max_bytes:
            raise RequestTooLarge(
                f"{about(frame)}: the request has {len(body)} bytes, forecast.max_bytes_per_call allows "
                f"{self.size.max_bytes}; nothing was sent. Raise the limit."
            )
        entry = LedgerEntry(
            kind=kind(frame),
            request_hash=self._hash(made, body, sent["symbol"].unique().sort().to_list()),
            snapshot_key=part.snapshot_key,
            record=self._record(frame, sent, part.snapshot_key),
            # requests of one moment split the universe: half of a split granted to another process would overlap ours
            moment=self.index.key(_key(frame)),
        )
        return PreparedRequest(about=about(frame), entry=entry, http=made)

    def _hash(self, made: httpx.Request, body: bytes, symbols: Sequence[str]) -> str:
        host, endpoint = self.account.host, made.url.path
        return fingerprint(body, symbols=symbols, model=self.model, host=host, endpoint=endpoint)

    def _record(self, frame: Frame, sent: pl.DataFrame, snapshot_key: str) -> dict[str, object]:
        asked_at = self.clock()
        return response.remembered(frame, sent, snapshot_key=snapshot_key, kind=kind(frame)) | {
            "model": self.model,
            "levels": list(self.levels),
            "quantiles": held_quantiles(self.levels),
            "features_hash": self.features_hash,
            "settings_digest": self.settings_digest,
            "profile": self.profile,
            "asked_at": asked_at.isoformat(),
            **response.sources(frame, asked_at, profile=self.profile, is_trusted=self._is_trusted),
        }


def _key(frame: Frame) -> SnapshotKey:
    return SnapshotKey(frame.day, frame.snapshot_ts, frame.horizon_min)
