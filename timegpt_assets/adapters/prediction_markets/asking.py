"""One question of a venue's public interface: sent, sent again within one budget of time, and read as JSON.

Belongs here: how patiently is asked, and which failure is which. What is asked and what an answer tells is
polymarket.py.
"""

import random
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from http import HTTPStatus
from typing import Any, Literal

import httpx
import orjson
import tenacity

from timegpt_assets.adapters.prediction_markets.source import MarketsUnusable
from timegpt_assets.adapters.retry_after import asked_to_wait
from timegpt_assets.adapters.wall_clock import Received, received

MAX_BYTES = 32 << 20
"""Most that an answer may unpack to: a page of a hundred markets takes half a megabyte."""
USER_AGENT = "timegpt-assets (prediction markets; one question at a time)"
Kind = Literal["unreached", "throttled", "broken", "refused", "missing_path", "empty"]
_WORTH_ANOTHER = ("unreached", "throttled", "broken")
_BACKOFF = tenacity.wait_exponential_jitter(multiplier=0.5, max=8, jitter=0.5)


class VenueFailed(MarketsUnusable):
    """Raised when a venue gave no answer that can be used; ``kind`` says in one word why.

    unreached: no answer in time; throttled: asked too often; broken: not what it sends when it is well; refused: the
    question itself; missing_path: it has no such interface; empty: nothing where there must be something.
    """

    def __init__(self, kind: Kind, message: str, *, wait_s: float = 0.0) -> None:
        """Keep the kind, and the seconds for which the venue asked to be left alone."""
        self.kind, self.wait_s = kind, wait_s
        super().__init__(message)


@dataclass(frozen=True, kw_only=True)
class VenueQuestions:
    """Asks a venue. ``budget_s``: seconds of one question with all its attempts; ``spacing_s``: between two.

    ``ticks`` counts seconds and is never set back. Not for several threads at once.
    """

    timeout_s: float
    max_attempts: int
    budget_s: float
    spacing_s: float
    clock: Callable[[], datetime] = field(repr=False)
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)
    ticks: Callable[[], float] = field(default=time.monotonic, repr=False)
    _asked_at: list[float] = field(default_factory=list, repr=False)

    def get(self, url: str, params: Mapping[str, str]) -> Any:
        """Return the JSON that a GET answers. Raises VenueFailed."""
        return self._patiently("GET", url, {"params": dict(params)})

    def post(self, url: str, body: Mapping[str, Any]) -> Any:
        """Return the JSON that a POST of JSON answers. Raises VenueFailed."""
        return self._patiently("POST", url, {"json": dict(body)})

    def _patiently(self, method: str, url: str, what: Mapping[str, Any]) -> Any:
        ends = self.ticks() + self.budget_s
        with _connection() as http:
            retrying = tenacity.Retrying(
                stop=lambda state: (
                    state.attempt_number >= self.max_attempts or self.ticks() + state.upcoming_sleep >= ends
                ),
                wait=_wait,
                retry=tenacity.retry_if_exception(_is_worth_another),
                sleep=self.sleep,
                reraise=True,
            )
            return retrying(self._once, http, http.build_request(method, url, **what), ends)

    def _once(self, http: httpx.Client, request: httpx.Request, ends: float) -> Any:
        self._space()
        seconds = max(0.001, min(self.timeout_s, ends - self.ticks()))
        request.extensions["timeout"] = httpx.Timeout(seconds).as_dict()
        where = f"{request.method} {request.url.copy_with(query=None)}"
        try:
            found = received(http, request, seconds=seconds, most_bytes=MAX_BYTES)
        except httpx.TimeoutException as error:
            raise VenueFailed("unreached", f"{where}: no whole answer in {seconds:.3g} s. {_LATER}") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            is_broken = isinstance(error, (httpx.RemoteProtocolError, httpx.DecodingError, httpx.ReadError))
            why = f"{where}: {type(error).__name__}: {_line(str(error))}. {_LATER}"
            raise VenueFailed("broken" if is_broken else "unreached", why) from error
        return _read(found, where, self.clock())

    def _space(self) -> None:
        """Wait until ``spacing_s`` after the question before."""
        if self._asked_at:
            self.sleep(max(0.0, self._asked_at.pop() + self.spacing_s - self.ticks()))
        self._asked_at.append(self.ticks())


_LATER = "Nothing was made of it. Ask again later; is the address right (tsfm.markets), is the venue up?"


@cache
def _trusted() -> ssl.SSLContext:
    """Return whose certificates are believed; reading them takes longer than most questions."""
    return httpx.create_ssl_context()


def _connection() -> httpx.Client:
    # one that is kept may be cut by its server while it is idle, which would count as a failure of the venue
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=0)
    try:
        return httpx.Client(headers={"User-Agent": USER_AGENT}, limits=limits, verify=_trusted())
    except (OSError, ValueError, ImportError, httpx.InvalidURL) as error:
        raise MarketsUnusable(
            f"this machine's settings let no connection be made ({_line(str(error))}); nothing was asked. "
            "Mend HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE or SSL_CERT_DIR."
        ) from None


def _is_worth_another(error: BaseException) -> bool:
    return isinstance(error, VenueFailed) and error.kind in _WORTH_ANOTHER


def _wait(state: tenacity.RetryCallState) -> float:
    """Return the seconds until the next attempt: what the venue asked for, or ever longer; never the same for two."""
    error = state.outcome.exception() if state.outcome else None
    asked_s = error.wait_s if isinstance(error, VenueFailed) else 0.0
    jitter = random.uniform(0, 0.5) if asked_s else 0.0  # noqa: S311 - no secret of it
    return max(_BACKOFF(state), asked_s + jitter)


def _read(found: Received, where: str, now: datetime) -> Any:
    """Return what an answer holds. Raises VenueFailed."""
    said = _line(found.body[:200].decode("utf-8", "replace"))
    if found.status == HTTPStatus.TOO_MANY_REQUESTS:
        wait_s = asked_to_wait(found.headers, now)
        remedy = "Raise tsfm.markets.spacing_s, or watch fewer markets (tsfm.markets.max_candidates)."
        raise VenueFailed("throttled", f"{where}: asked too often (429): {said}. {remedy}", wait_s=wait_s)
    if found.status == HTTPStatus.NOT_FOUND:
        raise VenueFailed("missing_path", f"{where}: not there (404): {said}. Mend its address in tsfm.markets.")
    if found.status != HTTPStatus.OK:
        is_passing = found.status >= HTTPStatus.INTERNAL_SERVER_ERROR or found.status == HTTPStatus.REQUEST_TIMEOUT
        raise VenueFailed("broken" if is_passing else "refused", f"{where}: HTTP {found.status}: {said}. {_LATER}")
    if len(found.body) > MAX_BYTES:
        raise VenueFailed("broken", f"{where}: the answer unpacks to more than {MAX_BYTES >> 20} MiB. {_LATER}")
    try:
        return orjson.loads(found.body)
    except ValueError as error:
        raise VenueFailed("broken", f"{where}: no JSON ({_line(str(error))}): {said}. {_LATER}") from None


def _line(said: str) -> str:
    """Return a reason on one line and short."""
    return re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in said)).strip()[:200]
