"""TimeGPT: frames in, answers out, nothing paid twice.

Belongs here: deciding, per snapshot, whether its answer is already there, and having the others asked. Requests are
made by sdk.py, named by request_index.py, remembered by request_record.py and sent by transport.py.
"""

import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Literal

import httpx
import polars as pl

from timegpt_assets.adapters.call_errors import InvalidAnswer, MissingKey, OfflineMiss, RequestTooLarge, UntrustedHost
from timegpt_assets.adapters.forecaster import Answered, left_out
from timegpt_assets.adapters.ledger.ledger import Ask, BudgetLedger
from timegpt_assets.adapters.ledger.limits import Account
from timegpt_assets.adapters.storage.object_store import ObjectStore
from timegpt_assets.adapters.timegpt import cache_care, request_record, response, stored_answers
from timegpt_assets.adapters.timegpt.cache import ForecastCache
from timegpt_assets.adapters.timegpt.hosts import PROVIDER_URL, host
from timegpt_assets.adapters.timegpt.request_index import Index, Moment, Size, batches
from timegpt_assets.adapters.timegpt.sdk import SdkRequests, uncompressed
from timegpt_assets.adapters.timegpt.stored_answers import Known
from timegpt_assets.adapters.timegpt.transport import MeteredTransport, Question
from timegpt_assets.core.forecasts.framing import Frame
from timegpt_assets.core.forecasts.quantiles import Request, fingerprint
from timegpt_assets.core.tables.forecasts import ANSWERS

_POLL_SEC = 0.05
"""How often a process looks whether the one that is asking has its answer."""


