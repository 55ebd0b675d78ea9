"""The one door to the network: a request leaves only with a reservation, and its answer is on disk before it is read.

Belongs here: sending, classing what came back, attempts. What is asked is made in sdk.py by the real SDK, whose
own HTTP client cannot send; who may ask is decided by the ledger.
"""

import hashlib
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Literal

import httpx
import orjson
import tenacity

from timegpt_assets.adapters.call_errors import (
    AnswerLost,
    CacheFull,
    CallError,
    CircuitOpen,
    KeyRefused,
    NotSent,
    QuotaExhausted,
    RequestRefused,
    RetryableFailure,
    ServiceUnavailable,
    TooManyRequests,
)
from timegpt_assets.adapters.ledger.ledger import LONGEST_WAIT_SEC, BudgetLedger, LedgerEntry
from timegpt_assets.adapters.ledger.limits import Account
from timegpt_assets.adapters.timegpt.cache import ForecastCache
from timegpt_assets.adapters.timegpt.sdk import PreparedRequest

_LOST = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, 502, 503, 504)
_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)
_RERUN = "Run again later: stored answers cost nothing."
_BACKOFF = tenacity.wait_exponential_jitter(initial=1, max=30, jitter=1)


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    retry_after: str
    body: bytes


@dataclass(kw_only=True)
class MeteredTransport:
    """Sends one day's requests; every attempt is a ledger row of its own. ``sent`` counts them, ``failed`` the bad."""

    tls: Callable[[], ssl.SSLContext] = field(repr=False)
    api_key: Callable[[], str] = field(repr=False)
    cache: ForecastCache
    ledger: BudgetLedger
    account: Account
    budget_run_id: str
    timeout_sec: float
    max_attempts: int
    max_failed_calls: int
    on_ambiguous: Literal["retry", "fail"]
    sleep: Callable[[float], None] = time.sleep
    sent: int = 0
    failed: int = 0
    bytes_sent: int = 0

    def fetch(self, request: PreparedRequest, call: LedgerEntry) -> None:
        """Send until the answer is stored, or until somebody else is found to be at it.

        ``call`` pays for the first attempt; each further one is reserved and charged. Raises CallError by class.
        """
        calls = [call]
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.max_attempts),
            wait=_wait,
            retry=tenacity.retry_if_exception(self._is_worth_another),
            sleep=self.sleep,
            reraise=True,
        )
        retrying(self._attempt, request, calls)

    def _attempt(self, request: PreparedRequest, calls: list[LedgerEntry]) -> None:
        call = calls.pop() if calls else self._reserved(request)
        if call is None:
            return
        try:
            if not call.replaces and self.cache.has(self.account.host, call.request_hash):
                return  # whoever held it before us stored the answer and died; a third process settled that
            while (wait := self.ledger.send(call, self.account)) > 0:
                self.sleep(wait)
            self.sent += 1
            self.bytes_sent += len(request.http.content)
            failure = self._exchange(request, call)
        finally:
            self.ledger.release((call,))
        if failure:
            self.failed += 1
            raise self._opened(failure) if self.failed >= self.max_failed_calls else failure

    def _opened(self, failure: CallError) -> CallError:
        """Return the failure that no attempt follows: a provider that fails this often is not paid to go on failing."""
        if not isinstance(failure, RetryableFailure):
            return failure
        return CircuitOpen(
            f"{self.failed} of {self.sent} calls of the day failed, the last one so: {failure} Sending stopped at "
            f"forecast.max_failed_calls = {self.max_failed_calls}; answers that came are kept. {_RERUN}"
        )

    def _reserved(self, request: PreparedRequest) -> LedgerEntry | None:
        granted = self.ledger.reserve((request.entry,), self.account, budget_run_id=self.budget_run_id)
        return granted.get(request.entry.request_hash)

    def _is_worth_another(self, error: BaseException) -> bool:
        if isinstance(error, AnswerLost) and self.on_ambiguous == "fail":
            return False
        return isinstance(error, RetryableFailure) and error.wait_sec <= LONGEST_WAIT_SEC

    def _exchange(self, request: PreparedRequest, call: LedgerEntry) -> CallError | None:
        """Send a call marked SENT and settle it; return the failure. Raised here it would carry the keyed request."""
        try:
            reply = self._reply(request)
            if reply.status == HTTPStatus.OK:
                self._keep(call, reply.body)
                return None
        except _NEVER_LEFT as error:
            self.ledger.refunded(call, type(error).__name__)
            return NotSent(f"{request.about}: {self.account.host} cannot be reached ({error}). {_RERUN}")
        except httpx.RequestError as error:
            self.ledger.unknown(call, type(error).__name__)
            why = f"the answer was lost ({type(error).__name__}) and may have been billed; it is counted as spent"
            return AnswerLost(f"{request.about}: {why}. {_RERUN}")
        except CacheFull as error:
            self.ledger.unknown(call, type(error).__name__)
            return CacheFull(f"{request.about}: {error}")
        except BaseException as error:
            self.ledger.unknown(call, type(error).__name__)
            raise
        return self._refusal(request.about, call, reply)

    def _reply(self, request: PreparedRequest) -> _Reply:
        """Return what the provider answers within the timeout, however slowly it drips.

        Each request has its own connection: one kept alive may be cut while idle, and that would cost a call.
        """
        deadline = time.monotonic() + self.timeout_sec
        made = request.http
        headers = made.headers.copy()
        headers["Authorization"] = f"Bearer {self.api_key()}"
        keyed = httpx.Request(made.method, made.url, headers=headers, content=made.content, extensions=made.extensions)
        with httpx.Client(verify=self.tls(), timeout=self.timeout_sec) as http:
            response, parts = http.send(keyed, stream=True), []
            for part in response.iter_bytes():
                parts.append(part)
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("the answer dripped in for longer than the timeout")
        return _Reply(response.status_code, response.headers.get("retry-after", ""), b"".join(parts))

    def _keep(self, call: LedgerEntry, body: bytes) -> None:
        """Store the bytes first: a crash before the ledger knows of them loses nothing."""
        host, of_body = self.account.host, {"sha256": hashlib.sha256(body).hexdigest()}
        if call.kind == "model_params":
            of_body["body"] = body.decode("utf-8", "replace")  # small enough that the ledger can mend the cache
        record = {**call.record, **of_body, "attempt": call.attempt}
        self.cache.write(host, call.request_hash, record, body, replacing=bool(call.replaces))
        for replaced in self.ledger.answered(replace(call, record=record)):
            self.cache.retire(host, replaced)

    def _refusal(self, about: str, call: LedgerEntry, reply: _Reply) -> CallError:
        """Settle a call that was answered with anything but 200 and return what it means."""
        failure = _failure(f"{about}: {self.account.host} answered {reply.status}", reply, self._said(reply.body))
        settle = self.ledger.unknown if reply.status in _LOST or reply.status >= 500 else self.ledger.rejected
        settle(call, f"HTTP {reply.status}")
        return failure

    def _said(self, body: bytes) -> str:
        """Return the start of the provider's message, without our key should it repeat it."""
        return body.decode("utf-8", "replace").replace(self.api_key(), "[key]")[:300]


