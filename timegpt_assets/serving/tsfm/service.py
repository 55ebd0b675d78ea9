"""POST /tsfm/forecast, /healthz, /readyz and /metrics, as a FastAPI application over what it is given.

Belongs here: the road of a request from bytes to bytes. Who forecasts, what is kept and what is counted is handed in as
a Desk, made in desk.py.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import orjson
from fastapi import FastAPI, Request, Response
from starlette.types import ASGIApp

from timegpt_assets.core.tsfm.asked import Answered, Asked
from timegpt_assets.core.tsfm.reasons import is_for_want_of_model, is_model_error
from timegpt_assets.serving.tsfm import logs, openapi
from timegpt_assets.serving.tsfm.cache import Answers
from timegpt_assets.serving.tsfm.contract import Fault, Refusal, Refused, read
from timegpt_assets.serving.tsfm.identity import TOKEN, RequestIds, is_let_in
from timegpt_assets.serving.tsfm.logs import Log
from timegpt_assets.serving.tsfm.metrics import CACHE, IN_VAIN, MODEL, NOBODY, TYPE, Metrics
from timegpt_assets.serving.tsfm.monitor import Monitor
from timegpt_assets.serving.tsfm.promises import FALLBACK, Promises
from timegpt_assets.serving.tsfm.replies import Adjust, Adjusted, How, Wish, Wished, reply
from timegpt_assets.serving.tsfm.terms import Choice, Settled, Terms, settled

JSON = "application/json"


class NoAnswer(Protocol):
    """A market that nobody could answer."""

    @property
    def reason(self) -> str:
        """Return why: baseline_error and its kind."""
        ...


class Forecaster(Protocol):
    """Who answers: a model, or the baseline in its place. Any number of threads may ask at once."""

    def forecast(self, asked: Sequence[Asked]) -> Sequence[Answered | NoAnswer]:
        """Return an answer to each question, in order."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """What one question came to."""

    answered: Answered
    adjusted: Adjusted
    wish: Wish


@dataclass(frozen=True, kw_only=True, eq=False)
class Desk:
    """What an application answers with. ``token``: what callers must bear, None where nobody must."""

    terms: Terms
    forecaster: Callable[[Choice], Forecaster]
    adjust: Adjust
    wished: Wished
    metrics: Metrics
    monitor: Monitor
    promises: Promises
    mode: Callable[[], str]
    answers: Answers[Made]
    log: Log
    monotonic: Callable[[], float]
    threads: int
    max_body_bytes: int
    token: str | None = field(default=None, repr=False)


class Unanswerable(Exception):
    """Raised where not even a baseline could answer."""

    def __init__(self, reason: str) -> None:
        """Keep why."""
        super().__init__(reason)
        self.reason = reason


class TooLong(Exception):
    """Raised for a body of more bytes than are taken."""


def keeps(made: Made) -> bool:
    """Return whether an answer may serve a later request: not one whose reason may be gone in a second."""
    return not is_for_want_of_model(made.answered.reason)


def application(desk: Desk) -> ASGIApp:
    """Return the application; its threads end with it."""
    pool = ThreadPoolExecutor(desk.threads, "tsfm")
    app = FastAPI(title=openapi.TITLE, version=openapi.VERSION, lifespan=partial(_lifespan, desk, pool), docs_url=None,
                  redoc_url=None)  # fmt: skip
    app.openapi = openapi.document  # type: ignore[method-assign]  # FastAPI's own way of a schema by hand
    routes = _Routes(desk, pool)
    app.add_api_route("/tsfm/forecast", routes.forecast, methods=["POST"])
    app.add_api_route("/healthz", routes.healthz, methods=["GET"])
    app.add_api_route("/readyz", routes.readyz, methods=["GET"])
    app.add_api_route("/metrics", routes.metrics, methods=["GET"])
    return RequestIds(app)  # outermost: what fails has an id, too


@asynccontextmanager
async def _lifespan(desk: Desk, pool: ThreadPoolExecutor, app: FastAPI) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    # beside the pool: a probe that hangs takes no request's thread
    probing = desk.monitor.watch(lambda probe: loop.run_in_executor(None, probe))
    watches = [asyncio.create_task(probing), asyncio.create_task(desk.promises.watch())]
    try:
        yield
    finally:
        for one in watches:
            one.cancel()
            with suppress(asyncio.CancelledError):
                await one
        pool.shutdown(wait=True)


@dataclass(frozen=True)
class _Routes:
    """The four answers of the service."""

    desk: Desk
    pool: ThreadPoolExecutor

    async def healthz(self) -> Response:
        """Say that the process runs."""
        return _json(200, {"status": "ok"})

    async def readyz(self) -> Response:
        """Say that requests are answered, by whom, and what the last probe of the model found."""
        last = self.desk.monitor.last
        found = {"ready": True, "mode": self.desk.mode(), "model_healthy": last.healthy, "why": last.why}
        return _json(200, found)

    async def metrics(self, request: Request) -> Response:
        """Return the exposition; tables are read beside the loop."""
        if not is_let_in(request.headers.get("authorization"), self.desk.token):
            return _unknown_caller(_id(request))
        loop = asyncio.get_running_loop()
        text = await loop.run_in_executor(None, self.desk.metrics.exposition)
        return Response(text, media_type=TYPE)

    async def forecast(self, request: Request) -> Response:
        """Answer one question, and count and log how it went."""
        began, desk = self.desk.monotonic(), self.desk
        try:
            who, response = await self._answered(request, began)
        except Exception as error:  # noqa: BLE001 - let through, it would end the caller's connection besides
            who, response = NOBODY, self._broken(_id(request), error)
        took = (desk.monotonic() - began) * 1000
        desk.metrics.served(response.status_code, took, who)
        if who == NOBODY:
            desk.log.warning("refused", request_id=_id(request), status=response.status_code, latency_ms=took)
        return response

    async def _answered(self, request: Request, began: float) -> tuple[str, Response]:
        """Return who was served by, and the response."""
        own, desk = _id(request), self.desk
        if not is_let_in(request.headers.get("authorization"), desk.token):
            return NOBODY, _unknown_caller(own)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
            # a page in a browser can send other types to this machine unasked
            return NOBODY, _refusal(415, own, _whole("the body is not said to be JSON", f"Send content-type: {JSON}."))
        try:
            question = settled(read(await self._body(request)), desk.terms)
            made, shared = await desk.answers.get(question.digest(), partial(self._made, question))
        except TooLong:
            most = f"Send {desk.max_body_bytes} bytes (tsfm.serve.max_body_bytes) at most."
            return NOBODY, _refusal(413, own, _whole("the body is too long", most))
        except Refused as refused:
            return NOBODY, _refusal(422, own, *refused.faults)
        except Unanswerable as error:
            return NOBODY, _refusal(503, own, _whole(error.reason, "Send more prices, or ask again later."))
        took = (desk.monotonic() - began) * 1000
        how = How(request_id=own, latency_ms=took, cached=shared)
        response = reply(question, made.answered, made.adjusted, made.wish, how)
        desk.log.info("answered", **logs.answered(response))
        return CACHE if shared else _who(made.answered), Response(response.model_dump_json(), media_type=JSON)

    async def _body(self, request: Request) -> bytes:
        """Return the body. Raises TooLong before more of it is read than is taken."""
        parts, size = [], 0
        async for part in request.stream():
            size += len(part)
            if size > self.desk.max_body_bytes:
                raise TooLong
            parts.append(part)
        return b"".join(parts)

    async def _made(self, question: Settled) -> Made:
        return await asyncio.get_running_loop().run_in_executor(self.pool, self._forecast, question)

    def _forecast(self, question: Settled) -> Made:
        """Ask the runner, in a thread."""
        (answered,) = self.desk.forecaster(question.choice).forecast([question.asked])
        if not isinstance(answered, Answered):
            raise Unanswerable(answered.reason)
        wish = self.desk.wished(answered.market_id, answered.as_of)
        return Made(answered, self.desk.adjust(question, answered), wish)

    def _broken(self, own: str, error: Exception) -> Response:
        """Say that it is our fault, and log what it was."""
        self.desk.log.error("broken", request_id=own, exc_info=error)
        return _refusal(500, own, _whole("the service failed", "Ask again; its log names the cause beside this id."))


def _who(answered: Answered) -> str:
    if not answered.fallback_used:
        return MODEL
    return IN_VAIN if is_model_error(answered.reason) else FALLBACK


def _id(request: Request) -> str:
    return str(request.scope["state"]["request_id"])


def _whole(msg: str, remedy: str) -> Fault:
    return Fault(loc=(), msg=msg, type="request", remedy=remedy)


def _refusal(status: int, request_id: str, *faults: Fault) -> Response:
    body = Refusal(detail=faults, request_id=request_id).model_dump_json()
    return Response(body, status, media_type=JSON)


def _unknown_caller(request_id: str) -> Response:
    remedy = f"Send authorization: Bearer with the value of {TOKEN} of the service."
    response = _refusal(401, request_id, _whole("the bearer token is absent or wrong", remedy))
    response.headers["www-authenticate"] = "Bearer"
    return response


def _json(status: int, found: dict[str, Any]) -> Response:
    return Response(orjson.dumps(found), status, media_type=JSON)
