"""A local tollama: the daemon's answers in its own shapes and words, from last values, and faults on demand.

Belongs here: what the model server's side of a test needs. What it answers depends on the request alone.
``python -m timegpt_assets_tests.servers.tollama --port N --delay-ms 150`` serves until interrupted and prints its URL.
"""

import argparse
import gzip
import json
import math
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from uuid import uuid4

from timegpt_assets_tests.servers.served import Served

API, V1, TAGS = "/api/forecast", "/v1/forecast", "/api/tags"
HINT = "Fix request payload or parameters and retry."
SPREAD = 0.1
"""Distance of two quantiles at the first step, in the space that is asked in; it grows with the root of the step."""
BOMB_BYTES = 40 << 20
NOT_FOUND = '{"detail":"Not Found"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What to do to one request instead of answering it well.

    ``kind``: status (answer ``status`` with ``body``), body (``body`` under 200), change (the good answer, its
    forecasts put through ``change``), half (less than is said), torn (the first half as if it were all), slow (after
    ``seconds``), drip (a byte at a time), stall (a byte, and nothing more), tarpit (headers without an end), flood (a
    body without one), hang (nothing at all), reset, closed (at once), bomb, garbled (said to be gzip), streamed (line
    by line), echo (the headers that were sent).
    """

    kind: str
    status: int = 200
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    change: Callable[[list[dict[str, Any]]], list[Any]] = list


def refusal(status: int, detail: str, **headers: str) -> Fault:
    """Return one of the daemon's refusals."""
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(kind="status", status=status, body=json.dumps({"detail": detail, "hint": HINT}), headers=said)


def recorded(exchange: Mapping[str, Any]) -> Fault:
    """Return what the real daemon answered once, to be answered again."""
    kept = {name: value for name, value in exchange["response_headers"].items() if name == "content-type"}
    return Fault(kind="status", status=exchange["status"], body=exchange["response_body"], headers=kept)


def changed(change: Callable[[list[dict[str, Any]]], list[Any]]) -> Fault:
    """Return a good answer whose forecasts are changed."""
    return Fault(kind="change", change=change)


def forecasts(question: Mapping[str, Any], spread: float) -> list[dict[str, Any]]:
    """Return each series' last value, and quantiles around it that widen with the root of the step."""
    steps = [math.sqrt(step) for step in range(1, question["horizon"] + 1)]
    quantiles = question.get("quantiles") or []
    middle = (len(quantiles) - 1) / 2
    told = []
    for one in question["series"]:
        last = one["target"][-1]
        of = {
            f"{quantile:g}": [last + spread * (place - middle) * root for root in steps]
            for place, quantile in enumerate(quantiles)
        }
        told.append(
            {
                "id": one["id"],
                "freq": one["freq"],
                "start_timestamp": one["timestamps"][-1],
                "mean": [last] * len(steps),
                "quantiles": of or None,
            }
        )
    return told


