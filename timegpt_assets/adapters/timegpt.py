"""TimeGPT: frames in, answers out, nothing paid twice. The only module that imports nixtla, and pandas with it.

Belongs here: making the request with the real SDK and deciding, per snapshot, whether its answer is already there.
The SDK's HTTP client cannot send: it hands over the request it made, so that the request is known, counted and
reserved before anything leaves (metering.py).
"""

import hashlib
import logging
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

import httpx
import orjson
import polars as pl
import zstandard

from timegpt_assets.adapters import provider_answer, stored_answers
from timegpt_assets.adapters.answered import Answered, left_out
from timegpt_assets.adapters.budget_ledger import Account, Ask, BudgetLedger
from timegpt_assets.adapters.call_errors import InvalidAnswer, MissingKey, OfflineMiss, UntrustedHost, UnusableInput
from timegpt_assets.adapters.forecast_cache import ForecastCache
from timegpt_assets.adapters.metering import Meter, Question
from timegpt_assets.adapters.stored_answers import Known
from timegpt_assets.core import calendar, tables
from timegpt_assets.core.forecasts import FRAMING_VERSION, FREQ, Request, fingerprint, series
from timegpt_assets.core.framing import Frame

PROVIDER_URL = "https://api.nixtla.io"
RUN_SOURCES = {"demo": "smoke", "dev": "maintenance", "offline": "maintenance", "prod": "prod"}
_POLL_SEC = 0.05
"""How often a process looks whether the one that is asking has its answer."""


def host(base_url: str) -> str:
    """Return the provider's host, with its port unless it is the usual one: what cache and ledger are keyed by."""
    return httpx.URL(base_url).netloc.decode()


