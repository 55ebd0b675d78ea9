"""The model server tollama, asked within a time of our own: once more where that may help, and believed in nothing.

Belongs here: sending, and how patiently. What is asked is questions.py, what an answer is worth answers.py, whether it
may be asked at all the breaker's and the runner's.
"""

import re
import socket
import ssl
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, cached_property
from http import HTTPStatus
from itertools import count
from random import uniform
from typing import Any, Literal

import httpx

from timegpt_assets.adapters.retry_after import asked_to_wait
from timegpt_assets.adapters.tollama import answers, questions
from timegpt_assets.adapters.tollama.answers import Kind, ModelAnswers, ModelFailed, cleaned, failed
from timegpt_assets.adapters.tollama.probe import Health, Probing, health
from timegpt_assets.adapters.tollama.versions import version_in
from timegpt_assets.adapters.wall_clock import Received, received
from timegpt_assets.core.tsfm.asked import Asked

KEY = "TOLLAMA_API_KEY"
AUTO = "auto"
"""The version of a model that is whichever the server has."""
MAX_BYTES = 16 << 20
"""Most that an answer may unpack to: 200 series of 12 steps take 134 KB, two hours of a step's minute 2 MB."""
Auth = Literal["none", "bearer_optional", "bearer_required"]
_API, _V1, _TAGS = "/api/forecast", "/v1/forecast", "/api/tags"
_AGAIN: frozenset[Kind] = frozenset({"rate_limited", "unavailable", "connection", "dns", "broken"})
_ID = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often a failed attempt is made again, and after how long, seconds; ``jitter_s``: at random on top."""

    retries: int
    backoff_s: float
    jitter_s: float


@dataclass(kw_only=True)
class Tollama:
    """Asks a model server; any number of threads may.

    ``ticks`` counts seconds and is never set back. ``paths``: where forecasts are asked for, in this order.
    """

    base_url: str
    model: str
    version: str
    params: Mapping[str, Any]
    auth: Auth
    patience: Patience
    probing: Probing
    key: Callable[[], str | None] = field(repr=False)
    clock: Callable[[], datetime] = field(repr=False)
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)
    ticks: Callable[[], float] = field(default=time.monotonic, repr=False)
    paths: tuple[str, str] = field(default=(_API, _V1), repr=False)
    _has: str | None = field(default=None, repr=False)

    def forecast(self, asked: Sequence[Asked], *, timeout_s: float, request_id: str) -> ModelAnswers:
        """Return what the model says of each series, or why not.

        ``timeout_s`` is the time of the whole: looking up the server's name, connecting, sending, waiting, reading,
        every further attempt and the waits between them; only the reading of our own memory comes on top. Raises
        ModelFailed where there is no answer at all.
        """
        began = self.ticks()
        good, faults = questions.usable(asked)
        if not good:
            return ModelAnswers(values={}, faults=faults, model_version=self._has, latency_ms=0.0)
        asking = _Asking(self, began + timeout_s, self._head(request_id))
        self._pin(asking)
        body = asking.answered(lambda: asking.forecast(good, timeout_s))
        values, wrong, warnings = answers.read(body, good, self.model)
        return ModelAnswers(
            values=values,
            faults=faults | wrong,
            model_version=self._has,
            latency_ms=1000 * (self.ticks() - began),
            warnings=warnings,
        )

    def look_up_version(self, *, timeout_s: float, request_id: str) -> str | None:
        """Return which version of the model the server has, None where it does not say. Raises ModelFailed."""
        asking = _Asking(self, self.ticks() + timeout_s, self._head(request_id))
        self._has = version_in(asking.answered(lambda: asking.sent("GET", _TAGS, None)), self.model)
        return self._has

    def probe(self) -> Health:
        """Return whether it forecasts, in the time of any other question."""
        return self._probed(self.probing.timeout_s, "probe")

    def warm_up(self) -> Health:
        """Return the same of a first forecast, which is given time to load the model."""
        return self._probed(self.probing.warm_up_s, "warm-up")

    def _probed(self, seconds: float, name: str) -> Health:
        ends, request_id = self.ticks() + seconds, f"{name}-{uuid.uuid4().hex}"
        found = health(self.forecast, self.probing.question(self.clock()), timeout_s=seconds, request_id=request_id)
        if found.healthy:
            with suppress(ModelFailed):  # a model that forecasts is healthy though nobody says which version it is
                self.look_up_version(timeout_s=ends - self.ticks(), request_id=request_id)
        return found

    @cached_property
    def http(self) -> httpx.Client:
        """Return the client; every question has a connection of its own, for a kept one may be cut while it is idle."""
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        try:
            return httpx.Client(limits=limits, verify=_tls())
        except (OSError, ValueError, ImportError, httpx.InvalidURL) as error:
            raise ModelFailed(
                "connection",
                f"This machine's settings let no connection be made ({cleaned(str(error))}). "
                "Mend HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE or SSL_CERT_DIR.",
            ) from None

    def _pin(self, asking: "_Asking") -> None:
        """Refuse to ask a server that has another version than the one that is set."""
        if self.version == AUTO:
            return
        if self._has is None:
            self._has = version_in(asking.answered(lambda: asking.sent("GET", _TAGS, None)), self.model)
        if self._has != self.version:
            has = self._has or "none that it tells"
            raise ModelFailed(
                "wrong_version",
                f"The model server has version {has} of {self.model}, and tsfm.model.model_version is {self.version}. "
                f"Install that one there, or set tsfm.model.model_version={AUTO}.",
            )

    def _head(self, request_id: str) -> dict[str, str]:
        """Return the headers of a request: its id always, the key where it is to be sent. Raises ModelFailed."""
        head = {
            "x-request-id": _ID.sub("-", request_id)[:128] or uuid.uuid4().hex,
            "content-type": "application/json",
            "accept-encoding": "identity",
        }
        key = None if self.auth == "none" else (self.key() or "").strip()
        if key and not (key.isascii() and key.isprintable() and " " not in key):
            raise ModelFailed("no_key", f"{KEY} holds what no key holds. Set it to the key alone, in the environment.")
        if self.auth == "bearer_required" and not key:
            raise ModelFailed(
                "no_key",
                f"{KEY} is not set, and tsfm.tollama.auth_mode=bearer_required: nothing was asked. "
                f"Put the key into the environment or .env as {KEY}, or set tsfm.tollama.auth_mode=bearer_optional.",
            )
        return head | ({"authorization": f"Bearer {key}"} if key else {})


@dataclass(frozen=True, slots=True)
class _Asking:
    """One question on its way, until its time is over."""

    server: Tollama
    ends: float
    head: Mapping[str, str] = field(repr=False)

    def answered(self, attempt: Callable[[], Received]) -> bytes:
        """Return the bytes of a good answer, of as many attempts as are granted and fit. Raises ModelFailed."""
        server = self.server
        for number in count():
            try:
                came = attempt()
                if came.status == HTTPStatus.OK:
                    return came.body
                found, asks_s = answers.refused(came.status, came.body), asked_to_wait(came.headers, server.clock())
            except ModelFailed as error:
                found, asks_s = error, 0.0
            patience = server.patience
            wait_s = max(patience.backoff_s + uniform(0, patience.jitter_s), asks_s)  # noqa: S311 - no secret of it
            if found.kind not in _AGAIN or number >= patience.retries or server.ticks() + wait_s >= self.ends:
                raise found from None
            server.sleep(wait_s)
        raise AssertionError("counting has no end")

    def forecast(self, asked: Sequence[Asked], timeout_s: float) -> Received:
        """Return what came of one attempt, at the other path where the first one does not exist."""
        server = self.server
        first, second = paths = server.paths
        came = self.sent("POST", first, self._body(first, asked, timeout_s))
        if not answers.is_missing_path(came.status, came.body):
            return came
        came = self.sent("POST", second, self._body(second, asked, timeout_s))
        if answers.is_missing_path(came.status, came.body):
            raise failed("no_such_path", f"The model server has neither {_API} nor {_V1}")
        server.paths = (paths[1], paths[0])  # asked there first from now on
        return came

    def _body(self, path: str, asked: Sequence[Asked], timeout_s: float) -> bytes:
        server = self.server
        stream = False if path == _API else None  # one streams unless told, the other refuses to be told
        return questions.body(asked, model=server.model, params=server.params, timeout_s=timeout_s, stream=stream)

    def sent(self, method: str, path: str, body: bytes | None) -> Received:
        """Return what came back of one sending. Raises ModelFailed."""
        server = self.server
        left = self.ends - server.ticks()
        if left <= 0:
            raise failed("timeout", "No time was left to ask the model server")
        try:
            request = server.http.build_request(
                method, server.base_url.rstrip("/") + path, content=body, headers=dict(self.head), timeout=left
            )
            came = received(server.http, request, seconds=left, most_bytes=MAX_BYTES)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _unanswered(error) from None
        return self._believed(came)

    def _believed(self, came: Received) -> Received:
        if len(came.body) > MAX_BYTES:
            raise failed("too_large", f"The model server's answer unpacks to more than {MAX_BYTES >> 20} MiB")
        key = self.head.get("authorization", "").removeprefix("Bearer ")
        if key and key.encode() in came.body:
            raise failed("invalid_response", "The model server's answer repeats the key it was asked with")
        return came


@cache
def _tls() -> ssl.SSLContext:
    """Return whom this process believes over TLS; read once, it takes longer than a call."""
    return httpx.create_ssl_context()


def _unanswered(error: Exception) -> ModelFailed:
    """Return what it means that nothing came back."""
    what = f"{type(error).__name__}: {cleaned(str(error))}"
    if isinstance(error, httpx.TimeoutException):
        return failed("timeout", f"The model server did not answer in time ({what})")
    if isinstance(error, (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError, httpx.DecodingError)):
        return failed("broken", f"The model server's answer broke off or cannot be read ({what})")
    causes, cause = list[BaseException](), error.__cause__ or error.__context__
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    if any(isinstance(one, socket.gaierror) for one in causes):
        return failed("dns", f"Nobody knows the model server's name ({what})")
    return failed("connection", f"The model server cannot be reached ({what})")