def answer(question: Mapping[str, Any], told: Sequence[Any], warnings: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the whole of an answer, with the nulls that the daemon's have."""
    return {
        "model": question["model"],
        "forecasts": told,
        "metrics": None,
        "timing": {"model_load_ms": 0.0, "inference_ms": 1.0, "total_ms": 2.0},
        "explanation": None,
        "narrative": None,
        "preprocessing": None,
        "usage": {"horizon": question["horizon"], "runner": "tollama-mock", "series_count": len(told)},
        "warnings": list(warnings) if warnings else None,
    }


def wrong(question: Any, *, path: str) -> str | None:
    """Return the daemon's word about a body it refuses with 400, None for one it takes."""
    known = {"model", "horizon", "quantiles", "series", "options", "timeout", "parameters"}
    if not isinstance(question, dict):
        return "JSON decode error"
    if extra := question.keys() - known - ({"stream"} if path == API else set()):
        return f"Extra inputs are not permitted: {sorted(extra)}"
    if type(question["horizon"]) is not int or question["horizon"] < 1:
        return "Input should be a valid integer greater than 0"
    quantiles = question.get("quantiles") or []
    if any(type(one) is not float or not 0 < one < 1 for one in quantiles):
        return "Input should be a valid number less than 1"
    if sorted(set(quantiles)) != quantiles:
        return "Value error, quantiles must be sorted in ascending order"
    for one in question["series"]:
        if len(one["target"]) != len(one["timestamps"]):
            return "Value error, target length must match timestamps length"
        if any(type(value) not in (int, float) for value in one["target"]):
            return "Input should be a valid number"
        if said := wrong_covariates(one, question["horizon"]):
            return said
    return None


def wrong_covariates(one: Mapping[str, Any], horizon: int) -> str | None:
    """Return the daemon's word about covariates of a series that it refuses, None for those it takes."""
    past, ahead = one.get("past_covariates") or {}, one.get("future_covariates") or {}
    if any(len(values) != len(one["target"]) for values in past.values()):
        return "Value error, past_covariates length must match target length"
    if not ahead.keys() <= past.keys():
        return "Value error, future_covariates keys must also exist in past_covariates"
    if any(len(values) != horizon for values in ahead.values()):
        return "Value error, future_covariates length must match horizon"
    if any(type(value) not in (int, float) for values in [*past.values(), *ahead.values()] for value in values):
        return "Input should be a valid number"
    return None


class TollamaServer(Served):
    """Serves in a thread inside ``with``; takes faults from a queue, else from ``rule``; remembers what was asked.

    ``models``: name -> digest of what is installed. ``keys``: bearer keys that it takes (none: anybody). ``paths``:
    which of its two paths exist. ``delay_s``: how long a forecast takes; ``serial``: one after the other, as the real
    one does. ``asked``: method and
    path of each request; ``questions``: bodies of forecasts; ``ids``: their x-request-id. ``keyed``: requests with a
    key that it takes.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        delay_s: float = 0.0,
        serial: bool = False,
        spread: float = SPREAD,
        keep: bool = True,
        models: Mapping[str, str] | None = None,
    ) -> None:
        """Bind the port (0: any). ``keep`` False: remembers nothing, for long runs."""
        self.delay_s, self.spread, self.keep = delay_s, spread, keep
        self.models = {"mock": "local"} if models is None else dict(models)
        self.keys: frozenset[str] = frozenset()
        self.paths: frozenset[str] = frozenset({API, V1})
        self.asked: list[str] = []
        self.questions: list[dict[str, Any]] = []
        self.ids: list[str | None] = []
        self.keyed = 0
        self.faults: deque[Fault | None] = deque()
        self.rule: Callable[[str], Fault | None] = lambda asked: None
        self.turn: threading.Lock | None = threading.Lock() if serial else None
        self._lock = threading.Lock()
        super().__init__(_Handler, port)

    def recorded(self) -> Iterable[bytes]:
        """Return every request as it was kept."""
        return [*(one.encode() for one in self.asked), *(json.dumps(one).encode() for one in self.questions)]

    def _take(self, asked: str, request_id: str | None) -> Fault | None:
        with self._lock:
            if self.keep:
                self.asked.append(asked)
                self.ids.append(request_id)
            return self.faults.popleft() if self.faults else self.rule(asked)


class _Handler(BaseHTTPRequestHandler):
    owner: TollamaServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._answer("GET", b"")

    def do_POST(self) -> None:
        self._answer("POST", self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def _answer(self, method: str, body: bytes) -> None:
        owner = self.owner
        key = self.headers.get("Authorization", "")
        fault = owner._take(f"{method} {self.path}", self.headers.get("X-Request-ID"))
        if owner.keys and key.removeprefix("Bearer ") not in owner.keys:
            said = "invalid api key" if key.startswith("Bearer ") else "missing bearer token"
            self._send(401, json.dumps({"detail": said}).encode(), {"WWW-Authenticate": "Bearer"})
            return
        owner.keyed += bool(key)
        status, good = self._good(method, body)
        if fault is None:
            self._send(status, good, {})
        else:
            self._strike(fault, good)

    def _good(self, method: str, body: bytes) -> tuple[int, bytes]:
        owner = self.owner
        if method == "GET" and self.path == TAGS:
            models = [{"name": name, "model": name, "digest": digest} for name, digest in owner.models.items()]
            return 200, json.dumps({"models": models}).encode()
        if method == "GET" and self.path in ("/v1/health", "/health/ready"):
            return 200, b'{"status":"ok","healthy":true}'
        if method != "POST" or self.path not in owner.paths:
            return 404, NOT_FOUND.encode()
        return self._forecast(body)

    def _forecast(self, body: bytes) -> tuple[int, bytes]:
        owner = self.owner
        try:
            question = json.loads(body)
        except ValueError:
            question = None
        if said := wrong(question, path=self.path):
            return 400, json.dumps({"detail": [{"loc": ["body"], "msg": said, "input": question}]}).encode()
        if owner.keep:
            owner.questions.append(question)
        if question["model"] not in owner.models:
            return 404, json.dumps({"detail": f"model '{question['model']}' is not installed", "hint": HINT}).encode()
        with owner.turn or nullcontext():
            time.sleep(owner.delay_s)
        return 200, json.dumps(answer(question, forecasts(question, owner.spread))).encode()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _strike(self, fault: Fault, good: bytes) -> None:
        head = dict(fault.headers)
        match fault.kind:
            case "status" | "body":
                self._send(fault.status, fault.body.encode(errors="surrogateescape"), head)
            case "change":
                told = json.loads(good)
                self._send(200, json.dumps(told | {"forecasts": fault.change(told["forecasts"])}).encode(), head)
            case "half":
                self._send(200, good, head, cut=len(good) // 2)
            case "torn":
                self._send(200, good[: len(good) // 2], head)
            case "slow":
                time.sleep(fault.seconds)
                self._send(200, good, head)
            case "drip":
                self._send(200, good, head, pause=fault.seconds)
            case "streamed":
                lines = [{"status": "loading model"}, {"status": "running forecast"}]
                said = [*lines, {"done": True, "response": json.loads(good)}]
                self._send(200, "".join(json.dumps(one) + "\n" for one in said).encode(), head)
            case "bomb":
                self._send(200, gzip.compress(b" " * BOMB_BYTES, 1), head | {"Content-Encoding": "gzip"})
            case "garbled":
                self._send(200, b"\x1f\x8b" + good[::-1], head | {"Content-Encoding": "gzip"})
            case "echo":
                self._send(fault.status, json.dumps({"detail": dict(self.headers)} | json.loads(good)).encode(), head)
            case _:
                self._leave_hanging(fault)

    def _leave_hanging(self, fault: Fault) -> None:
        """Send what has no end, or nothing."""
        self.close_connection = True
        with suppress(OSError):
            match fault.kind:
                case "reset":
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.connection.close()
                case "closed":
                    self.connection.shutdown(socket.SHUT_RDWR)
                case "hang":
                    self.connection.settimeout(10)
                    self.connection.recv(1)
                case "stall":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{")
                    self.connection.settimeout(10)
                    self.connection.recv(1)
                case "tarpit":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                    while True:
                        self.wfile.write(b"X-A: 1\r\n")
                        time.sleep(fault.seconds)
                case "flood":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
                    while True:
                        self.wfile.write(b" " * 65536)
                case _:
                    raise ValueError(fault.kind)

    def _send(self, code: int, body: bytes, headers: Mapping[str, str], *, cut: int = 0, pause: float = 0.0) -> None:
        """Send the body, ``cut`` bytes of it withheld, or byte by byte with a pause; a client that left is no error."""
        usual = {"Content-Type": "application/json", "X-Request-ID": self.headers.get("X-Request-ID") or uuid4().hex}
        try:
            self.send_response(code)
            for name, value in (usual | dict(headers)).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            for part in [body[: len(body) - cut]] if not pause else [body[i : i + 1] for i in range(len(body))]:
                self.wfile.write(part)
                time.sleep(pause)
        except OSError:
            self.close_connection = True
        if cut:
            self.close_connection = True


def main() -> None:
    """Serve on the port given and print the URL."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay-ms", type=float, default=0.0)
    parser.add_argument("--serial", action="store_true")
    parser.add_argument("--model", action="append", default=[])
    told = parser.parse_args()
    models = dict.fromkeys(told.model or ["mock", "chronos2"], "local")
    server = TollamaServer(port=told.port, delay_s=told.delay_ms / 1000, serial=told.serial, keep=False, models=models)
    print(server.url, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
