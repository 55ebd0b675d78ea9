"""The one door to the network: a request leaves only with a reservation, and its answer is on disk before it is read.

Belongs here: sending, classing what came back, attempts. What is asked is made in sdk.py by the real SDK, whose
own HTTP client cannot send; who may ask is decided by the ledger.
"""

import hashlib
import re
import ssl
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Literal

import httpx
import orjson
import tenacity

from timegpt_assets.adapters.call_errors import (
    AnswerLost,
    BudgetExceeded,
    CacheFull,
    CallError,
    CannotConnect,
    CircuitOpen,
    InvalidAnswer,
    KeyRefused,
    NoFurtherAttempt,
    NotSent,
    QuotaExhausted,
    RequestRefused,
    RetryableFailure,
    ServiceUnavailable,
    TooManyRequests,
)
from timegpt_assets.adapters.ledger.ledger import LONGEST_WAIT_SEC, BudgetLedger, LedgerEntry
from timegpt_assets.adapters.ledger.limits import Account
from timegpt_assets.adapters.ledger.vouching import Sealing
from timegpt_assets.adapters.timegpt.cache import ForecastCache
from timegpt_assets.adapters.timegpt.sdk import PreparedRequest

# statuses behind which the work may have been done and billed all the same
_LOST = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, 502, 503, 504)
# no connection, or a request that httpx itself refuses: all others may have reached the provider and been billed
_NEVER_LEFT = (
    *(httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError),
    *(httpx.UnsupportedProtocol, httpx.LocalProtocolError),
)
_RERUN = "Run again later: stored answers cost nothing."
_EXHAUSTED = re.compile(r"reached your .*limit|quota|payment|billing", re.IGNORECASE)
"""Words of a 429 that no waiting mends: each further attempt would be charged for nothing."""
MAX_ANSWER_BYTES = 64 << 20
"""Most that an answer may unpack to: 500 symbols of an hour with seven bands take 20 MB."""
# the SDK waits a fixed time and ignores Retry-After, and its retries are not counted: attempts are made here instead
_BACKOFF = tenacity.wait_exponential_jitter(initial=1, max=30, jitter=1)


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    retry_after: str
    body: bytes
    served_at: str = ""


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
    calls: Counter[str] = field(default_factory=Counter)
    """Request hash -> calls sent for it."""
    seconds: list[float] = field(default_factory=list)
    """What each call took, whatever came back."""
    last: CallError | None = None

    def fetch(self, request: PreparedRequest, call: LedgerEntry) -> None:
        """Send until the answer is stored, or until somebody else is found to be at it.

        ``call`` pays for the first attempt; each further one is reserved and charged. Raises CallError by class.
        """
        calls = [call]
        # every attempt is a row of its own: one whose answer is lost may be billed like any other
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
            with self._connection(request.about) as http:  # what this machine cannot even begin is not sent
                sealed = self.ledger.sealing(self.account, self.budget_run_id)
                # SENT is committed before a byte leaves: a crash in between costs a call in the books, never one unseen
                while (wait := self.ledger.send(call, self.account)) > 0:
                    self.sleep(wait)
                self.sent += 1
                self.calls[call.request_hash] += 1
                self.bytes_sent += len(request.http.content)
                began = time.monotonic()
                failure = self._exchange(http, request, call, sealed)
                self.seconds.append(time.monotonic() - began)
        finally:
            # gives back a call that is still only reserved; one that was sent has its state and is left alone
            self.ledger.release((call,))
        if failure:
            self.failed += 1
            self.last = self._opened(failure) if self.failed >= self.max_failed_calls else failure
            raise self.last

    def _opened(self, failure: CallError) -> CallError:
        """Return the failure that no attempt follows: a provider that fails this often is not paid to go on failing."""
        if not isinstance(failure, RetryableFailure):
            return failure
        return CircuitOpen(
            f"{self.failed} of {self.sent} calls of the day failed, the last one so: {failure} Sending stopped at "
            f"forecast.max_failed_calls = {self.max_failed_calls}; answers that came are kept. {_RERUN}"
        )

    def _connection(self, about: str) -> httpx.Client:
        """Return a client with a connection of its own to be made. Raises CannotConnect."""
        try:
            return httpx.Client(verify=self.tls(), timeout=self.timeout_sec)
        except (OSError, ValueError, ImportError, httpx.InvalidURL) as error:
            raise CannotConnect(
                f"{about}: this machine's settings let no connection be made ({error}); nothing was sent. "
                "Mend HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE or SSL_CERT_DIR."
            ) from None

    def _reserved(self, request: PreparedRequest) -> LedgerEntry | None:
        """Return the call that pays for another attempt. Raises NoFurtherAttempt with the cause of the last one."""
        try:
            return self._granted(request)
        except BudgetExceeded as over:
            raise NoFurtherAttempt(
                f"{self.last} Another attempt would pass forecast.api_budget.{over.limit}, which leaves {over.left}."
            ) from None

    def _granted(self, request: PreparedRequest) -> LedgerEntry | None:
        granted = self.ledger.reserve((request.entry,), self.account, budget_run_id=self.budget_run_id)
        return granted.get(request.entry.request_hash)

    def _is_worth_another(self, error: BaseException) -> bool:
        if isinstance(error, AnswerLost) and self.on_ambiguous == "fail":
            return False
        return isinstance(error, RetryableFailure) and error.wait_sec <= LONGEST_WAIT_SEC

    def _exchange(
        self, http: httpx.Client, request: PreparedRequest, call: LedgerEntry, sealed: Sealing
    ) -> CallError | None:
        """Send a call marked SENT and settle it; return the failure. Raised here it would carry the keyed request."""
        try:
            reply = self._reply(http, request)
            if reply.status == HTTPStatus.OK:
                self._keep(call, reply, sealed)
                return None
        except _NEVER_LEFT as error:
            self.ledger.refunded(call, type(error).__name__)
            return NotSent(f"{request.about}: {self.account.host} cannot be reached ({error}). {_RERUN}")
        except httpx.RequestError as error:
            self.ledger.unknown(call, type(error).__name__)
            why = f"the answer was lost ({type(error).__name__}) and may have been billed; it is counted as spent"
            return AnswerLost(f"{request.about}: {why}. {_RERUN}")
        except InvalidAnswer as error:
            self.ledger.unknown(call, "too large")
            return InvalidAnswer(f"{error}; it is spent and was not kept. Report it to the provider.")
        except CacheFull as error:
            self.ledger.unknown(call, type(error).__name__)
            return CacheFull(f"{request.about}: {error}")
        except BaseException as error:
            self.ledger.unknown(call, type(error).__name__)
            raise
        return self._refusal(request.about, call, reply)

    def _reply(self, http: httpx.Client, request: PreparedRequest) -> _Reply:
        """Return what the provider answers within the timeout, however slowly it drips.

        Each request has its own connection: one kept alive may be cut while idle, and that would cost a call.
        """
        deadline = time.monotonic() + self.timeout_sec
        made = request.http
        headers = made.headers.copy()
        # the key joins here and nowhere earlier: the request that is hashed, kept and shown has none
        headers["Authorization"] = f"Bearer {self.api_key()}"
        keyed = httpx.Request(made.method, made.url, headers=headers, content=made.content, extensions=made.extensions)
        # streamed: httpx's timeout is per read, so a drip would never end, and a bomb would be unpacked whole
        response, parts, size = http.send(keyed, stream=True), [], 0
        for part in response.iter_bytes():
            parts.append(part)
            size += len(part)
            if time.monotonic() > deadline:
                raise httpx.ReadTimeout("the answer dripped in for longer than the timeout")
            if size > MAX_ANSWER_BYTES:
                raise InvalidAnswer(f"{request.about}: the answer unpacks to more than {MAX_ANSWER_BYTES >> 20} MiB")
        return _Reply(
            response.status_code,
            response.headers.get("retry-after", ""),
            b"".join(parts),
            response.headers.get("date", ""),
        )

    def _keep(self, call: LedgerEntry, reply: _Reply, sealed: Sealing) -> None:
        """Store the bytes first: a crash before the ledger knows of them loses nothing."""
        host, body = self.account.host, reply.body
        of_body = {"sha256": hashlib.sha256(body).hexdigest(), "host": host, "served_at": reply.served_at}
        if call.kind == "model_params":
            of_body["body"] = body.decode("utf-8", "replace")  # small enough that the ledger can mend the cache
        record = {**call.record, **of_body, "attempt": call.attempt}
        record = sealed(call.request_hash, record, self.ledger.clock())
        # bytes, then ledger: bytes nobody knows of are found by reconcile, an ANSWERED without bytes is money gone
        self.cache.write(host, call.request_hash, record, body, replacing=bool(call.replaces))
        # the old answer makes way only when its successor stands: a crash here leaves both, never none
        for replaced in self.ledger.answered(replace(call, record=record)):
            self.cache.retire(host, replaced)

    def _refusal(self, about: str, call: LedgerEntry, reply: _Reply) -> CallError:
        """Settle a call that was answered with anything but 200 and return what it means."""
        failure = _failure(f"{about}: {self.account.host} answered {reply.status}", reply, self._said(reply.body))
        # refused and lost are both spent; they differ in whether somebody may find an answer later
        is_refused = HTTPStatus.MULTIPLE_CHOICES <= reply.status < 500 and reply.status not in _LOST
        settle = self.ledger.rejected if is_refused else self.ledger.unknown
        settle(call, f"HTTP {reply.status}")
        return failure

    def _said(self, body: bytes) -> str:
        """Return the provider's own words, without our key should it repeat it; "" when it said nothing to people."""
        return _words(body).replace(self.api_key(), "[key]")[:300]