@dataclass(kw_only=True)
class TimeGPT:
    """The forecaster that costs money.

    ``settings_digest`` stands for every setting that shapes a request body beside model and levels; a snapshot is
    answered once per digest. ``api_key`` is asked for only when something must be sent.
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
    timeout_sec: float = 60.0
    max_attempts: int = 3
    on_ambiguous: Literal["retry", "fail"] = "retry"
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
        meter = self._meter(budget_run_id)
        if reask:
            self._give_up(frames, budget_run_id)
        params = self._model_params(frames, meter, reask) if frames else (0, 0)
        questions = [self._question(frame, params) for frame in frames]
        known = [self._known(question) for question in questions]
        missing = [question for question, found in zip(questions, known, strict=True) if found is None]
        self._fetch(missing, meter)
        found = [before or self._known(question) for before, question in zip(known, questions, strict=True)]
        rows = [stored_answers.rows(answer) for answer in found if answer]
        table = tables.ANSWERS.conformed(pl.concat([tables.ANSWERS.empty(), *rows], how="diagonal"))
        cached = len(frames) - len(missing)
        return Answered(rows=table, sent=meter.sent, cached=cached, left_out=left_out(frames))

    @property
    def _is_trusted(self) -> bool:
        return host(self.base_url) in self.trusted_hosts

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Return the one TLS set-up of all calls; making it takes 25 ms, a client with it 0.1 ms."""
        return httpx.create_ssl_context()

    @cached_property
    def _composer(self) -> "Composer":
        return Composer(self.base_url, self.timeout_sec)

    def _meter(self, budget_run_id: str) -> Meter:
        return Meter(
            tls=lambda: self._tls,
            api_key=self._key,
            cache=self.cache,
            ledger=self.ledger,
            account=self.account,
            budget_run_id=budget_run_id,
            timeout_sec=self.timeout_sec,
            max_attempts=self.max_attempts,
            on_ambiguous=self.on_ambiguous,
            sleep=self.sleep,
        )

    def _key(self) -> str:
        key = self.api_key() if callable(self.api_key) else self.api_key
        if not key or not key.strip():
            raise MissingKey("No API key is set; nothing was sent. Set TIMEGPT_API_KEY (or NIXTLA_API_KEY).")
        return key.strip()

    def _fetch(self, questions: Sequence[Question], meter: Meter, *, to_come: int = 0) -> None:
        """Have every question answered, by us or by the process that is already asking it."""
        if questions:
            self._check_may_send([question.about for question in questions])
        waiting = list(questions)
        while waiting:
            asks = [question.ask for question in waiting]
            granted = self.ledger.reserve(asks, self.account, budget_run_id=meter.budget_run_id, to_come=to_come)
            try:
                for question in waiting:
                    if call := granted.get(question.ask.request_hash):
                        meter.fetch(question, call)
            finally:
                self.ledger.release(granted.values())
            waiting = [question for question in waiting if self._known(question) is None]
            if waiting and not granted:
                self.sleep(_POLL_SEC)

    def _check_may_send(self, missing: Sequence[str]) -> None:
        if self.api_mode == "offline":
            many = "; ".join(missing)
            raise OfflineMiss(f"Offline, and {len(missing)} answers are not stored: {many}. Ask for them online first.")
        self._key()

    def _known(self, question: Question) -> Known | None:
        return stored_answers.known(question.ask, cache=self.cache, ledger=self.ledger, host=self.account.host)

    def _model_params(self, frames: Sequence[Frame], meter: Meter, reask: bool) -> tuple[int, int]:
        """Return the model's input size and horizon: asked for once per host and model, then stored like an answer."""
        question = self._params_question
        unasked = {self._snapshot_key(frame): frame for frame in frames}
        for key in self.ledger.records(unasked):
            del unasked[key]
        while (known := self._known(question)) is None:
            about = [question.about, *(_about(frame) for frame in unasked.values())]
            self._check_may_send(about)
            self._fetch([question], meter, to_come=len(unasked))
        try:
            return provider_answer.model_params(known.body, about=question.about)
        except InvalidAnswer:
            if not reask:
                raise
            self.ledger.give_up((question.ask.snapshot_key,), (known.request_hash,))
            self.cache.give_up(self.account.host, known.request_hash)
            return self._model_params(frames, meter, reask=False)

    @cached_property
    def _params_question(self) -> Question:
        request = self._composer.model_params(self.model)
        asked = Request(symbols=(), steps=(), levels=(), model=self.model, body=request.url.query)
        request_hash = fingerprint(asked, host=self.account.host, endpoint=request.url.path)
        ask = Ask(
            kind="model_params", request_hash=request_hash, snapshot_key=request_hash, record={"model": self.model}
        )
        return Question(ask=ask, request=request, about=f"model parameters of {self.model}")

    def _question(self, frame: Frame, model_params: tuple[int, int]) -> Question:
        sent = _sendable(frame, model_params, bool(self.levels))
        request = self._composer.forecast(
            sent, h=frame.horizon_min, model=self.model, levels=self.levels, params=model_params
        )
        asked = Request(
            symbols=tuple(sent["symbol"].unique().sort()),
            steps=tuple(range(1, frame.horizon_min + 1)),
            levels=self.levels,
            model=self.model,
            body=_uncompressed(request),
        )
        ask = Ask(
            kind="forecast",
            request_hash=fingerprint(asked, host=self.account.host, endpoint=request.url.path),
            snapshot_key=self._snapshot_key(frame),
            record=self._record(frame, asked, sent.height),
        )
        return Question(ask=ask, request=request, about=_about(frame))

    def _snapshot_key(self, frame: Frame) -> str:
        shape = [self.settings_digest, self.levels, FRAMING_VERSION]
        moment = [frame.day, frame.snapshot_ts, frame.horizon_min]
        return hashlib.sha256(orjson.dumps([self.account.host, self.model, *moment, shape])).hexdigest()

    def _record(self, frame: Frame, asked: Request, rows_sent: int) -> dict[str, Any]:
        """Return what is remembered of the moment, as plain JSON values: never recomputed once the answer is there."""
        asked_at = self.clock()
        scales = {row["symbol"]: row for row in frame.sigma.iter_rows(named=True)}
        return {
            "day": frame.day.isoformat(),
            "snapshot_ts": frame.snapshot_ts.isoformat(),
            "horizon_min": frame.horizon_min,
            "model": self.model,
            "levels": list(self.levels),
            "symbols": list(asked.symbols),
            "sigma": [scales[symbol]["sigma"] for symbol in asked.symbols],
            "target_scale": [scales[symbol]["target_scale"] for symbol in asked.symbols],
            "left_out": dict(frame.left_out),
            "effective_history_rows": rows_sent,
            "settings_digest": self.settings_digest,
            "profile": self.profile,
            "asked_at": asked_at.isoformat(),
            "score_source": "model" if self._is_trusted else "simulated",
            "run_source": RUN_SOURCES[self.profile],
            "data_regime": self._regime(frame, asked_at),
        }

    def _regime(self, frame: Frame, asked_at: datetime) -> str:
        """Return prod_live for an answer asked in prod, of the provider, before the next session opened."""
        if self.profile != "prod" or not self._is_trusted:
            return "maintenance_replay"
        in_time = asked_at < calendar.session(calendar.shifted(frame.day, 1)).open
        return "prod_live" if in_time else "maintenance_replay"

    def _give_up(self, frames: Sequence[Frame], budget_run_id: str) -> None:
        """Give the frames' stored answers up once it is sure that new ones can be paid for."""
        keys = [self._snapshot_key(frame) for frame in frames]
        self._check_may_send([_about(frame) for frame in frames])
        self.ledger.demand(self.account, budget_run_id, needed=len(frames))
        records = self.ledger.records(keys)
        hashes = [request_hash for request_hash, _ in records.values()]
        self.ledger.give_up(keys, hashes)
        for request_hash in hashes:
            self.cache.give_up(self.account.host, request_hash)


