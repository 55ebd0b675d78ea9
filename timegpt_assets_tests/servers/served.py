"""What the local servers share: serving in a thread inside ``with``, on a port of this machine."""

import sys
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from timegpt_assets_tests.secret_search import MARK


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that left: being killed is what tests do to it."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Served:
    """Serves in a thread inside ``with``; ``host`` and ``url`` say where. The handler finds it as its ``owner``."""

    def __init__(self, handler: type[BaseHTTPRequestHandler], port: int) -> None:
        """Bind the port (0: any)."""
        self._http = _Http(("127.0.0.1", port), type("Handler", (handler,), {"owner": self}))
        self.host = f"127.0.0.1:{self._http.server_address[1]}"
        self.url = f"http://{self.host}"

    def __enter__(self) -> Self:
        """Start serving."""
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving and free the port. Raises AssertionError when a key was recorded with what was received."""
        self._http.shutdown()
        self._http.server_close()
        if kind is None:
            assert not any(MARK.encode() in said for said in self.recorded()), f"{self.url} recorded an API key"

    def recorded(self) -> Iterable[bytes]:
        """Return what was kept of the requests received."""
        return ()

    def serve_forever(self) -> None:
        """Serve in this thread until interrupted."""
        self._http.serve_forever()
