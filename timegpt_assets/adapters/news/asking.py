"""One question of a source: sent, sent again within one budget of time, and judged; every attempt goes on record.

Belongs here: how patiently is asked. What is asked and what an answer is worth say the connectors, whether it may be
asked the breaker (breaker.py).
"""

import math
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from http import HTTPStatus
from urllib.parse import quote

import httpx
import tenacity

from timegpt_assets.adapters.news.attempts import Attempt, AttemptLog
from timegpt_assets.adapters.news.breaker import Turn
from timegpt_assets.adapters.news.connector import Connector, Doubt, Question, Verdict
from timegpt_assets.adapters.retry_after import asked_to_wait
from timegpt_assets.adapters.wall_clock import LATE, cut_after
from timegpt_assets.core.explained import Explained
from timegpt_assets.core.news.health import ANSWERED

MAX_BYTES = 64 << 20
"""Most that an answer may unpack to: a quarter of an hour of the world's events takes 3 MB."""
USER_AGENT = "timegpt-assets (news; one question at a time)"
"""GDELT answers nobody without one."""
_WORTH_ANOTHER = (Doubt.THROTTLED, Doubt.BROKEN, Doubt.UNREACHED)
_BACKOFF = tenacity.wait_exponential_jitter(initial=1, max=30, jitter=1)


class CannotConnect(Explained, RuntimeError):
    """Raised when this machine's settings let no connection be made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long one question is asked again: the section news.retry."""

    budget_s: float
    max_attempts: int
    retry_after_cap_s: float
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back: the status, its headers by lower-case name, its bytes, and when they were here."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    fetched_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What an attempt came to: a reply, and why it cannot be used; ``wait_s``: how long its source asked to wait."""

    reply: Reply | None
    verdict: Verdict | None
    wait_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Asking:
    """Asks one question of a source whose turn is held. ``ticks`` counts seconds and is never set back."""

    patience: Patience
    log: AttemptLog
    clock: Callable[[], datetime] = field(repr=False)
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)
    ticks: Callable[[], float] = field(default=time.monotonic, repr=False)

    def connection(self) -> httpx.Client:
        """Return a client whose every question has a connection of its own. Raises CannotConnect."""
        # one that is kept may be cut by its server while it is idle, which would count as a failure of the source
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=0)
        try:
            return httpx.Client(headers={"User-Agent": USER_AGENT}, limits=limits)
        except (OSError, ValueError, ImportError, httpx.InvalidURL) as error:
            raise CannotConnect(
                f"this machine's settings let no connection be made ({error}); nothing was asked. "
                "Mend HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE or SSL_CERT_DIR."
            ) from None

    def asked(self, http: httpx.Client, connector: Connector, question: Question, turn: Turn, *, day: date) -> Told:
        """Return what came of a question, of all its attempts the last.

        Asked again is only what may have been mended meanwhile, while time and attempts are left, the breaker allows
        it, and its source does not ask for a longer wait than news.retry grants. Raises SecretMissing, TurnLost and
        ObjectStoreError.
        """
        sending = _Sending(self, http, connector, question, turn, day, dict(connector.secret()))
        retrying = tenacity.Retrying(
            stop=sending.is_over,
            wait=_wait,
            retry=tenacity.retry_if_result(lambda told: told.verdict and told.verdict.doubt in _WORTH_ANOTHER),
            retry_error_callback=lambda state: state.outcome and state.outcome.result(),
            sleep=self.sleep,
        )
        told: Told = retrying(sending.attempt)
        return told