@dataclass(kw_only=True)
class TimeGPT:
    """The forecaster that costs money.

    ``settings_digest`` stands for every setting that shapes a request body beside model and levels; a snapshot is
    answered once per digest. ``api_key`` is asked for only when something must be sent. ``artifacts`` gets the
    ledger's figures (api_budget.json) after every day that was sent for.
    """

    api_key: Callable[[], str | None] | str | None = field(repr=False)
    model: str
    levels: tuple[int, ...]
    settings_digest: str
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
        if self.account.host != (ours := host(self.base_url)):
            raise ValueError(f"the account is for {self.account.host}, base_url is {ours}. Give both the same host.")
        if self.profile == "prod" and not self._is_trusted:
            raise UntrustedHost(f"Profile prod refuses {ours}. Mend forecast.base_url or forecast.trusted_hosts.")
        if self.api_mode == "simulate" and self._is_trusted:
            raise UntrustedHost(f"api_mode simulate refuses {ours}. Point forecast.base_url at a simulating server.")

    def answers(self, frames: Sequence[Frame], *, budget_run_id: str, reask: bool = False) -> Answered:
        """Return the answers to one day's frames: ANSWERS rows with lo_<level>, hi_<level>, and what was sent for them.

        Nothing is sent for a snapshot that was answered before; either every missing answer can be paid for or
        nothing is sent (BudgetExceeded). ``reask`` gives the stored answers up and pays again. Raises CallError.
        """
        transport = self._transport(budget_run_id)
        asking = [frame for frame in frames if not frame.history.is_empty()]
        try:
            if reask:
                self._invalidate(asking, budget_run_id)
            found, cached = self._found(asking, transport, reask)
        finally:
            if self.artifacts and transport.sent:
                self.ledger.export(self.account, self.artifacts)
        rows = [self._rows(answer) for answer in found]
        return Answered(
            rows=ANSWERS.conformed(pl.concat([ANSWERS.empty(), *rows], how="diagonal")),
            sent=transport.sent,
            cached=cached,
            left_out=left_out(frames),
            bytes_sent=transport.bytes_sent,
            price_per_call=self.account.price_per_call,
        )

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

    def _found(self, frames: Sequence[Frame], transport: MeteredTransport, reask: bool) -> tuple[list[Known], int]:
        """Return the answer to every question of the frames, and how many were there before."""
        if not frames:
            return [], 0
        cache_care.restore_index(self.cache, self.ledger, self.account.host)
        params = self._model_params(frames, transport, reask)
        cached = -1
        while True:
            questions = [question for frame in frames for question in self._questions(frame, params)]
            known = [self._known(question) for question in questions]
            missing = [question for question, found in zip(questions, known, strict=True) if found is None]
            cached = len(questions) - len(missing) if cached < 0 else cached
            self._fetch(missing, transport)
            found = [before or self._known(question) for before, question in zip(known, questions, strict=True)]
            # stale right after it was asked: another process's batch stands for the snapshot; who is not in it is next
            if not any(now and now.stale and before is None for now, before in zip(found, known, strict=True)):
                return [answer for answer in found if answer], cached

    def _rows(self, answer: Known) -> pl.DataFrame:
        return stored_answers.rows(answer, on_doubt=self.on_doubt)

    def _fetch(self, questions: Sequence[Question], transport: MeteredTransport, *, to_come: int = 0) -> None:
        """Have every question answered, by us or by the process that is already asking it.

        Returns early when a snapshot turns out to be answered by a batch that is not ours: who is missing from it
        has to be counted anew.
        """
        if questions:
            self._check_may_send([question.about for question in questions])
            self.cache.check_writable(self.account.host)
        waiting = list(questions)
        while waiting:
            asks = [question.ask for question in waiting]
            granted = self.ledger.reserve(asks, self.account, budget_run_id=transport.budget_run_id, to_come=to_come)
            try:
                for question in waiting:
                    if call := granted.get(question.ask.request_hash):
                        transport.fetch(question, call)
                        self._check_sense(question)
            finally:
                self.ledger.release(granted.values())
            found = [self._known(question) for question in waiting]
            if any(answer and answer.stale for answer in found):
                return
            waiting = [question for question, answer in zip(waiting, found, strict=True) if answer is None]
            if waiting and not granted:
                self.sleep(_POLL_SEC)

    def _check_sense(self, question: Question) -> None:
        """Raise InvalidAnswer for nonsense before the next snapshot is paid for."""
        if question.ask.kind != "model_params" and (known := self._known(question)):
            self._rows(known)

    def _check_may_send(self, missing: Sequence[str]) -> None:
        if self.api_mode == "offline":
            many = "; ".join(missing)
            raise OfflineMiss(f"Offline, and {len(missing)} answers are not stored: {many}. Ask for them online first.")
        self._key()

    def _known(self, question: Question) -> Known | None:
        return stored_answers.known(question.ask, cache=self.cache, ledger=self.ledger, host=self.account.host)

    def _model_params(self, frames: Sequence[Frame], transport: MeteredTransport, reask: bool) -> tuple[int, int]:
        """Return the model's input size and horizon: asked for once per host and model, then stored like an answer."""
        question = self.params_question
        while (known := self._known(question)) is None:
            unasked = [frame for frame in frames for part in self._parts(frame) if not part.is_answered]
            self._check_may_send([question.about, *map(request_record.about, unasked)])
            self._fetch([question], transport, to_come=len(unasked))
        try:
            return response.model_params(known.body, about=question.about)
        except InvalidAnswer:
            if not reask:
                raise
            self.ledger.invalidate((question.ask.snapshot_key,), (known.request_hash,))
            self.cache.invalidate(self.account.host, known.request_hash)
            return self._model_params(frames, transport, reask=False)

    @cached_property
    def params_question(self) -> Question:
        """Return the request for the model's input size and horizon."""
        request = self._sdk_requests.model_params(self.model)
        asked = Request(symbols=(), steps=(), levels=(), model=self.model, body=request.url.query)
        request_hash = fingerprint(asked, host=self.account.host, endpoint=request.url.path)
        ask = Ask(
            kind="model_params", request_hash=request_hash, snapshot_key=request_hash, record={"model": self.model}
        )
        return Question(ask=ask, request=request, about=f"model parameters of {self.model}")

    def _parts(self, frame: Frame) -> list["request_record.Share"]:
        """Return the requests of a frame, each with its share of the symbols; who is left out of all has none."""
        moment = _moment(frame)
        everybody = {*frame.sigma["symbol"], *frame.left_out}
        shares = []
        for part in self.index.parts([moment], everybody)[moment]:
            own = frame.of(part.symbols)
            if part.is_answered or not own.history.is_empty():
                shares.append(
                    request_record.Share(snapshot_key=part.snapshot_key, frame=own, is_answered=part.is_answered)
                )
        return shares

    def _questions(self, frame: Frame, params: tuple[int, int]) -> list[Question]:
        return [self._question(share, params) for share in self._parts(frame)]

    def _question(self, share: request_record.Share, params: tuple[int, int]) -> Question:
        frame, about = share.frame, request_record.about(share.frame)
        if frame.history.is_empty():  # answered, and nobody of its batch is there today: the stored answer stands
            ask = Ask(kind=request_record.kind(frame), request_hash="", snapshot_key=share.snapshot_key, record={})
            return Question(ask=ask, request=httpx.Request("POST", self.base_url), about=about)
        sent = request_record.sendable(frame, params, has_bands=bool(self.levels), size=self.size)
        request = request_record.composed(
            self._sdk_requests, frame, sent, model=self.model, levels=self.levels, params=params
        )
        body = uncompressed(request)
        if len(body) > self.size.max_bytes:
            raise RequestTooLarge(
                f"{about}: the request has {len(body)} bytes, forecast.max_bytes_per_call allows "
                f"{self.size.max_bytes}; nothing was sent. Raise the limit."
            )
        asked = Request(
            symbols=tuple(sent["symbol"].unique().sort()),
            steps=tuple(range(1, frame.horizon_min + 1)),
            levels=self.levels,
            model=self.model,
            body=body,
        )
        ask = Ask(
            kind=request_record.kind(frame),
            request_hash=fingerprint(asked, host=self.account.host, endpoint=request.url.path),
            snapshot_key=share.snapshot_key,
            record=self._record(share, sent),
            moment=self.index.key(_moment(frame)),
        )
        return Question(ask=ask, request=request, about=about)

    def _record(self, share: request_record.Share, sent: pl.DataFrame) -> dict[str, object]:
        asked_at = self.clock()
        return request_record.remembered(share, sent) | {
            "model": self.model,
            "levels": list(self.levels),
            "settings_digest": self.settings_digest,
            "profile": self.profile,
            "asked_at": asked_at.isoformat(),
            **request_record.sources(share.frame, asked_at, profile=self.profile, is_trusted=self._is_trusted),
        }

    def _invalidate(self, frames: Sequence[Frame], budget_run_id: str) -> None:
        """Give the frames' stored answers up once it is sure that new ones can be paid for."""
        self._check_may_send([request_record.about(frame) for frame in frames])
        needed = sum(len(batches(sorted(frame.sigma["symbol"]), self.size.batch)) for frame in frames)
        self.ledger.require(self.account, budget_run_id, needed=needed)
        keys = [share.snapshot_key for frame in frames for share in self._parts(frame)]
        hashes = [request_hash for request_hash, _ in self.ledger.records(keys).values()]
        self.ledger.invalidate(keys, hashes)
        for request_hash in hashes:
            self.cache.invalidate(self.account.host, request_hash)


def _moment(frame: Frame) -> Moment:
    return Moment(frame.day, frame.snapshot_ts, frame.horizon_min)
