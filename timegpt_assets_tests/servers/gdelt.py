"""A local GDELT: its export files and its search, with the words it refuses in, and faults on demand.

Belongs here: what the service's side of a test needs. What is in a file or an answer is made up and depends on the
request alone. ``python -m timegpt_assets_tests.servers.gdelt --port N`` serves until interrupted and prints its URL.
"""

import argparse
import gzip
import io
import json
import socket
import struct
import threading
import time
import zipfile
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from timegpt_assets_tests.servers.served import Served

THROTTLED = "Please limit requests to one every 5 seconds or contact kalev.leetaru5@gmail.com for larger queries."
"""Its own words, under 429 and under 200; all of its errors below come under 200."""
SHORT_PHRASE = "The specified phrase is too short."
OVER_LIMIT = "A maximum of 250 records can be returned."
MOST, SHORTEST, COLUMNS = 250, 5, 61
BOMB_BYTES = 80 << 20
_MOMENT = "%Y%m%d%H%M%S"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What to do to one request instead of answering it well.

    ``kind``: status (answer ``status`` with ``body``), text (``body`` under 200), empty, no_match, html, half (less
    than is said), torn (the first half as if it were all), slow (after ``seconds``), drip (a byte at a time), tarpit
    (headers without an end, one after ``seconds``), flood (a body without one), reset, bomb, echo (what was asked, the
    key with it).
    """

    kind: str
    status: int = 200
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def too_many(retry_after: str = "", *, status: int = 429) -> Fault:
    """Return the refusal of who asks too often, with Retry-After or without, under 429 or under 200."""
    headers = {"Retry-After": retry_after} if retry_after else {}
    return Fault(kind="status", status=status, body=THROTTLED, headers=headers)


def articles(query: str, first: datetime, last: datetime, *, per_hour: float) -> list[dict[str, str]]:
    """Return the made-up articles of a span, evenly spread over each hour, oldest first."""
    step, found = timedelta(hours=1) / per_hour, []
    epoch = datetime(2015, 1, 1, tzinfo=UTC)
    number = -((epoch - first) // step)  # the first at or after it
    while (seen := epoch + number * step) <= last:
        stamp = seen.replace(microsecond=0)
        found.append(
            {
                "url": f"https://example.org/{number}",
                "url_mobile": "",
                "title": f"{query.split(chr(34))[1]} tells number {number} of its story ; shares move",
                "seendate": f"{stamp:%Y%m%dT%H%M%SZ}",
                "socialimage": "",
                "domain": "example.org",
                "language": "English",
                "sourcecountry": "United States",
            }
        )
        number += 1
    return found


def artlist(asked: Mapping[str, str], *, per_hour: float) -> str:
    """Return an answer in mode artlist, or the words in which the question is refused."""
    query, most = asked["query"], int(asked.get("maxrecords", 75))
    if most > MOST:
        return OVER_LIMIT
    if any(len(phrase) < SHORTEST for phrase in query.split('"')[1::2]):
        return SHORT_PHRASE
    first, last = (
        datetime.strptime(asked[name], _MOMENT).replace(tzinfo=UTC) for name in ("startdatetime", "enddatetime")
    )
    found = articles(query, first, last, per_hour=per_hour)[:most]
    return json.dumps({"articles": found}) if found else "{}"


def numbered(stamp: str, count: int = 3) -> Sequence[str]:
    """Return the addresses of articles that say nothing."""
    return [f"https://example.org/{stamp}/{number}" for number in range(count)]


def export(stamp: str, addresses: Sequence[str]) -> bytes:
    """Return the zip of a quarter of an hour's events: 61 columns, tabs between them, no header."""
    day = stamp[:8]
    lines = []
    for number, address in enumerate(addresses):
        told = [""] * COLUMNS
        told[0:5] = [f"{stamp}{number}", day, day[:6], day[:4], f"{day[:4]}.5"]
        told[5:7], told[15:17] = ["BUS", "APPLE"], ["GOV", "UNITED STATES"]
        told[25:35] = ["1", "040", "040", "04", "1", "1.0", "5", "1", "5", "-0.5"]
        told[59:61] = [stamp, address]
        lines.append("\t".join(told))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(zipfile.ZipInfo(f"{stamp}.export.CSV"), "\n".join(lines) + "\n")
    return packed.getvalue()


