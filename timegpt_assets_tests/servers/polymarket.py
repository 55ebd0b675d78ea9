"""A local Polymarket: Gamma's list, the CLOB's books and prices and the data API's open interest, with faults.

Belongs here: what the venue's side of a test needs. Its markets are made up in the shape that Gamma sends: JSON inside
JSON, numbers as text, fields that are absent. It keeps the venue's limits and its silences.
"""

import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from timegpt_assets_tests.servers.served import Served

PAGE, IDS, LONGEST_S, COARSE_MIN = 100, 20, 15 * 86400, 720
ORDERS = ("volume24hr", "liquidityNum", "volumeNum", "endDate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What to do to one request instead of answering it well.

    ``kind``: status (answer ``status`` with ``body``), text (``body`` under 200), half (less than is said), torn (the
    first half as if it were all), slow (after ``seconds``), drip (a byte at a time), tarpit (headers without an end),
    reset.
    """

    kind: str
    status: int = 200
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def gamma_market(number: int, **told: Any) -> dict[str, Any]:
    """Return a market as Gamma sends it: volumes fall with its number; what is None is left out."""
    plain = {
        "id": str(3000000 + number),
        "slug": f"will-it-happen-{number}",
        "active": True,
        "closed": False,
        "spread": 0.02,
        "volume": f"{90000.0 - number}",
        "bestBid": 0.41,
        "bestAsk": 0.43,
        "endDate": "2026-07-24T00:00:00Z",
        "negRisk": False,
        "archived": False,
        "outcomes": json.dumps(["Yes", "No"]),
        "question": f"Will it happen, number {number}?",
        "liquidity": "0",
        "updatedAt": "2026-02-10T11:59:29.141988Z",
        "volumeNum": 90000.0 - number,
        "volume24hr": 80000.0 - number,
        "conditionId": condition(number),
        "clobTokenIds": json.dumps([token(number), token(number) + "1"]),
        "outcomePrices": json.dumps(["0.42", "0.58"]),
        "lastTradePrice": 0.42,
        "acceptingOrders": True,
        "enableOrderBook": True,
        "orderPriceMinTickSize": 0.001,
    }
    return {name: value for name, value in (plain | told).items() if value is not None}


def condition(number: int) -> str:
    """Return the condition of a made-up market."""
    return f"0x{number:064x}"


def token(number: int) -> str:
    """Return the token of Yes of a made-up market: 77 digits, as the venue's are."""
    return f"7{number:076d}"


class PolymarketServer(Served):
    """Serves in a thread inside ``with``; remembers what was asked, takes faults from a queue, else from ``rule``.

    ``markets``: Gamma's objects. ``history``: token -> (seconds, price); that of a market that is over is silent below
    half a day. ``books``: token -> (bids, asks). ``interest``: condition -> USD. ``missing``: paths that are not there.
    ``asked``: each request as path?query, a POST's JSON behind it.
    """

    def __init__(self, markets: Sequence[dict[str, Any]] = (), *, port: int = 0) -> None:
        """Bind the port (0: any)."""
        self.markets = list(markets)
        self.history: dict[str, list[tuple[int, Any]]] = {}
        self.books: dict[str, tuple[list[str], list[str]]] = {}
        self.interest: dict[str, Any] = {}
        self.missing: set[str] = set()
        self.over: set[str] = set()
        self.asked: list[str] = []
        self.at: list[float] = []
        self.faults: deque[Fault | None] = deque()
        self.rule: Callable[[str], Fault | None] = lambda asked: None
        self._lock = threading.Lock()
        super().__init__(_Handler, port)

    def recorded(self) -> Iterable[bytes]:
        """Return every request as it was kept."""
        return (one.encode() for one in list(self.asked))

    def of(self, path: str) -> list[str]:
        """Return what was asked of a path."""
        return [one for one in self.asked if one.partition("?")[0] == path]

    def take(self, asked: str) -> Fault | None:
        """Record a request and return what to do to it."""
        with self._lock:
            self.asked.append(asked)
            self.at.append(time.monotonic())
            return self.faults.popleft() if self.faults else self.rule(asked)

    def answer(self, path: str, asked: Mapping[str, Any]) -> tuple[int, Any]:
        """Return status and body of a request."""
        paths: dict[str, Callable[[Mapping[str, Any]], tuple[int, Any]]] = {
            "/markets": self._listed,
            "/book": self._book,
            "/prices-history": self._single,
            "/batch-prices-history": self._batch,
            "/v2/oi": self._interest,
            "/oi": self._older_interest,
        }
        if path in self.missing or path not in paths:
            return 404, {"error": "Not Found"}
        return paths[path](asked)

    def _listed(self, asked: Mapping[str, Any]) -> tuple[int, Any]:
        if asked.get("order", ORDERS[0]) not in ORDERS:
            return 422, {"type": "validation error", "error": "order fields are not valid"}
        wanted = {name: asked[name] == "true" for name in ("active", "closed") if name in asked}
        found = [one for one in self.markets if all(one.get(name) == is_so for name, is_so in wanted.items())]
        found.sort(key=lambda one: float(one.get("volume24hr") or 0), reverse=asked.get("ascending") == "false")
        first = int(asked.get("offset", 0))
        return 200, found[first : first + min(PAGE, int(asked.get("limit", 20)))]

    def _book(self, asked: Mapping[str, Any]) -> tuple[int, Any]:
        if asked["token_id"] not in self.books:
            return 400, {"error": "Invalid token id"}
        bids, asks = ([{"price": p, "size": "100"} for p in side] for side in self.books[asked["token_id"]])
        told = {"timestamp": "1770724800000", "hash": "0x1", "tick_size": "0.001", "neg_risk": False}
        return 200, {"asset_id": asked["token_id"], "bids": bids, "asks": asks, "last_trade_price": "0.45"} | told

    def _points(self, one: str, start: int, end: int, fidelity: int) -> list[dict[str, Any]]:
        is_silent = one in self.over and fidelity < COARSE_MIN
        return [] if is_silent else [{"t": t, "p": p} for t, p in self.history.get(one, []) if start <= t < end]

    def _single(self, asked: Mapping[str, Any]) -> tuple[int, Any]:
        start, end = int(asked["startTs"]), int(asked["endTs"])
        if end - start > LONGEST_S:
            return 400, {"error": "invalid filters: 'startTs' and 'endTs' interval is too long"}
        return 200, {"history": self._points(asked["market"], start, end, int(asked["fidelity"]))}

    def _batch(self, asked: Mapping[str, Any]) -> tuple[int, Any]:
        start, end = asked["start_ts"], asked["end_ts"]
        if len(asked["markets"]) > IDS or end - start > LONGEST_S:
            return 400, {"error": "invalid payload"}
        return 200, {"history": {one: self._points(one, start, end, asked["fidelity"]) for one in asked["markets"]}}

    def _interest(self, asked: Mapping[str, Any]) -> tuple[int, Any]:
        wanted = asked["condition"].split(",")
        if len(wanted) > IDS:
            return 400, {"error": "too many conditions"}
        return 200, {"data": [{"condition_id": c, "value": self.interest[c]} for c in wanted if c in self.interest]}

    def _older_interest(self, asked: Mapping[str, Any]) -> tuple[int, Any]:
        return 200, [{"market": c, "value": self.interest[c]} for c in asked["market"].split(",") if c in self.interest]


def seconds(moment: datetime) -> int:
    """Return a moment as the CLOB stamps it."""
    return int(moment.astimezone(UTC).timestamp())


class _Handler(BaseHTTPRequestHandler):
    owner: PolymarketServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        split = urlsplit(self.path)
        self._reply(split.path, dict(parse_qsl(split.query)), self.path)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._reply(self.path, json.loads(body), f"{self.path}?{body.decode()}")

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _reply(self, path: str, asked: Mapping[str, Any], said: str) -> None:
        fault = self.owner.take(said)
        status, found = self.owner.answer(path, asked)
        good = json.dumps(found).encode()
        if fault is None:
            self._send(status, good, {"Content-Type": "application/json"})
        else:
            self._strike(fault, good)

    def _strike(self, fault: Fault, good: bytes) -> None:
        head = {"Content-Type": "application/json"} | dict(fault.headers)
        match fault.kind:
            case "status" | "text":
                self._send(fault.status, fault.body.encode(), head)
            case "half":
                self._send(200, good, head, cut=len(good) // 2)
            case "torn":
                self._send(200, good[: len(good) // 2], head)
            case "slow":
                time.sleep(fault.seconds)
                self._send(200, good, head)
            case "drip":
                self._send(200, good, head, pause=fault.seconds)
            case "tarpit":
                self._drip_headers(fault.seconds)
            case "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                self.close_connection = True
            case _:
                raise ValueError(fault.kind)

    def _drip_headers(self, pause: float) -> None:
        """Send a header, and another, until the client has left."""
        self.close_connection = True
        with suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            for number in range(1000):
                self.wfile.write(b"X-%d: 1\r\n" % number)
                time.sleep(pause)

    def _send(self, code: int, body: bytes, headers: Mapping[str, str], *, cut: int = 0, pause: float = 0.0) -> None:
        """Send the body, ``cut`` bytes of it withheld, or byte by byte with a pause; a client that left is no error."""
        self.close_connection = self.close_connection or bool(cut)
        with suppress(OSError):
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            for part in [body[: len(body) - cut]] if not pause else [body[i : i + 1] for i in range(len(body))]:
                self.wfile.write(part)
                time.sleep(pause)