class _Composed(Exception):
    """Carries the request the SDK was about to send."""

    def __init__(self, request: httpx.Request) -> None:
        super().__init__("composed")
        self.request = request


class _NoWayOut(httpx.BaseTransport):
    """The transport the SDK is given: it hands the request over and has no connection to send it by."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        raise _Composed(request)


class Composer:
    """The real SDK, up to the moment it would send."""

    def __init__(self, base_url: str, timeout_sec: float) -> None:
        """Remember where requests go; the SDK is imported when the first one is made."""
        self.base_url, self.timeout_sec = base_url, timeout_sec

    def model_params(self, model: str) -> httpx.Request:
        """Return the SDK's request for the model's input size and horizon."""
        self._client._model_params.clear()
        return self._composed(lambda: self._client._get_model_params(model, FREQ))

    def forecast(
        self, sent: pl.DataFrame, *, h: int, model: str, levels: tuple[int, ...], params: tuple[int, int]
    ) -> httpx.Request:
        """Return the SDK's request for h steps of every series in ``sent`` (symbol, ds, y), without the API key."""
        self._client._model_params[model, FREQ] = params
        naive = sent.select(
            unique_id="symbol", ds=pl.col("ds").dt.replace_time_zone(None).cast(pl.Datetime("ns")), y="y"
        ).to_pandas()
        asked = {"h": h, "freq": FREQ, "level": list(levels) or None, "model": model, "validate_api_key": False}
        return self._composed(lambda: self._client.forecast(df=naive, **asked))

    @cached_property
    def _client(self) -> Any:
        client = _nixtla_client()(api_key="added-when-sent", base_url=self.base_url, max_retries=1)
        client._client_kwargs["timeout"] = self.timeout_sec
        client._make_client = lambda **settings: httpx.Client(**settings, transport=_NoWayOut())
        return client

    def _composed(self, asking: Callable[[], object]) -> httpx.Request:
        try:
            asking()
        except _Composed as composed:
            return composed.request
        raise RuntimeError("The nixtla SDK made no request. Pin nixtla to the version in requirements.lock.")


def _nixtla_client() -> Any:
    """Return the SDK's client class; its import sets up root logging, which is undone."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    from nixtla import NixtlaClient

    root.handlers[:] = handlers
    root.setLevel(level)
    return NixtlaClient


def _sendable(frame: Frame, model_params: tuple[int, int], has_bands: bool) -> pl.DataFrame:
    """Return what the provider will read of the frame: the SDK trims to these rows too, only later and slower."""
    input_size, horizon = model_params
    rows = 3 * input_size + max(horizon, frame.horizon_min) if has_bands else input_size
    sent = series(frame, input_rows=rows)
    if sent.is_empty():
        raise UnusableInput(
            f"{_about(frame)}: no symbol has history ({dict(frame.left_out)}). Mend the data of the day."
        )
    if not (bad := sent.filter(~pl.col("y").is_finite().fill_null(False))).is_empty():
        symbol, ds, y = bad.row(0)
        raise UnusableInput(f"{_about(frame)}: y of {symbol} at {ds} is {y}. Mend framing: only finite y may be sent.")
    return sent


def _about(frame: Frame) -> str:
    return f"snapshot {frame.snapshot_ts.isoformat()} of {frame.day}"


def _uncompressed(request: httpx.Request) -> bytes:
    if request.headers.get("content-encoding") != "zstd":
        return request.content
    return zstandard.ZstdDecompressor().decompressobj().decompress(request.content)
