"""A language model that reads headlines in which no parser found a company: asked once each, within its budget.

Belongs here: the question over the network, its price in calls and its answer's shape. It is off until
news.extractor.base_url names an OpenAI-compatible address. What may come of an answer is core/news/extracted.py.
"""

import logging
import ssl
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from http import HTTPStatus
from typing import Annotated, Literal

import httpx
import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from timegpt_assets.adapters.call_errors import BudgetExceeded, CallError
from timegpt_assets.adapters.ledger.ledger import BudgetLedger, LedgerEntry
from timegpt_assets.adapters.ledger.limits import Account
from timegpt_assets.adapters.news.connector import SecretMissing
from timegpt_assets.adapters.news.raw_store import Answer, RawStore
from timegpt_assets.adapters.wall_clock import cut_after
from timegpt_assets.core import calendar
from timegpt_assets.core.news import extracted
from timegpt_assets.core.news.extracted import Extracted

_LOG = logging.getLogger(__name__)
NAME, KEY = "extractor", "EXTRACTOR_API_KEY"
MAX_BYTES = 1 << 20
"""Most that an answer may unpack to: a good one has a few hundred bytes."""
FAILURES = 3
"""Failed calls in a row after which a run asks no further."""
_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class _Said(BaseModel):
    """What may be said of a headline; anything more, and nothing of it is believed."""

    model_config = ConfigDict(extra="forbid", strict=True)
    tickers: Annotated[list[Annotated[str, Field(pattern=r"^[A-Z]{1,5}([.-][A-Z])?$")]], Field(max_length=5)]


class _Message(BaseModel):
    content: str


class _Choice(BaseModel):
    message: _Message


class _Completion(BaseModel):
    choices: Annotated[list[_Choice], Field(min_length=1)]


class _Unread(Exception):
    """Raised when a headline stays unread; ``failures``: how many calls in a row that failed it counts as."""

    def __init__(self, why: str, *, failures: int = 0) -> None:
        super().__init__(why)
        self.failures = failures


