"""A local TimeGPT: the documented wire format, honest arithmetic on the body it is sent, and faults on demand.

Belongs here: what the provider's side of a test needs. ``python -m timegpt_assets_tests.servers.timegpt --port N``
serves until interrupted and prints its URL. Answers depend on the request alone; no key is ever kept.
"""

import argparse
import gzip
import hashlib
import json
import math
import queue
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import zstandard

from timegpt_assets_tests.servers.served import Served

MEAN_ROWS, DAMPING = 390, 0.9
BOMB_BYTES = 80 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What to do to one request instead of answering it well.

    ``kind``: status, reset_before, reset_after, truncated, html, bad_json, nan, null, crossed, missing_band,
    wrong_rows, missing_series, swapped, demo, zero, bomb, slow, drip.
    """

    kind: str
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came in: path, uncompressed body, headers without the key."""

    path: str
    body: bytes
    headers: Mapping[str, str]


def status(code: int, *, retry_after: str = "", body: Any = None) -> Fault:
    """Return a fault that answers with the status, an error body and perhaps Retry-After."""
    headers = {"Retry-After": retry_after} if retry_after else {}
    return Fault(kind="status", status=code, headers=headers, body={"detail": "fault"} if body is None else body)


def too_many(code: str, *, retry_after: str = "") -> Fault:
    """Return the provider's 429 with code A20 (rate) or A21 (payment)."""
    return status(429, retry_after=retry_after, body={"data": None, "message": "Too many requests", "code": code})