class GdeltServer(Served):
    """Serves in a thread inside ``with``; remembers what was asked, takes faults from a queue, else from ``rule``.

    ``faults`` strike requests one by one (None: answered well). ``rule`` is given what is asked when none is queued.
    ``articles``: stamp of an export file -> the addresses it tells of. ``missing``: export files that are not there.
    ``asked``: each request as path?query, ``agents`` their User-Agents. A key that a request has is taken out of both
    and counted in ``keyed``. ``date``: what it says the time is (None: this machine's).
    """

    def __init__(
        self,
        *,
        port: int = 0,
        per_hour: float = 2.0,
        delay_s: float = 0.0,
        articles: Callable[[str], Sequence[str]] = numbered,
    ) -> None:
        """Bind the port (0: any)."""
        self.articles = articles
        self.per_hour, self.delay_s = per_hour, delay_s
        self.asked: list[str] = []
        self.answered: list[str] = []
        self.agents: list[str] = []
        self.keyed = 0
        self.date: str | None = None
        self.faults: deque[Fault | None] = deque()
        self.rule: Callable[[str], Fault | None] = lambda asked: None
        self.missing: set[str] = set()
        self._lock = threading.Lock()
        super().__init__(_Handler, port)

    @property
    def counts(self) -> Counter[str]:
        """Return how often each request was received."""
        with self._lock:
            return Counter(self.asked)

    @property
    def well(self) -> Counter[str]:
        """Return how often each request was answered well."""
        with self._lock:
            return Counter(self.answered)

    def recorded(self) -> Iterable[bytes]:
        """Return every request as it was kept."""
        return (one.encode() for one in list(self.asked))

    def _take(self, asked: str, agent: str) -> Fault | None:
        with self._lock:
            self.asked.append(asked)
            self.agents.append(agent)
            return self.faults.popleft() if self.faults else self.rule(asked)


class _Handler(BaseHTTPRequestHandler):
    owner: GdeltServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        split = urlsplit(self.path)
        path, _, key = self.path.partition("&api_key=")
        self.owner.keyed += bool(key)
        asked = unquote(path)
        fault = self.owner._take(asked, self.headers.get("User-Agent", ""))
        time.sleep(self.owner.delay_s)
        code, kind, body = self._good(split.path, dict(parse_qsl(split.query)))
        if fault is None:
            self._send(code, body, {"Content-Type": kind})
            if code == 200:
                self.owner.answered.append(asked)
            return
        self._strike(fault, body, kind)

    def _good(self, path: str, asked: Mapping[str, str]) -> tuple[int, str, bytes]:
        if path == "/api/v2/doc/doc":
            said = artlist(asked, per_hour=self.owner.per_hour)
            return 200, "application/json" if said.startswith("{") else "text/html", said.encode()
        name = path.removeprefix("/gdeltv2/")
        if path == name or name in self.owner.missing or not name.endswith(".export.CSV.zip"):
            return 404, "text/html", b"<html><body>404 Not Found</body></html>"
        return 200, "application/zip", export(name[:14], self.owner.articles(name[:14]))

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return what the answer says of its time."""
        return super().date_time_string(timestamp) if self.owner.date is None else self.owner.date

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _strike(self, fault: Fault, good: bytes, kind: str) -> None:
        head = {"Content-Type": kind} | dict(fault.headers)
        match fault.kind:
            case "status" | "text":
                self._send(fault.status, fault.body.encode(), {"Content-Type": "text/plain"} | head)
            case "empty":
                self._send(200, b"", head)
            case "no_match":
                self._send(200, b"{}", head)
            case "html":
                self._send(200, b"<html><body>It works!</body></html>", head)
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
            case "flood":
                self._flood()
            case "bomb":
                self._send(200, gzip.compress(b" " * BOMB_BYTES, 1), head | {"Content-Encoding": "gzip"})
            case "echo":
                self._send(fault.status, json.dumps({"articles": [self.path]}).encode(), head)
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

    def _flood(self) -> None:
        """Send a body until the client has left."""
        self.close_connection = True
        with suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
            while True:
                self.wfile.write(b" " * 65536)

    def _send(self, code: int, body: bytes, headers: Mapping[str, str], *, cut: int = 0, pause: float = 0.0) -> None:
        """Send the body, ``cut`` bytes of it withheld, or byte by byte with a pause; a client that left is no error."""
        try:
            self.send_response(code)
            for name, value in headers.items():
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
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=0)
    server = GdeltServer(port=arguments.parse_args().port)
    print(server.url, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