def _failure(what: str, reply: _Reply, said: str) -> CallError:
    if reply.status in (401, 403):
        return KeyRefused(f"{what}: the API key is not accepted. Set TIMEGPT_API_KEY to a valid key.")
    if reply.status == 402 or (reply.status == 429 and _code(reply.body) == "A21"):
        return QuotaExhausted(f"{what}: quota or payment is exhausted ({said}). Mend it on the provider's dashboard.")
    if reply.status == 429:
        return _patient(TooManyRequests(f"{what}: too many requests. {_RERUN}"), reply)
    if reply.status in _LOST:
        return _patient(AnswerLost(f"{what}: the work may have been billed; it is counted as spent. {_RERUN}"), reply)
    if reply.status >= 500:
        return ServiceUnavailable(f"{what}: service unavailable ({said}). See the provider's status page. {_RERUN}")
    return RequestRefused(f"{what}: {said}. Mend forecast.model, levels or horizon; the same request is refused again.")


def _patient(failure: RetryableFailure, reply: _Reply) -> RetryableFailure:
    try:
        failure.wait_sec = max(0.0, float(reply.retry_after))
    except ValueError:
        failure.wait_sec = 0.0  # a date or nothing: our own backoff decides
    return failure


def _code(body: bytes) -> str:
    try:
        return str(orjson.loads(body)["code"])
    except (ValueError, KeyError, TypeError):
        return ""


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return max(_BACKOFF(state), error.wait_sec if isinstance(error, RetryableFailure) else 0.0)