def _failure(what: str, reply: _Reply, said: str) -> CallError:
    """Return the failure: the provider's words, the class of what happened, and what to do about that class."""
    told = f'{what} "{said}"' if said else what
    status = reply.status
    if status in (401, 403):
        return KeyRefused(f"{told}: the API key is not accepted. Set TIMEGPT_API_KEY to a valid key.")
    if status == 402 or (status == 429 and (_code(reply.body) == "A21" or _EXHAUSTED.search(said))):
        return QuotaExhausted(f"{told}: quota or payment is exhausted. Mend it on the provider's dashboard.")
    if status == 429:
        return _patient(TooManyRequests(f"{told}: too many requests. {_RERUN}"), reply)
    if status in _LOST:
        return _patient(AnswerLost(f"{told}: the work may have been billed; it is counted as spent. {_RERUN}"), reply)
    if status >= 500:
        return ServiceUnavailable(f"{told}: service unavailable. See the provider's status page. {_RERUN}")
    return RequestRefused(f"{told}: {_refused(status, said)}")


def _refused(status: int, said: str) -> str:
    if status == 404:
        return "nothing is there. Mend forecast.base_url, or forecast.model if that is what is not known."
    if status == 413:
        return "the request is too large for it. Lower forecast.max_bytes_per_call."
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return (
            "that is no forecast and may have been billed; it is counted as spent. See where forecast.base_url leads."
        )
    if status < HTTPStatus.BAD_REQUEST:
        return "redirects are not followed, a key goes to nobody else. Set forecast.base_url to the final address."
    if not said:
        return f"it does not say why, as in an outage. See the provider's status page. {_RERUN}"
    return "Mend forecast.model, levels or horizon; the same request is refused again."


def _words(body: bytes) -> str:
    """Return what an error body says to people: the strings of its known fields, or its text unless that is a page."""
    text = body.decode("utf-8", "replace")
    try:
        found = orjson.loads(body)
    except ValueError:
        found = text
    if not isinstance(found, dict):
        return "" if not isinstance(found, str) or found.lstrip().startswith("<") else _plain(found)
    said = [found.get(name) for name in ("message", "detail", "details", "error")]
    return _plain(
        "; ".join(dict.fromkeys(one if isinstance(one, str) else orjson.dumps(one).decode() for one in said if one))
    )


def _plain(text: str) -> str:
    """Return the text on one line, without what a terminal would obey."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


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
