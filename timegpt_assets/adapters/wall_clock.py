"""How long a question may take by the clock on the wall, however slowly it is answered: httpx times each read alone.

Belongs here: ending a connection from outside when its time is over. Who is asked, and what a late answer means, say
those who ask.
"""

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

import httpx

LATE = "the answer dripped in for longer than the timeout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What came back: the status, its headers by lower-case name, its bytes."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class _Line:
    """The connection of a request, which another thread may cut."""

    def __init__(self, request: httpx.Request) -> None:
        self.is_cut = False
        self._streams: list[Any] = []
        request.extensions["trace"] = self._traced

    def cut(self) -> None:
        """End the connection; one that is only being made is ended as soon as it is there."""
        self.is_cut = True
        for stream in self._streams[-1:]:
            with suppress(OSError):  # closed meanwhile
                socket.socket.shutdown(stream.get_extra_info("socket"), socket.SHUT_RDWR)

    def _traced(self, event: str, info: Mapping[str, Any]) -> None:
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._streams.append(info["return_value"])
            if self.is_cut:
                self.cut()


@contextmanager
def cut_after(seconds: float, request: httpx.Request) -> Iterator[None]:
    """End the connection of a request when its time is over: headers may drip in, and bodies.

    The name of a host is looked up in the caller's own time (``received`` waits for nobody). Raises ReadTimeout.
    """
    line = _Line(request)
    watch = threading.Timer(seconds, line.cut)
    watch.daemon = True
    watch.start()
    try:
        yield
    except httpx.HTTPError as error:
        if line.is_cut:
            raise httpx.ReadTimeout(LATE) from error
        raise
    finally:
        watch.cancel()
    if line.is_cut:  # a body whose length nobody said ends well when it is cut
        raise httpx.ReadTimeout(LATE)


def received(http: httpx.Client, request: httpx.Request, *, seconds: float, most_bytes: int) -> Received:
    """Return what came back within the time, a byte beyond ``most_bytes`` at most; nobody is followed elsewhere.

    The time is that of everything: looking up the host's name, connecting, sending, headers and body. Its thread is
    left behind where a name is still looked up, which nothing can interrupt. The client must keep no connection.
    Raises httpx.HTTPError, ReadTimeout among them.
    """
    line, told = _Line(request), SimpleQueue[Callable[[], Received]]()
    threading.Thread(target=lambda: told.put(_whole(http, request, most_bytes)), daemon=True).start()
    try:
        found = told.get(timeout=max(0.0, seconds))
    except Empty:
        raise httpx.ReadTimeout(f"no whole answer within {seconds:.3g} s") from None
    finally:
        line.cut()  # a connection that was answered on is closed, and cutting it says nothing
    return found()


def _whole(http: httpx.Client, request: httpx.Request, most_bytes: int) -> Callable[[], Received]:
    """Return what gives the answer, or raises why there is none, in the thread that waits for it."""
    try:
        response = http.send(request, stream=True, follow_redirects=False)
        try:
            body = _body(response, most_bytes)
        finally:
            response.close()
    except Exception as error:  # noqa: BLE001 - raised where it is waited for
        return _raising(error)
    headers = {name.lower(): value for name, value in response.headers.items()}
    found = Received(status=response.status_code, headers=headers, body=body)
    return lambda: found


def _body(response: httpx.Response, most_bytes: int) -> bytes:
    parts, size = [], 0
    for part in response.iter_bytes():
        parts.append(part)
        size += len(part)
        if size > most_bytes:
            break
    return b"".join(parts)[: most_bytes + 1]


def _raising(error: Exception) -> Callable[[], Received]:
    def fail() -> Received:
        raise error

    return fail
