"""A local address that takes alarms: it keeps each body, and refuses or dawdles on demand.

Belongs here: what the other side of a webhook needs. No token is ever kept.
"""

import json
import time
from collections import deque
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler
from typing import Any

from timegpt_assets_tests.servers.served import Served


class WebhookServer(Served):
    """Serves in a thread inside ``with``; ``bodies`` keeps what came, ``statuses`` are answered first, one by one."""

    def __init__(self, *, token: str = "", seconds: float = 0.0) -> None:
        """Bind any port; every other token is refused with 401, and each answer takes ``seconds``."""
        self.token, self.seconds = token, seconds
        self.bodies: list[dict[str, Any]] = []
        self.statuses: deque[int] = deque()
        super().__init__(_Handler, 0)

    @property
    def alarms(self) -> list[dict[str, str]]:
        """Return every notice that came, in order."""
        return [notice for body in self.bodies for notice in body["alarms"]]

    def recorded(self) -> Iterable[bytes]:
        """Return every body as it was kept."""
        return (json.dumps(body).encode() for body in self.bodies)


class _Handler(BaseHTTPRequestHandler):
    owner: WebhookServer

    def do_POST(self) -> None:
        """Keep the body of one delivery, and answer."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(self.owner.seconds)
        status = self.owner.statuses.popleft() if self.owner.statuses else 204
        if self.owner.token and self.headers.get("Authorization") != f"Bearer {self.owner.token}":
            status = 401
        if status == 204:
            self.owner.bodies.append(json.loads(body))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