@dataclass(frozen=True, kw_only=True)
class Extractor:
    """Reads headlines by a model. ``known``: the tickers that are believed on a day; any other refuses the answer.

    ``named``: those of some events (event_id) whose titles name a share in known words; nobody is paid to read them.
    Calls are reserved in the ledger of paid calls before they are made, in an account of their own.
    """

    base_url: str
    model: str
    account: Account
    ledger: BudgetLedger
    store: RawStore
    key: Callable[[], str | None] = field(repr=False)
    known: Callable[[date], Collection[str]] = field(repr=False)
    named: Callable[[pl.DataFrame], Collection[str]] = field(repr=False)
    clock: Callable[[], datetime] = field(repr=False)
    news_clock: Literal["replay", "live"]
    timeout_s: float

    def read(self, events: pl.DataFrame) -> pl.DataFrame:
        """Return NORMALIZED_NEWS with ``tickers`` and ``extracted_by`` of headlines that named nobody by themselves.

        What was answered before is asked of nobody. What cannot be had now (no budget, no answer, an answer with
        anything but known tickers) stays as it was and is told in the log. Raises SecretMissing and NewsDamaged.
        """
        found: dict[str, Extracted] = {}
        left: list[str] = []
        failures = 0
        unread = extracted.unread(events)
        named = set(self.named(unread))
        for event, title, day in unread.select("event_id", "title", "day").iter_rows():
            if event in named:
                continue
            try:
                found[event] = self._read(title, day, may_ask=failures < FAILURES)
                failures = 0
            except _Unread as why:
                left.append(str(why))
                failures += why.failures
        if left:
            _LOG.warning("%d headlines stay unread by %s. The first: %s", len(left), self.model, left[0])
        return extracted.applied(events, found, clock=self.news_clock)

    def _read(self, title: str, day: date, *, may_ask: bool) -> Extracted:
        """Return what the model says of a headline of a session. Raises _Unread."""
        name = extracted.question_name(title, self.model)
        answer = self.store.answered(NAME, name)
        # live, an answer after the close would come too late for its session
        if answer is None and may_ask and (self.news_clock == "replay" or not calendar.has_closed(day, self.clock())):
            answer = self._asked(name, title, day)
        if answer is None:
            raise _Unread("No call is made for it now.")
        try:
            content = _Completion.model_validate_json(self.store.body(answer.content_hash)).choices[0].message.content
            tickers = _Said.model_validate_json(content).tickers
        except ValidationError as error:
            raise _Unread(f"The answer is no list of tickers ({error.errors()[0]['msg']}).") from None
        if strangers := extracted.strangers(tickers, self.known(day)):
            raise _Unread(f"The answer names {', '.join(strangers)}, whom nobody knows on {day}.")
        return Extracted(tickers=tuple(tickers), by=f"{self.model}/{extracted.VERSION}", at=answer.fetched_at)

    def _asked(self, name: str, title: str, day: date) -> Answer | None:
        """Return the answer to a new question, stored; None where another process is at it. Raises _Unread."""
        key, run = self._key(), f"{NAME} {self.clock().astimezone(UTC).date()}"
        entry = LedgerEntry("extract", name, f"{NAME} {name}", {"host": self.account.host})
        try:
            # twice: where a dead process left something, the first only settles it
            granted = self._reserved(entry, run) or self._reserved(entry, run)
            if not (call := granted.get(name)):
                return self.store.answered(NAME, name)
            try:
                while (wait := self.ledger.send(call, self.account)) > 0:
                    time.sleep(wait)
                return self._answer(call, title, day, key)
            finally:
                self.ledger.release((call,))
        except BudgetExceeded:
            why = (
                f"news.extractor.max_calls_per_day = {self.account.per_day} are made. Run again tomorrow, or raise it."
            )
            raise _Unread(why, failures=FAILURES) from None
        except CallError as error:
            raise _Unread(str(error), failures=FAILURES) from None

    def _reserved(self, entry: LedgerEntry, run: str) -> dict[str, LedgerEntry]:
        return self.ledger.reserve((entry,), self.account, budget_run_id=run)

    def _answer(self, call: LedgerEntry, title: str, day: date, key: str) -> Answer:
        """Send a call that is marked sent, settle it, and return its answer, stored. Raises _Unread."""
        try:
            status, body = self._reply(title, key)
            if status == HTTPStatus.OK and key.encode() not in body:
                # bytes, then ledger: whoever is killed between them has paid for an answer that is there
                kept = self.store.keep(NAME, call.request_hash, body, day=day, fetched_at=self.clock(), status=status)
                self.ledger.answered(call)
                return kept
        except _NEVER_LEFT as error:
            self.ledger.refunded(call, type(error).__name__)
            raise _Unread(f"{self.account.host} cannot be reached ({type(error).__name__}).", failures=1) from None
        except httpx.HTTPError as error:
            self.ledger.unknown(call, type(error).__name__)
            raise _Unread(f"No answer of {self.account.host} ({type(error).__name__}).", failures=1) from None
        except BaseException as error:
            self.ledger.unknown(call, type(error).__name__)
            raise
        settle = self.ledger.rejected if HTTPStatus.MULTIPLE_CHOICES <= status < 500 else self.ledger.unknown
        settle(call, f"HTTP {status}")
        raise _refusal(self.account.host, status)

    def _reply(self, title: str, key: str) -> tuple[int, bytes]:
        """Return status and bytes of what the model says within the timeout, however slowly it drips."""
        deadline = time.monotonic() + self.timeout_s
        question = {
            "model": self.model,
            "messages": extracted.messages(title),
            "temperature": 0,
            "max_tokens": 200,
            "response_format": {"type": "json_object"},
        }
        address, headers = f"{self.base_url.rstrip('/')}/chat/completions", {"Authorization": f"Bearer {key}"}
        with httpx.Client(verify=_tls(), timeout=self.timeout_s) as http:
            request = http.build_request("POST", address, json=question, headers=headers)
            with cut_after(self.timeout_s, request):
                response = http.send(request, stream=True)
                body = b""
                for part in response.iter_bytes():
                    body += part
                    if time.monotonic() > deadline or len(body) > MAX_BYTES:
                        raise httpx.ReadTimeout("longer, or larger, than any good answer")
            return response.status_code, body

    def _key(self) -> str:
        """Return the key. Raises SecretMissing."""
        key = (self.key() or "").strip()
        if key and key.isascii() and key.isprintable() and " " not in key:
            return key
        what = f"{KEY} holds what no key holds" if key else f"{KEY} is not set"
        raise SecretMissing(
            f"{what}, and news.extractor.base_url names who is to be asked: nothing was. Put its key (any word for a "
            f"server that asks for none) into the environment or .env as {KEY}, or set news.extractor.base_url=null."
        )


@cache
def _tls() -> ssl.SSLContext:
    """Return whom this process believes over TLS; read once, it takes longer than a call."""
    return httpx.create_ssl_context()


def _refusal(host: str, status: int) -> _Unread:
    """Return why there is no answer; what would be refused again ends the asking."""
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return _Unread(f"{host} does not accept the key (HTTP {status}). Set {KEY} to a valid one.", failures=FAILURES)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return _Unread(f"{host} was asked too often (HTTP 429). Run again later.", failures=FAILURES)
    if status == HTTPStatus.OK:
        return _Unread(f"The answer of {host} repeats the key, so it is not kept.", failures=FAILURES)
    return _Unread(f"{host} answered HTTP {status}. See news.extractor.base_url and news.extractor.model.", failures=1)
