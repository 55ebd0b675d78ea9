"""A question takes no longer than it may by the wall's clock: every place where a server, or a name, can hang."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from timegpt_assets.adapters.wall_clock import Received, cut_after, received

MAY, AT_MOST, MOST = 0.2, 0.34, 1000
"""Seconds a question may take; seconds by which it must be over (a busy machine's tenth on top); bytes."""
HEAD = b"HTTP/1.1 200 OK\r\n"
ENDLESS = HEAD + b"Connection: close\r\n\r\n"


@contextmanager
def serving(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve every connection with ``talk``, which may hang until the client leaves."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    line, _ = server.accept()
                    threading.Thread(target=heard, args=(line,), daemon=True).start()
                except OSError:
                    return

        def heard(line: socket.socket) -> None:
            with line:
                try:
                    line.recv(65536)
                    talk(line)
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        server.shutdown(socket.SHUT_RDWR)


def dripping(start: bytes, drop: bytes) -> Callable[[socket.socket], None]:
    def talk(line: socket.socket) -> None:
        line.sendall(start)
        while True:
            line.sendall(drop)
            time.sleep(0.02)

    return talk


def stalling(line: socket.socket) -> None:
    """Send the first byte of a body late, and then nothing."""
    line.sendall(HEAD + b"Content-Length: 99\r\n\r\n")
    time.sleep(0.15)
    line.sendall(b"x")
    line.recv(1)
    time.sleep(1)


def silent(line: socket.socket) -> None:
    line.recv(1)
    time.sleep(1)


HANGS = {
    "silence": silent,
    "headers without an end": dripping(HEAD, b"X-A: 1\r\n"),
    "a body of a known length, byte by byte": dripping(HEAD + b"Content-Length: 99999\r\n\r\n", b"x"),
    "a body without an end": dripping(ENDLESS, b"x"),
    "a body that stalls after its first byte": stalling,
}


HTTP = httpx.Client(
    limits=httpx.Limits(max_keepalive_connections=0), trust_env=False, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
)


def asked(url: str, *, seconds: float = MAY) -> Received:
    request = HTTP.build_request("GET", url, timeout=9)
    return received(HTTP, request, seconds=seconds, most_bytes=MOST)


def cut(url: str) -> bytes:
    request = HTTP.build_request("GET", url, timeout=9)  # the clock alone is to end it
    with cut_after(MAY, request):
        return HTTP.send(request).content


@pytest.mark.parametrize("ask", [asked, cut], ids=["received", "cut_after"])
@pytest.mark.parametrize("talk", HANGS.values(), ids=HANGS)
def test_it_is_over_in_time_wherever_the_server_hangs(
    talk: Callable[[socket.socket], None], ask: Callable[[str], object]
) -> None:
    with serving(talk) as url:
        began = time.monotonic()
        with pytest.raises(httpx.TimeoutException):
            ask(url)
        assert time.monotonic() - began < AT_MOST


def test_a_name_that_is_looked_up_for_ever_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    free = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: free.wait(5) or [])
    began = time.monotonic()
    with pytest.raises(httpx.ReadTimeout, match=r"no whole answer within 0\.2 s"):
        asked("http://model.example/")
    assert time.monotonic() - began < AT_MOST
    free.set()


def test_what_comes_in_time_comes_as_it_was_sent() -> None:
    with serving(lambda line: line.sendall(HEAD + b"X-Name: One\r\nContent-Length: 2\r\n\r\nok")) as url:
        found = asked(url)
    assert (found.status, found.headers["x-name"], found.body) == (200, "One", b"ok")


def test_no_more_is_read_than_is_wanted() -> None:
    with serving(dripping(ENDLESS, b"x" * 600)) as url:
        assert len(asked(url, seconds=5.0).body) == MOST + 1


def test_an_error_is_raised_where_it_is_waited_for() -> None:
    with (
        serving(lambda line: line.sendall(HEAD + b"Content-Length: 9\r\n\r\nhalf")) as url,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        asked(url)