def answer(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the forecast of a request body: a damped mean per series, symmetric bands of its past deviations."""
    series, h = body["series"], body["h"]
    parts = np.split(np.asarray(series["y"], dtype=np.float64), np.cumsum(series["sizes"])[:-1])
    steps = DAMPING ** np.arange(1, h + 1)
    levels = sorted({int(level) for level in body["level"] or ()})
    mean, bands = [], {f"{side}-{level}": [] for level in levels for side in ("lo", "hi")}
    for y in parts:
        centre = y[-MEAN_ROWS:].mean()
        expected = centre + (y[-1] - centre) * steps
        mean += expected.tolist()
        for level in levels:
            width = float(np.quantile(np.abs(y - centre), level / 100))
            bands[f"lo-{level}"] += (expected - width).tolist()
            bands[f"hi-{level}"] += (expected + width).tolist()
    tokens = {"input_tokens": len(series["y"]), "output_tokens": len(mean), "finetune_tokens": 0}
    return tokens | {"mean": mean, "intervals": bands or None, "weights_x": None, "feature_contributions": None}


def spoilt(kind: str, good: dict[str, Any], sizes: Sequence[int]) -> bytes:
    """Return the good answer made into the nonsense named."""
    if kind == "html":
        return b"<html><body>It works!</body></html>"
    bands, n = good["intervals"] or {}, len(good["mean"])
    first = min(bands, default="", key=lambda name: int(name.partition("-")[2]))
    match kind:
        case "bad_json":
            return json.dumps(good).encode()[:-20]
        case "nan":
            good["mean"][0] = math.nan
        case "null":
            good["mean"][0] = None
        case "crossed":
            level = first.partition("-")[2]
            bands[f"lo-{level}"], bands[f"hi-{level}"] = bands[f"hi-{level}"], bands[f"lo-{level}"]
        case "missing_band":
            del bands[first]
        case "wrong_rows":
            good["mean"].append(0.0)
        case "missing_series":
            keep = n - n // len(sizes)
            good |= {"mean": good["mean"][:keep], "intervals": {k: v[:keep] for k, v in bands.items()}}
        case "swapped":
            good |= {"mean": _reversed(good["mean"], len(sizes))}
            good["intervals"] = {name: _reversed(values, len(sizes)) for name, values in bands.items()}
        case "zero":
            good |= {"mean": [0.0] * n, "intervals": {name: [0.0] * n for name in bands}}
        case "demo":
            good |= {"mean": [437.84] * n, "intervals": {name: [437.84] * n for name in bands}}
    return json.dumps(good).encode()


def _reversed(values: list[float], series: int) -> list[float]:
    """Return the values with the series in the opposite order."""
    return np.asarray(values).reshape(series, -1)[::-1].ravel().tolist()


def cross_validation(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the windows of a request body, each forecast from what lies before it alone, with their row numbers."""
    series, h, n_windows, step = body["series"], body["h"], body["n_windows"], body["step_size"]
    parts = np.split(np.asarray(series["y"], dtype=np.float64), np.cumsum(series["sizes"])[:-1])
    mean: list[float] = []
    idxs: list[int] = []
    bands: dict[str, list[float]] = {}
    offset = 0
    for y in parts:
        for window in range(n_windows):
            cut = len(y) - h - step * (n_windows - 1 - window)
            said = answer(dict(body) | {"series": {"y": y[:cut].tolist(), "sizes": [cut]}})
            mean += said["mean"]
            for name, values in (said["intervals"] or {}).items():
                bands.setdefault(name, []).extend(values)
            idxs += range(offset + cut, offset + cut + h)
        offset += len(y)
    tokens = {"input_tokens": len(series["y"]), "output_tokens": len(mean), "finetune_tokens": 0}
    sizes = [n_windows * h] * len(parts)
    return tokens | {"mean": mean, "intervals": bands or None, "weights_x": None, "sizes": sizes, "idxs": idxs}


class TimeGPTServer(Served):
    """Serves in a thread inside ``with``; counts requests by path, keeps their bodies, takes faults from a queue.

    ``faults`` strike POSTs one by one (None: answered well), ``params_faults`` GET /model_params. ``events`` tells of
    every request "received" and "replied" as it happens. ``date`` is what it says the time is (None: this machine's).
    """

    def __init__(
        self, *, port: int = 0, key: str = "", input_size: int = 1008, horizon: int = 60, delay_sec: float = 0.0
    ) -> None:
        """Bind the port (0: any); with ``key`` set every other key is refused with 401."""
        self.key, self.params, self.delay_sec = key, {"input_size": input_size, "horizon": horizon}, delay_sec
        self.received: list[Received] = []
        self.worked = 0
        self.date: str | None = None
        self.events: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.faults: deque[Fault | None] = deque()
        self.params_faults: deque[Fault | None] = deque()
        self._lock = threading.Lock()
        super().__init__(_Handler, port)

    @property
    def digests(self) -> Counter[str]:
        """Return how often each request was received: sha256 of path and body."""
        with self._lock:
            return Counter(hashlib.sha256(one.path.encode() + one.body).hexdigest() for one in self.received)

    @property
    def counts(self) -> Counter[str]:
        """Return the requests received so far, by path."""
        with self._lock:
            return Counter(one.path for one in self.received)

    def recorded(self) -> Iterable[bytes]:
        """Return every request as it was kept."""
        return (f"{one.path} {dict(one.headers)}".encode() + one.body for one in list(self.received))

    def bodies(self, path: str = "/v2/forecast") -> list[dict[str, Any]]:
        """Return the JSON bodies received at the path, in order."""
        return [json.loads(one.body) for one in self.received if one.path == path]

    def _take(self, received: Received) -> Fault | None:
        with self._lock:
            self.received.append(received)
            self.events.put("received")
            waiting = {"/model_params": self.params_faults}.get(received.path, self.faults)
            return waiting.popleft() if waiting else None


class _Handler(BaseHTTPRequestHandler):
    owner: TimeGPTServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        fault = self.owner._take(Received(path, urlsplit(self.path).query.encode(), self._safe_headers()))
        if not self._is_let_in():
            return None
        known = {"/validate_api_key": {"detail": "valid"}, "/model_params": {"detail": self.owner.params}}
        good = known.get(path)
        if good is None or (path == "/model_params" and "model" not in parse_qs(urlsplit(self.path).query)):
            return self._reply(404, {"detail": "Not Found"})
        return self._reply(200, good) if fault is None else self._strike(fault, good, [1])

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "zstd":
            body = zstandard.ZstdDecompressor().decompressobj().decompress(body)
        delay_sec = self.owner.delay_sec  # that of now: a test may set another as soon as it hears of the request
        fault = self.owner._take(Received(self.path, body, self._safe_headers()))
        if not self._is_let_in():
            return None
        answering = {"/v2/forecast": answer, "/v2/cross_validation": cross_validation}.get(self.path)
        if answering is None:
            return self._reply(404, {"detail": "Not Found"})
        if fault and fault.kind in ("status", "reset_before"):
            return self._strike(fault, {}, [])
        asked = json.loads(body)
        good = answering(asked)
        self.owner.worked += 1
        time.sleep(delay_sec)
        return self._reply(200, good) if fault is None else self._strike(fault, good, asked["series"]["sizes"])

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return what the answer says of its time."""
        return super().date_time_string(timestamp) if self.owner.date is None else self.owner.date

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _safe_headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items() if name.lower() != "authorization"}

    def _is_let_in(self) -> bool:
        sent = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if sent and self.owner.key in ("", sent):
            return True
        self._reply(401, {"detail": f"Invalid API key {sent}", "code": "A12"})
        return False

    def _strike(self, fault: Fault, good: dict[str, Any], sizes: Sequence[int]) -> None:
        match fault.kind:
            case "status":
                self._reply(fault.status, fault.body, fault.headers)
            case "reset_before" | "reset_after":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                self.close_connection = True
            case "truncated":
                self._send(200, json.dumps(good).encode(), cut=20)
            case "slow":
                time.sleep(fault.seconds)
                self._reply(200, good)
            case "bomb":
                packed = gzip.compress(b" " * BOMB_BYTES, 1)
                self._send(200, packed, headers={"Content-Encoding": "gzip"})
            case "drip":
                self._send(200, json.dumps(good).encode(), pause=fault.seconds)
            case _:
                self._send(200, spoilt(fault.kind, good, sizes))

    def _reply(self, code: int, document: Any, headers: Mapping[str, str] | None = None) -> None:
        self._send(code, json.dumps(document).encode(), headers=headers)

    def _send(
        self, code: int, body: bytes, *, headers: Mapping[str, str] | None = None, cut: int = 0, pause: float = 0.0
    ) -> None:
        """Send the body, ``cut`` bytes of it withheld, or byte by byte with a pause; a client that left is no error."""
        try:
            self.send_response(code)
            for name, value in ({"Content-Type": "application/json"} | dict(headers or {})).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            for part in [body[: len(body) - cut]] if not pause else [body[i : i + 1] for i in range(len(body))]:
                self.wfile.write(part)
                time.sleep(pause)
            self.owner.events.put("replied")
        except OSError:
            self.close_connection = True
        if cut:
            self.close_connection = True


def main() -> None:
    """Serve on the port given and print the URL."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=0)
    arguments.add_argument("--input-size", type=int, default=1008)
    arguments.add_argument("--delay-sec", type=float, default=0.0)
    given = arguments.parse_args()
    server = TimeGPTServer(port=given.port, input_size=given.input_size, delay_sec=given.delay_sec)
    print(server.url, flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print(dict(server.counts), flush=True)


if __name__ == "__main__":
    main()
