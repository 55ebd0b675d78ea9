"""Serving until it is told to stop: where is listened, who may be let in there, and how it ends.

Belongs here: the process. uvicorn has one of its two doors here; the other is the UI's.
"""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from timegpt_assets.core.explained import Explained
from timegpt_assets.serving.tsfm.identity import TOKEN

LOOPBACK = ("localhost", "127.0.0.1", "::1")
KEEP_ALIVE_S = 75
"""Seconds for which an idle connection stays open: longer than clients keep theirs, so that none is cut under them."""
BACKLOG = 1024


class NotServed(Explained, RuntimeError):
    """Raised where the service cannot listen, or may not; says what helps."""


def listening(host: str, port: int, token: str | None) -> socket.socket:
    """Return a socket that listens. Raises NotServed beyond this machine without a token, and where nobody can."""
    if host not in LOOPBACK and not token:
        raise NotServed(
            f"{host} is reached from beyond this machine, and {TOKEN} is not set: whoever reaches it could ask. Put a "
            f"token into the environment or .env as {TOKEN}, or listen at 127.0.0.1."
        )
    if token is not None and not (token.isascii() and token.isprintable() and " " not in token and token):
        raise NotServed(f"{TOKEN} holds what no header can bear. Set it to printable ASCII without blanks.")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        # Python's own words name the address once more; of a name that nobody knows the number is another kind
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or error
        raise NotServed(
            f"{host}:{port} cannot be listened at ({why}). Set tsfm.serve.host and tsfm.serve.port "
            "to an address of this machine that nobody listens at; port 0 takes any free one."
        ) from error


def address(listener: socket.socket) -> str:
    """Return the address that a socket listens at, as a URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: ASGIApp, listener: socket.socket, *, shutdown_s: int) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are answered for ``shutdown_s`` seconds."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=shutdown_s,
    )
    with _ended_well():
        uvicorn.Server(config).run(sockets=[listener])


@contextmanager
def _ended_well() -> Iterator[None]:
    """Let being told to stop be no failure: uvicorn raises the signal again once it has stopped."""
    wanted = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(one, lambda number, frame: None) for one in wanted]
    try:
        yield
    finally:
        for one, handler in zip(wanted, before, strict=True):
            signal.signal(one, handler)