@dataclass(kw_only=False)
class _Sending:
    """One question on its way: the attempts made, and the moment at which its budget ends."""

    asking: Asking
    http: httpx.Client
    connector: Connector
    question: Question
    turn: Turn
    day: date
    secret: dict[str, str] = field(repr=False)
    attempts: int = 0
    ends: float = math.inf

    def is_over(self, state: tenacity.RetryCallState) -> bool:
        """Return whether no attempt may follow. Who asks for a longer wait than is granted has opened its breaker."""
        return (
            self.attempts >= self.asking.patience.max_attempts
            or self.turn.is_probing
            or self.asking.ticks() + state.upcoming_sleep >= self.ends
        )

    def attempt(self) -> Told:
        """Return what one sending came to; it is on record then, and the breaker knows of it."""
        asking, is_first = self.asking, not self.attempts
        self.turn.begin()  # waits until the source may be asked something again, which is no patience with it
        began, at = asking.ticks(), asking.clock()
        self.ends = began + asking.patience.budget_s if is_first else self.ends
        self.attempts += 1
        told = self._told(min(began + asking.patience.timeout_s, self.ends))
        doubt, why = (told.verdict.doubt, told.verdict.why) if told.verdict else (None, "")
        beyond = told.wait_s if told.wait_s > asking.patience.retry_after_cap_s else 0.0
        self.turn.end(doubt, why, beyond)
        asking.log.add(
            Attempt(
                day=self.day,
                source=self.question.source,
                asked=self.question.asked,
                at=at,
                attempt=self.attempts,
                outcome=doubt or ANSWERED,
                why=why or None,
                status=told.reply.status if told.reply else None,
                latency_s=round(asking.ticks() - began, 6),
                size=len(told.reply.body) if told.reply else None,
                breaker=self.turn.state.breaker,
            )
        )
        return told

    def _told(self, deadline: float) -> Told:
        try:
            reply = self._reply(deadline)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            why = self._clean(f"{type(error).__name__}: {error}")
            is_broken = isinstance(error, (httpx.RemoteProtocolError, httpx.DecodingError, httpx.ReadError))
            return Told(reply=None, verdict=Verdict(Doubt.BROKEN if is_broken else Doubt.UNREACHED, why))
        verdict = self._judged(reply)
        wait_s = asked_to_wait(reply.headers, self.asking.clock()) if verdict else 0.0
        return Told(reply=reply, verdict=verdict and Verdict(verdict.doubt, self._clean(verdict.why)), wait_s=wait_s)

    def _judged(self, reply: Reply) -> Verdict | None:
        if HTTPStatus.MULTIPLE_CHOICES <= reply.status < HTTPStatus.BAD_REQUEST:
            where = httpx.URL(self.question.url).host
            return Verdict(
                Doubt.BROKEN,
                f"{where} sends elsewhere (HTTP {reply.status}), where nobody follows it. "
                f"Set news.source.{self.question.source}.base_url to the final address.",
            )
        if len(reply.body) > MAX_BYTES:
            return Verdict(Doubt.BROKEN, f"the answer unpacks to more than {MAX_BYTES >> 20} MiB")
        if any(value.encode() in reply.body for value in self.secret.values()):
            return Verdict(Doubt.BROKEN, "the answer repeats the key it was asked with, so it is not kept")
        found = self.connector.judged(self.question, reply.status, reply.headers, reply.body)
        if found is None and reply.status != HTTPStatus.OK:
            return Verdict(Doubt.BROKEN, f"HTTP {reply.status}")
        return found

    def _reply(self, deadline: float) -> Reply:
        """Return what came back by the deadline, however slowly it drips, no more than a byte beyond MAX_BYTES."""
        asking = self.asking
        left = max(0.001, deadline - asking.ticks())
        request = self.http.build_request("GET", self.question.url, params=dict(self.question.params), timeout=left)
        # the key is in what is sent and not in the address: httpx writes every address into its log
        request.extensions["target"] = request.url.copy_merge_params(self.secret).raw_path
        with cut_after(left, request):
            response = self.http.send(request, stream=True, follow_redirects=False)
            try:
                body = self._body(response, deadline)
            finally:
                response.close()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Reply(status=response.status_code, headers=headers, body=body, fetched_at=asking.clock())

    def _body(self, response: httpx.Response, deadline: float) -> bytes:
        parts, size = [], 0
        for part in response.iter_bytes():
            parts.append(part)
            size += len(part)
            if self.asking.ticks() > deadline:
                raise httpx.ReadTimeout(LATE)
            if size > MAX_BYTES:
                break
        return b"".join(parts)[: MAX_BYTES + 1]

    def _clean(self, why: str) -> str:
        """Return a reason on one line, short, and without the key should anybody repeat it."""
        for value in self.secret.values():
            for form in (value, quote(value, safe="")):
                why = why.replace(form, "[key]")
        return re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in why)).strip()[:300]


def _wait(state: tenacity.RetryCallState) -> float:
    """Return the seconds until the next attempt: what the source asked for, or ever longer; never the same for two."""
    told = state.outcome.result() if state.outcome else None
    asked_s = told.wait_s + random.uniform(0, 1) if told and told.wait_s else 0.0  # noqa: S311 - no secret of it
    return max(_BACKOFF(state), asked_s)
