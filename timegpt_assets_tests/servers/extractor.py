"""A local language model behind an OpenAI-compatible address: it names the companies it knows, and errs on demand.

Belongs here: what the model's side of a test needs. It obeys a headline that gives it orders, as models do. No key is
ever kept.
"""

import json
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any

from timegpt_assets_tests.servers.served import Served

COMPANIES = {"iPhone": "AAPL", "Windows": "MSFT", "Model 3": "TSLA", "Klingon": "KLNG"}
ORDER = {"tickers": ["TSLA"], "order": {"side": "BUY", "quantity": 1000}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What to do to one question instead of answering it well.

    ``kind``: status (answer ``status``), said (``said`` as the content), body (``said`` as the whole body), slow (after
    ``seconds``), drip (over ``seconds``), headers (they drip), cut (close without an answer), echo (repeat the key).
    """

    kind: str
    status: int = 500
    said: str = ""
    seconds: float = 0.0


class ExtractorServer(Served):
    """Serves in a thread inside ``with``; ``received`` keeps the questions, ``faults`` strike them one by one."""

    def __init__(self, *, key: str, port: int = 0) -> None:
        """Bind the port (0: any); every other key is refused with 401."""
        self.key = key
        self.received: list[dict[str, Any]] = []
        self.faults: deque[Fault | None] = deque()
        super().__init__(_Handler, port)

    @property
    def titles(self) -> list[str]:
        """Return the headlines asked about, in order."""
        return [headline(question) for question in list(self.received)]

    def recorded(self) -> Iterable[bytes]:
        """Return every question as it was kept."""
        return (json.dumps(question).encode() for question in list(self.received))


def headline(question: Mapping[str, Any]) -> str:
    """Return the headline of a question."""
    said: str = json.loads(question["messages"][-1]["content"])["headline"]
    return said


def answer(question: Mapping[str, Any]) -> str:
    """Return what the model says of a question: tickers, or what the headline orders it to say."""
    title = headline(question)
    if "ignore all instructions" in title.lower():
        return json.dumps(ORDER)
    return json.dumps({"tickers": [ticker for name, ticker in COMPANIES.items() if name in title]})


class _Handler(BaseHTTPRequestHandler):
    owner: ExtractorServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/v1/chat/completions" or question["response_format"] != {"type": "json_object"}:
            return self._send(404, b'{"error": {"message": "Not Found"}}')
        key = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if key != self.owner.key:
            return self._send(401, b'{"error": {"message": "Incorrect API key provided"}}')
        self.owner.received.append(question)
        fault = self.owner.faults.popleft() if self.owner.faults else None
        content = fault.said if fault and fault.kind == "said" else answer(question)
        said = {"id": "1", "model": question["model"], "choices": [{"index": 0, "message": {"content": content}}]}
        body = json.dumps(said).encode()
        match fault.kind if fault else "":
            case "status":
                return self._send(fault.status, b'{"error": {"message": "fault"}}')
            case "body":
                return self._send(200, fault.said.encode())
            case "echo":
                return self._send(200, body[:-1] + f', "key": "{key}"}}'.encode())
            case "cut":
                self.close_connection = True
                return None
            case "drip":
                return self._drip(body, fault.seconds)
            case "headers":
                return self._drip_headers(fault.seconds)
            case "slow":
                time.sleep(fault.seconds)
        return self._send(200, body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _drip(self, body: bytes, seconds: float) -> None:
        self.send_response(200)
        self.send_header("Content-Length", f"{len(body)}")
        self.end_headers()
        for nth in range(10):
            time.sleep(seconds / 10)
            self.wfile.write(body[nth * len(body) // 10 : (nth + 1) * len(body) // 10])

    def _drip_headers(self, seconds: float) -> None:
        for byte in b"HTTP/1.1 ":
            time.sleep(seconds / 9)
            self.wfile.write(bytes([byte]))
        self.close_connection = True

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", f"{len(body)}")
        self.end_headers()
        self.wfile.write(body)
